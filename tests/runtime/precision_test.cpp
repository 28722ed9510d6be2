#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <stdexcept>

#include "profiler/measure.hpp"
#include "runtime/executor.hpp"
#include "tests/catch.hpp"
#include "tests/runtime/reference.hpp"

using namespace cpubone;
using cpubone::test::reference;
using cpubone::test::Values;

namespace {

constexpr double step = 1.0 / 32;  // of int8 tensors

Network of_one(const std::string& line) {
  const Op op = parse_op(line);
  Network network;
  network.name = "one";
  network.inputs = op.inputs;
  network.nodes = {{"op", "", op, {network_input}}};
  network.outputs = {0};
  return network;
}

Values random_values(std::size_t count) {
  std::mt19937 random(5);
  std::uniform_int_distribution<int> steps(-32, 32);
  Values values(count);
  for (auto& value : values) value = steps(random) * step;
  return values;
}

Values exact(const Network& network, const Values& input) {
  const Node& node = network.nodes[0];
  return reference(node.op, {input}, random_parameters()(node));
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

TEST_CASE("int8 operators compute what the slow reference computes, to a few steps",
          "[precision]") {
  for (const std::string line :
       {"conv2d 1x14x14x16->1x14x14x32 k3x3 s1 p1,1,1,1 g1 qs8",
        "conv2d 1x14x14x16->1x7x7x32 k3x3 s2 p1,1,1,1 g4 qs8",
        "conv2d 1x14x14x16->1x14x14x24 k1x1 s1 p0,0,0,0 g1 nobias act=relu qs8",
        "conv2d 1x14x14x24->1x14x14x24 k3x3 s1 p1,1,1,1 g24 qs8",
        "linear 1x1x1x64->1x1x1x40 qs8"}) {
    INFO(line);
    const Network network = of_one(line);
    Executor executor(network, random_parameters(), std::make_shared<ThreadPool>(1));
    const Values input = random_values(executor.input().size());
    auto* bytes = reinterpret_cast<std::int8_t*>(executor.input().data());
    for (std::size_t i = 0; i < input.size(); ++i)
      bytes[i] = static_cast<std::int8_t>(std::lround(input[i] / step));
    executor.run();
    const auto* result = reinterpret_cast<const std::int8_t*>(executor.output().data());
    Values got(executor.output().size());
    for (std::size_t i = 0; i < got.size(); ++i) got[i] = result[i] * step;
    CHECK(relative_error(got, exact(network, input)) < 0.04);
  }
}

TEST_CASE("f16 operators compute what the slow reference computes, to three digits",
          "[precision]") {
  const Network network = of_one("conv2d 1x14x14x16->1x14x14x32 k3x3 s1 p1,1,1,1 g2 f16");
  std::unique_ptr<Executor> executor;
  try {
    executor =
        std::make_unique<Executor>(network, random_parameters(), std::make_shared<ThreadPool>(1));
  } catch (const std::exception& e) {
    WARN("f16 is not to be had here: " << e.what());
    return;
  }
  const Values input = random_values(executor->input().size());
  std::transform(input.begin(), input.end(), executor->input().begin(),
                 [](double value) { return static_cast<float>(value); });
  executor->run();
  const Values got(executor->output().begin(), executor->output().end());
  const double error = relative_error(got, exact(network, input));
  CHECK(error < 3e-3);
  CHECK(error > 1e-6);  // else it was f32
}

TEST_CASE("int8 exists for convolutions and linear layers only", "[precision]") {
  CHECK_THROWS_WITH(check_measurable(parse_op("activation 1x7x7x16->1x7x7x16 act=gelu qs8")),
                    ContainsSubstring("in int8 only conv2d and linear can be measured"));
  CHECK_THROWS_WITH(check_measurable(parse_op("linear 1x1x1x16->1x1x1x16 act=hardswish qs8")),
                    ContainsSubstring("in int8 only conv2d and linear can be measured"));
  CHECK_NOTHROW(check_measurable(parse_op("linear 1x1x1x16->1x1x1x16 act=relu qs8")));
}
