#include "space/families.hpp"

namespace cpubone {
namespace {

struct Row {
  int kernel;
  int hidden;
  int channels;
  bool squeeze;
  int stride;
};

/// Channels of width 1.
constexpr std::array rows{
    Row{3, 16, 16, false, 1},   Row{3, 48, 24, false, 2},  Row{3, 72, 24, false, 1},
    Row{5, 72, 40, true, 2},    Row{5, 120, 40, true, 1},  Row{3, 240, 80, false, 2},
    Row{3, 200, 80, false, 1},  Row{3, 184, 80, false, 1}, Row{3, 184, 80, false, 1},
    Row{3, 480, 112, true, 1},  Row{3, 672, 112, true, 1}, Row{5, 672, 160, true, 2},
    Row{5, 960, 160, false, 1}, Row{5, 960, 160, true, 1}, Row{5, 960, 160, false, 1},
    Row{5, 960, 160, true, 1}};

/// Half of the channels from a pointwise convolution, the other half from a depthwise one on it.
int ghost(NetworkBuilder& b, int input, const std::string& name, int channels,
          Activation activation) {
  const int primary =
      b.conv2d(input, name + ".primary", {.out_channels = channels / 2, .activation = activation});
  const int cheap = b.depthwise(primary, name + ".cheap", {.kernel = 3, .activation = activation});
  return b.concat(std::array{primary, cheap}, name + ".concat");
}

int depthwise(NetworkBuilder& b, int input, const std::string& name, const Row& row) {
  return b.depthwise(input, name,
                     {.kernel = row.kernel,
                      .stride = row.stride,
                      .padding = block_padding(row.kernel, row.stride)});
}

int bottleneck(NetworkBuilder& b, int input, const std::string& name, const Row& row) {
  int x = ghost(b, input, name + ".expand", row.hidden, Activation::relu);
  if (row.stride > 1) x = depthwise(b, x, name + ".depthwise", row);
  if (row.squeeze)
    x = squeeze_excite(b, x, name + ".squeeze", rounded_channels(row.hidden * 0.25, 4),
                       Activation::relu, Activation::hardsigmoid);
  x = ghost(b, x, name + ".project", row.channels, Activation::none);
  int shortcut = input;
  if (row.stride > 1 || b.shape(input).c != row.channels) {
    shortcut = depthwise(b, input, name + ".shortcut.depthwise", row);
    shortcut = b.conv2d(shortcut, name + ".shortcut.project", {.out_channels = row.channels});
  }
  return b.add(x, shortcut, name + ".add");
}

Network network(const std::string& name, double width) {
  const auto scaled = [&](int channels) { return rounded_channels(channels * width, 4); };
  const auto pointwise = [](Backbone& net, std::string_view label, int channels) {
    net.x = net.b.conv2d(net.x, label, {.out_channels = channels, .activation = Activation::relu});
  };
  Backbone net(name, "GhostNet");
  net.x = net.b.conv2d(net.x, "conv",
                       {.out_channels = scaled(16),
                        .kernel = 3,
                        .stride = 2,
                        .activation = Activation::relu,
                        .padding = block_padding(3, 2)});
  for (Row row : rows) {
    row.hidden = scaled(row.hidden);
    row.channels = scaled(row.channels);
    net.x = bottleneck(net.b, net.x, net.next_block(row.stride), row);
  }
  net.b.head();
  pointwise(net, "conv", scaled(960));
  net.x = net.b.global_avg_pool(net.x, "pool");
  pointwise(net, "features", 1280);
  return net.b.finish(net.b.linear(net.x, "classes", 1000));
}

}  // namespace

std::vector<ZooEntry> ghostnet_family() {
  const std::string source = "GhostNet, arXiv 1911.11907";
  return {{"ghostnet-100", "GhostNet", source, [] { return network("ghostnet-100", 1); }},
          {"ghostnet-130", "GhostNet", source, [] { return network("ghostnet-130", 1.3); }}};
}

}  // namespace cpubone
