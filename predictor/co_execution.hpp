#pragma once
#include <span>
#include <string>
#include <vector>

#include "predictor/devices.hpp"
#include "predictor/predictor.hpp"
#include "predictor/split_planner.hpp"
#include "records/co_execution_profile.hpp"
#include "records/result.hpp"

namespace cpubone {

/// Predicts networks whose layers a CPU shares with a coprocessor.
struct CoExecutionPredictor {
  Predictor cpu;
  Predictor coprocessor;
  double synchronisation_ns = 0;  ///< where both run, fitted
  double unhidden_share = 0;      ///< of the shorter part, as `CoExecutionCosts` tells; fitted
  double start_ns = 0;  ///< that the CPU takes to start the coprocessor, before its own part
  /// To start each of the coprocessor's operators and to wait for it: 0 where its latencies, being
  /// measured, have that.
  double wait_ns = 0;
  std::string wait_source;  ///< where `wait_ns` is from, or that it is assumed; empty where 0
  int shared_layers = 0;    ///< measured ones, which synchronisation is fitted to
  double shared_mape = 0;   ///< mean absolute percentage error on them, each left out of that fit
};

/// Throws cpubone::Error where a profile has no operators, or a shared layer cannot be split so.
CoExecutionPredictor fit_co_execution(const CoExecutionProfile& profile,
                                      std::span<const Network> calibration = {});

/// From published latencies of a CPU's networks and of the coprocessor's operators, which is the
/// evidence of either predictor. Throws std::invalid_argument where the device's file has no
/// coprocessor.
CoExecutionPredictor calibrate_co_execution(const DeviceDescription& device);

/// The operators of a device's coprocessor as if they were its profile.
Profile published_profile(const DeviceDescription& device, const DeviceCoprocessor& coprocessor);

/// Mean absolute percentage error on the coprocessor's operators, each left out of its class.
double coprocessor_mape(const CoExecutionPredictor& predictor);

/// What predictions rest on beside the CPU, in a sentence: how right the coprocessor's operators
/// and shared layers are, or what is published and what is assumed.
std::string coprocessor_evidence(const CoExecutionPredictor& predictor);

/// Whether the coprocessor runs it: operators of its class were measured there.
bool runs_on_coprocessor(const CoExecutionPredictor& predictor, const Op& op);

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
