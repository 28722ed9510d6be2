#pragma once
#include <span>

#include "explorer/evaluator.hpp"
#include "records/result.hpp"

namespace cpubone {

/// What one step up or down in each choice does to latency and estimated top-1, on average over
/// networks of the space and over stages. Throws std::invalid_argument without networks.
Study sensitivity_study(const Evaluator& evaluator, std::span<const Genome> networks);

/// Where fused blocks stop beating unfused ones, by resolution and channels; predicted. CPUBone's
/// rule fuses below 256 channels.
Study crossover_study(const LatencyModel& latency);

/// What groups and kernel sizes of a fused block save in MACs and cost in MACpS; predicted.
Study groups_and_kernels_study(const LatencyModel& latency);

}  // namespace cpubone
