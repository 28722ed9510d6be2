#pragma once
#include "graph/network.hpp"
#include "records/precision_comparison.hpp"

namespace cpubone {

/// Quantises the network as for latency alone and runs it beside f32 and f16 for about `seconds`.
PrecisionComparison compare_precisions(const Network& network, int threads, double seconds);

}  // namespace cpubone
