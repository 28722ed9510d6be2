#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "graph/op.hpp"

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

/// Symmetric, in steps of each channel's scale. Consecutive values are `channel_stride` of one
/// channel, then of the next.
std::vector<std::int8_t> quantised_weights(const std::vector<float>& values,
                                           const std::vector<float>& scales,
                                           std::size_t channel_stride);
/// In steps of the input's times the weights' of each channel.
std::vector<std::int32_t> quantised_bias(const std::vector<float>& values,
                                         const std::vector<float>& weight_scales,
                                         float input_scale);
/// Scales of weights, no larger than XNNPACK takes: beyond that any sum but zero is out of the
/// output's range, so that results are the same.
std::vector<float> accepted_scales(const Op& op, std::vector<float> weight_scales);

}  // namespace cpubone
