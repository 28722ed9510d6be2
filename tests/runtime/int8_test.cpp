#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <random>
#include <set>
#include <stdexcept>

#include "graph/builder.hpp"
#include "graph/passes.hpp"
#include "graph/schema.hpp"
#include "profiler/subjects.hpp"
#include "runtime/calibration.hpp"
#include "runtime/eigen_kernels.hpp"
#include "runtime/executor.hpp"
#include "runtime/precision.hpp"
#include "runtime/xnnpack_traits.hpp"
#include "space/zoo.hpp"
#include "tests/catch.hpp"
#include "tests/runtime/dynamic_layer.hpp"
#include "tests/runtime/one_operator.hpp"
#include "tests/runtime/reference.hpp"

using namespace cpubone;
using cpubone::test::distances_of_dynamic;
using cpubone::test::in_steps;
using cpubone::test::reference;
using cpubone::test::Values;

namespace {

using Bytes = std::vector<std::int8_t>;

std::shared_ptr<const ThreadPool> one_thread() {
  return std::make_shared<const ThreadPool>(1);
}

Values real(const Bytes& bytes, const Quantisation& q) {
  Values values;
  for (const int byte : bytes) values.push_back((byte - q.zero_point) * double{q.scale});
  return values;
}

int to_int8(double value, const Quantisation& q) {
  return static_cast<int>(
      std::clamp(std::nearbyint(value / double{q.scale}) + q.zero_point, -128.0, 127.0));
}

/// Largest distance, in steps, of what the executor computes from the slow reference.
int steps_off(const Op& op, const Parameters& parameters) {
  const ParameterSource source = [&](const Node&) { return parameters; };
  Executor executor(network_of(op), source, one_thread());
  std::mt19937 random(7);
  std::uniform_int_distribution<int> byte(-128, 127);
  std::vector<Values> inputs;
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    Bytes bytes(executor.input<std::int8_t>(i).size());
    for (std::int8_t& b : bytes) b = static_cast<std::int8_t>(byte(random));
    std::copy(bytes.begin(), bytes.end(), executor.input<std::int8_t>(i).begin());
    inputs.push_back(real(bytes, quantisation_of(op.inputs[i])));
  }
  executor.run();
  int most = 0;
  for (std::size_t k = 0; k < op.outputs.size(); ++k) {
    const Values expected = reference(op, inputs, in_steps(op, parameters), k);
    const auto got = executor.output<std::int8_t>(k);
    REQUIRE(got.size() == expected.size());
    for (std::size_t i = 0; i < got.size(); ++i)
      most =
          std::max(most, std::abs(got[i] - to_int8(expected[i], quantisation_of(op.outputs[k]))));
  }
  return most;
}

int steps_off(const std::string& line) {
  const Op op = parse_op(line);
  Parameters parameters;
  if (params(op) > 0) parameters = random_parameters()(network_of(op).nodes[0]);
  return steps_off(op, parameters);
}

}  // namespace

