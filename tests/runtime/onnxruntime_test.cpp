#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>

#include "graph/error.hpp"
#include "profiler/host.hpp"
#include "profiler/measure.hpp"
#include "profiler/plan.hpp"
#include "profiler/subjects.hpp"
#include "runtime/calibration.hpp"
#include "runtime/executor.hpp"
#include "runtime/precision.hpp"
#include "space/zoo.hpp"
#include "tests/catch.hpp"
#include "tests/runtime/dynamic_layer.hpp"

using namespace cpubone;

namespace {

Backends onnxruntime() {
  return find_runtime("onnxruntime", CPUBONE_ONNXRUNTIME);
}

std::shared_ptr<const ThreadPool> threads(int count) {
  return std::make_shared<const ThreadPool>(count);
}

std::vector<float> channels_first(std::span<const float> in, const Shape& shape) {
  const auto channels = static_cast<std::size_t>(shape.c);
  const std::size_t pixels = in.size() / channels;
  std::vector<float> out(in.size());
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t c = 0; c < channels; ++c) out[c * pixels + p] = in[p * channels + c];
  return out;
}

/// The norm of the difference over that of this toolkit's own outputs, on the same input.
double difference(const Network& network, int thread_count = 1) {
  Executor ours(network, random_parameters(), threads(1));
  Executor theirs(network, random_parameters(), threads(thread_count), {.backends = onnxruntime()});
  const InputValues image = random_images(network, 1)[0];
  const std::vector<float> first = channels_first(image[0], network.inputs[0].shape);
  std::copy(image[0].begin(), image[0].end(), ours.input().begin());
  std::copy(first.begin(), first.end(), theirs.input().begin());
  ours.run();
  theirs.run();
  const std::vector<float> expected =
      channels_first(ours.output(), tensor(network, network.outputs[0]).shape);
  double squares = 0;
  double norm = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    squares += std::pow(double{theirs.output()[i]} - double{expected[i]}, 2);
    norm += std::pow(double{expected[i]}, 2);
  }
  return std::sqrt(squares / norm);
}

Network sum_with_constant() {
  Network network;
  network.name = "sum";
  network.inputs = {{{1, 2, 3, 4}}};
  network.nodes = {{"known", "", parse_op("constant ->1x2x3x4 f32"), {}},
                   {"sum", "", parse_op("add 1x2x3x4,1x2x3x4->1x2x3x4 f32"), {network_input, 0}}};
  network.outputs = {1};
  return network;
}

}  // namespace

TEST_CASE("ONNX Runtime computes what this toolkit does", "[onnxruntime]") {
  for (const char* name : {"cpubone-nano", "fasternet-t0", "shufflenetv2-x1-0"})
    CHECK(difference(find_network(name)) < 1e-4);
  CHECK(difference(find_network("cpubone-nano"), 2) < 1e-4);
}

TEST_CASE("ONNX Runtime computes with a tensor that is known", "[onnxruntime]") {
  CHECK(difference(sum_with_constant()) < 1e-6);
}

TEST_CASE("ONNX Runtime runs the quantised network", "[onnxruntime]") {
  const Network nano = find_network("cpubone-nano");
  const auto images = random_images(nano, 1);
  CHECK(difference(quantise(nano, random_parameters(), images, threads(1)).network) < 0.05);
}

TEST_CASE("ONNX Runtime runs the function that a dynamic layer is exported as", "[onnxruntime]") {
  for (const char* line :
       {"linear 1x2x9x200->1x2x9x70 dynamic", "linear 1x1x1x37->1x1x1x9 dynamic nobias act=relu"}) {
    const auto [to_reference, to_f32] = test::distances_of_dynamic(parse_op(line), onnxruntime());
    CHECK(to_reference < 0.01 * to_f32);
  }
}

TEST_CASE("a network is a single step on ONNX Runtime", "[onnxruntime]") {
  for (const DType type : {DType::f32, DType::qs8}) {
    const Network network = in_precision(find_network("fasternet-t0"), type);
    const Plan planned = plan(network, onnxruntime());
    REQUIRE(planned.steps.size() == 1);
    CHECK(planned.steps[0].ops.size() == network.nodes.size());
  }
}

TEST_CASE("ONNX Runtime runs the operators that profiles are made of", "[onnxruntime]") {
  for (const DType type : {DType::f32, DType::qs8})
    for (const Op& op : sampling_plan(1, 60, type)) {
      const ExecutorOptions options{.one_step_per_op = true, .backends = onnxruntime()};
      Executor executor(network_around(op), random_parameters(), threads(1), options);
      INFO(text(op));
      CHECK_NOTHROW(executor.run());
    }
}

TEST_CASE("half precision is no type of ONNX Runtime's here", "[onnxruntime]") {
  const Op op = parse_op("linear 1x1x1x8->1x1x1x8 f16");
  CHECK_THROWS_AS(check_measurable(op, onnxruntime()), std::invalid_argument);
}

TEST_CASE("profiles of two runtimes are of two devices", "[onnxruntime]") {
  const Device device = describe_host({}, onnxruntime());
  CHECK_THAT(device.runtime, Catch::Matchers::StartsWith("ONNX Runtime 1."));
  CHECK(device.runtime_hash != describe_host().runtime_hash);
  Profile profile = host_profile({}, onnxruntime());
  CHECK_THROWS_AS(merge(profile, host_profile({})), Error);
}

TEST_CASE("networks measured on ONNX Runtime say so, part by part", "[onnxruntime]") {
  MeasureOptions options;
  options.backends = onnxruntime();
  options.budget_s = 0.05;
  Profile profile = host_profile({}, onnxruntime());
  measure_networks(std::vector{sum_with_constant()}, options, profile);
  REQUIRE(profile.networks.size() == 1);
  REQUIRE_FALSE(profile.networks[0].ops.empty());
  for (const NetworkRecord::Part& part : profile.networks[0].ops)
    CHECK(part.engine == "onnxruntime");
}
