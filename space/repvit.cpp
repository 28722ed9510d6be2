#include "space/families.hpp"

namespace cpubone {
namespace {

struct Size {
  const char* name;
  std::array<int, 4> channels;
  std::array<int, 4> blocks;  // after a stage's downsampling
};

constexpr std::array sizes{Size{"repvit-m0-9", {48, 96, 192, 384}, {3, 3, 15, 2}},
                           Size{"repvit-m1-0", {56, 112, 224, 448}, {3, 3, 15, 2}},
                           Size{"repvit-m1-1", {64, 128, 256, 512}, {3, 3, 13, 2}},
                           Size{"repvit-m1-5", {64, 128, 256, 512}, {5, 5, 25, 4}},
                           Size{"repvit-m2-3", {80, 160, 320, 640}, {7, 7, 35, 2}}};

Network network(const Size& size) {
  Backbone net(size.name, "RepViT");
  const auto stem = [&](std::string_view name, int channels, Activation activation) {
    net.x = net.b.conv2d(net.x, name,
                         {.out_channels = channels,
                          .kernel = 3,
                          .stride = 2,
                          .activation = activation,
                          .padding = block_padding(3, 2)});
  };
  stem("conv0", size.channels[0] / 2, Activation::gelu);
  stem("conv1", size.channels[0], Activation::none);
  for (std::size_t stage = 0; stage < size.channels.size(); ++stage) {
    net.begin_stage();
    if (stage > 0)
      net.x = repvit_downsampling(net.b, net.x, net.next_block(), size.channels[stage], {});
    // Squeeze-excite in every other block, never in one that downsampling follows.
    const bool last_stage = stage + 1 == size.channels.size();
    for (int i = 0; i < size.blocks[stage]; ++i) {
      const bool before_downsampling = !last_stage && i + 1 == size.blocks[stage];
      net.x = repvit_block(net.b, net.x, net.next_block(),
                           {.squeeze_excite = i % 2 == 0 && !before_downsampling});
    }
  }
  return std::move(net).classify();
}

}  // namespace

std::vector<ZooEntry> repvit_family() {
  std::vector<ZooEntry> entries;
  for (const Size& size : sizes)
    entries.push_back(
        {size.name, "RepViT", "RepViT, arXiv 2307.09283", [&size] { return network(size); }});
  return entries;
}

}  // namespace cpubone