TEST_CASE("int8 operators are at most one step from the slow reference", "[int8]") {
  for (const std::string line :
       {"conv2d 1x9x9x16:qs8/0.03/5->1x9x9x24:qs8/0.06/-7 k3x3 s1 p1,1,1,1 g1",
        "conv2d 1x9x9x16:qs8/0.03/-128->1x5x5x24:qs8/0.06/-128 k3x3 s2 p1,1,1,1 g4 act=relu",
        "conv2d 1x7x7x24:qs8/0.03/5->1x7x7x24:qs8/0.05/-128 k5x5 s1 p2,2,2,2 g24 act=relu6",
        "conv2d 1x7x7x24:qs8/0.03/5->1x7x7x24:qs8/0.05/3 k2x2 s1 p1,0,1,0 g24",
        "conv2d 1x8x8x24:qs8/0.03/5->1x4x4x24:qs8/0.05/3 k2x1 s2 p0,0,0,0 g24",
        "conv2d 1x8x9x24:qs8/0.03/5->1x6x6x24:qs8/0.05/3 k3x4 s1 p0,0,0,0 g24",
        "conv2d 1x9x9x8:qs8/0.03/5->1x9x9x8:qs8/0.05/3 k7x7 s1 p3,3,3,3 g8",
        "conv2d 1x9x9x40:qs8/0.03/5->1x9x9x40:qs8/0.02/-3 k5x5 s1 p2,2,2,2 g40 act=relu",
        "conv2d 1x9x9x40:qs8/0.03/5->1x4x5x40:qs8/0.02/-3 k5x4 s2 p2,1,2,1 g40",
        "conv2d 1x12x11x40:qs8/0.03/-128->1x6x6x40:qs8/0.02/-120 k7x7 s2 p3,3,3,3 g40",
        "conv2d 1x14x21x17:qs8/0.03/127->1x10x21x17:qs8/0.04/30 k9x5 s1 p2,2,2,2 g17 nobias",
        "conv2d 1x7x7x16:qs8/0.03/5->1x7x7x12:qs8/0.05/3 k1x1 s1 p0,0,0,0 g1 nobias",
        "conv2d 1x15x14x3:qs8/0.03/5->1x8x7x24:qs8/0.06/-7 k3x3 s2 p1,1,1,1 g1 act=relu",
        "conv2d 1x19x20x3:qs8/0.03/-128->1x10x10x16:qs8/0.06/-7 k7x7 s2 p3,3,3,3 g1",
        "conv2d 1x5x3x1:qs8/0.03/127->1x5x3x8:qs8/0.06/-7 k3x5 s1 p1,1,2,2 g1 nobias",
        "conv2d 1x9x9x2:qs8/0.03/5->1x8x8x8:qs8/0.06/-7 k2x2 s1 p0,0,0,0 g1",
        "conv2d 1x12x40x2:qs8/0.03/5->1x4x32x8:qs8/0.06/-7 k9x9 s1 p0,0,0,0 g1",
        "conv2d 1x9x9x3:qs8/0.03/5->1x5x5x8:qs8/0.06/-7 k3x3 s1 p0,0,0,0 d2 g1",
        "linear 1x1x1x64:qs8/0.03/-20->1x1x1x40:qs8/0.06/9",
        "partial_conv2d 1x6x6x16:qs8/0.04/-3->1x6x6x16:qs8/0.04/-3 k3x3 s1 p1,1,1,1 conv=4 nobias",
        "add 1x6x6x17:qs8/0.03/5,1x6x6x17:qs8/0.05/-9->1x6x6x17:qs8/0.07/1",
        "add 1x6x6x17:qs8/0.03/5,1x6x6x17:qs8/0.05/-9->1x6x6x17:qs8/0.03/-128 act=relu",
        "sub 1x6x6x17:qs8/0.03/5,1x6x6x17:qs8/0.05/-9->1x6x6x17:qs8/0.07/1",
        "mul 1x6x6x17:qs8/0.03/5,1x1x1x17:qs8/0.004/-128->1x6x6x17:qs8/0.03/4",
        "global_avg_pool 1x7x7x24:qs8/0.03/5->1x1x1x24:qs8/0.01/-9",
        "max_pool2d 1x9x9x16:qs8/0.03/5->1x5x5x16:qs8/0.03/5 k3x3 s2 p1,1,1,1",
        "resize 1x6x6x16:qs8/0.03/5->1x12x12x16:qs8/0.03/5 mode=bilinear",
        "pad 1x5x5x6:qs8/0.03/5->1x7x6x6:qs8/0.03/5 p1,1,0,1",
        "upsample_nearest 1x3x4x5:qs8/0.03/5->1x6x12x5:qs8/0.03/5 s2x3",
        "slice 1x5x5x9:qs8/0.03/5->1x5x5x4:qs8/0.03/5 begin=3",
        "concat 1x4x4x10:qs8/0.03/5,1x4x4x3:qs8/0.03/5->1x4x4x13:qs8/0.03/5",
        "split 1x4x4x10:qs8/0.03/5->1x4x4x4:qs8/0.03/5,1x4x4x6:qs8/0.03/5",
        "channel_shuffle 1x5x5x12:qs8/0.03/5->1x5x5x12:qs8/0.03/5 g3",
        "reshape 1x4x6x10:qs8/0.03/5->1x3x8x10:qs8/0.03/5",
        "transpose 1x4x6x10:qs8/0.03/5->1x10x4x6:qs8/0.03/5 perm=0,3,1,2"}) {
    INFO(line);
    CHECK(steps_off(line) <= 1);
  }
}

