#include "profiler/statistics.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

namespace cpubone {
namespace {

constexpr double normal_quantile = 1.96;  // of 97.5 %
constexpr std::size_t fewest_samples = 5;

double median_absolute_deviation(std::span<const double> values, double centre) {
  std::vector<double> deviations;
  for (const double value : values) deviations.push_back(std::abs(value - centre));
  return median(deviations);
}

}  // namespace

double sorted_quantile(std::span<const double> sorted, double q) {
  if (sorted.empty()) throw std::invalid_argument("a quantile needs at least one value, got none");
  const double position = std::clamp(q, 0.0, 1.0) * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], position - static_cast<double>(below));
}

double quantile(std::span<const double> values, double q) {
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted_quantile(sorted, q);
}

double median(std::span<const double> values) {
  return quantile(values, 0.5);
}

Mean trimmed_mean(std::vector<double> values) {
  constexpr double trimmed = 0.01;
  std::sort(values.begin(), values.end());
  const auto cut = static_cast<std::size_t>(trimmed * static_cast<double>(values.size()));
  const auto n = static_cast<Eigen::Index>(values.size() - 2 * cut);
  const Eigen::Map<const Eigen::ArrayXd> kept(values.data() + cut, n);
  const double mean = kept.mean();
  return {mean, (kept - mean).square().mean() / static_cast<double>(n)};
}

Timing summarise(std::span<const double> samples_ns, int runs_per_sample) {
  std::vector<double> sorted(samples_ns.begin(), samples_ns.end());
  std::sort(sorted.begin(), sorted.end());
  Timing timing;
  timing.median_ns = sorted_quantile(sorted, 0.5);
  const auto n = static_cast<double>(sorted.size());
  const double spread = normal_quantile * std::sqrt(n);
  const auto at_rank = [&](double rank) {  // from 1
    return sorted[static_cast<std::size_t>(std::clamp(rank, 1.0, n)) - 1];
  };
  timing.low_ns = at_rank(std::floor((n - spread) / 2));
  timing.high_ns = at_rank(std::ceil(1 + (n + spread) / 2));
  timing.mdape = timing.median_ns > 0
                     ? median_absolute_deviation(sorted, timing.median_ns) / timing.median_ns
                     : 0;
  timing.samples_ns.assign(samples_ns.begin(), samples_ns.end());
  timing.runs_per_sample = runs_per_sample;
  return timing;
}

double relative_half_width(std::span<const double> samples_ns) {
  if (samples_ns.size() < fewest_samples) return std::numeric_limits<double>::infinity();
  const Timing timing = summarise(samples_ns, 1);
  return timing.median_ns > 0 ? (timing.high_ns - timing.low_ns) / 2 / timing.median_ns : 0;
}

}  // namespace cpubone
