#include "profiler/pace.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "profiler/statistics.hpp"

namespace cpubone {
namespace {

constexpr std::size_t samples_of_window = 40;  // whose median is known to a fifth of their scatter
constexpr int iterations = 3;
constexpr double median_error = 1.2533;  // of a normal mean's: sqrt(pi / 2)
constexpr double normal_mad = 1.4826;    // standard deviations in a median absolute deviation
constexpr std::size_t samples_of_bin = 200;
constexpr double bin_width = 4;  // durations in a bin of samples that last about as long
constexpr double trimmed = 0.01;

/// A sample, the task that it is of, and the rounds that it was taken in.
struct Residual {
  std::size_t task = 0;
  std::size_t window = 0;
  double ns = 0;
  double log_ns = 0;
  double weight_ns = 0;  ///< time that it took
};

struct TimeWindow {
  double log_pace = 0;
  double squared_error = 0;
  double weight_ns = 0;
};

/// Value that half of the weight is below.
double weighted_median(std::vector<std::pair<double, double>> values) {
  std::sort(values.begin(), values.end());
  double half = 0;
  for (const auto& [value, weight] : values) half += weight / 2;
  for (const auto& [value, weight] : values)
    if ((half -= weight) <= 0) return value;
  return values.back().first;
}

/// Rounds of few samples are joined with those after them.
std::vector<Residual> residuals(std::span<const std::vector<Sample>> samples,
                                std::span<const int> runs_per_sample) {
  std::map<int, std::size_t> counts;
  for (const auto& task : samples)
    for (const Sample& sample : task) ++counts[sample.round];
  std::map<int, std::size_t> window_of;
  std::size_t window = 0;
  std::size_t count = 0;
  for (const auto& [round, of_round] : counts) {
    if (count >= samples_of_window) {
      ++window;
      count = 0;
    }
    count += of_round;
    window_of[round] = window;
  }
  if (window > 0 && count < samples_of_window)  // the end is too short for one of its own
    for (auto& [round, of] : window_of) of = std::min(of, window - 1);
  std::vector<Residual> all;
  for (std::size_t t = 0; t < samples.size(); ++t)
    for (const Sample& sample : samples[t])
      all.push_back({t, window_of.at(sample.round), sample.ns, std::log(std::max(sample.ns, 1e-3)),
                     sample.ns * runs_per_sample[t]});
  return all;
}

std::vector<double> log_paces(const std::vector<Residual>& all, std::size_t tasks) {
  std::size_t count = 0;
  for (const Residual& r : all) count = std::max(count, r.window + 1);
  std::vector<double> paces(count, 0.0);
  if (count < 2) return paces;
  std::vector<TimeWindow> windows(count);
  for (const Residual& r : all) windows[r.window].weight_ns += r.weight_ns;
  for (int iteration = 0; iteration < iterations; ++iteration) {
    std::vector<std::vector<double>> of_task(tasks);
    for (const Residual& r : all) of_task[r.task].push_back(r.log_ns - paces[r.window]);
    std::vector<double> medians(tasks, 0.0);
    for (std::size_t t = 0; t < tasks; ++t)
      if (!of_task[t].empty()) medians[t] = median(of_task[t]);
    std::vector<std::vector<double>> of_window(count);
    for (const Residual& r : all) of_window[r.window].push_back(r.log_ns - medians[r.task]);
    double mean = 0;
    double mean_error = 0;
    for (std::size_t w = 0; w < count; ++w) {
      TimeWindow& window = windows[w];
      window.log_pace = median(of_window[w]);
      std::vector<double> deviations;
      for (const double r : of_window[w]) deviations.push_back(std::abs(r - window.log_pace));
      window.squared_error = std::pow(median_error * normal_mad * median(deviations), 2) /
                             static_cast<double>(of_window[w].size());
      mean += window.log_pace / static_cast<double>(count);
      mean_error += window.squared_error / static_cast<double>(count);
    }
    double variance = -mean_error;
    for (const TimeWindow& window : windows)
      variance += std::pow(window.log_pace - mean, 2) / static_cast<double>(count - 1);
    variance = std::max(variance, 0.0);
    std::vector<std::pair<double, double>> weighted;
    for (std::size_t w = 0; w < count; ++w) {
      const double sum = variance + windows[w].squared_error;
      paces[w] = sum > 0 ? variance / sum * (windows[w].log_pace - mean) : 0;
      weighted.emplace_back(paces[w], windows[w].weight_ns);
    }
    const double typical = weighted_median(weighted);
    for (double& pace : paces) pace -= typical;
  }
  return paces;
}

/// Quotient of mean and median of samples that last about as long as each task's.
std::vector<double> mean_over_median(const std::vector<std::vector<double>>& durations,
                                     std::span<const int> runs_per_sample) {
  std::vector<std::pair<double, std::size_t>> by_duration;  // of a sample, and task
  std::vector<double> medians(durations.size());
  for (std::size_t t = 0; t < durations.size(); ++t) {
    if (durations[t].empty()) continue;
    medians[t] = median(durations[t]);
    by_duration.emplace_back(medians[t] * runs_per_sample[t], t);
  }
  std::sort(by_duration.begin(), by_duration.end());
  std::vector<double> factors(durations.size(), 1.0);
  for (std::size_t begin = 0; begin < by_duration.size();) {
    std::vector<double> quotients;
    std::size_t end = begin;
    for (; end < by_duration.size(); ++end) {
      const auto& [duration, task] = by_duration[end];
      if (duration > bin_width * by_duration[begin].first && quotients.size() >= samples_of_bin)
        break;
      for (const double ns : durations[task]) quotients.push_back(ns / medians[task]);
    }
    std::sort(quotients.begin(), quotients.end());
    const auto cut = static_cast<std::size_t>(trimmed * static_cast<double>(quotients.size()));
    double mean = 0;
    for (std::size_t i = cut; i < quotients.size() - cut; ++i) mean += quotients[i];
    mean /= static_cast<double>(quotients.size() - 2 * cut);
    for (; begin < end; ++begin) factors[by_duration[begin].second] = mean;
  }
  return factors;
}

/// Neighbours whose paces are nearly equal are one; wider, and the typical pace of a slow drift
/// would be the mean of a large part of it.
std::vector<PaceRegime> regimes(const std::vector<PaceRegime>& windows) {
  constexpr double alike = 1.01;
  std::vector<PaceRegime> joined;
  for (const PaceRegime& window : windows) {
    if (!joined.empty()) {
      PaceRegime& last = joined.back();
      if (std::max(last.pace / window.pace, window.pace / last.pace) < alike) {
        const double seconds = last.seconds + window.seconds;
        last.pace = std::lerp(last.pace, window.pace, seconds > 0 ? window.seconds / seconds : 0);
        last.seconds = seconds;
        continue;
      }
    }
    joined.push_back(window);
  }
  return joined;
}

}  // namespace

PacedSamples at_typical_pace(std::span<const std::vector<Sample>> samples,
                             std::span<const int> runs_per_sample) {
  const std::vector<Residual> all = residuals(samples, runs_per_sample);
  const std::vector<double> paces = log_paces(all, samples.size());
  std::vector<std::vector<double>> durations(samples.size());
  std::vector<PaceRegime> windows;
  for (const double pace : paces) windows.push_back({0, std::exp(pace)});
  for (const Residual& r : all) {
    durations[r.task].push_back(r.ns * std::exp(-paces[r.window]));
    windows[r.window].seconds += r.weight_ns * 1e-9;
  }
  const std::vector<double> factors = mean_over_median(durations, runs_per_sample);
  for (std::size_t t = 0; t < durations.size(); ++t)
    for (double& ns : durations[t]) ns *= factors[t];
  return {std::move(durations), regimes(windows)};
}

std::vector<std::size_t> anchors(const Profile& profile) {
  constexpr std::size_t most = 24;
  constexpr double fastest_ns = 20e3;  // below, where in memory it lies decides
  constexpr double slowest_ns = 1e6;
  constexpr std::size_t fewest_samples = 5;
  std::vector<std::pair<double, std::size_t>> by_width;
  for (std::size_t i = 0; i < profile.ops.size(); ++i) {
    const Timing& timing = profile.ops[i].timing;
    if (timing.median_ns < fastest_ns || timing.median_ns > slowest_ns ||
        timing.samples_ns.size() < fewest_samples)
      continue;
    by_width.emplace_back((timing.high_ns - timing.low_ns) / timing.median_ns, i);
  }
  std::sort(by_width.begin(), by_width.end());
  if (by_width.size() > most) by_width.resize(most);
  std::vector<std::size_t> chosen;
  for (const auto& [width, index] : by_width) chosen.push_back(index);
  return chosen;
}

void bring_to_common_pace(Profile& profile, SampleReport& report,
                          std::span<const double> known_ns) {
  std::vector<double> log_ratios;
  for (std::size_t i = 0; i < known_ns.size(); ++i)
    if (known_ns[i] > 0 && report.timings[i].median_ns > 0)
      log_ratios.push_back(std::log(report.timings[i].median_ns / known_ns[i]));
  double log_pace = 0;  // of the run, over the profile's
  if (log_ratios.size() >= 5) {
    const double ratio = median(log_ratios);
    std::vector<double> deviations;
    for (const double r : log_ratios) deviations.push_back(std::abs(r - ratio));
    const double squared_error = std::pow(median_error * normal_mad * median(deviations), 2) /
                                 static_cast<double>(log_ratios.size());
    // As much of it as stands out of its own uncertainty.
    const double squared = ratio * ratio;
    log_pace = squared > 0 ? ratio * std::max(0.0, 1 - squared_error / squared) : 0;
  }
  const double run_pace = std::exp(log_pace);
  std::vector<PaceRegime> all = profile.paces;
  for (PaceRegime regime : report.paces) {
    regime.pace *= run_pace;
    all.push_back(regime);
  }
  std::vector<std::pair<double, double>> weighted;
  for (const PaceRegime& regime : all) weighted.emplace_back(regime.pace, regime.seconds);
  const double typical = weighted.empty() ? 1 : weighted_median(weighted);
  for (PaceRegime& regime : all) regime.pace /= typical;
  profile.paces = regimes(all);
  if (typical != 1) rescale(profile, typical);
  std::vector<Timing> news;
  for (std::size_t i = 0; i < known_ns.size(); ++i)
    if (known_ns[i] == 0) {
      news.push_back(std::move(report.timings[i]));
      rescale(news.back(), typical / run_pace);
    }
  report.timings = std::move(news);
}

}  // namespace cpubone
