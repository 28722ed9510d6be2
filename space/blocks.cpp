#include "space/blocks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace cpubone {
namespace {

int project(NetworkBuilder& b, int input, int hidden, const std::string& name,
            const MbConv& block) {
  const int out = b.conv2d(hidden, name + ".project",
                           {.out_channels = block.out_channels, .bias = false, .norm = true});
  const bool residual = block.stride == 1 && b.shape(input) == b.shape(out);
  return residual ? b.add(out, input, name + ".add") : out;
}

}  // namespace

int expanded(int channels, double expansion) {
  return static_cast<int>(std::lround(channels * expansion));
}

int rounded_channels(double channels, int divisor) {
  const int nearest =
      std::max(divisor, static_cast<int>(channels + divisor / 2.0) / divisor * divisor);
  return nearest < 0.9 * channels ? nearest + divisor : nearest;
}

Padding block_padding(int kernel, int stride) {
  if (stride == 1) return same_padding(kernel);
  const int pad = (kernel - 1) / 2;
  return {pad, pad, pad, pad};
}

int mbconv(NetworkBuilder& b, int input, const std::string& name, const MbConv& block) {
  int hidden = input;
  if (block.hidden_channels > 0)
    hidden = b.conv2d(input, name + ".expand",
                      {.out_channels = block.hidden_channels,
                       .groups = block.groups,
                       .activation = block.activation,
                       .bias = block.inner_bias,
                       .norm = block.inner_norm});
  hidden = b.depthwise(hidden, name + ".depthwise",
                       {.kernel = block.kernel,
                        .stride = block.stride,
                        .activation = block.activation,
                        .bias = block.inner_bias,
                        .padding = block_padding(block.kernel, block.stride),
                        .norm = block.inner_norm});
  if (block.squeeze_channels > 0)
    hidden = squeeze_excite(b, hidden, name + ".squeeze", block.squeeze_channels,
                            block.squeeze_activation, block.squeeze_gate);
  return project(b, input, hidden, name, block);
}

int fused_mbconv(NetworkBuilder& b, int input, const std::string& name, const MbConv& block) {
  const int hidden = b.conv2d(input, name + ".spatial",
                              {.out_channels = block.hidden_channels,
                               .kernel = block.kernel,
                               .stride = block.stride,
                               .groups = block.groups,
                               .activation = block.activation,
                               .bias = block.inner_bias,
                               .padding = block_padding(block.kernel, block.stride),
                               .norm = block.inner_norm});
  return project(b, input, hidden, name, block);
}

int squeeze_excite(NetworkBuilder& b, int input, const std::string& name, int squeeze_channels,
                   Activation activation, Activation gate) {
  const int channels = b.shape(input).c;
  const int pool = b.global_avg_pool(input, name + ".pool");
  const int squeezed = b.conv2d(pool, name + ".reduce",
                                {.out_channels = squeeze_channels, .activation = activation});
  const int scale =
      b.conv2d(squeezed, name + ".expand", {.out_channels = channels, .activation = gate});
  return b.mul(input, scale, name + ".scale");
}

std::string_view name(Upsampling upsampling) {
  return upsampling == Upsampling::nearest ? "nearest" : "transposed";
}

Upsampling parse_upsampling(std::string_view text) {
  for (const auto upsampling : {Upsampling::nearest, Upsampling::transposed})
    if (text == name(upsampling)) return upsampling;
  throw std::invalid_argument(
      fmt::format("upsampling: got \"{}\", expected nearest or transposed", text));
}

Attention attention_of_width(int channels) {
  const int heads = std::max(1, channels / 60);
  return {.heads = heads, .head_channels = std::max(1, channels / heads / 2)};
}

int attention_block(NetworkBuilder& b, int input, const std::string& name,
                    const Attention& attention) {
  const int channels = b.shape(input).c;
  const int inner = attention.heads * attention.head_channels;
  int x = b.group_norm(input, name + ".norm");
  x = b.depthwise(x, name + ".reduce",
                  {.kernel = attention.kernel,
                   .stride = attention.stride,
                   .bias = false,
                   .padding = block_padding(attention.kernel, attention.stride),
                   .norm = true});
  x = b.conv2d(x, name + ".qkv", {.out_channels = 3 * inner, .bias = false});
  x = b.attention(x, name + ".attention", attention.heads);
  if (attention.upsampling == Upsampling::transposed) {
    // Windows overlap by half a stride on each side, by one pixel where the resolution stays.
    const int stride = attention.stride;
    const int pad = std::max(1, stride / 2);
    const int kernel = stride + 2 * pad;
    x = b.conv_transpose2d(x, name + ".upsample",
                           {.out_channels = channels,
                            .kernel = kernel,
                            .stride = stride,
                            .padding = Padding{pad, pad, pad, pad}});
  } else {
    x = b.conv2d(x, name + ".project", {.out_channels = channels});
    if (attention.stride > 1) x = b.upsample_nearest(x, name + ".upsample", attention.stride);
  }
  return b.add(x, input, name + ".add");
}

