#pragma once
#include <span>
#include <vector>

#include "explorer/explore.hpp"
#include "predictor/predictor.hpp"
#include "records/profile.hpp"

namespace cpubone {

/// Latencies by a predictor.
LatencyModel latency_model(Predictor predictor);

MeasuredLatency measured_latency(const Timing& timing);
std::vector<MeasuredLatency> measured_latencies(std::span<const Timing> timings);

/// Latencies of the zoo's networks in a form that a profile has.
std::vector<KnownLatency> known_latencies(const Profile& profile, const NetworkForm& form = {});

/// Sets what a result tells of the device and of the predictor that it stands on.
void describe_predictor(Result& result, const Predictor& predictor);

}  // namespace cpubone
