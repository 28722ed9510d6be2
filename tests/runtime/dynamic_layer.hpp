#pragma once
#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include "graph/schema.hpp"
#include "runtime/executor.hpp"
#include "tests/catch.hpp"
#include "tests/runtime/one_operator.hpp"
#include "tests/runtime/reference.hpp"

namespace cpubone::test {

/// Weights in 127 steps a channel, and biases in those of the products.
inline Parameters in_steps(const Op& op, Parameters p) {
  if (!schema(op.kind).has_weights) return p;
  const std::size_t channels = static_cast<std::size_t>(
      op.kind == OpKind::partial_conv2d ? op.conv_channels : op.output().c);
  const std::size_t of_channel = p.weight.size() / channels;
  for (std::size_t c = 0; c < channels; ++c) {
    double largest = 0;
    for (std::size_t i = 0; i < of_channel; ++i)
      largest = std::max(largest, std::abs(double{p.weight[c * of_channel + i]}));
    const double step = largest / 127;
    for (std::size_t i = 0; i < of_channel; ++i) {
      float& weight = p.weight[c * of_channel + i];
      weight = static_cast<float>(std::round(double{weight} / step) * step);
    }
    if (p.bias.empty()) continue;
    const double bias_step = step * double{quantisation_of(op.inputs[0]).scale};
    p.bias[c] = static_cast<float>(std::round(double{p.bias[c]} / bias_step) * bias_step);
  }
  return p;
}

/// Values of a pixel in 255 steps from its smallest to its largest, zero among them.
inline Values in_own_steps(const Values& pixel) {
  const auto [low, high] = std::minmax_element(pixel.begin(), pixel.end());
  const double least = std::min(*low, 0.0);
  const double scale = (std::max(*high, 0.0) - least) / 255;
  const double zero = std::nearbyint(-128 - least / scale);
  Values values;
  for (const double value : pixel)
    values.push_back(scale *
                     (std::clamp(std::nearbyint(value / scale) + zero, -128.0, 127.0) - zero));
  return values;
}

/// How far a dynamic layer is from the same of pixels and weights in steps, and from f32: means
/// over pixels of very different sizes, each in units of its largest output. Runtimes that take
/// networks have channels first.
inline std::pair<double, double> distances_of_dynamic(const Op& op, Backends on) {
  const Parameters parameters = random_parameters()(network_of(op).nodes[0]);
  Executor executor(network_of(op), [&](const Node&) { return parameters; }, thread_pool(1, on),
                    {.backends = on});
  const auto channels = static_cast<std::size_t>(op.input().c);
  const auto outputs = static_cast<std::size_t>(op.output().c);
  const std::size_t pixels = executor.input().size() / channels;
  const bool channels_first = on.front()->takes_networks();
  const auto place = [&](std::size_t pixel, std::size_t c, std::size_t of) {
    return channels_first ? c * pixels + pixel : pixel * of + c;
  };
  std::mt19937 random(3);
  std::uniform_real_distribution<float> uniform(-1, 3);
  Values exact;
  Values in_pixel_steps;
  for (std::size_t p = 0; p < pixels; ++p) {
    Values pixel;
    const double size = std::pow(10.0, static_cast<double>(p % 5) - 2);
    for (std::size_t c = 0; c < channels; ++c) {
      const auto value = static_cast<float>(size * double{uniform(random)});
      executor.input()[place(p, c, channels)] = value;
      pixel.push_back(double{value});
    }
    exact.insert(exact.end(), pixel.begin(), pixel.end());
    const Values steps = in_own_steps(pixel);
    in_pixel_steps.insert(in_pixel_steps.end(), steps.begin(), steps.end());
  }
  Parameters in_weight_steps = in_steps(op, {parameters.weight, {}, {}, {}});
  in_weight_steps.bias = parameters.bias;
  const Values expected = reference(op, {in_pixel_steps}, in_weight_steps, 0);
  const Values f32 = reference(op, {exact}, parameters, 0);
  executor.run();
  std::pair<double, double> distance{0, 0};
  for (std::size_t p = 0; p < pixels; ++p) {
    double largest = 0;
    for (std::size_t c = 0; c < outputs; ++c)
      largest = std::max(largest, std::abs(f32[p * outputs + c]));
    REQUIRE(largest > 0);
    for (std::size_t c = 0; c < outputs; ++c) {
      const double got = double{executor.output()[place(p, c, outputs)]};
      distance.first += std::abs(got - expected[p * outputs + c]) / largest;
      distance.second += std::abs(got - f32[p * outputs + c]) / largest;
    }
  }
  return distance;
}

}  // namespace cpubone::test
