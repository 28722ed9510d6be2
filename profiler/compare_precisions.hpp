#pragma once
#include "graph/network.hpp"
#include "records/precision_comparison.hpp"
#include "records/profile.hpp"
#include "runtime/backend.hpp"

namespace cpubone {

/// Quantises the network as for latency alone and runs it beside f32 and f16 for about `seconds`.
/// `host` describes this machine and says whether f16 is emulated.
PrecisionComparison compare_precisions(const Network& network, const Device& host, int threads,
                                       double seconds, Backends backends = cpubone::backends());

}  // namespace cpubone
