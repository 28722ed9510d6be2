#include "predictor/split_planner.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/channel_part.hpp"

namespace cpubone {
namespace {

/// A shared operator: what its parts would take alone, the start before the CPU's, and what both
/// took.
struct Parts {
  double shorter_ns;
  double longer_ns;
  double ns;
};

Parts parts_of(const ChannelSplit& split, const CoExecutionCosts& costs, double ns) {
  return {std::min(split.cpu_ns, split.coprocessor_ns),
          std::max(costs.start_ns + split.cpu_ns, split.coprocessor_ns), ns};
}

double predicted_ns(const Parts& parts, const SharingCosts& sharing) {
  return parts.longer_ns + sharing.unhidden_share * parts.shorter_ns + sharing.synchronisation_ns;
}

double synchronisation_ns(std::span<const Parts> all, double unhidden_share) {
  std::vector<double> beyond;
  for (const Parts& parts : all)
    beyond.push_back(parts.ns - predicted_ns(parts, {0, unhidden_share, 0}));
  const auto middle = beyond.begin() + static_cast<std::ptrdiff_t>(beyond.size() / 2);
  std::nth_element(beyond.begin(), middle, beyond.end());
  return std::max(0.0, *middle);
}

SharingCosts fitted(std::span<const Parts> all) {
  SharingCosts best;
  if (all.empty()) return best;
  constexpr int steps = 20;
  constexpr double worth = 0.9;  // else noise of small parts is taken for a share
  double least = 0;
  for (int step = 0; step <= steps; ++step) {
    const double share = double{1} * step / steps;
    const SharingCosts sharing{synchronisation_ns(all, share), share, 0};
    double error = 0;
    for (const Parts& parts : all)
      error += std::abs(predicted_ns(parts, sharing) / parts.ns - 1) / (step == 0 ? 1 : worth);
    if (step > 0 && error >= least) continue;
    least = error;
    best = sharing;
  }
  return best;
}

}  // namespace

CoExecutionCosts predicted_costs(const Predictor& cpu, const Predictor& coprocessor,
                                 double synchronisation_ns) {
  return {[&cpu](const Op& op) { return estimate(cpu, op).ns; },
          [&coprocessor](const Op& op) { return estimate(coprocessor, op).ns; }, synchronisation_ns,
          0};
}

Runner runner_of(const ChannelSplit& split) {
  if (split.coprocessor_ns == 0) return Runner::cpu;
  return split.cpu_channels == 0 ? Runner::coprocessor : Runner::both;
}

int channels_to_split_by(const Op& op) {
  constexpr int line_bytes = 64;
  return line_bytes / static_cast<int>(bytes_per_element(op.dtype()));
}

std::vector<int> candidate_splits(const Op& op, int multiple) {
  if (multiple == 0) multiple = channels_to_split_by(op);
  const int channels = op.output().c;
  if (!has_channel_parts(op)) return {0, channels};
  const int step = channel_step(op);
  int by = std::lcm(step, multiple);
  if (by >= channels) by = step;
  std::vector<int> candidates;
  for (int c = 0; c < channels; c += by) candidates.push_back(c);
  candidates.push_back(channels);
  return candidates;
}

ChannelSplit split_at(const Op& op, int cpu_channels, const CoExecutionCosts& costs) {
  const int channels = op.output().c;
  ChannelSplit split;
  split.cpu_channels = cpu_channels;
  if (cpu_channels == channels) {
    split.cpu_ns = split.ns = costs.cpu(op);
  } else if (cpu_channels == 0) {
    split.coprocessor_ns = split.ns = costs.coprocessor(op);
  } else {
    split.cpu_ns = costs.cpu(channel_part(op, 0, cpu_channels));
    split.coprocessor_ns = costs.coprocessor(channel_part(op, cpu_channels, channels));
    split.ns = predicted_ns(parts_of(split, costs, 0),
                            {costs.synchronisation_ns, costs.unhidden_share, 0});
  }
  return split;
}

ChannelSplit plan_split(const Op& op, const CoExecutionCosts& costs, int multiple) {
  const std::vector<int> candidates = candidate_splits(op, multiple);
  ChannelSplit best = split_at(op, candidates.back(), costs);
  for (auto c = candidates.rbegin() + 1; c != candidates.rend(); ++c)
    if (const ChannelSplit split = split_at(op, *c, costs); split.ns < best.ns) best = split;
  return best;
}

std::vector<ChannelSplit> likely_splits(const Op& op, const CoExecutionCosts& costs,
                                        std::size_t count, int multiple) {
  const std::vector<int> candidates = candidate_splits(op, multiple);
  std::vector<ChannelSplit> splits;
  for (auto c = candidates.rbegin(); c != candidates.rend(); ++c)
    splits.push_back(split_at(op, *c, costs));
  std::stable_sort(splits.begin(), splits.end(),
                   [](const ChannelSplit& a, const ChannelSplit& b) { return a.ns < b.ns; });
  splits.resize(std::min(count, splits.size()));
  return splits;
}

SharingCosts fitted_sharing(std::span<const MeasuredSplit> measured,
                            const CoExecutionCosts& costs) {
  std::vector<Parts> all;
  for (const MeasuredSplit& m : measured) {
    const ChannelSplit split = split_at(m.op, m.cpu_channels, costs);
    all.push_back(parts_of(split, costs, m.ns));
  }
  SharingCosts sharing = fitted(all);
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::vector<Parts> others = all;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
    sharing.mape += std::abs(predicted_ns(all[i], fitted(others)) / all[i].ns - 1) /
                    static_cast<double>(all.size());
  }
  return sharing;
}

}  // namespace cpubone