TEST_CASE("threads that share a convolution find what one does", "[int8]") {
  for (const std::string line :
       {"conv2d 1x9x9x40:qs8/0.03/5->1x9x9x40:qs8/0.02/-3 k5x5 s1 p2,2,2,2 g40 act=relu",
        "conv2d 1x20x19x70->1x10x10x70 k7x7 s2 p3,3,3,3 g70 f32",
        "conv2d 1x19x999x3:qs8/0.03/5->1x10x500x4:qs8/0.02/-3 k3x3 s2 p1,1,1,1 g1"}) {
    INFO(line);
    std::vector<std::vector<float>> outputs;
    for (const int threads : {1, 3, 12}) {
      Executor executor(network_of(parse_op(line)), random_parameters(),
                        std::make_shared<const ThreadPool>(threads), {.keep_outputs = true});
      fill_inputs(executor);
      executor.run();
      outputs.push_back(real_output(executor, 0));
    }
    CHECK(outputs[0] == outputs[1]);
    CHECK(outputs[0] == outputs[2]);  // more than there are rows
    CHECK(*std::max_element(outputs[0].begin(), outputs[0].end()) > 0);
  }
}

TEST_CASE("windows of an image are gathered before the part that reads them runs", "[int8]") {
  // `sum` is of the part that reads it: its windows cannot be. `apart` is gathered while memory of
  // `wide` is not yet free.
  Network net;
  net.name = "stems";
  const auto add = [&](const char* name, const std::string& line, std::vector<Edge> inputs) {
    net.nodes.push_back({name, "", parse_op(line), std::move(inputs)});
  };
  const std::string stem = "conv2d 1x16x16x3:qs8/0.03/5->1x16x16x8:qs8/0.05/3 k3x3 s1 p1,1,1,1 g1";
  add("sum", "add 1x16x16x3:qs8/0.03/5,1x16x16x3:qs8/0.03/5->1x16x16x3:qs8/0.03/5",
      {network_input, network_input});
  add("stem", stem, {0});
  add("wide", "conv2d 1x16x16x8:qs8/0.05/3->1x16x16x64:qs8/0.05/3 k1x1 s1 p0,0,0,0 g1", {1});
  add("narrow", "conv2d 1x16x16x64:qs8/0.05/3->1x16x16x8:qs8/0.05/3 k1x1 s1 p0,0,0,0 g1", {2});
  add("apart", stem, {network_input});
  net.inputs = {net.nodes[0].op.inputs[0]};
  net.outputs = {3, 4};
  Executor whole(net, random_parameters(), one_thread());
  Executor by_steps(net, random_parameters(), one_thread(), {.one_step_per_op = true});
  CHECK(whole.steps().size() == 1);
  for (Executor* executor : {&whole, &by_steps}) {
    fill_inputs(*executor);
    executor->run();
  }
  for (const std::size_t output : {0U, 1U}) {
    const auto expected = by_steps.output<std::int8_t>(output);
    const auto got = whole.output<std::int8_t>(output);
    CHECK(std::equal(got.begin(), got.end(), expected.begin(), expected.end()));
    CHECK(std::set(got.begin(), got.end()).size() > 10);
  }
}

TEST_CASE("every activation of int8 is at most one step from its exact value", "[int8]") {
  // None of these values is below 0, where some have no result.
  for (const std::string_view activation : activation_names().subspan(1)) {
    const std::string line = fmt::format(
        "activation 1x7x11x13:qs8/0.02/-128->1x7x11x13:qs8/0.05/-60 act={}", activation);
    INFO(line);
    CHECK(steps_off(line) <= 1);
  }
  CHECK(steps_off("activation 1x7x11x13:qs8/0.05/3->1x7x11x13:qs8/0.04/-120 act=hardswish") <= 1);
}

TEST_CASE("every byte is looked up where it belongs", "[int8]") {
  Bytes table(256);
  for (std::size_t i = 0; i < table.size(); ++i)
    table[i] = static_cast<std::int8_t>((i * 37 + 11) % 251 - 125);
  Bytes in(1000);
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<std::int8_t>(i % 256);
  Bytes out(in.size());
  eigen_kernels().look_up(table.data(), in.data(), out.data(), in.size());
  for (std::size_t i = 0; i < in.size(); ++i)
    REQUIRE(out[i] == table[static_cast<std::size_t>(in[i] + 128)]);
}

