#include "runtime/xnnpack_weights.hpp"

#include <xnnpack.h>

#include <algorithm>
#include <cmath>

#include "graph/size.hpp"

namespace cpubone {
namespace {

constexpr std::size_t extra_floats = XNN_EXTRA_BYTES / sizeof(float);
constexpr float largest_int8 = 127.0F;

std::vector<float> room_for(std::size_t size) {
  std::vector<float> values;
  values.reserve(size + extra_floats);
  values.resize(size);
  return values;
}

}  // namespace

std::vector<float> channels_last(std::vector<float>&& in, std::size_t outer, std::size_t inner,
                                 std::size_t window) {
  if (inner == 1 || window == 1) return std::move(in);
  std::vector<float> out = room_for(in.size());
  for (std::size_t o = 0; o < outer; ++o)
    for (std::size_t i = 0; i < inner; ++i)
      for (std::size_t k = 0; k < window; ++k)
        out[(o * window + k) * inner + i] = in[(o * inner + i) * window + k];
  return out;
}

std::vector<float> transposed_weights(const std::vector<float>& in, const Op& op) {
  const auto groups = static_cast<std::size_t>(op.groups);
  const std::size_t in_width = static_cast<std::size_t>(op.input().c) / groups;
  const std::size_t out_width = static_cast<std::size_t>(op.output().c) / groups;
  const auto window = static_cast<std::size_t>(op.kernel_h * op.kernel_w);
  std::vector<float> out = room_for(in.size());
  for (std::size_t g = 0; g < groups; ++g)
    for (std::size_t i = 0; i < in_width; ++i)
      for (std::size_t o = 0; o < out_width; ++o)
        for (std::size_t k = 0; k < window; ++k)
          out[((g * out_width + o) * window + k) * in_width + i] =
              in[((g * in_width + i) * out_width + o) * window + k];
  return out;
}

Op with_unrolled_window(const Op& depthwise, std::vector<float>& weights) {
  const int longest = std::max(depthwise.kernel_h, depthwise.kernel_w);
  const int side = longest <= 3 ? 3 : 5;
  if (longest > side) return depthwise;
  Op op = depthwise;
  op.kernel_h = op.kernel_w = side;
  op.padding.bottom += (side - depthwise.kernel_h) * op.dilation_h;
  op.padding.right += (side - depthwise.kernel_w) * op.dilation_w;
  const std::size_t rows = weights.size() / z(depthwise.kernel_w);
  std::vector<float> wide = room_for(z(op.output().c) * z(side) * z(side));
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t channel = row / z(depthwise.kernel_h);
    const std::size_t at = row % z(depthwise.kernel_h);
    std::copy_n(&weights[row * z(depthwise.kernel_w)], depthwise.kernel_w,
                &wide[(channel * z(side) + at) * z(side)]);
  }
  weights = std::move(wide);
  return op;
}

std::vector<float> with_room(std::vector<float>&& values) {
  values.resize(values.size() + extra_floats);
  return std::move(values);
}

QuantisedWeights quantised_weights(const Op& op, const Parameters& parameters,
                                   const std::vector<float>& values, std::size_t channels,
                                   std::size_t channel_stride) {
  // XNNPACK refuses factors from a sum's steps to the output's outside of 2^-32 to 2^8.
  constexpr float least_factor = 0x1p-31F;
  constexpr float most_factor = 0x1p7F;
  constexpr float most_bias_steps = 0x1p30F;
  const float in_scale = quantisation_of(op.inputs[0]).scale;
  const float of_factor = quantisation_of(op.outputs[0]).scale / in_scale;
  QuantisedWeights weights;
  weights.scales.assign(channels, least_factor * of_factor);
  const auto channel_of = [&](std::size_t i) { return i / channel_stride % channels; };
  const auto raise = [&](std::size_t channel, float least) {
    weights.scales[channel] = std::max(weights.scales[channel], least);
  };
  for (std::size_t i = 0; i < values.size(); ++i)
    raise(channel_of(i), std::abs(values[i]) / largest_int8);
  for (std::size_t c = 0; c < parameters.bias.size(); ++c)
    raise(c, std::abs(parameters.bias[c]) / most_bias_steps / in_scale);
  // At the most, too, any sum but zero is beyond the output's range.
  weights.told_scales = weights.scales;
  for (float& scale : weights.told_scales) scale = std::min(scale, most_factor * of_factor);
  weights.values.resize(values.size() + XNN_EXTRA_BYTES);
  for (std::size_t i = 0; i < values.size(); ++i)
    weights.values[i] =
        static_cast<std::int8_t>(std::lround(values[i] / weights.scales[channel_of(i)]));
  return weights;
}

QuantisedBias quantised_bias(const std::vector<float>& in, const QuantisedWeights& weights,
                             float input_scale) {
  QuantisedBias bias;
  bias.scales = weights.told_scales;
  for (float& scale : bias.scales) scale *= input_scale;
  bias.values.resize(in.size() + XNN_EXTRA_BYTES / sizeof(std::int32_t));
  for (std::size_t i = 0; i < in.size(); ++i)
    bias.values[i] =
        static_cast<std::int32_t>(std::lround(in[i] / (weights.scales[i] * input_scale)));
  return bias;
}

}  // namespace cpubone
