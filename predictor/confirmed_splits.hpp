#pragma once
#include <functional>
#include <span>
#include <vector>

#include "predictor/co_execution.hpp"
#include "runtime/channel_part.hpp"

namespace cpubone {

/// Timings of layers that are split so, in the order given, measured in the same rounds.
using TimeSplits = std::function<std::vector<Timing>(std::span<const LayerSplit>)>;

/// Splits of which the fastest is to be found by measuring: the `splits_worth_measuring` likeliest,
/// the planned one first, and the CPU alone, so that what is chosen is never slower than that.
std::vector<ChannelSplit> splits_to_measure(const Op& op, const CoExecutionCosts& costs);

/// An operator, and which of its `splits_to_measure` was the fastest.
struct ConfirmedSplit {
  Op op;
  int planned_cpu_channels = 0;
  int cpu_channels = 0;
  Timing planned;
  Timing fastest;
  Timing cpu_alone;
};

/// Of each distinct operator of a network, as it is executed, that the coprocessor runs.
/// Predictions err by more than splits differ, so that executing goes by these. Throws what `time`
/// throws, std::logic_error where it gives another number of timings.
std::vector<ConfirmedSplit> confirm_splits(const CoExecutionPredictor& predictor,
                                           const Network& network, const TimeSplits& time);

/// Channels of the CPU, as `CoExecution` asks for them; of an operator that is not among them all.
std::function<int(const Op&)> split_by(std::span<const ConfirmedSplit> confirmed);
/// The same of the splits that were planned, without measuring.
std::function<int(const Op&)> split_as_planned(std::span<const ConfirmedSplit> confirmed);

}  // namespace cpubone
