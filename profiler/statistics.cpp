#include "profiler/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

namespace cpubone {
namespace {

// Normal quantile x standard error of a median relative to a mean x MAD to standard deviation.
constexpr double half_width_of_mad = 1.96 * 1.2533 * 1.4826;
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

Timing summarise(std::span<const double> samples_ns, int runs_per_sample) {
  Timing timing;
  timing.median_ns = median(samples_ns);
  const double mad = median_absolute_deviation(samples_ns, timing.median_ns);
  const double half = half_width_of_mad * mad / std::sqrt(static_cast<double>(samples_ns.size()));
  timing.low_ns = std::max(0.0, timing.median_ns - half);
  timing.high_ns = timing.median_ns + half;
  timing.mdape = timing.median_ns > 0 ? mad / timing.median_ns : 0;
  timing.samples_ns.assign(samples_ns.begin(), samples_ns.end());
  timing.runs_per_sample = runs_per_sample;
  return timing;
}

double relative_half_width(std::span<const double> samples_ns) {
  if (samples_ns.size() < fewest_samples) return std::numeric_limits<double>::infinity();
  const Timing timing = summarise(samples_ns, 1);
  return timing.median_ns > 0 ? (timing.high_ns - timing.median_ns) / timing.median_ns : 0;
}

}  // namespace cpubone
