#include <fmt/format.h>

#include "space/families.hpp"

namespace cpubone {
namespace {

void stem(Backbone& net, int channels, Activation activation) {
  net.x = net.b.conv2d(net.x, "conv",
                       {.out_channels = channels,
                        .kernel = 3,
                        .stride = 2,
                        .activation = activation,
                        .padding = block_padding(3, 2)});
}

void pointwise(Backbone& net, std::string_view name, int channels, Activation activation) {
  net.x = net.b.conv2d(net.x, name, {.out_channels = channels, .activation = activation});
}

// ---- V1: depthwise and pointwise convolutions ----

Network mobilenetv1() {
  struct Row {
    int channels;
    int stride;
    int repeats;
  };
  constexpr std::array rows{Row{64, 1, 1},  Row{128, 2, 1},  Row{128, 1, 1},
                            Row{256, 2, 1}, Row{256, 1, 1},  Row{512, 2, 1},
                            Row{512, 1, 5}, Row{1024, 2, 1}, Row{1024, 1, 1}};
  Backbone net("mobilenetv1-100", "MobileNetV1");
  stem(net, 32, Activation::relu6);
  for (const Row& row : rows)
    for (int i = 0; i < row.repeats; ++i) {
      const std::string name = net.next_block(row.stride);
      net.x = net.b.depthwise(net.x, name + ".depthwise",
                              {.kernel = 3,
                               .stride = row.stride,
                               .activation = Activation::relu6,
                               .padding = block_padding(3, row.stride)});
      pointwise(net, name + ".pointwise", row.channels, Activation::relu6);
    }
  return std::move(net).classify();
}

// ---- V2: inverted residuals ----

Network mobilenetv2(const std::string& name, double width) {
  std::array stages{InvertedStage{1, 16, 1, 1}, InvertedStage{6, 24, 2, 2},
                    InvertedStage{6, 32, 3, 2}, InvertedStage{6, 64, 4, 2},
                    InvertedStage{6, 96, 3, 1}, InvertedStage{6, 160, 3, 2},
                    InvertedStage{6, 320, 1, 1}};
  for (InvertedStage& stage : stages) stage.channels = rounded_channels(width * stage.channels);
  Backbone net(name, "MobileNetV2");
  stem(net, rounded_channels(width * 32), Activation::relu6);
  append(net, stages, Activation::relu6);
  net.b.head();
  pointwise(net, "conv", rounded_channels(1280 * std::max(1.0, width)), Activation::relu6);
  return std::move(net).classify();
}

// ---- V3: searched expansions, squeeze-excite, hardswish ----

struct V3Row {
  int kernel;
  int hidden;
  int channels;
  bool squeeze;
  Activation activation;
  int stride;
};

constexpr Activation re = Activation::relu;
constexpr Activation hs = Activation::hardswish;

constexpr std::array v3_large{V3Row{3, 16, 16, false, re, 1},  V3Row{3, 64, 24, false, re, 2},
                              V3Row{3, 72, 24, false, re, 1},  V3Row{5, 72, 40, true, re, 2},
                              V3Row{5, 120, 40, true, re, 1},  V3Row{5, 120, 40, true, re, 1},
                              V3Row{3, 240, 80, false, hs, 2}, V3Row{3, 200, 80, false, hs, 1},
                              V3Row{3, 184, 80, false, hs, 1}, V3Row{3, 184, 80, false, hs, 1},
                              V3Row{3, 480, 112, true, hs, 1}, V3Row{3, 672, 112, true, hs, 1},
                              V3Row{5, 672, 160, true, hs, 2}, V3Row{5, 960, 160, true, hs, 1},
                              V3Row{5, 960, 160, true, hs, 1}};

constexpr std::array v3_small{
    V3Row{3, 16, 16, true, re, 2},  V3Row{3, 72, 24, false, re, 2}, V3Row{3, 88, 24, false, re, 1},
    V3Row{5, 96, 40, true, hs, 2},  V3Row{5, 240, 40, true, hs, 1}, V3Row{5, 240, 40, true, hs, 1},
    V3Row{5, 120, 48, true, hs, 1}, V3Row{5, 144, 48, true, hs, 1}, V3Row{5, 288, 96, true, hs, 2},
    V3Row{5, 576, 96, true, hs, 1}, V3Row{5, 576, 96, true, hs, 1}};

Network mobilenetv3(const std::string& name, std::span<const V3Row> rows, int head, int features) {
  Backbone net(name, "MobileNetV3");
  stem(net, 16, hs);
  for (const V3Row& row : rows)
    net.x = mbconv(net.b, net.x, net.next_block(row.stride),
                   {.out_channels = row.channels,
                    .hidden_channels = row.hidden == net.channels() ? 0 : row.hidden,
                    .kernel = row.kernel,
                    .stride = row.stride,
                    .activation = row.activation,
                    .squeeze_channels = row.squeeze ? rounded_channels(row.hidden / 4.0) : 0,
                    .squeeze_activation = re,
                    .squeeze_gate = Activation::hardsigmoid});
  net.b.head();
  pointwise(net, "conv", head, hs);
  net.x = net.b.global_avg_pool(net.x, "pool");
  net.x = net.b.linear(net.x, "features", features, true, hs);
  return net.b.finish(net.b.linear(net.x, "classes", 1000));
}

// ---- V4: universal inverted bottlenecks, all ReLU ----

struct V4Row {
  enum Kind { conv, fused, universal } kind;
  int start;      ///< kernel of the depthwise convolution before the expansion; 0: none
  int middle;     ///< kernel of the one after it, or of a convolution; 0: none
  int stride;     ///< of the first in a row of repeats
  int expansion;  ///< of universal and fused
  int channels;
  int repeats = 1;
};

constexpr auto conv = V4Row::conv;
constexpr auto fused = V4Row::fused;
constexpr auto uib = V4Row::universal;

constexpr std::array v4_small{
    V4Row{conv, 0, 3, 2, 1, 32}, V4Row{conv, 0, 1, 1, 1, 32}, V4Row{conv, 0, 3, 2, 1, 96},
    V4Row{conv, 0, 1, 1, 1, 64}, V4Row{uib, 5, 5, 2, 3, 96},  V4Row{uib, 0, 3, 1, 2, 96, 4},
    V4Row{uib, 3, 0, 1, 4, 96},  V4Row{uib, 3, 3, 2, 6, 128}, V4Row{uib, 5, 5, 1, 4, 128},
    V4Row{uib, 0, 5, 1, 4, 128}, V4Row{uib, 0, 5, 1, 3, 128}, V4Row{uib, 0, 3, 1, 4, 128, 2}};

constexpr std::array v4_medium{
    V4Row{fused, 0, 3, 2, 4, 48},   V4Row{uib, 3, 5, 2, 4, 80},     V4Row{uib, 3, 3, 1, 2, 80},
    V4Row{uib, 3, 5, 2, 6, 160},    V4Row{uib, 3, 3, 1, 4, 160, 2}, V4Row{uib, 3, 5, 1, 4, 160},
    V4Row{uib, 3, 3, 1, 4, 160},    V4Row{uib, 3, 0, 1, 4, 160},    V4Row{uib, 0, 0, 1, 2, 160},
    V4Row{uib, 3, 0, 1, 4, 160},    V4Row{uib, 5, 5, 2, 6, 256},    V4Row{uib, 5, 5, 1, 4, 256},
    V4Row{uib, 3, 5, 1, 4, 256, 2}, V4Row{uib, 0, 0, 1, 4, 256},    V4Row{uib, 3, 0, 1, 4, 256},
    V4Row{uib, 3, 5, 1, 2, 256},    V4Row{uib, 5, 5, 1, 4, 256},    V4Row{uib, 0, 0, 1, 4, 256, 2},
    V4Row{uib, 5, 0, 1, 2, 256}};

constexpr std::array v4_large{
    V4Row{fused, 0, 3, 2, 4, 48},   V4Row{uib, 3, 5, 2, 4, 96},     V4Row{uib, 3, 3, 1, 4, 96},
    V4Row{uib, 3, 5, 2, 4, 192},    V4Row{uib, 3, 3, 1, 4, 192, 3}, V4Row{uib, 3, 5, 1, 4, 192},
    V4Row{uib, 5, 3, 1, 4, 192, 5}, V4Row{uib, 3, 0, 1, 4, 192},    V4Row{uib, 5, 5, 2, 4, 512, 4},
    V4Row{uib, 5, 0, 1, 4, 512},    V4Row{uib, 5, 3, 1, 4, 512},    V4Row{uib, 5, 0, 1, 4, 512, 2},
    V4Row{uib, 5, 3, 1, 4, 512},    V4Row{uib, 5, 5, 1, 4, 512},    V4Row{uib, 5, 0, 1, 4, 512, 3}};

Network mobilenetv4(const std::string& name, int stem_channels, std::span<const V4Row> rows) {
  Backbone net(name, "MobileNetV4");
  stem(net, stem_channels, Activation::relu);
  for (const V4Row& row : rows)
    for (int i = 0; i < row.repeats; ++i) {
      const int stride = i == 0 ? row.stride : 1;
      const std::string block = net.next_block(stride);
      if (row.kind == V4Row::conv) {
        net.x = net.b.conv2d(net.x, block + ".conv",
                             {.out_channels = row.channels,
                              .kernel = row.middle,
                              .stride = stride,
                              .activation = Activation::relu,
                              .padding = block_padding(row.middle, stride)});
      } else if (row.kind == V4Row::fused) {
        net.x = fused_mbconv(net.b, net.x, block,
                             {.out_channels = row.channels,
                              .hidden_channels = net.channels() * row.expansion,
                              .kernel = row.middle,
                              .stride = stride,
                              .activation = Activation::relu});
      } else {
        net.x =
            universal_block(net.b, net.x, block,
                            {.out_channels = row.channels,
                             .hidden_channels = rounded_channels(net.channels() * row.expansion),
                             .start_kernel = row.start,
                             .kernel = row.middle,
                             .stride = stride});
      }
    }
  net.b.head();
  pointwise(net, "conv", 960, Activation::relu);
  net.x = net.b.global_avg_pool(net.x, "pool");
  pointwise(net, "features", 1280, Activation::relu);
  return net.b.finish(net.b.linear(net.x, "classes", 1000));
}

}  // namespace

std::vector<ZooEntry> mobilenet_family() {
  const std::string v1 = "MobileNetV1, arXiv 1704.04861";
  const std::string v2 = "MobileNetV2, arXiv 1801.04381";
  const std::string v3 = "MobileNetV3, arXiv 1905.02244";
  const std::string v4 = "MobileNetV4, arXiv 2404.10518";
  return {
      {"mobilenetv1-100", "MobileNetV1", v1, mobilenetv1},
      {"mobilenetv2-100", "MobileNetV2", v2, [] { return mobilenetv2("mobilenetv2-100", 1); }},
      {"mobilenetv2-140", "MobileNetV2", v2, [] { return mobilenetv2("mobilenetv2-140", 1.4); }},
      {"mobilenetv3-small-100", "MobileNetV3", v3,
       [] { return mobilenetv3("mobilenetv3-small-100", v3_small, 576, 1024); }},
      {"mobilenetv3-large-100", "MobileNetV3", v3,
       [] { return mobilenetv3("mobilenetv3-large-100", v3_large, 960, 1280); }},
      {"mobilenetv4-conv-small", "MobileNetV4", v4,
       [] { return mobilenetv4("mobilenetv4-conv-small", 32, v4_small); }},
      {"mobilenetv4-conv-medium", "MobileNetV4", v4,
       [] { return mobilenetv4("mobilenetv4-conv-medium", 32, v4_medium); }},
      {"mobilenetv4-conv-large", "MobileNetV4", v4,
       [] { return mobilenetv4("mobilenetv4-conv-large", 24, v4_large); }}};
}

}  // namespace cpubone