TEST_CASE("channels of zeros, and next to nothing beside their bias, are exact in int8", "[int8]") {
  const Op op = parse_op("conv2d 1x4x4x8:qs8/0.03/5->1x4x4x3:qs8/0.06/-7 k1x1 s1 p0,0,0,0 g1");
  Parameters parameters = random_parameters()(network_of(op).nodes[0]);
  std::fill_n(parameters.weight.begin(), 8, 0.0F);
  for (std::size_t i = 8; i < 16; ++i) parameters.weight[i] *= 1e-12F;
  std::fill_n(parameters.weight.begin() + 16, 8, 0.0F);
  parameters.bias = {2.0F, -3.0F, 0.0F};
  Executor executor(
      network_of(op), [&](const Node&) { return parameters; }, one_thread());
  executor.run();
  const auto got = executor.output<std::int8_t>();
  for (std::size_t pixel = 0; pixel < 16; ++pixel) {
    CHECK(std::abs(got[3 * pixel] - to_int8(2.0, *op.outputs[0].quantisation)) <= 1);
    CHECK(std::abs(got[3 * pixel + 1] - to_int8(-3.0, *op.outputs[0].quantisation)) <= 1);
    CHECK(got[3 * pixel + 2] == op.outputs[0].quantisation->zero_point);
  }
}

TEST_CASE("outputs that are next to nothing do not stop an int8 convolution", "[int8]") {
  CHECK(steps_off("conv2d 1x4x4x8:qs8/0.03/5->1x4x4x3:qs8/1e-09/0 k1x1 s1 p0,0,0,0 g1 nobias") ==
        0);
}

TEST_CASE("a dynamic layer multiplies what it quantised pixel by pixel", "[int8]") {
  std::vector<Backends> all{backends()};
  if (const char* library = std::getenv("CPUBONE_XNNPACK_LIBRARY"))
    all.push_back(find_runtime("xnnpack", library));
  for (const std::string line : {"linear 1x2x9x200->1x2x9x70 dynamic f32",
                                 "linear 1x1x1x37->1x1x1x9 dynamic nobias act=relu f32",
                                 "linear 1x1x5x64->1x1x5x33 dynamic act=relu6 f32"})
    for (const Backends on : all) {
      INFO(line);
      const Network network = network_of(parse_op(line));
      REQUIRE(runs_dynamic(on) == (on.front()->identity().find("git2022") == std::string::npos));
      if (!runs_dynamic(on)) {
        CHECK_THROWS_WITH(plan(network, on),
                          ContainsSubstring("no backend of this build runs it; XNNPACK quantises "
                                            "what a dynamic layer reads since 2024-11"));
        continue;
      }
      const auto [to_reference, to_f32] = distances_of_dynamic(network.nodes[0].op, on);
      CHECK(to_reference < 0.1 * to_f32);
    }
}

TEST_CASE("values of a tensor are to be had in its type only", "[int8]") {
  const Op op = parse_op("reshape 1x32x32x8->1x32x1x256 qs8");
  Executor executor(network_of(op), random_parameters(), one_thread());
  CHECK(executor.input<std::int8_t>().size() == 8192);
  CHECK_THROWS_WITH(executor.input(),
                    ContainsSubstring("1x32x32x8:qs8") && ContainsSubstring("asked for as floats"));
  CHECK(executor.arena_bytes() < 3 * 8192);  // two tensors at most, of bytes
}

TEST_CASE("a calibration holds what images and tensors contain", "[int8]") {
  NetworkBuilder b("net", "test", {1, 2, 1, 1});
  const Network network =
      b.finish(b.conv2d(network_input, "conv", {.out_channels = 2, .bias = false}));
  const ParameterSource weights = [](const Node&) { return Parameters{{2, -1}, {}, {}, {}}; };
  const std::vector<InputValues> images{{{1, -0.5F}}, {{0.25F, 3}}};
  const Calibration calibration = calibrate(network, weights, images, one_thread());
  CHECK(calibration.inputs == std::vector<ValueRange>{{-0.5F, 3}});
  CHECK(calibration.nodes == std::vector<std::vector<ValueRange>>{{{-3, 6}}});
}

TEST_CASE("images that do not fit are refused", "[int8]") {
  NetworkBuilder b("net", "test", {1, 2, 1, 1});
  const Network network = b.finish(b.conv2d(network_input, "conv", {.out_channels = 2}));
  const auto refuses = [&](const std::vector<InputValues>& images, const std::string& message) {
    CHECK_THROWS_WITH(calibrate(network, random_parameters(), images, one_thread()),
                      ContainsSubstring(message));
  };
  refuses({}, "expected one or more, got none");
  refuses({{{1}}}, "input 0 of network \"net\" has 2 values, got 1");
  refuses({{}}, "network \"net\" has 1 inputs, got 0");
}

