#include "space/families.hpp"

namespace cpubone {
namespace {

constexpr std::array efficientnet_b0{
    InvertedStage{1, 16, 1, 1, 3, 0.25},  InvertedStage{6, 24, 2, 2, 3, 0.25},
    InvertedStage{6, 40, 2, 2, 5, 0.25},  InvertedStage{6, 80, 3, 2, 3, 0.25},
    InvertedStage{6, 112, 3, 1, 5, 0.25}, InvertedStage{6, 192, 4, 2, 5, 0.25},
    InvertedStage{6, 320, 1, 1, 3, 0.25}};

constexpr std::array mnasnet_a1{
    InvertedStage{1, 16, 1, 1, 3, 0},     InvertedStage{6, 24, 2, 2, 3, 0},
    InvertedStage{3, 40, 3, 2, 5, 0.25},  InvertedStage{6, 80, 4, 2, 3, 0},
    InvertedStage{6, 112, 2, 1, 3, 0.25}, InvertedStage{6, 160, 3, 2, 5, 0.25},
    InvertedStage{6, 320, 1, 1, 3, 0}};

constexpr std::array mnasnet_b1{InvertedStage{1, 16, 1, 1, 3}, InvertedStage{3, 24, 3, 2, 3},
                                InvertedStage{3, 40, 3, 2, 5}, InvertedStage{6, 80, 3, 2, 5},
                                InvertedStage{6, 96, 2, 1, 3}, InvertedStage{6, 192, 4, 2, 5},
                                InvertedStage{6, 320, 1, 1, 3}};

Network network(const char* name, const char* family, std::span<const InvertedStage> stages,
                Activation activation) {
  Backbone net(name, family);
  net.x = net.b.conv2d(net.x, "conv",
                       {.out_channels = 32,
                        .kernel = 3,
                        .stride = 2,
                        .activation = activation,
                        .padding = block_padding(3, 2)});
  append(net, stages, activation, activation);
  net.b.head();
  net.x = net.b.conv2d(net.x, "conv", {.out_channels = 1280, .activation = activation});
  return std::move(net).classify();
}

}  // namespace

std::vector<ZooEntry> efficientnet_family() {
  const std::string mnasnet = "MnasNet, arXiv 1807.11626";
  return {{"efficientnet-b0", "EfficientNet", "EfficientNet, arXiv 1905.11946",
           [] {
             return network("efficientnet-b0", "EfficientNet", efficientnet_b0, Activation::silu);
           }},
          {"mnasnet-a1", "MNASNet", mnasnet,
           [] { return network("mnasnet-a1", "MNASNet", mnasnet_a1, Activation::relu); }},
          {"mnasnet-b1", "MNASNet", mnasnet,
           [] { return network("mnasnet-b1", "MNASNet", mnasnet_b1, Activation::relu); }}};
}

}  // namespace cpubone
