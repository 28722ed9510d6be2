#include "space/mobileone.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "space/families.hpp"

namespace cpubone {
namespace {

constexpr std::array sizes{MobileOneSize{"mobileone-s0", {0.75, 1, 1, 2}, 4, false},
                           MobileOneSize{"mobileone-s1", {1.5, 1.5, 2, 2.5}, 1, false},
                           MobileOneSize{"mobileone-s2", {1.5, 2, 2.5, 4}, 1, false},
                           MobileOneSize{"mobileone-s3", {2, 2.5, 3, 4}, 1, false},
                           MobileOneSize{"mobileone-s4", {3, 3.5, 3.5, 4}, 1, true}};

int append_conv(NetworkBuilder& b, int x, const MobileOneConv& conv) {
  b.stage(conv.stage);
  const Conv attributes{.out_channels = conv.out_channels,
                        .kernel = conv.kernel,
                        .stride = conv.stride,
                        .activation = conv.squeeze_excite ? Activation::none : Activation::relu,
                        .padding = block_padding(conv.kernel, conv.stride)};
  x = conv.depthwise ? b.depthwise(x, conv.name, attributes) : b.conv2d(x, conv.name, attributes);
  if (!conv.squeeze_excite) return x;
  x = squeeze_excite(b, x, conv.name + ".squeeze", conv.out_channels / mobileone_squeeze);
  return b.activation(x, conv.name + ".relu", Activation::relu);
}

Network network(const MobileOneSize& size) {
  NetworkBuilder b(size.name, "MobileOne", {1, 224, 224, 3});
  int x = network_input;
  for (const MobileOneConv& conv : mobileone_convs(size)) x = append_conv(b, x, conv);
  b.stage("head");
  x = b.global_avg_pool(x, "pool");
  return std::move(b).finish(b.linear(x, "classes", 1000));
}

}  // namespace

std::span<const MobileOneSize> mobileone_sizes() {
  return sizes;
}

std::vector<MobileOneConv> mobileone_convs(const MobileOneSize& size) {
  int channels = std::min(64, static_cast<int>(64 * size.widths[0]));
  std::vector<MobileOneConv> convs{{"stem", "conv", 3, channels, 3, 2, false, false}};
  for (std::size_t stage = 0; stage < mobileone_blocks.size(); ++stage) {
    const std::string name = fmt::format("stage{}", stage + 1);
    const int out = static_cast<int>(mobileone_channels[stage] * size.widths[stage]);
    const int blocks = mobileone_blocks[stage];
    const int first_squeezed = stage == 3 ? 0 : stage == 2 ? blocks - blocks / 2 : blocks;
    for (int i = 0; i < blocks; ++i) {
      const bool squeezed = size.squeeze_excite && i >= first_squeezed;
      convs.push_back({name, fmt::format("{}.depthwise", i), channels, channels, 3, i == 0 ? 2 : 1,
                       true, squeezed});
      convs.push_back({name, fmt::format("{}.pointwise", i), channels, out, 1, 1, false, squeezed});
      channels = out;
    }
  }
  return convs;
}

std::vector<ZooEntry> mobileone_family() {
  std::vector<ZooEntry> entries;
  for (const MobileOneSize& size : sizes)
    entries.push_back(
        {size.name, "MobileOne", "MobileOne, arXiv 2206.04040", [&size] { return network(size); }});
  return entries;
}

}  // namespace cpubone
