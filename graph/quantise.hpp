#pragma once
#include <functional>
#include <string>
#include <vector>

#include "graph/network.hpp"
#include "graph/parameters.hpp"

namespace cpubone {

/// Smallest and largest of some values.
struct ValueRange {
  float low = 0;
  float high = 0;
  bool operator==(const ValueRange&) const = default;
};

/// 256 steps over the range, widened to contain 0, which is exact: padding consists of zeros.
/// Throws std::invalid_argument for a range that is not finite or whose ends are swapped.
Quantisation quantisation_of(const ValueRange& range);

/// What range the values of each tensor of a network were in.
struct Calibration {
  std::vector<ValueRange> inputs;              ///< of the network
  std::vector<std::vector<ValueRange>> nodes;  ///< of each node's outputs
};

/// An operator of a quantised network that stays in f32.
struct FloatOperator {
  std::string node;
  std::string reason;
  bool operator==(const FloatOperator&) const = default;
};

/// A network in int8. Its inputs and outputs are f32 still: nodes `<tensor>.quantise` and
/// `<tensor>.dequantise` stand where int8 begins and ends. All other nodes keep their names, and so
/// their parameters.
struct QuantisedNetwork {
  Network network;
  std::vector<FloatOperator> floats;  ///< in the network's order; dynamic layers are none
};

/// Quantises what `runs` in int8; it is asked with scales and zero points. Cheap operators between
/// such that stay f32 do so too. Linear layers between floats become dynamic where that takes less
/// time and `runs` them so. Throws std::invalid_argument where a tensor is not f32 or the
/// calibration is of another network.
QuantisedNetwork quantise(const Network& network, const Calibration& calibration,
                          const std::function<bool(const Op&)>& runs);

/// Scales of an operator's int8 weights, one an output channel: the largest weight is 127, or less
/// where its steps would be too small for its products to be scaled to the output (by 2^-31), or
/// for its bias to fit into 32 bits. Channels whose weights are all zero, or next to nothing beside
/// their bias, are common.
std::vector<float> weight_scales(const Op& op, const Parameters& parameters);
/// The output channel of a weight.
std::size_t channel_of_weight(const Op& op, std::size_t weight);

/// Whether a tensor of the network is int8, or a layer dynamic.
bool is_quantised(const Network& network);

}  // namespace cpubone
