#include "space/random_network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <random>

#include "graph/builder.hpp"

namespace cpubone {
namespace {

class RandomBuilder {
 public:
  explicit RandomBuilder(std::uint64_t seed)
      : random_(seed * 0x9E3779B97F4A7C15ULL + 1),
        builder_(fmt::format("random-{}", seed), "random", {1, 224, 224, 3}) {}

  Network build() {
    const Activation activations[] = {Activation::relu, Activation::relu6, Activation::hardswish,
                                      Activation::silu, Activation::gelu};
    activation_ = activations[whole(0, 4)];
    bool attention = chance(0.4);
    int width = 4 * whole(3, 12);
    int x = builder_.conv2d(
        network_input, "conv",
        {.out_channels = width, .kernel = 3, .stride = 2, .activation = activation_});
    const double growth = real(1.4, 2.1);
    for (int stage = 1; stage <= 4; ++stage) {
      builder_.stage(stage);
      width = std::min(768, 4 * static_cast<int>(std::lround(width * growth / 4)));
      x = block("down", x, width, 2);
      const int blocks = whole(0, stage < 3 ? 2 : 5);
      const int kind = whole(0, 5);
      for (int i = 0; i < blocks; ++i) {
        const std::string name = fmt::format("block{}", i);
        if (attention && stage >= 3) x = attention_block(name, x);
        x = residual(name, x, kind);
      }
    }
    builder_.head();
    x = builder_.conv2d(x, "conv", {.out_channels = 32 * whole(16, 64), .activation = activation_});
    x = builder_.global_avg_pool(x, "pool");
    return builder_.finish(builder_.linear(x, "fc", 1000));
  }

 private:
  int whole(int low, int high) {
    // Not std::uniform_int_distribution, whose results differ between standard libraries.
    return low + static_cast<int>(random_() % static_cast<std::uint64_t>(high - low + 1));
  }
  double real(double low, double high) {
    return low + (high - low) * static_cast<double>(random_() >> 11) * 0x1p-53;
  }
  bool chance(double probability) { return real(0, 1) < probability; }

  int expansion(int channels) {
    return 4 * std::max(1, static_cast<int>(std::lround(channels * real(1.5, 5) / 4)));
  }

  int block(const std::string& name, int x, int width, int stride) {
    const int in = builder_.shape(x).c;
    switch (whole(0, 3)) {
      case 0:  // one convolution
        return builder_.conv2d(
            x, name + ".conv",
            {.out_channels = width, .kernel = 3, .stride = stride, .activation = activation_});
      case 1: {  // inverted bottleneck
        x = builder_.conv2d(x, name + ".expand",
                            {.out_channels = expansion(in), .activation = activation_});
        x = builder_.depthwise(
            x, name + ".depthwise",
            {.kernel = 2 * whole(1, 2) + 1, .stride = stride, .activation = activation_});
        return builder_.conv2d(x, name + ".project", {.out_channels = width});
      }
      case 2: {  // fused, perhaps grouped
        const int groups = 1 << whole(0, 2);
        x = builder_.conv2d(x, name + ".spatial",
                            {.out_channels = expansion(in),
                             .kernel = 3,
                             .stride = stride,
                             .groups = groups,
                             .activation = activation_});
        return builder_.conv2d(x, name + ".project", {.out_channels = width});
      }
      default:  // separable
        x = builder_.depthwise(x, name + ".depthwise",
                               {.kernel = 3, .stride = stride, .activation = activation_});
        return builder_.conv2d(x, name + ".point",
                               {.out_channels = width, .activation = activation_});
    }
  }

