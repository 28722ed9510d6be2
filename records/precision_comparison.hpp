#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "graph/op.hpp"
#include "records/interval.hpp"

namespace cpubone {

/// A node of a network in int8, and what the same takes in f32 and f16.
struct PrecisionPart {
  std::string node;
  std::string stage;
  Op op;               ///< as it runs in the int8 network, without scales
  std::string engine;  ///< that runs it there
  double f32_ns = 0;   ///< 0: the f32 network does not have it, it is a conversion
  double f16_ns = 0;   ///< 0: so, or the network's latency in f16 is not known
  double int8_ns = 0;
  std::string reason;  ///< why it stays f32; empty: it does not
  bool operator==(const PrecisionPart&) const = default;
};

/// A network in f32, f16 and int8, measured in turns or predicted. Parts add up to int8's latency,
/// and so do their f32 and f16 to these.
struct PrecisionComparison {
  std::string network;
  std::string family;
  Interval f32_ns = {};       ///< median, and its 95 % interval; or predicted, and 90 %
  Interval f16_ns = {};       ///< 0: it does not run in f16 here, or that is not known
  Interval int8_ns = {};      ///< 0: not known
  Interval f16_speedup = {};  ///< f32's time over f16's, measured within a turn; 0: so
  Interval speedup = {};      ///< the same over int8's
  bool f16_emulated = false;  ///< this CPU calculates in f32 and only stores in f16
  /// All that a network takes where it was measured; weights and activations where predicted.
  std::int64_t f32_memory_bytes = 0;
  std::int64_t f16_memory_bytes = 0;
  std::int64_t int8_memory_bytes = 0;
  std::vector<PrecisionPart> parts = {};
  bool operator==(const PrecisionComparison&) const = default;
};

/// Whether it stands between int8 and f32.
bool is_conversion(const PrecisionPart& part);
/// Time in quantisation and dequantisation.
double conversion_ns(const PrecisionComparison& comparison);
/// Layers that quantise what they read while they run (`Op::dynamic`).
int dynamic_layers(const PrecisionComparison& comparison);
/// Time in these.
double dynamic_ns(const PrecisionComparison& comparison);
/// Time in operators that stay f32.
double fallback_ns(const PrecisionComparison& comparison);
/// The kinds of operators that stay f32, and how many of each, the most frequent first:
/// `12 group_norm, 6 softmax`; empty where none does.
std::string fallback_text(const PrecisionComparison& comparison);
/// The kinds of int8 operators that take longer than in f32, and by how much, where that is a
/// hundredth of int8's latency: `conv2d 5x5 s2 depthwise +0.31 ms`; the three that lose most first.
std::string slower_text(const PrecisionComparison& comparison);

}  // namespace cpubone