TEST_CASE("a comparison names the node that spoils a network", "[int8]") {
  NetworkBuilder b("net", "test", {1, 8, 8, 3});
  int x = b.conv2d(network_input, "first", {.out_channels = 16, .kernel = 3});
  x = b.conv2d(x, "second", {.out_channels = 16});
  const Network network = b.finish(b.conv2d(x, "third", {.out_channels = 16}));
  // A single large channel leaves few steps to all others.
  const ParameterSource weights = [](const Node& node) {
    Parameters p = random_parameters()(node);
    if (node.name == "stem.second")
      for (std::size_t i = 0; i < 16; ++i) p.weight[i] *= 300;
    if (node.name == "stem.third")
      for (std::size_t i = 0; i < p.weight.size(); i += 16) p.weight[i] = 0;
    return p;
  };
  const auto images = random_images(network, 3);
  const QuantisedNetwork q = quantise(network, weights, images, one_thread());
  const QuantisationError all = compare(network, q, weights, images, one_thread());
  CHECK(all.worst().node == "stem.third");
  CHECK(all.worst().added_error ==
        Approx(all.tensors[2].relative_error - all.tensors[1].relative_error));
  CHECK(all.tensors.size() == 3);
  CHECK(all.output.cosine < 0.99);
  CHECK(all.tensors[0].cosine > 0.999);
}

TEST_CASE("networks of the zoo compute in int8 what they compute in f32", "[int8]") {
  for (const std::string name :
       {"cpubone-nano", "cpubone-b0", "mobilenetv2-100", "mobileone-s0", "fasternet-t0"}) {
    const Network network = find_network(name);
    const auto images = random_images(network, 3);
    const std::span<const InputValues> all(images);
    const QuantisedNetwork q = quantise(network, random_parameters(), all.first(2), one_thread());
    const QuantisationError c = compare(network, q, random_parameters(), all.last(1), one_thread());
    INFO(name << ": worst is " << c.worst().node);
    CHECK(c.output.cosine >= 0.99);
    // In int8 by far the most of what is multiplied.
    std::int64_t in_float = 0;
    for (const Node& node : q.network.nodes)
      if (node.op.dtype() == DType::f32) in_float += macs(node.op);
    CHECK(static_cast<double>(in_float) < 0.1 * static_cast<double>(macs(network)));
  }
}

namespace {

/// What is executed, in order, whatever the scales.
std::vector<std::string> executed_texts(const Network& network) {
  std::vector<std::string> lines;
  for (const Node& node : lowered(network).nodes)
    lines.push_back(text(without_quantisation(node.op)));
  return lines;
}

}  // namespace

TEST_CASE("a network in int8 for latencies executes what a calibrated one does", "[int8]") {
  for (const char* name :
       {"cpubone-nano", "lowformer-b1", "fasternet-t0", "mobilenetv3-large-100"}) {
    CAPTURE(name);
    const Network network = with_resolution(find_network(name), 64, 64);
    const auto images = random_images(network, 1);
    CHECK(executed_texts(in_precision(network, DType::qs8)) ==
          executed_texts(quantise(network, random_parameters(), images, one_thread()).network));
  }
}

TEST_CASE("an engine runs whatever a network of the zoo executes in int8", "[int8]") {
  std::set<std::string> seen;
  for (const ZooEntry& entry : zoo()) {
    CAPTURE(entry.name);
    for (const Node& node : lowered(entry.build(), DType::qs8).nodes)
      if (node.op.kind != OpKind::constant && seen.insert(text(node.op)).second)
        CHECK_NOTHROW(engine_of(node.op));
  }
}

TEST_CASE("a network that is quantised stays as it is in any precision", "[int8]") {
  const Network quantised = in_precision(find_network("cpubone-nano"), DType::qs8);
  CHECK(is_quantised(quantised));
  CHECK(in_precision(quantised, DType::qs8) == quantised);
  CHECK(in_precision(quantised, DType::f32) == quantised);
  CHECK(in_precision(find_network("cpubone-nano"), DType::f32) == find_network("cpubone-nano"));
  CHECK(lowered(find_network("cpubone-nano"), DType::f16) ==
        with_dtype(lowered(find_network("cpubone-nano")), DType::f16));
}
