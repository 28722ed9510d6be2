#pragma once
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "predictor/co_execution.hpp"
#include "records/result.hpp"
#include "runtime/channel_part.hpp"

/// Studies of what CPU and coprocessor share, which need a co-execution profile of the machine.
namespace cpubone {

/// Latencies of layers with their splits, in the order given, measured in the same rounds.
using MeasureSplits = std::function<std::vector<MeasuredLatency>(std::span<const LayerSplit>)>;

/// `co-execution-linear` and `co-execution-conv`, which are no studies of `study_names`.
std::span<const std::string_view> co_execution_study_names();
bool is_co_execution_study(std::string_view name);

/// Latency against split: layers of known networks with up to 9 of their `candidate_splits`, and
/// the `likely_splits`; predicted and, where `measure` is not empty, measured. The planned split,
/// and the fastest likely one, are told beside the best that was measured, which a grid search
/// would take. Holds where it reaches on
/// average what it does in arXiv 2510.21081, which only measuring tells. Throws
/// std::invalid_argument listing the names.
Study co_execution_study(std::string_view name, const CoExecutionPredictor& predictor,
                         const MeasureSplits& measure);

}  // namespace cpubone
