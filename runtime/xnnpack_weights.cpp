#include "runtime/xnnpack_weights.hpp"

#include <xnnpack.h>

#include <algorithm>
#include <cmath>

#include "graph/size.hpp"

namespace cpubone {
namespace {

constexpr std::size_t extra_floats = XNN_EXTRA_BYTES / sizeof(float);

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

std::vector<std::int8_t> quantised_weights(const std::vector<float>& values,
                                           const std::vector<float>& scales,
                                           std::size_t channel_stride) {
  std::vector<std::int8_t> steps(values.size() + XNN_EXTRA_BYTES);
  for (std::size_t i = 0; i < values.size(); ++i)
    steps[i] = static_cast<std::int8_t>(
        std::lround(values[i] / scales[i / channel_stride % scales.size()]));
  return steps;
}

std::vector<std::int32_t> quantised_bias(const std::vector<float>& values,
                                         const std::vector<float>& weight_scales,
                                         float input_scale) {
  std::vector<std::int32_t> steps(values.size() + XNN_EXTRA_BYTES / sizeof(std::int32_t));
  for (std::size_t i = 0; i < values.size(); ++i)
    steps[i] = static_cast<std::int32_t>(std::lround(values[i] / (weight_scales[i] * input_scale)));
  return steps;
}

std::vector<float> accepted_scales(const Op& op, std::vector<float> weight_scales) {
  constexpr float most_factor = 0x1p7F;  // XNNPACK takes less than twice as much
  const float most =
      most_factor * quantisation_of(op.outputs[0]).scale / quantisation_of(op.inputs[0]).scale;
  for (float& scale : weight_scales) scale = std::min(scale, most);
  return weight_scales;
}

}  // namespace cpubone
