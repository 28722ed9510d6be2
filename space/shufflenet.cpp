#include "space/families.hpp"

namespace cpubone {
namespace {

struct Size {
  const char* name;
  std::array<int, 3> channels;  // of stages 2 to 4
  int head;
};

constexpr std::array sizes{Size{"shufflenetv2-x1-0", {116, 232, 464}, 1024},
                           Size{"shufflenetv2-x1-5", {176, 352, 704}, 1024},
                           Size{"shufflenetv2-x2-0", {244, 488, 976}, 2048}};
constexpr std::array<int, 3> blocks{4, 8, 4};

int depthwise(NetworkBuilder& b, int input, const std::string& name, int stride) {
  return b.depthwise(input, name + ".depthwise",
                     {.kernel = 3, .stride = stride, .padding = block_padding(3, stride)});
}

int pointwise(NetworkBuilder& b, int input, const std::string& name, int channels) {
  return b.conv2d(input, name, {.out_channels = channels, .activation = Activation::relu});
}

/// Pointwise, depthwise, pointwise.
int branch(NetworkBuilder& b, int input, const std::string& name, int channels, int stride) {
  const int expanded = pointwise(b, input, name + ".expand", channels);
  return pointwise(b, depthwise(b, expanded, name, stride), name + ".project", channels);
}

int shuffled(NetworkBuilder& b, int first, int second, const std::string& name) {
  const int joined = b.concat(std::array{first, second}, name + ".concat");
  return b.channel_shuffle(joined, name + ".shuffle", 2);
}

/// Both branches see the whole input and halve its resolution.
int strided_block(NetworkBuilder& b, int input, const std::string& name, int channels) {
  const int reduced = depthwise(b, input, name + ".shortcut", 2);
  const int shortcut = pointwise(b, reduced, name + ".shortcut.project", channels / 2);
  return shuffled(b, shortcut, branch(b, input, name, channels / 2, 2), name);
}

/// One half of the channels passes.
int block(NetworkBuilder& b, int input, const std::string& name) {
  const int half = b.shape(input).c / 2;
  const int kept = b.slice(input, name + ".kept", 0, half);
  const int convolved = b.slice(input, name + ".convolved", half, half);
  return shuffled(b, kept, branch(b, convolved, name, half, 1), name);
}

Network network(const Size& size) {
  Backbone net(size.name, "ShuffleNetV2");
  net.x = net.b.conv2d(net.x, "conv",
                       {.out_channels = 24,
                        .kernel = 3,
                        .stride = 2,
                        .activation = Activation::relu,
                        .padding = block_padding(3, 2)});
  net.begin_stage();
  net.x = net.b.max_pool2d(net.x, "pool", 3, 2, block_padding(3, 2));
  for (std::size_t stage = 0; stage < blocks.size(); ++stage) {
    net.begin_stage();
    for (int i = 0; i < blocks[stage]; ++i) {
      const std::string name = net.next_block();
      net.x = i == 0 ? strided_block(net.b, net.x, name, size.channels[stage])
                     : block(net.b, net.x, name);
    }
  }
  net.b.head();
  net.x = pointwise(net.b, net.x, "conv", size.head);
  return std::move(net).classify();
}

}  // namespace

std::vector<ZooEntry> shufflenet_family() {
  std::vector<ZooEntry> entries;
  for (const Size& size : sizes)
    entries.push_back({size.name, "ShuffleNetV2", "ShuffleNet V2, arXiv 1807.11164",
                       [&size] { return network(size); }});
  return entries;
}

}  // namespace cpubone
