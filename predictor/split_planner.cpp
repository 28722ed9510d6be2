#include "predictor/split_planner.hpp"

#include <algorithm>
#include <numeric>

#include "runtime/channel_part.hpp"

namespace cpubone {

CoExecutionCosts predicted_costs(const Predictor& cpu, const Predictor& coprocessor,
                                 double synchronisation_ns) {
  return {[&cpu](const Op& op) { return estimate(cpu, op).ns; },
          [&coprocessor](const Op& op) { return estimate(coprocessor, op).ns; },
          synchronisation_ns};
}

Runner runner_of(const ChannelSplit& split) {
  if (split.coprocessor_ns == 0) return Runner::cpu;
  return split.cpu_channels == 0 ? Runner::coprocessor : Runner::both;
}

std::vector<int> candidate_splits(const Op& op, int multiple) {
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
    split.ns = std::max(split.cpu_ns, split.coprocessor_ns) + costs.synchronisation_ns;
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

double fitted_synchronisation_ns(std::span<const MeasuredSplit> measured,
                                 const CoExecutionCosts& costs) {
  std::vector<double> beyond;
  for (const MeasuredSplit& m : measured) {
    const ChannelSplit split = split_at(m.op, m.cpu_channels, costs);
    beyond.push_back(m.ns - std::max(split.cpu_ns, split.coprocessor_ns));
  }
  if (beyond.empty()) return 0;
  const auto middle = beyond.begin() + static_cast<std::ptrdiff_t>(beyond.size() / 2);
  std::nth_element(beyond.begin(), middle, beyond.end());
  return std::max(0.0, *middle);
}

}  // namespace cpubone
