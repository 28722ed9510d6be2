#include "space/cpubone.hpp"
#include "space/families.hpp"

namespace cpubone {
namespace {

struct Size {
  const char* name;
  int width;
  std::array<int, 5> blocks;
  double down_expansion;
  int head_channels;
  int head_features;
};

constexpr std::array sizes{Size{"lowformer-b0", 16, {0, 0, 0, 3, 4}, 4, 1536, 1600},
                           Size{"lowformer-b1", 16, {0, 0, 0, 5, 5}, 6, 1536, 1600},
                           Size{"lowformer-b1-5", 20, {0, 0, 0, 6, 6}, 6, 2304, 2560},
                           Size{"lowformer-b3", 32, {1, 1, 2, 6, 6}, 6, 1536, 1600}};

/// CPUBone's predecessor: dense convolutions, larger kernels, transposed convolutions.
CpuboneConfig config(const Size& size) {
  CpuboneConfig config;
  config.name = size.name;
  config.family = "LowFormer";
  config.upsampling = Upsampling::transposed;
  config.head_channels = size.head_channels;
  config.head_features = size.head_features;
  for (std::size_t i = 0; i < config.stages.size(); ++i) {
    CpuboneStage& stage = config.stages[i];
    stage.width = size.width << i;
    stage.blocks = size.blocks[i];
    stage.groups = 1;
    stage.down_expansion = size.down_expansion;
    stage.attention = i >= 3;
    stage.attention_stride = i == 3 ? 2 : 1;
    stage.attention_kernel = 2 * stage.attention_stride + 1;
  }
  fuse_below(config, 256);
  return config;
}

}  // namespace

std::vector<ZooEntry> lowformer_family() {
  std::vector<ZooEntry> entries;
  for (const Size& size : sizes)
    entries.push_back({size.name, "LowFormer", "LowFormer, arXiv 2409.03460",
                       [size] { return build(config(size)); }});
  return entries;
}

}  // namespace cpubone
