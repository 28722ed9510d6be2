#pragma once
#include <span>
#include <vector>

#include "predictor/predictor.hpp"
#include "predictor/split_planner.hpp"
#include "records/co_execution_profile.hpp"

namespace cpubone {

/// Predicts networks whose layers a CPU shares with a coprocessor.
struct CoExecutionPredictor {
  Predictor cpu;
  Predictor coprocessor;
  double synchronisation_ns = 0;
  int shared_layers = 0;   ///< measured ones, which synchronisation is fitted to
  double shared_mape = 0;  ///< mean absolute percentage error on them, each left out of that fit
};

/// Throws cpubone::Error where a profile has no operators, or a shared layer cannot be split so.
CoExecutionPredictor fit_co_execution(const CoExecutionProfile& profile,
                                      std::span<const Network> calibration = {});

/// Whether the coprocessor runs it: operators of its class were measured there.
bool runs_on_coprocessor(const CoExecutionPredictor& predictor, const Op& op);

struct CoExecutionPrediction {
  NetworkPrediction cpu_alone;
  std::vector<ChannelSplit> splits;  ///< planned, of each of `cpu_alone.ops`
  LatencyEstimate latency;           ///< with these
};

/// Plans the split of each operator and sums their latencies. What the CPU computes takes less
/// within the network than alone by the same factor as its whole operator; nothing of the kind is
/// known of the coprocessor. Throws as `predict` of the CPU does.
CoExecutionPrediction predict(const CoExecutionPredictor& predictor, const Network& network);

}  // namespace cpubone