int mlp_block(NetworkBuilder& b, int input, const std::string& name, int hidden_channels,
              Activation activation) {
  const int channels = b.shape(input).c;
  int x = b.group_norm(input, name + ".norm");
  x = b.conv2d(x, name + ".expand", {.out_channels = hidden_channels, .activation = activation});
  x = b.conv2d(x, name + ".project", {.out_channels = channels});
  return b.add(x, input, name + ".add");
}

int partial_block(NetworkBuilder& b, int input, const std::string& name,
                  const PartialBlock& block) {
  const int channels = b.shape(input).c;
  int x = b.partial_conv2d(input, name + ".partial", std::max(1, channels / block.ratio),
                           block.kernel, false, block.form);
  x = b.conv2d(x, name + ".expand",
               {.out_channels = expanded(channels, block.expansion),
                .activation = block.activation,
                .bias = false,
                .norm = true});
  x = b.conv2d(x, name + ".project", {.out_channels = channels, .bias = false});
  return b.add(x, input, name + ".add");
}

int universal_block(NetworkBuilder& b, int input, const std::string& name,
                    const UniversalBlock& block) {
  int x = input;
  if (block.start_kernel > 0) {
    const int stride = block.kernel == 0 ? block.stride : 1;
    x = b.depthwise(x, name + ".start",
                    {.kernel = block.start_kernel,
                     .stride = stride,
                     .padding = block_padding(block.start_kernel, stride)});
  }
  x = b.conv2d(x, name + ".expand",
               {.out_channels = block.hidden_channels, .activation = block.activation});
  if (block.kernel > 0)
    x = b.depthwise(x, name + ".depthwise",
                    {.kernel = block.kernel,
                     .stride = block.stride,
                     .activation = block.activation,
                     .padding = block_padding(block.kernel, block.stride)});
  x = b.conv2d(x, name + ".project", {.out_channels = block.out_channels});
  return b.shape(x) == b.shape(input) ? b.add(x, input, name + ".add") : x;
}

namespace {

int repvit_mlp(NetworkBuilder& b, int input, const std::string& name, const RepvitBlock& block) {
  const int channels = b.shape(input).c;
  int x = b.conv2d(
      input, name + ".expand",
      {.out_channels = expanded(channels, block.expansion), .activation = block.activation});
  x = b.conv2d(x, name + ".project", {.out_channels = channels});
  return b.add(x, input, name + ".add");
}

}  // namespace

int repvit_block(NetworkBuilder& b, int input, const std::string& name, const RepvitBlock& block) {
  int x = b.depthwise(input, name + ".depthwise", {.kernel = block.kernel});
  if (block.squeeze_excite)
    x = squeeze_excite(b, x, name + ".squeeze", rounded_channels(b.shape(x).c * 0.25));
  return repvit_mlp(b, x, name, block);
}

int repvit_downsampling(NetworkBuilder& b, int input, const std::string& name, int out_channels,
                        const RepvitBlock& block) {
  int x =
      b.depthwise(input, name + ".depthwise",
                  {.kernel = block.kernel, .stride = 2, .padding = block_padding(block.kernel, 2)});
  x = b.conv2d(x, name + ".pointwise", {.out_channels = out_channels});
  return repvit_mlp(b, x, name, block);
}

int classification_head(NetworkBuilder& b, int input, const Head& head) {
  b.head();
  int x = b.conv2d(
      input, "conv",
      {.out_channels = head.channels, .activation = head.activation, .bias = false, .norm = true});
  x = b.global_avg_pool(x, "pool");
  x = b.linear(x, "features", head.features, false);
  x = b.layer_norm(x, "norm", head.activation);
  return b.linear(x, "classes", head.classes);
}

}  // namespace cpubone
