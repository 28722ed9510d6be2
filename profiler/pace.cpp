#include "profiler/pace.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "profiler/statistics.hpp"

namespace cpubone {
namespace {

constexpr double window_s = 0.25;              // at least
constexpr std::size_t samples_of_window = 10;  // at least
constexpr int iterations = 3;
constexpr double median_error = 1.2533;  // of a normal mean's: sqrt(pi / 2)
constexpr double normal_mad = 1.4826;    // standard deviations in a median absolute deviation
constexpr std::size_t samples_of_bin = 200;
constexpr double bin_width = 4;        // durations in a bin of samples that last about as long
constexpr double most_log_pace = 0.7;  // of a moment: sharing a core halves the speed at worst

/// A sample and the task that it is of.
struct Reading {
  std::size_t task = 0;
  double ns = 0;
  double log_ns = 0;
  double at_s = 0;
  double weight_ns = 0;    ///< time that it took
  std::size_t window = 0;  ///< of time
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

/// In order of time.
std::vector<Reading> readings(std::span<const std::vector<Sample>> samples,
                              std::span<const int> runs_per_sample) {
  std::vector<Reading> all;
  for (std::size_t t = 0; t < samples.size(); ++t)
    for (const Sample& sample : samples[t])
      all.push_back({t, sample.ns, std::log(std::max(sample.ns, 1e-3)), sample.at_s,
                     sample.ns * runs_per_sample[t]});
  std::stable_sort(all.begin(), all.end(),
                   [](const Reading& a, const Reading& b) { return a.at_s < b.at_s; });
  std::size_t begin = 0;  // of the window
  for (std::size_t i = 1; i < all.size(); ++i) {
    const bool full = i - begin >= samples_of_window && all[i].at_s - all[begin].at_s >= window_s;
    all[i].window = all[i - 1].window + (full ? 1 : 0);
    if (full) begin = i;
  }
  if (all.size() - begin < samples_of_window)  // the end is too short for one of its own
    for (std::size_t i = begin; begin > 0 && i < all.size(); ++i) --all[i].window;
  return all;
}

/// Logarithms of the readings over their tasks' medians at the given paces.
std::vector<double> residuals(const std::vector<Reading>& all, std::size_t tasks,
                              const std::vector<double>& log_paces) {
  std::vector<std::vector<double>> of_task(tasks);
  for (std::size_t i = 0; i < all.size(); ++i)
    of_task[all[i].task].push_back(all[i].log_ns - log_paces[i]);
  std::vector<double> medians(tasks, 0.0);
  for (std::size_t t = 0; t < tasks; ++t)
    if (!of_task[t].empty()) medians[t] = median(of_task[t]);
  std::vector<double> residuals;
  for (const Reading& reading : all) residuals.push_back(reading.log_ns - medians[reading.task]);
  return residuals;
}

/// Of each reading's window over the typical one: the mean that work took there, as a network takes
/// it too.
std::vector<double> window_log_paces(const std::vector<Reading>& all, std::size_t tasks) {
  std::vector<double> of_reading(all.size(), 0.0);
  const std::size_t count = all.empty() ? 0 : all.back().window + 1;
  if (count < 2) return of_reading;
  std::vector<double> weight_ns(count, 0.0);
  for (const Reading& reading : all) weight_ns[reading.window] += reading.weight_ns;
  for (int iteration = 0; iteration < iterations; ++iteration) {
    const std::vector<double> logs = residuals(all, tasks, of_reading);
    std::vector<std::vector<double>> quotients(count);
    for (std::size_t i = 0; i < all.size(); ++i)
      quotients[all[i].window].push_back(std::exp(logs[i]));
    std::vector<Mean> paces;  // logarithms
    double mean = 0;
    double variance = 0;
    for (std::vector<double>& of_window : quotients) {
      const auto [pace, squared_error] = trimmed_mean(std::move(of_window));
      paces.push_back({std::log(pace), squared_error / (pace * pace)});
      mean += paces.back().value / static_cast<double>(count);
      variance -= paces.back().squared_error / static_cast<double>(count);
    }
    for (const Mean& pace : paces)
      variance += std::pow(pace.value - mean, 2) / static_cast<double>(count - 1);
    variance = std::max(variance, 0.0);
    std::vector<std::pair<double, double>> weighted;
    for (std::size_t w = 0; w < count; ++w) {
      const double sum = variance + paces[w].squared_error;
      weighted.emplace_back(sum > 0 ? variance / sum * (paces[w].value - mean) : 0, weight_ns[w]);
    }
    const double typical = weighted_median(weighted);
    for (std::size_t i = 0; i < all.size(); ++i)
      of_reading[i] = weighted[all[i].window].first - typical;
  }
  return of_reading;
}

/// Of each reading the mean of those before and after it, which count the less the further away
/// they are; a reading that stands alone has none of it.
Eigen::VectorXd mean_around(const std::vector<Reading>& all, const Eigen::VectorXd& values,
                            double span_s) {
  const Eigen::Index n = values.size();
  Eigen::VectorXd sum = Eigen::VectorXd::Zero(n);
  Eigen::VectorXd weight = Eigen::VectorXd::Ones(n);
  const auto sweep = [&](Eigen::Index begin, Eigen::Index step) {
    double sum_so_far = 0;
    double weight_so_far = 0;
    for (Eigen::Index i = begin + step; i >= 0 && i < n; i += step) {
      const double gap_s = std::abs(all[static_cast<std::size_t>(i)].at_s -
                                    all[static_cast<std::size_t>(i - step)].at_s);
      const double decay = std::exp(-gap_s / span_s);
      sum[i] += sum_so_far = (sum_so_far + values[i - step]) * decay;
      weight[i] += weight_so_far = (weight_so_far + 1) * decay;
    }
  };
  sweep(0, 1);
  sweep(n - 1, -1);
  return sum.cwiseQuotient(weight);
}

/// Of each reading's moment over its window: as much as those around it have been seen to tell, on
/// the span of time over which they tell most.
std::vector<double> local_log_paces(const std::vector<Reading>& all, std::size_t tasks,
                                    const std::vector<double>& window_paces) {
  constexpr std::array spans_s{0.0005, 0.002, 0.008, 0.032, 0.128};
  std::vector<double> local(all.size(), 0.0);
  for (int iteration = 0; iteration < iterations && !all.empty(); ++iteration) {
    std::vector<double> paces(all.size());
    for (std::size_t i = 0; i < all.size(); ++i) paces[i] = window_paces[i] + local[i];
    const std::vector<double> logs = residuals(all, tasks, paces);
    Eigen::VectorXd values(static_cast<Eigen::Index>(all.size()));
    for (std::size_t i = 0; i < all.size(); ++i)
      values[static_cast<Eigen::Index>(i)] = logs[i] - window_paces[i];
    values.array() -= median(std::span(values.data(), all.size()));
    values = values.cwiseMax(-most_log_pace).cwiseMin(most_log_pace);
    Eigen::VectorXd best = Eigen::VectorXd::Zero(values.size());
    double least_squares = values.squaredNorm();
    for (const double span_s : spans_s) {
      const Eigen::VectorXd around = mean_around(all, values, span_s);
      const double squares = around.squaredNorm();
      if (squares <= 0) continue;
      const Eigen::VectorXd fitted = std::max(0.0, around.dot(values) / squares) * around;
      const double left = (values - fitted).squaredNorm();
      if (left >= least_squares) continue;
      least_squares = left;
      best = fitted;
    }
    // What a choice among as many spans explains by chance (James and Stein).
    const double chance =
        static_cast<double>(spans_s.size()) * least_squares / static_cast<double>(values.size());
    const double explained = best.squaredNorm();
    const double kept = explained > 0 ? std::max(0.0, 1 - chance / explained) : 0;
    for (std::size_t i = 0; i < all.size(); ++i)
      local[i] = kept * best[static_cast<Eigen::Index>(i)];
  }
  return local;
}

/// Quotient of the mean of a task's durations and the median of its steadier ones, of all samples
/// that last about as long.
std::vector<double> mean_over_median(const std::vector<std::vector<double>>& durations,
                                     const std::vector<std::vector<double>>& steadier,
                                     std::span<const int> runs_per_sample) {
  std::vector<std::pair<double, std::size_t>> by_duration;  // of a sample, and task
  std::vector<double> medians(durations.size());
  for (std::size_t t = 0; t < durations.size(); ++t) {
    if (durations[t].empty()) continue;
    medians[t] = median(steadier[t]);
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
    const double mean = trimmed_mean(std::move(quotients)).value;
    for (; begin < end; ++begin) factors[by_duration[begin].second] = mean;
  }
  return factors;
}

/// Median of logarithms, as much of it as stands out of so many of its standard errors; 0 of less
/// than 5.
double certain_median(std::vector<double> logarithms, double standard_errors) {
  if (logarithms.size() < 5) return 0;
  const double value = median(logarithms);
  for (double& l : logarithms) l = std::abs(l - value);
  const double squared_error = std::pow(median_error * normal_mad * median(logarithms), 2) /
                               static_cast<double>(logarithms.size());
  const double squared = value * value;
  const double chance = standard_errors * standard_errors * squared_error;
  return squared > 0 ? value * std::max(0.0, 1 - chance / squared) : 0;
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
  const std::vector<Reading> all = readings(samples, runs_per_sample);
  const std::vector<double> paces = window_log_paces(all, samples.size());
  const std::vector<double> local = local_log_paces(all, samples.size(), paces);
  std::vector<std::vector<double>> durations(samples.size());
  std::vector<std::vector<double>> steadier(samples.size());
  std::vector<PaceRegime> windows(all.empty() ? 0 : all.back().window + 1);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const double ns = all[i].ns * std::exp(-paces[i]);
    durations[all[i].task].push_back(ns);
    steadier[all[i].task].push_back(ns * std::exp(-local[i]));
    windows[all[i].window].pace = std::exp(paces[i]);
    windows[all[i].window].seconds += all[i].weight_ns * 1e-9;
  }
  const std::vector<double> factors = mean_over_median(durations, steadier, runs_per_sample);
  for (std::size_t t = 0; t < steadier.size(); ++t)
    for (double& ns : steadier[t]) ns *= factors[t];
  return {std::move(steadier), regimes(windows)};
}

bool moves_data(const Op& op) {
  return macs(op) < input_bytes(op) + output_bytes(op);
}

std::vector<std::size_t> anchors(const Profile& profile) {
  constexpr std::size_t most = 12;     // of a kind
  constexpr double fastest_ns = 20e3;  // below, where in memory it lies decides
  constexpr double slowest_ns = 1e6;
  constexpr std::size_t fewest_samples = 5;
  std::array<std::vector<std::pair<double, std::size_t>>, 2> by_width;
  for (std::size_t i = 0; i < profile.ops.size(); ++i) {
    const Timing& timing = profile.ops[i].timing;
    if (timing.median_ns < fastest_ns || timing.median_ns > slowest_ns ||
        timing.samples_ns.size() < fewest_samples)
      continue;
    by_width[moves_data(profile.ops[i].op) ? 1 : 0].emplace_back(
        (timing.high_ns - timing.low_ns) / timing.median_ns, i);
  }
  std::vector<std::size_t> chosen;
  for (auto& of_kind : by_width) {
    std::sort(of_kind.begin(), of_kind.end());
    if (of_kind.size() > most) of_kind.resize(most);
    for (const auto& [width, index] : of_kind) chosen.push_back(index);
  }
  return chosen;
}

void bring_to_common_pace(Profile& profile, SampleReport& report,
                          std::span<const PacedTask> tasks) {
  std::array<std::vector<double>, 2> log_ratios;
  for (std::size_t i = 0; i < tasks.size(); ++i)
    if (tasks[i].known_ns > 0 && report.timings[i].median_ns > 0)
      log_ratios[tasks[i].moves_data ? 1 : 0].push_back(
          std::log(report.timings[i].median_ns / tasks[i].known_ns));
  // Of the run, over the profile's: of what calculates, then how far what moves data surely
  // departs.
  const double log_pace = certain_median(log_ratios[0], 1);
  for (double& ratio : log_ratios[1]) ratio -= log_pace;
  const std::array<double, 2> run_paces{std::exp(log_pace),
                                        std::exp(log_pace + certain_median(log_ratios[1], 2))};
  std::vector<PaceRegime> all = profile.paces;
  for (PaceRegime regime : report.paces) {
    regime.pace *= run_paces[0];
    all.push_back(regime);
  }
  std::vector<std::pair<double, double>> weighted;
  for (const PaceRegime& regime : all) weighted.emplace_back(regime.pace, regime.seconds);
  const double typical = weighted.empty() ? 1 : weighted_median(weighted);
  for (PaceRegime& regime : all) regime.pace /= typical;
  profile.paces = regimes(all);
  if (typical != 1) rescale(profile, typical);
  std::vector<Timing> news;
  for (std::size_t i = 0; i < tasks.size(); ++i)
    if (tasks[i].known_ns == 0) {
      news.push_back(std::move(report.timings[i]));
      rescale(news.back(), typical / run_paces[tasks[i].moves_data ? 1 : 0]);
    }
  report.timings = std::move(news);
}

}  // namespace cpubone
