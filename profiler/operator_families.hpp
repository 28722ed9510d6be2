#pragma once
#include <span>

#include "graph/op.hpp"
#include "profiler/points.hpp"

namespace cpubone {

/// Channels that a drawn operator reads, at most; it may write some times as many.
inline constexpr int most_channels = 2560;

/// A family of operators, drawn `weight` times as often as one of weight 1.
struct Family {
  double weight;
  bool converts;        ///< stands between int8 and f32, in networks of int8 only
  Op (*draw)(Points&);  ///< in f32, without its outputs' sizes
};

/// The families that backbones for CPUs are made of.
std::span<const Family> operator_families();

}  // namespace cpubone