  int residual(const std::string& name, int input, int kind) {
    const int width = builder_.shape(input).c;
    const int hidden = expansion(width);
    int x = input;
    switch (kind) {
      case 0: {
        x = builder_.conv2d(
            x, name + ".expand",
            {.out_channels = hidden, .groups = chance(0.5) ? 2 : 1, .activation = activation_});
        x = builder_.depthwise(x, name + ".depthwise",
                               {.kernel = whole(2, 3), .activation = activation_});
        if (chance(0.4)) x = squeeze_excite(name, x);
        x = builder_.conv2d(x, name + ".project", {.out_channels = width});
        break;
      }
      case 1:
        x = builder_.conv2d(x, name + ".spatial",
                            {.out_channels = hidden,
                             .kernel = whole(2, 3),
                             .groups = 1 << whole(0, 2),
                             .activation = activation_});
        x = builder_.conv2d(x, name + ".project", {.out_channels = width});
        break;
      case 2:
        x = builder_.conv2d(x, name + ".a",
                            {.out_channels = width, .kernel = 3, .activation = activation_});
        x = builder_.conv2d(x, name + ".b", {.out_channels = width, .kernel = 3});
        break;
      case 3:
        x = builder_.partial_conv2d(x, name + ".partial", width / 4, 3);
        x = builder_.conv2d(x, name + ".expand",
                            {.out_channels = hidden, .activation = activation_});
        x = builder_.conv2d(x, name + ".project", {.out_channels = width, .bias = false});
        break;
      case 4:
        x = builder_.depthwise(x, name + ".mix", {.kernel = 3});
        if (chance(0.5)) x = squeeze_excite(name, x);
        x = builder_.conv2d(x, name + ".expand",
                            {.out_channels = hidden, .activation = activation_});
        x = builder_.conv2d(x, name + ".project", {.out_channels = width});
        break;
      default:
        x = builder_.conv2d(x, name + ".reduce",
                            {.out_channels = std::max(4, width / 2), .activation = activation_});
        x = builder_.conv2d(
            x, name + ".conv",
            {.out_channels = std::max(4, width / 2), .kernel = 3, .activation = activation_});
        x = builder_.conv2d(x, name + ".expand", {.out_channels = width});
    }
    return builder_.add(x, input, name + ".add",
                        activation_ == Activation::relu ? Activation::relu : Activation::none);
  }

  int squeeze_excite(const std::string& name, int input) {
    const int width = builder_.shape(input).c;
    int x = builder_.global_avg_pool(input, name + ".se.pool");
    x = builder_.conv2d(x, name + ".se.reduce",
                        {.out_channels = std::max(4, width / 4), .activation = Activation::relu});
    x = builder_.conv2d(x, name + ".se.expand",
                        {.out_channels = width, .activation = Activation::hardsigmoid});
    return builder_.mul(input, x, name + ".se.scale");
  }

  int attention_block(const std::string& name, int input) {
    const int width = builder_.shape(input).c;
    const int heads = std::max(1, width / 64);
    const int head_dim = std::max(8, width / heads / 2);
    const int stride = builder_.shape(input).h >= 14 ? 2 : 1;
    int x = builder_.group_norm(input, name + ".norm");
    if (stride == 2)
      x = builder_.depthwise(x, name + ".shrink", {.kernel = 2, .stride = 2, .padding = Padding{}});
    x = builder_.conv2d(x, name + ".qkv", {.out_channels = 3 * heads * head_dim, .bias = false});
    x = builder_.attention(x, name + ".attention", heads);
    x = builder_.conv2d(x, name + ".out", {.out_channels = width});
    if (stride == 2) x = builder_.upsample_nearest(x, name + ".up", 2);
    return builder_.add(x, input, name + ".attention.add");
  }

  std::mt19937_64 random_;
  NetworkBuilder builder_;
  Activation activation_ = Activation::relu;
};

}  // namespace

Network random_network(std::uint64_t seed) {
  return RandomBuilder(seed).build();
}

std::vector<Network> calibration_networks() {
  constexpr std::uint64_t count = 40;
  std::vector<Network> networks;
  for (std::uint64_t seed = 0; seed < count; ++seed) networks.push_back(random_network(seed));
  return networks;
}

}  // namespace cpubone
