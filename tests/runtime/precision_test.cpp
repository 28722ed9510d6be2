#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <stdexcept>

#include "graph/passes.hpp"
#include "runtime/executor.hpp"
#include "tests/catch.hpp"
#include "tests/runtime/reference.hpp"

using namespace cpubone;
using cpubone::test::reference;
using cpubone::test::Values;

namespace {

Network of_one(const std::string& line) {
  const Op op = parse_op(line);
  Network network;
  network.name = "one";
  network.inputs = op.inputs;
  network.nodes = {{"op", "", op, {}}};
  for (std::size_t i = 0; i < op.inputs.size(); ++i)
    network.nodes[0].inputs.push_back({network_input, static_cast<int>(i)});
  network.outputs = {0};
  return network;
}

/// A chain of operators.
Network network_of_lines(const std::vector<std::string>& lines) {
  Network network = of_one(lines[0]);
  for (std::size_t i = 1; i < lines.size(); ++i)
    network.nodes.push_back(
        {fmt::format("op{}", i), "", parse_op(lines[i]), {static_cast<int>(i) - 1}});
  network.outputs = {static_cast<int>(lines.size()) - 1};
  return network;
}

Values random_values(std::size_t count) {
  std::mt19937 random(5);
  std::uniform_int_distribution<int> steps(-32, 32);
  Values values(count);
  for (auto& value : values) value = steps(random) / 32.0;
  return values;
}

Values exact(const Network& network, const Values& input) {
  const Node& node = network.nodes[0];
  return reference(node.op, std::vector<Values>(network.inputs.size(), input),
                   params(node.op) > 0 ? random_parameters()(node) : Parameters{});
}

double relative_error(const Values& got, const Values& expected) {
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(got[i] - expected[i], 2);
    norm += std::pow(expected[i], 2);
  }
  return std::sqrt(difference / norm);
}

}  // namespace

TEST_CASE("f16 operators compute what the slow reference computes, to three digits",
          "[precision]") {
  for (const char* line :
       {"conv2d 1x14x14x16->1x14x14x32 k3x3 s1 p1,1,1,1 g2 f16", "linear 1x1x1x64->1x1x1x32 f16",
        "add 1x4x4x16,1x4x4x16->1x4x4x16 f16", "global_avg_pool 1x7x7x64->1x1x1x64 f16"}) {
    CAPTURE(line);
    const Network network = of_one(line);
    std::unique_ptr<Executor> executor;
    try {
      executor =
          std::make_unique<Executor>(network, random_parameters(), std::make_shared<ThreadPool>(1));
    } catch (const std::exception& e) {
      WARN("f16 is not to be had here: " << e.what());
      return;
    }
    const Values input = random_values(executor->input().size());
    for (std::size_t i = 0; i < network.inputs.size(); ++i)
      std::transform(input.begin(), input.end(), executor->input(i).begin(),
                     [](double value) { return static_cast<float>(value); });
    executor->run();
    const Values got(executor->output().begin(), executor->output().end());
    const double error = relative_error(got, exact(network, input));
    CHECK(error < 3e-3);
    if (network.inputs.size() == 1) CHECK(error > 1e-6);  // else it was f32; sums are exact here
  }
}

TEST_CASE("networks whose activations have no kernel in f16 run beside those that have",
          "[precision]") {
  for (const char* activation : {"hardswish", "sigmoid", "relu", "gelu"}) {
    CAPTURE(activation);
    const Network network = network_of_lines(
        {fmt::format("conv2d 1x6x6x16->1x6x6x16 k3x3 s1 p1,1,1,1 g1 act={} f16", activation),
         fmt::format("linear 1x6x6x16->1x6x6x8 act={} f16", activation)});
    const Network in_f32 = with_dtype(network, DType::f32);
    const auto outputs = [](const Network& of) {
      Executor executor(of, random_parameters(), std::make_shared<ThreadPool>(1));
      const Values input = random_values(executor.input().size());
      std::transform(input.begin(), input.end(), executor.input().begin(),
                     [](double value) { return static_cast<float>(value); });
      executor.run();
      return Values(executor.output().begin(), executor.output().end());
    };
    CHECK(relative_error(outputs(network), outputs(in_f32)) < 5e-3);
  }
}

TEST_CASE("a tensor in f16 that one operator reads may leave the network, too", "[precision]") {
  Network network = network_of_lines({"conv2d 1x6x6x16->1x6x6x16 k3x3 s1 p1,1,1,1 g1 f16",
                                      "conv2d 1x6x6x16->1x6x6x16 k1x1 s1 p0,0,0,0 g1 f16"});
  network.outputs = {0, 1};
  Executor executor(network, random_parameters(), std::make_shared<ThreadPool>(1));
  const Values input = random_values(executor.input().size());
  std::transform(input.begin(), input.end(), executor.input().begin(),
                 [](double value) { return static_cast<float>(value); });
  executor.run();
  const Values first(executor.output(0).begin(), executor.output(0).end());
  const Values second(executor.output(1).begin(), executor.output(1).end());
  CHECK(relative_error(first, exact(network, input)) < 3e-3);
  const Node& last = network.nodes[1];
  CHECK(relative_error(second, reference(last.op, {first}, random_parameters()(last))) < 3e-3);
}

TEST_CASE("a network of several data types converts between them", "[precision]") {
  const Network network = network_of_lines(
      {"cast 1x6x6x16:f32->1x6x6x16:f16", "cast 1x6x6x16:f16->1x6x6x16:f32",
       "quantise 1x6x6x16:f32->1x6x6x16:qs8/0.05/-3",
       "conv2d 1x6x6x16:qs8/0.05/-3->1x6x6x24:qs8/0.04/5 k3x3 s1 p1,1,1,1 g1",
       "dequantise 1x6x6x24:qs8/0.04/5->1x6x6x24:f32", "softmax 1x6x6x24->1x6x6x24 f32"});
  Executor executor(network, random_parameters(), std::make_shared<ThreadPool>(1),
                    {.keep_outputs = true});
  std::mt19937 random(5);
  std::uniform_real_distribution<float> uniform(-3.0F, 3.0F);
  for (float& value : executor.input()) value = uniform(random);
  executor.run();
  Values values(executor.input().begin(), executor.input().end());
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    const Node& node = network.nodes[i];
    INFO(node.name);
    values = reference(node.op, {values},
                       params(node.op) > 0 ? random_parameters()(node) : Parameters{});
    Values got;
    if (const Tensor& out = node.op.outputs[0]; out.dtype == DType::qs8) {
      for (const int value : executor.node_output<std::int8_t>(i))
        got.push_back((value - out.quantisation->zero_point) * double{out.quantisation->scale});
    } else {
      for (const float value : executor.node_output(i)) got.push_back(double{value});
    }
    // In float a number between two steps may be rounded to the other.
    CHECK(relative_error(got, values) < (i < 2 ? 1e-6 : i == 2 ? 3e-3 : 0.05));
    values = got;  // each operator for itself
  }
}
