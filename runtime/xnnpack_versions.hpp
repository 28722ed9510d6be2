#pragma once
#include <xnnpack.h>

#include <cstdint>

#include "graph/op.hpp"

namespace cpubone {

// Operators that XNNPACK got after 2022-02, where they are not slower than the Eigen kernels
// (matrix products, slices and joined channels are). Whether this version has one is asked of its
// header, operator by operator.

/// Whether this version runs the operator, which 2022-02 lacks.
bool newer_xnnpack_runs(const Op& op);
/// Adds such an operator to a subgraph. What this version lacks is an unsupported parameter.
xnn_status define_newer(xnn_subgraph_t subgraph, const Op& op, std::uint32_t input,
                        std::uint32_t output);

}  // namespace cpubone
