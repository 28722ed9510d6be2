#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "graph/op.hpp"
#include "graph/parameters.hpp"

namespace cpubone {

// Weights as XNNPACK reads them. All have room for reads past their end: weights are hundreds of
// megabytes, so that no copy is made only for these.

/// [outer][inner][window] -> [outer][window][inner].
std::vector<float> channels_last(std::vector<float>&& in, std::size_t outer, std::size_t inner,
                                 std::size_t window);
/// PyTorch's transposed weights in x out/groups x window as XNNPACK's out x window x in/groups.
std::vector<float> transposed_weights(const std::vector<float>& in, const Op& op);
/// Depthwise micro-kernels of int8 are unrolled for windows of 3x3 and 5x5 pixels, and others take
/// up to fifty times as long: such an operator in the next of these, with zeros below and on the
/// right, and its weights. Larger windows stay as they are.
Op with_unrolled_window(const Op& depthwise, std::vector<float>& weights);
/// The values and room behind them.
std::vector<float> with_room(std::vector<float>&& values);

struct QuantisedWeights {
  std::vector<std::int8_t> values;
  std::vector<float> scales;       ///< of each channel
  std::vector<float> told_scales;  ///< no larger than XNNPACK takes, with the same results
};
/// Symmetric, with the largest weight of each output channel at 127 where XNNPACK can scale sums of
/// such steps to the output's, and the bias fits into 32 bits: channels whose weights are all zero,
/// or next to nothing beside their bias, are common. Consecutive values are `channel_stride` of one
/// channel, then of the next.
QuantisedWeights quantised_weights(const Op& op, const Parameters& parameters,
                                   const std::vector<float>& values, std::size_t channels,
                                   std::size_t channel_stride);

struct QuantisedBias {
  std::vector<std::int32_t> values;
  std::vector<float> scales;
};
/// In steps of the input's times the weights' of each channel.
QuantisedBias quantised_bias(const std::vector<float>& in, const QuantisedWeights& weights,
                             float input_scale);

}  // namespace cpubone
