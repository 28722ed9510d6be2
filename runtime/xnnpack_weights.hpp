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
/// The values and room behind them.
std::vector<float> with_room(std::vector<float>&& values);

struct QuantisedWeights {
  std::vector<std::int8_t> values;
  std::vector<float> scales;  ///< of each channel
};
/// Symmetric, with the largest weight of each output channel at 127. Consecutive values are
/// `channel_stride` of one channel, then of the next.
QuantisedWeights quantised_weights(const std::vector<float>& in, std::size_t channels,
                                   std::size_t channel_stride);

struct QuantisedBias {
  std::vector<std::int32_t> values;
  std::vector<float> scales;
};
/// In steps of the input's times the weights' of each channel.
QuantisedBias quantised_bias(const std::vector<float>& in, const std::vector<float>& weight_scales,
                             float input_scale);

}  // namespace cpubone
