#pragma once
#include <span>
#include <vector>

#include "explorer/explore.hpp"
#include "predictor/co_execution.hpp"
#include "predictor/predictor.hpp"
#include "records/profile.hpp"

namespace cpubone {

/// Latencies by a predictor.
LatencyModel latency_model(Predictor predictor);

/// The same with layers shared with a coprocessor, each split as planned.
LatencyModel latency_model(CoExecutionPredictor predictor);

/// What sharing the layers of networks is predicted to save.
CoExecutionSummary summarise(const CoExecutionPredictor& predictor,
                             std::span<const Network> networks);

MeasuredLatency measured_latency(const Timing& timing);
std::vector<MeasuredLatency> measured_latencies(std::span<const Timing> timings);

/// What proposals are compared with: the published networks in a form, then a user's own. Throws
/// std::invalid_argument where two of them have one name.
std::vector<Network> compared_networks(const NetworkForm& form, std::span<const Network> own);
/// Latencies of networks that a profile has.
std::vector<KnownLatency> known_latencies(const Profile& profile,
                                          std::span<const Network> networks);

/// Sets what a result tells of the device and of the predictor that it stands on.
void describe_predictor(Result& result, const Predictor& predictor);

}  // namespace cpubone
