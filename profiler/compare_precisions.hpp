#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "graph/network.hpp"

namespace cpubone {

/// A node of a network in int8, and what the same takes in f32 and f16.
struct PrecisionPart {
  std::string node;
  std::string stage;
  Op op;               ///< as it runs in the int8 network, without scales
  std::string engine;  ///< that runs it there
  double f32_ns = 0;   ///< 0: the f32 network does not have it, it is a conversion
  double f16_ns = 0;   ///< 0: so, or the network does not run in f16
  double int8_ns = 0;
  std::string reason;  ///< why it stays f32; empty: it does not
  bool operator==(const PrecisionPart&) const = default;
};

/// A network in f32, f16 and int8, which ran in turns. Parts add up to the medians.
struct PrecisionComparison {
  std::string network;
  double f32_ns = 0;          ///< median
  double f16_ns = 0;          ///< median; 0: it does not run in f16 here
  double int8_ns = 0;         ///< median
  double f16_speedup = 0;     ///< median of f32's time over f16's within a turn; 0: so
  double speedup = 0;         ///< the same over int8's
  bool f16_emulated = false;  ///< this CPU calculates in f32 and only stores in f16
  std::int64_t f32_memory_bytes = 0;
  std::int64_t f16_memory_bytes = 0;
  std::int64_t int8_memory_bytes = 0;
  std::vector<PrecisionPart> parts = {};
};

/// Time in quantisation and dequantisation.
double conversion_ns(const PrecisionComparison& comparison);
/// Time in operators that stay f32.
double fallback_ns(const PrecisionComparison& comparison);

/// Quantises the network as for latency alone and runs it beside f32 and f16 for about `seconds`.
PrecisionComparison compare_precisions(const Network& network, int threads, double seconds);

}  // namespace cpubone
