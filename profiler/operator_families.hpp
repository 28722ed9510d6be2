#pragma once
#include <span>

#include "graph/op.hpp"
#include "profiler/points.hpp"

namespace cpubone {

/// Channels that a drawn operator reads, at most; it may write some times as many.
inline constexpr int most_channels = 2560;

/// A family of operators, drawn `weight` times as often as one of weight 1.
struct Family {
  /// Networks that have it: of any precision, of int8, or of int8 on a runtime with dynamic layers.
  enum class In { all, int8, dynamic_int8 };
  double weight;
  In in;
  Op (*draw)(Points&);  ///< in f32, without its outputs' sizes
};

/// The families that backbones for CPUs are made of.
std::span<const Family> operator_families();

}  // namespace cpubone
