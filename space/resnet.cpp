#include "space/families.hpp"

namespace cpubone {
namespace {

struct Size {
  const char* name;
  std::array<int, 4> blocks;
  bool bottleneck;  // 1x1, 3x3, 1x1 with four times the channels instead of two 3x3
};

constexpr std::array sizes{Size{"resnet18", {2, 2, 2, 2}, false},
                           Size{"resnet34", {3, 4, 6, 3}, false},
                           Size{"resnet50", {3, 4, 6, 3}, true}};

int conv(NetworkBuilder& b, int input, const std::string& name, int channels, int kernel,
         int stride, Activation activation) {
  return b.conv2d(input, name,
                  {.out_channels = channels,
                   .kernel = kernel,
                   .stride = stride,
                   .activation = activation,
                   .padding = block_padding(kernel, stride)});
}

int block(NetworkBuilder& b, int input, const std::string& name, int width, int stride,
          bool bottleneck) {
  constexpr auto relu = Activation::relu;
  const int channels = bottleneck ? 4 * width : width;
  int x = input;
  if (bottleneck) {
    x = conv(b, x, name + ".reduce", width, 1, 1, relu);
    x = conv(b, x, name + ".spatial", width, 3, stride, relu);
    x = conv(b, x, name + ".expand", channels, 1, 1, Activation::none);
  } else {
    x = conv(b, x, name + ".spatial0", width, 3, stride, relu);
    x = conv(b, x, name + ".spatial1", channels, 3, 1, Activation::none);
  }
  const bool same = stride == 1 && b.shape(input).c == channels;
  const int shortcut =
      same ? input : conv(b, input, name + ".shortcut", channels, 1, stride, Activation::none);
  return b.add(x, shortcut, name + ".add", relu);
}

Network network(const Size& size) {
  Backbone net(size.name, "ResNet");
  net.x = conv(net.b, net.x, "conv", 64, 7, 2, Activation::relu);
  net.x = net.b.max_pool2d(net.x, "pool", 3, 2, block_padding(3, 2));
  for (std::size_t stage = 0; stage < size.blocks.size(); ++stage) {
    net.begin_stage();
    for (int i = 0; i < size.blocks[stage]; ++i)
      net.x = block(net.b, net.x, net.next_block(), 64 << stage, stage > 0 && i == 0 ? 2 : 1,
                    size.bottleneck);
  }
  return std::move(net).classify();
}

}  // namespace

std::vector<ZooEntry> resnet_family() {
  std::vector<ZooEntry> entries;
  for (const Size& size : sizes)
    entries.push_back({size.name, "ResNet", "Deep residual learning, arXiv 1512.03385",
                       [&size] { return network(size); }});
  return entries;
}

}  // namespace cpubone
