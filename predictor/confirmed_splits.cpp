#include "predictor/confirmed_splits.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>

#include "graph/network.hpp"

namespace cpubone {
namespace {

std::function<int(const Op&)> split_by(std::span<const ConfirmedSplit> confirmed,
                                       int ConfirmedSplit::*cpu_channels) {
  auto channels = std::make_shared<std::map<std::string, int>>();
  for (const ConfirmedSplit& split : confirmed) (*channels)[text(split.op)] = split.*cpu_channels;
  return [channels](const Op& op) {
    const auto found = channels->find(text(op));
    return found == channels->end() ? op.output().c : found->second;
  };
}

}  // namespace

std::vector<ChannelSplit> splits_to_measure(const Op& op, const CoExecutionCosts& costs) {
  std::vector<ChannelSplit> splits = likely_splits(op, costs, splits_worth_measuring);
  const int all = op.output().c;
  if (std::none_of(splits.begin(), splits.end(),
                   [&](const ChannelSplit& split) { return split.cpu_channels == all; }))
    splits.push_back(split_at(op, all, costs));
  return splits;
}

std::vector<ConfirmedSplit> confirm_splits(const CoExecutionPredictor& predictor,
                                           const Network& network, const TimeSplits& time) {
  const CoExecutionCosts costs = costs_within_network(predictor);
  const Network executed = lowered(network, predictor.cpu);
  std::vector<LayerSplit> layers;  // of each operator those to measure, one after the other
  for (const Op& op : distinct_ops(std::span(&executed, 1)))
    if (runs_on_coprocessor(predictor, op))
      for (const ChannelSplit& split : splits_to_measure(op, costs))
        layers.push_back({op, split.cpu_channels});
  if (layers.empty()) return {};
  const std::vector<Timing> timings = time(layers);
  if (timings.size() != layers.size())
    throw std::logic_error(fmt::format("{} timings of {} splits", timings.size(), layers.size()));
  std::vector<ConfirmedSplit> confirmed;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto& [op, cpu_channels] = layers[i];
    if (confirmed.empty() || confirmed.back().op != op)
      confirmed.push_back({op, cpu_channels, cpu_channels, timings[i], timings[i], {}});
    ConfirmedSplit& split = confirmed.back();
    if (cpu_channels == op.output().c) split.cpu_alone = timings[i];
    if (timings[i].median_ns >= split.fastest.median_ns) continue;
    split.fastest = timings[i];
    split.cpu_channels = cpu_channels;
  }
  return confirmed;
}

std::function<int(const Op&)> split_by(std::span<const ConfirmedSplit> confirmed) {
  return split_by(confirmed, &ConfirmedSplit::cpu_channels);
}

std::function<int(const Op&)> split_as_planned(std::span<const ConfirmedSplit> confirmed) {
  return split_by(confirmed, &ConfirmedSplit::planned_cpu_channels);
}

}  // namespace cpubone
