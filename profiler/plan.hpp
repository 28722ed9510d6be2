#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "graph/op.hpp"
#include "runtime/precision.hpp"

namespace cpubone {

/// Operators to measure before a predictor exists: spread evenly, on logarithmic scales, over the
/// kinds, shapes and attributes that backbones for CPUs can have; no network decides which. All
/// distinct, as they are executed (`lowered`), at most some ms each. A shorter plan of a
/// seed is the beginning of a longer one. For qs8 as networks in int8 have them: what has no int8
/// kernel in f32, some of what may stand beside it too, conversions, and where the runtime has them
/// (`dynamic`) dynamic layers. Throws
/// std::invalid_argument for a count outside of 1..100000.
std::vector<Op> sampling_plan(std::uint64_t seed, int count, DType dtype = DType::f32,
                              bool dynamic = runs_dynamic());

/// Where a predictor is unsure: standard deviation of the logarithm of an operator's latency.
using Spread = std::function<double(const Op&)>;

/// The next `count` operators to measure: of a larger plan those where `spread` is largest, kept
/// apart from each other, so that one unknown region does not take all. None of `known`. May
/// return fewer. Throws std::invalid_argument for a spread that is negative or not finite.
std::vector<Op> next_operators(std::span<const Op> known, const Spread& spread, int count,
                               std::uint64_t seed, DType dtype = DType::f32,
                               bool dynamic = runs_dynamic());

}  // namespace cpubone
