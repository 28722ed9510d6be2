#pragma once
#include "graph/network.hpp"
#include "graph/quantise.hpp"
#include "runtime/backend.hpp"

namespace cpubone {

/// The operators that int8 and f32 have in common: activations that int8 cannot apply are apart.
Network split_for_int8(const Network& network);

/// Whether these run dynamic layers, and gain by them. ONNX Runtime, which is given the operators
/// that they consist of, does not.
bool runs_dynamic(Backends on = backends());

/// Whether this build runs an operator of int8 in a network whose tensors have equal ranges.
/// Without XNNPACK: what its oldest version does.
bool runs_in_int8(const Op& op);

// `dynamic`: whether linear layers between floats may become dynamic, as `quantise` tells.

/// The network in int8, for latencies: quantised as if all tensors had one range, without running
/// it, since what is executed hardly depends on ranges. Throws std::invalid_argument where a tensor
/// is not f32.
QuantisedNetwork quantised_for_latency(const Network& network, bool dynamic = runs_dynamic());
/// The network in a precision, for latencies. One that is quantised already stays as it is.
Network in_precision(const Network& network, DType dtype, bool dynamic = runs_dynamic());
/// The same as it is executed: what is measured, and what predictions count.
Network lowered(const Network& network, DType dtype, bool dynamic = runs_dynamic());

}  // namespace cpubone
