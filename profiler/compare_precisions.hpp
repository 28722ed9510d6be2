#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "graph/network.hpp"

namespace cpubone {

/// A node of a network in int8, and what the same takes in f32.
struct PrecisionPart {
  std::string node;
  std::string stage;
  Op op;               ///< as it runs in the int8 network, without scales
  std::string engine;  ///< that runs it there
  double f32_ns = 0;   ///< 0: the f32 network does not have it, it is a conversion
  double int8_ns = 0;
  std::string reason;  ///< why it stays f32; empty: it does not
  bool operator==(const PrecisionPart&) const = default;
};

/// A network in f32 and in int8, which ran in turns. Parts add up to the medians.
struct PrecisionComparison {
  std::string network;
  double f32_ns = 0;   ///< median
  double int8_ns = 0;  ///< median
  double speedup = 0;  ///< median of f32's time over int8's within a turn
  std::int64_t f32_memory_bytes = 0;
  std::int64_t int8_memory_bytes = 0;
  std::vector<PrecisionPart> parts = {};
};

/// Time in quantisation and dequantisation.
double conversion_ns(const PrecisionComparison& comparison);
/// Time in operators that stay f32.
double fallback_ns(const PrecisionComparison& comparison);

/// Quantises the network as for latency alone and runs it beside f32 for about `seconds`.
PrecisionComparison compare_precisions(const Network& network, int threads, double seconds);

}  // namespace cpubone
