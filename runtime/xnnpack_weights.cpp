#include "runtime/xnnpack_weights.hpp"

#include <xnnpack.h>

#include <algorithm>
#include <cmath>
#include <limits>

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

std::vector<float> with_room(std::vector<float>&& values) {
  values.resize(values.size() + extra_floats);
  return std::move(values);
}

QuantisedWeights quantised_weights(const std::vector<float>& in, std::size_t channels,
                                   std::size_t channel_stride) {
  QuantisedWeights weights;
  const auto channel_of = [&](std::size_t i) { return i / channel_stride % channels; };
  weights.scales.assign(channels, std::numeric_limits<float>::min());
  for (std::size_t i = 0; i < in.size(); ++i) {
    float& scale = weights.scales[channel_of(i)];
    scale = std::max(scale, std::abs(in[i]) / largest_int8);
  }
  weights.values.resize(in.size() + XNN_EXTRA_BYTES);
  for (std::size_t i = 0; i < in.size(); ++i)
    weights.values[i] =
        static_cast<std::int8_t>(std::lround(in[i] / weights.scales[channel_of(i)]));
  return weights;
}

QuantisedBias quantised_bias(const std::vector<float>& in, const std::vector<float>& weight_scales,
                             float input_scale) {
  QuantisedBias bias;
  bias.scales = weight_scales;
  bias.values.resize(in.size() + XNN_EXTRA_BYTES / sizeof(std::int32_t));
  for (std::size_t i = 0; i < in.size(); ++i) {
    bias.scales[i] *= input_scale;
    bias.values[i] = static_cast<std::int32_t>(std::lround(in[i] / bias.scales[i]));
  }
  return bias;
}

}  // namespace cpubone
