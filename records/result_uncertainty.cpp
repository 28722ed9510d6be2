// How sure a result is of what it tells.
#include <cmath>

#include "records/result.hpp"

namespace cpubone {
namespace {

// Standard deviations from the middle to the end of an interval.
constexpr double z_90 = 1.6449;
constexpr double z_95 = 1.9600;

}  // namespace

double log_error_sd(const Top1& top1) {
  if (!top1.estimated) return 0;
  return std::log((100 - top1.percent.low) / (100 - top1.percent.value)) / z_90;
}

double probability_of(const Top1& top1, double percent) {
  const double sd = log_error_sd(top1);
  if (sd == 0) return top1.percent.value >= percent ? 1 : 0;
  return 0.5 *
         std::erfc(std::log((100 - top1.percent.value) / (100 - percent)) / sd / std::sqrt(2.0));
}

double assured(const Top1& top1) {
  const double sd = log_error_sd(top1);
  if (sd == 0) return top1.percent.value;
  return 100 - (100 - top1.percent.value) * std::exp(1.2816 * sd);
}

std::optional<Interval> latency_ms(const ResultNetwork& network) {
  if (network.measured_ms) return network.measured_ms->ms;
  return network.predicted_ms;
}

bool is_measured(const MeasuredLatency& latency) {
  constexpr int enough_samples = 5;
  return !latency.disturbed && latency.samples >= enough_samples;
}

bool is_measured(const ResultNetwork& network) {
  return network.measured_ms && is_measured(*network.measured_ms);
}

std::optional<double> log_latency_sd(const ResultNetwork& network) {
  const auto ms = latency_ms(network);
  if (!ms || (network.measured_ms && !is_measured(network))) return std::nullopt;
  return std::log(ms->high / ms->value) / (network.measured_ms ? z_95 : z_90);
}

}  // namespace cpubone
