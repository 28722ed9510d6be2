#include "runtime/precision.hpp"

#include <algorithm>

#include "graph/passes.hpp"
#include "runtime/eigen_backend.hpp"
#include "runtime/xnnpack_traits.hpp"

namespace cpubone {

Network split_for_int8(const Network& network) {
  return split_activations(network,
                           [](const Op& op) { return xnnpack_fuses(with_dtype(op, DType::qs8)); });
}

bool runs_dynamic(Backends on) {
  Op smallest;
  smallest.kind = OpKind::linear;
  smallest.inputs = smallest.outputs = {{{1, 1, 1, 1}}};
  smallest.dynamic = true;
  return std::any_of(on.begin(), on.end(), [&](const Backend* backend) {
    return !backend->takes_networks() && backend->supports(smallest);
  });
}

bool runs_in_int8(const Op& op) {
  if (op.kind == OpKind::partial_conv2d) return true;  // a convolution beside what moves values
  if (op.kind == OpKind::conv_transpose2d) {
    static const bool version_has_it = [] {
      Op smallest;
      smallest.kind = OpKind::conv_transpose2d;
      smallest.inputs = smallest.outputs = {{{1, 1, 1, 1}, DType::qs8}};
      return std::any_of(backends().begin(), backends().end(),
                         [&](const Backend* backend) { return backend->supports(smallest); });
    }();
    return version_has_it && xnnpack_runs(op);
  }
  return xnnpack_runs(op) || eigen_backend().supports(op);
}

QuantisedNetwork quantised_for_latency(const Network& network, bool dynamic) {
  const Network split = split_for_int8(network);
  constexpr ValueRange any{-1, 1};
  Calibration calibration{std::vector<ValueRange>(split.inputs.size(), any), {}};
  for (const Node& node : split.nodes) calibration.nodes.emplace_back(node.op.outputs.size(), any);
  return quantise(split, calibration,
                  [&](const Op& op) { return op.dynamic ? dynamic : runs_in_int8(op); });
}

Network in_precision(const Network& network, DType dtype, bool dynamic) {
  if (dtype == DType::f32 || is_quantised(network)) return network;
  if (dtype == DType::f16) return with_dtype(network, dtype);
  return quantised_for_latency(network, dynamic).network;
}

Network lowered(const Network& network, DType dtype, bool dynamic) {
  return lowered(in_precision(network, dtype, dynamic));
}

}  // namespace cpubone
