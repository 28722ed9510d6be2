#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "runtime/executor.hpp"
#include "runtime/xnnpack_traits.hpp"
#include "space/zoo.hpp"
#include "tests/catch.hpp"
#include "tests/golden.hpp"
#include "tests/golden_fill.hpp"

using namespace cpubone;
using golden::Golden;

namespace {

constexpr double tolerance = 1e-4;  // relative, L2

std::vector<float> filled(std::int64_t size, auto value) {
  std::vector<float> values(static_cast<std::size_t>(size));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = value(static_cast<std::uint32_t>(i));
  return values;
}

/// The closed-form parameters of a golden layer.
Parameters golden_parameters(const Op& op, const golden::Layer& layer, double gain) {
  const auto weight_t = static_cast<std::uint32_t>(layer.weight_t);
  const auto bias_t = static_cast<std::uint32_t>(layer.bias_t);
  const bool norm = op.kind == OpKind::group_norm || op.kind == OpKind::layer_norm;
  const int channels = op.kind == OpKind::partial_conv2d ? op.conv_channels : op.output().c;
  const std::int64_t biases = norm || op.bias ? channels : 0;
  Parameters p;
  p.bias = filled(biases, [&](std::uint32_t i) { return golden::bias(bias_t, i); });
  if (norm) {
    p.weight = filled(channels, [&](std::uint32_t i) { return golden::gamma(weight_t, i); });
    return p;
  }
  const std::int64_t weights = params(op) - biases;
  const int first_extent = op.kind == OpKind::conv_transpose2d ? op.input().c : channels;
  const double fan_in = static_cast<double>(weights) / first_extent;
  p.weight =
      filled(weights, [&](std::uint32_t i) { return golden::weight(weight_t, i, gain, fan_in); });
  return p;
}

/// Element `i` in NCHW order of an NHWC tensor.
double nchw(std::span<const float> values, const Shape& shape, std::size_t i) {
  const auto pixels = static_cast<std::size_t>(shape.h) * static_cast<std::size_t>(shape.w);
  return double{values[i % pixels * static_cast<std::size_t>(shape.c) + i / pixels]};
}

void check_tensor(std::span<const float> values, const Shape& shape,
                  const golden::Checksum& expected) {
  double sum = 0;
  double squares = 0;
  for (const float value : values) {
    sum += double{value};
    squares += double{value} * double{value};
  }
  const auto size = static_cast<double>(values.size());
  CHECK(std::sqrt(squares) == Approx(expected.l2).epsilon(tolerance));
  // An error of relative L2 norm e moves the sum of n values by at most e |x| sqrt(n).
  CHECK(std::abs(sum - expected.sum) <= tolerance * expected.l2 * std::sqrt(size));
  double difference = 0;
  for (std::size_t i = 0; i < expected.first4.size() && i < values.size(); ++i)
    difference = std::max(difference, std::abs(nchw(values, shape, i) - expected.first4[i]));
  CHECK(difference <= 10 * tolerance * expected.l2 / std::sqrt(size));
}

void check_forward(const Network& network, const Golden& g) {
  const Network executed = lowered(network);
  const auto matches = golden::match(executed, g);
  std::map<std::string, const golden::Layer*> layer_of;
  for (std::size_t i = 0; i < matches.size(); ++i)
    layer_of[executed.nodes[i].name] = &g.layers[static_cast<std::size_t>(matches[i].layer)];
  const ParameterSource parameters = [&](const Node& node) {
    return golden_parameters(node.op, *layer_of.at(node.name), g.weight_gain);
  };
  const auto pool = std::make_shared<ThreadPool>(1);
  Executor executor(network, parameters, pool, {.keep_outputs = true});
  const Shape& in = network.inputs[0].shape;
  const auto plane = static_cast<std::uint32_t>(in.h * in.w);
  for (std::uint32_t pixel = 0; pixel < plane; ++pixel)
    for (std::uint32_t c = 0; c < static_cast<std::uint32_t>(in.c); ++c)
      executor.input()[pixel * static_cast<std::uint32_t>(in.c) + c] =
          golden::input(c * plane + pixel);
  executor.run();

  for (std::size_t i = 0; i < matches.size(); ++i) {
    const auto& out = g.layers[static_cast<std::size_t>(matches[i].output)].out;
    if (!out) continue;
    INFO(g.name << ", " << executed.nodes[i].name);
    check_tensor(executor.node_output(i), executed.nodes[i].op.output(), *out);
  }
  const auto logits = executor.output();
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < g.logits.first16.size(); ++i) {
    difference += std::pow(double{logits[i]} - g.logits.first16[i], 2);
    norm += std::pow(g.logits.first16[i], 2);
  }
  INFO(g.name);
  CHECK(std::sqrt(difference / norm) <= tolerance);
  check_tensor(logits, tensor(executed, executed.outputs[0]).shape,
               {g.logits.sum, g.logits.l2, {}});
  CHECK(std::max_element(logits.begin(), logits.end()) - logits.begin() == g.logits.argmax);
}

}  // namespace

TEST_CASE("every golden network computes its reference's forward pass, layer by layer",
          "[profiler][golden]") {
  // An emulator takes minutes for all of them.
  const char* only = std::getenv("CPUBONE_GOLDEN");
  std::size_t checked = 0;
  for (const auto& entry : std::filesystem::directory_iterator(golden::folder())) {
    if (entry.path().extension() != ".json") continue;
    const std::string name = entry.path().stem().string();
    if (only && fmt::format(" {} ", only).find(fmt::format(" {} ", name)) == std::string::npos)
      continue;
    check_forward(find_network(name), golden::load(name));
    ++checked;
  }
  CHECK(checked >= (only ? 1 : 30));
}
