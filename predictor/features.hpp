#pragma once
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/op.hpp"
#include "records/profile.hpp"
#include "runtime/xnnpack_traits.hpp"

namespace cpubone {

/// What of a CPU decides an operator's cost; read off its description, not tuned to a machine.
struct CpuTraits : XnnpackTraits {
  double l1d_bytes = 32 << 10;
  double l2_bytes = 512 << 10;
  double llc_bytes = 2 << 20;
  XnnpackTraits int8 = {};  ///< the same of int8
};

/// Caches that are not known keep their defaults. Of kernels, those of the coprocessor where its
/// tiles are known.
CpuTraits cpu_traits(const Device& device);

/// Operators whose cost follows one cost model, e.g. `pointwise`, `convolution`, `depthwise`,
/// `gelu`, `int8 pointwise`.
std::string op_class(const Op& op);
/// That of dynamic layers.
inline constexpr std::string_view dynamic_class = "int8 dynamic linear";

/// Physical quantities of an operator, which a class's cost model weights with what each costs.
struct Work {
  double macs = 0;
  /// With every tile of the micro-kernel filled up; without MACs values, each vector filled up.
  double padded_macs = 0;
  /// Starts of an inner loop: tiles times taps; pixels times taps of depthwise convolutions, whose
  /// first sum waits for each tap in turn; exponentials of attention, whole vectors of them; pixels
  /// where there are no MACs, once for each part that is copied.
  double loop_starts = 0;
  double weight_bytes = 0;
  /// Read again because caches are too small: weights by each block of rows, beyond what L2 holds;
  /// window and weights by each pixel of depthwise convolutions, beyond what L1 holds. Of attention
  /// the bias of its scores, which is read as it is added.
  double streamed_bytes = 0;
  double activation_bytes = 0;  ///< read and written, windows that are gathered too
  /// Of these: what L2 cannot hold; without MACs all, where it cannot hold the inputs.
  double activation_bytes_beyond_l2 = 0;
  double activation_bytes_beyond_llc = 0;
  /// Pieces that XNNPACK hands out to threads: tiles of the output, its rows, pixels or blocks of 4
  /// KiB, by operator; 1 where one thread does it all.
  double work_items = 1;
  double eigen_work_items = 1;  ///< that kernels of ours hand out where they run it
};

/// Names of the inputs of the regression, the same for every class.
constexpr std::size_t op_feature_count = 26;
std::span<const std::string_view, op_feature_count> feature_names();

/// All that a prediction needs to know of an operator.
struct OpFacts {
  std::string op_class;
  /// By XNNPACK's kernels for matrix products, which all read their weights alike.
  bool matrix_product = false;
  Work work;
  double tensor_bytes = 0;  ///< of all inputs and outputs
  /// By `feature_names`; logarithms to base 2 where the name says so.
  std::array<double, op_feature_count> features{};
};
OpFacts facts(const Op& op, const CpuTraits& cpu);

}  // namespace cpubone
