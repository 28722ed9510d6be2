#pragma once
#include <span>
#include <string>
#include <vector>

#include "predictor/predictor.hpp"
#include "predictor/split_planner.hpp"
#include "records/co_execution_profile.hpp"
#include "records/result.hpp"

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

/// The device beside the CPU with its driver, as the profile names it.
std::string coprocessor_name(const CoExecutionPredictor& predictor);

/// Costs within a network, as the planner asks for them; the predictor must outlive them.
CoExecutionCosts costs_within_network(const CoExecutionPredictor& predictor);

/// The split that is predicted to take least; all on the CPU where the coprocessor does not run it.
ChannelSplit planned_split(const CoExecutionPredictor& predictor, const Op& op);

/// Terms of an operator that is split so, which add up as those of the CPU alone do: their
/// `combine` is that of `predictor.cpu`. What the CPU takes less for an operator after another
/// counts where its part takes longest; nothing of the kind is known of the coprocessor.
LatencyTerms terms(const CoExecutionPredictor& predictor, const Op& op, const ChannelSplit& split);

/// What limits the part that takes longest.
Bound bound_of(const CoExecutionPredictor& predictor, const Op& op, const ChannelSplit& split);

struct CoExecutionPrediction {
  NetworkPrediction cpu_alone;
  std::vector<ChannelSplit> splits;  ///< planned, of each of `cpu_alone.ops`; they add up
  LatencyEstimate latency;           ///< with these
};

/// Plans the split of each operator and sums their latencies. Throws as `predict` of the CPU does.
CoExecutionPrediction predict(const CoExecutionPredictor& predictor, const Network& network);

/// What sharing the layers of a network of that name is predicted to save.
SharedNetwork summarise(const std::string& network, const CoExecutionPrediction& prediction);

}  // namespace cpubone
