#pragma once
#include <algorithm>
#include <cmath>

#include "explorer/objectives.hpp"
#include "space/cpubone_space.hpp"

namespace cpubone {

/// Latency as a plausible CPU would have it: MACpS by class, bandwidth, and a price an operator.
inline LatencyModel fake_latency() {
  LatencyModel model;
  model.op_terms = [](const Op& op) {
    const double op_macs = static_cast<double>(macs(op));
    double gmacps = 50;
    if (op.kind == OpKind::conv2d) {
      if (is_depthwise(op))
        gmacps = 12;
      else if (op.groups > 1)
        gmacps = 50 / (1 + 0.05 * op.groups);
      if (op.kernel_h == 2) gmacps *= 0.9;
    }
    LatencyTerms terms;
    const double bytes = static_cast<double>(weight_bytes(op));
    const double moved = static_cast<double>(input_bytes(op) + output_bytes(op));
    terms.ops_ns = op_macs / gmacps + bytes / 10 + moved / 20 + 1500;
    terms.independent_ns2 = std::pow(0.05 * terms.ops_ns, 2);
    terms.shared_ns = 0.01 * terms.ops_ns;
    terms.nodes = 1;
    terms.macs = op_macs;
    terms.weight_bytes = bytes;
    terms.activation_bytes = moved;
    return terms;
  };
  model.combine = [](const LatencyTerms& terms) {
    const double sd = std::sqrt(terms.independent_ns2) + terms.shared_ns;
    const double ms = terms.ops_ns / 1e6;
    return LatencyEstimate{ms, std::max(0.0, ms - 1.645 * sd / 1e6), ms + 1.645 * sd / 1e6};
  };
  return model;
}

/// B0 and its neighbours in the widths, depths, groups, kernels and attention of the last stages.
inline SearchSpace tiny_space() {
  SearchSpace space = make_space("tiny", cpubone_skeleton());
  set_choices(space, "fused_below", {64, 256});
  set_choices(space, "stem.width", {16});
  set_choices(space, "stage1.width", {32});
  set_choices(space, "stage2.width", {48, 64});
  set_choices(space, "stage3.width", {96, 128, 160});
  set_choices(space, "stage4.width", {192, 256, 320});
  for (const std::string stage : {"stem", "stage1", "stage2"})
    set_choices(space, stage + ".blocks", {0});
  for (const std::string stage : {"stage3", "stage4"}) {
    set_choices(space, stage + ".blocks", {0, 1, 2, 3, 4});
    set_choices(space, stage + ".groups", {1, 2, 4});
    set_choices(space, stage + ".kernel", {2, 3});
    set_choices(space, stage + ".attention", {0, 1});
  }
  set_choices(space, "stage3.attention_stride", {1, 2});
  return space;
}

}  // namespace cpubone
