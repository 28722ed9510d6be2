#include "runtime/executor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <random>
#include <string>

#include "graph/builder.hpp"
#include "graph/error.hpp"
#include "graph/passes.hpp"
#include "graph/reparameterise.hpp"
#include "graph/schema.hpp"
#include "runtime/eigen_operators.hpp"
#include "space/zoo.hpp"
#include "tests/catch.hpp"
#include "tests/runtime/one_operator.hpp"
#include "tests/runtime/reference.hpp"

using namespace cpubone;
using cpubone::test::reference;
using cpubone::test::Values;

namespace {

std::shared_ptr<const ThreadPool> threads(int count = 1) {
  return std::make_shared<ThreadPool>(count);
}

void fill(std::span<float> values, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-2.0F, 2.0F);
  for (float& value : values) value = uniform(random);
}

using Outputs = std::vector<std::vector<Values>>;  // by node, then by output

/// Every node of the executed network by the slow reference.
Outputs reference_run(Executor& executor, const ParameterSource& parameters) {
  const Network& network = executor.network();
  std::vector<Values> images;
  for (std::size_t i = 0; i < network.inputs.size(); ++i)
    images.emplace_back(executor.input(i).begin(), executor.input(i).end());
  Outputs outputs;
  for (const Node& node : network.nodes) {
    std::vector<Values> inputs;
    for (const Edge& edge : node.inputs) {
      const auto output = static_cast<std::size_t>(edge.output);
      inputs.push_back(edge.node == network_input
                           ? images[output]
                           : outputs[static_cast<std::size_t>(edge.node)][output]);
    }
    const Parameters p = params(node.op) > 0 ? parameters(node) : Parameters{};
    outputs.emplace_back();
    for (std::size_t k = 0; k < node.op.outputs.size(); ++k)
      outputs.back().push_back(reference(node.op, inputs, p, k));
  }
  return outputs;
}

void fill_inputs(Executor& executor, unsigned seed) {
  for (std::size_t i = 0; i < executor.network().inputs.size(); ++i)
    fill(executor.input(i), seed + static_cast<unsigned>(i));
}

double relative_error(std::span<const float> got, const Values& expected) {
  REQUIRE(got.size() == expected.size());
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    difference += std::pow(double{got[i]} - expected[i], 2);
    norm += std::pow(expected[i], 2);
  }
  return std::sqrt(difference / std::max(norm, 1e-30));
}

/// A network of one operator, whose inputs and outputs are the network's.
/// Branches, a squeeze-excite, attention and a partial convolution.
Network mixed_network() {
  NetworkBuilder b("mixed", "test", {1, 16, 16, 3});
  int x =
      b.conv2d(network_input, "conv",
               {.out_channels = 24, .kernel = 3, .stride = 2, .activation = Activation::hardswish});
  b.stage(1);
  int y = b.group_norm(x, "norm");
  y = b.depthwise(y, "dw", {.kernel = 2, .stride = 2, .padding = Padding{}});
  y = b.conv2d(y, "qkv", {.out_channels = 36, .bias = false});
  y = b.attention(y, "attention", 3);
  y = b.conv2d(y, "out", {.out_channels = 24});
  y = b.upsample_nearest(y, "up", 2);
  x = b.add(y, x, "add");
  y = b.conv2d(x, "expand", {.out_channels = 48, .activation = Activation::gelu});
  y = b.conv2d(y, "project", {.out_channels = 24});
  x = b.add(y, x, "add2");
  y = b.partial_conv2d(x, "partial", 6, 3);
  y = b.conv2d(y, "after", {.out_channels = 24, .activation = Activation::relu});
  x = b.add(y, x, "add3");
  int se = b.global_avg_pool(x, "pool");
  se = b.conv2d(se, "fc1", {.out_channels = 8, .activation = Activation::relu});
  se = b.conv2d(se, "fc2", {.out_channels = 24, .activation = Activation::hardsigmoid});
  x = b.mul(x, se, "scale");
  const int left = b.slice(x, "left", 0, 12);
  const int right = b.slice(x, "right", 12, 12);
  x = b.concat(
      std::array{b.conv2d(right, "branch", {.out_channels = 12, .kernel = 3, .groups = 4}), left},
      "concat");
  x = b.channel_shuffle(x, "shuffle", 2);
  b.head();
  x = b.global_avg_pool(x, "pool");
  x = b.linear(x, "fc", 16, false);
  x = b.layer_norm(x, "norm", Activation::hardswish);
  return b.finish(b.linear(x, "fc2", 10));
}

}  // namespace

TEST_CASE("a constant is there in every run, wherever activations are", "[runtime]") {
  Network net = network_of(parse_op("add 1x2x2x3,1x1x1x3->1x2x2x3 f32"));
  net.inputs.pop_back();
  net.nodes.insert(net.nodes.begin(), {"known", "", parse_op("constant ->1x1x1x3 f32"), {}});
  net.nodes[1].inputs = {network_input, 0};
  net.outputs = {1};
  const ParameterSource known = [](const Node&) { return Parameters{{1, 2, 3}, {}, {}, {}}; };
  Executor executor(net, known, threads());
  const auto arena = std::make_shared<const Arena>(executor.arena_bytes() + 64);
  for (int run = 0; run < 2; ++run) {
    fill_inputs(executor, 7);
    executor.run();
    for (std::size_t i = 0; i < 12; ++i)
      CHECK(executor.output()[i] == executor.input()[i] + static_cast<float>(i % 3 + 1));
    executor.move_to(arena, 64);
  }
}

TEST_CASE("every operator computes what the slow reference computes", "[profiler]") {
  std::vector<std::string> lines{
      "conv2d 1x9x8x6->1x9x8x16 k3x3 s1 p1,1,1,1 g1 act=relu f32",
      "conv2d 1x9x9x8->1x5x5x12 k3x3 s2 p1,1,1,1 g2 act=relu6 f32",
      "conv2d 1x8x8x16->1x8x8x32 k2x2 s1 p1,0,1,0 g8 nobias f32",
      "conv2d 1x8x8x24->1x4x4x24 k2x2 s2 p0,0,0,0 g24 f32",
      "conv2d 1x8x8x24->1x8x8x24 k5x5 s1 p2,2,2,2 g24 nobias f32",
      "conv2d 1x7x7x20->1x7x7x40 k1x1 s1 p0,0,0,0 g4 f32",
      "conv2d 1x8x8x3->1x2x2x10 k4x4 s4 p0,0,0,0 g1 f32",
      "conv2d 1x8x8x4->1x8x8x8 k3x3 s1 p1,1,1,1 g4 f32",
      "conv2d 1x9x10x24->1x9x10x24 k7x7 s1 p3,3,3,3 g24 act=relu f32",
      "conv2d 1x20x19x17->1x10x10x17 k7x7 s2 p3,3,3,3 g17 nobias f32",
      "conv2d 1x13x3x33->1x13x3x33 k9x9 s1 p4,4,4,4 g33 f32",
      "conv2d 1x15x17x16->1x15x17x16 k7x5 s1 p6,6,2,2 d2x1 g16 f32",
      "conv2d 1x9x20x20->1x9x7x20 k3x9 s1x3 p1,1,4,4 g20 f32",
      "conv2d 1x1x40x8->1x1x40x8 k1x31 s1 p0,0,15,15 g8 act=gelu f32",
      "partial_conv2d 1x6x6x16->1x6x6x16 k3x3 s1 p1,1,1,1 conv=4 form=slicing nobias f32",
      "partial_conv2d 1x6x6x16->1x6x6x16 k3x3 s1 p1,1,1,1 conv=4 form=split_concat nobias f32",
      "conv_transpose2d 1x4x4x12->1x8x8x6 k4x4 s2 p1,1,1,1 g1 f32",
      "conv_transpose2d 1x4x4x12->1x8x8x12 k2x2 s2 p0,0,0,0 g12 nobias f32",
      "linear 1x1x1x40->1x1x1x30 f32",
      "attention 1x5x4x48->1x5x4x16 heads=2 f32",
      "attention 1x5x4x48,1x1x20x20->1x5x4x16 heads=2 f32",
      "attention 1x6x4x36->1x6x4x12 heads=2 windows=4 f32",
      "attention 1x6x4x36,1x2x6x6->1x6x4x12 heads=2 windows=4 f32",
      "attention 1x1x24x36,1x8x6x6->1x1x24x12 heads=2 windows=4 act=relu f32",
      "add 1x5x5x8,1x5x5x8->1x5x5x8 act=relu f32",
      "add 1x5x5x8,1x1x1x8->1x5x5x8 f32",
      "mul 1x5x5x8,1x1x1x8->1x5x5x8 f32",
      "group_norm 1x6x6x10->1x6x6x10 f32",
      "layer_norm 1x2x2x30->1x2x2x30 f32",
      "batch_norm 1x5x4x30->1x5x4x30 f32",
      "batch_norm 1x5x4x7->1x5x4x7 act=relu6 f32",
      "global_avg_pool 1x7x7x20->1x1x1x20 f32",
      "max_pool2d 1x9x9x12->1x5x5x12 k3x3 s2 p1,1,1,1 f32",
      "upsample_nearest 1x3x4x5->1x9x12x5 s3 f32",
      "slice 1x4x4x10->1x4x4x4 begin=5 f32",
      "concat 1x4x4x10,1x4x4x3,1x4x4x10->1x4x4x23 f32",
      "concat 1x3x3x1,1x3x3x2,1x3x3x7,1x3x3x16,1x3x3x35->1x3x3x61 f32",
      "channel_shuffle 1x4x4x12->1x4x4x12 g3 f32",
      "channel_shuffle 1x3x3x42->1x3x3x42 g2 f32",
      "channel_shuffle 1x3x3x44->1x3x3x44 g4 f32",
      "channel_shuffle 1x3x3x30->1x3x3x30 g5 f32",
      "avg_pool2d 1x9x8x12->1x5x4x12 k3x3 s2 p1,1,1,1 f32",
      "avg_pool2d 1x8x8x7->1x4x4x7 k2x2 s2 p0,0,0,0 act=relu f32",
      "avg_pool2d 1x4x5x6->1x2x3x6 k1x1 s2 p0,0,0,0 f32",
      "max_pool2d 1x4x5x6->1x2x3x6 k1x1 s2 p0,0,0,0 act=relu f32",
      "softmax 1x3x4x10->1x3x4x10 f32",
      "split 1x4x4x10->1x4x4x3,1x4x4x6,1x4x4x1 f32",
      "reshape 1x4x6x10->1x3x8x10 f32",
      "transpose 1x4x6x5->1x6x4x5 perm=0,2,1,3 f32",
      "transpose 1x4x6x5->1x5x4x6 perm=0,3,1,2 f32",
      "add 1x5x1x8,1x1x7x1->1x5x7x8 f32",
      "add 1x1x1x8,1x5x5x8->1x5x5x8 act=relu6 f32",
      "mul 1x5x5x1,1x5x5x8->1x5x5x8 f32",
      "conv2d 1x9x9x6->1x9x9x8 k3x3 s1 p2,2,2,2 d2 g1 f32",
      "conv2d 1x12x9x6->1x6x9x6 k3x3 s2x1 p1,1,2,2 d1x2 g6 act=relu f32",
      "max_pool2d 1x9x9x4->1x7x5x4 k3x3 s1x2 p1,1,1,1 d2x1 f32",
      "upsample_nearest 1x3x4x5->1x6x12x5 s2x3 f32",
      "layer_norm 1x2x2x30->1x2x2x30 eps=0.5 f32",
      "rms_norm 1x3x2x30->1x3x2x30 act=hardswish f32",
      "rms_norm 1x3x2x30->1x3x2x30 eps=0.5 f32",
      "group_norm 1x6x6x10->1x6x6x10 eps=0.5 f32",
      "batch_norm 1x5x4x7->1x5x4x7 eps=0.5 f32",
      "sub 1x5x5x8,1x5x5x8->1x5x5x8 f32",
      "sub 1x1x1x8,1x5x5x1->1x5x5x8 act=relu f32",
      "div 1x5x5x8,1x5x1x8->1x5x5x8 f32",
      "maximum 1x5x5x8,1x1x1x1->1x5x5x8 f32",
      "minimum 1x1x5x8,1x5x5x8->1x5x5x8 f32",
      "matmul 1x3x4x5,1x3x5x6->1x3x4x6 f32",
      "matmul 1x3x4x5,1x3x6x5->1x3x4x6 transposed f32",
      "matmul 1x3x4x5,1x1x5x6->1x3x4x6 f32",
      "matmul 1x1x4x5,1x3x6x5->1x3x4x6 transposed f32",
      "reduce 1x3x4x9->1x3x4x1 of=mean f32",
      "reduce 1x3x4x9->1x3x4x1 of=sum f32",
      "reduce 1x3x4x9->1x3x4x1 of=max f32",
      "reduce 1x3x4x9->1x3x4x1 of=min f32",
      "resize 1x3x4x5->1x7x9x5 mode=bilinear f32",
      "resize 1x9x8x5->1x4x3x5 mode=bilinear f32",
      "resize 1x3x4x5->1x7x9x5 mode=bilinear_corners f32",
      "resize 1x3x4x5->1x7x2x5 mode=nearest f32",
      "pad 1x3x4x5->1x6x9x5 p1,2,3,2 f32",
      "reshape 1x4x6x10->2x2x6x10 f32",
      "transpose 3x4x6x5->3x6x4x5 perm=0,2,1,3 f32",
      "transpose 3x4x6x5->5x4x3x6 perm=3,1,0,2 f32",
      "conv_transpose2d 1x4x4x12->1x8x4x6 k4x3 s2x1 p1,1,1,1 g1 f32",
  };
  for (const std::string_view activation : activation_names().subspan(1))
    lines.push_back("activation 1x5x5x7->1x5x5x7 act=" + std::string(activation) + " f32");
  for (const std::string& line : lines) {
    CAPTURE(line);
    const Network net = network_of(parse_op(line));
    Executor executor(net, random_parameters(), threads());
    fill_inputs(executor, 7);
    if (line.find("act=log") != std::string::npos || line.find("act=sqrt") != std::string::npos)
      for (float& value : executor.input()) value = std::abs(value) + 0.01F;
    const Outputs expected = reference_run(executor, random_parameters());
    for (int run = 0; run < 2; ++run) {
      executor.run();
      for (std::size_t k = 0; k < net.outputs.size(); ++k)
        CHECK(relative_error(executor.output(k), expected.back()[k]) < 2e-6);
    }
  }
}

TEST_CASE("threads that share an operator compute what one does", "[profiler]") {
  for (const char* const line : {
           "activation 1x33x31x13->1x33x31x13 act=silu f32",
           "cast 1x33x31x13->1x33x31x13:f16",
           "reshape 1x33x31x13->1x31x33x13 f32",
           "layer_norm 1x33x31x13->1x33x31x13 f32",
           "rms_norm 1x33x31x13->1x33x31x13 f32",
           "batch_norm 1x33x31x13->1x33x31x13 act=relu f32",
           "group_norm 1x33x31x13->1x33x31x13 f32",
           "attention 1x16x15x60->1x16x15x20 heads=5 f32",
           "attention 1x16x16x36,1x24x32x32->1x16x16x12 heads=3 windows=8 f32",
           "conv2d 1x23x19x33->1x12x10x33 k7x7 s2 p3,3,3,3 g33 f32",
           "avg_pool2d 1x33x31x13->1x17x16x13 k3x3 s2 p1,1,1,1 f32",
           "max_pool2d 1x33x31x13->1x33x31x13 k1x1 s1 p0,0,0,0 f32",
           "softmax 1x33x31x13->1x33x31x13 f32",
           "reduce 1x33x31x13->1x33x31x1 of=sum f32",
           "resize 1x17x13x20->1x41x31x20 mode=bilinear f32",
           "pad 1x33x31x13->1x36x36x13 p1,2,3,2 f32",
           "upsample_nearest 1x17x13x20->1x51x26x20 s3x2 f32",
           "matmul 1x7x33x31,1x1x31x29->1x7x33x29 f32",
           "matmul 1x1x99x51,1x1x41x51->1x1x99x41 transposed f32",
           "transpose 1x33x31x13->1x13x33x31 perm=0,3,1,2 f32",
           "transpose 3x11x31x13->11x3x31x13 perm=1,0,2,3 f32",
           "channel_shuffle 1x33x31x12->1x33x31x12 g3 f32",
           "slice 1x33x31x13->1x33x31x9 begin=3 f32",
           "concat 1x33x31x13,1x33x31x2->1x33x31x15 f32",
           "split 1x33x31x13->1x33x31x4,1x33x31x9 f32",
           "partial_conv2d 1x33x31x12->1x33x31x12 k3x3 s1 p1,1,1,1 conv=4 form=slicing f32",
       }) {
    CAPTURE(line);
    const Network net = network_of(parse_op(line));
    Executor alone(net, random_parameters(), threads());
    Executor shared(net, random_parameters(), threads(3));
    fill_inputs(alone, 7);
    fill_inputs(shared, 7);
    alone.run();
    shared.run();
    for (std::size_t k = 0; k < net.outputs.size(); ++k) {
      const std::span<const float> expected = alone.output(k);
      CHECK(relative_error(shared.output(k), Values(expected.begin(), expected.end())) < 1e-6);
    }
  }
  CHECK(eigen_work_items(parse_op("activation 1x33x31x13->1x33x31x13 act=silu f32")) == 208);
  CHECK(eigen_work_items(parse_op("attention 1x16x15x60->1x16x15x20 heads=5 f32")) == 5);
  CHECK(eigen_work_items(parse_op("activation 1x8x8x13->1x8x8x13 act=silu f32")) == 1);  // 6.5 KiB
}

TEST_CASE("each thread has scratch memory of its own", "[profiler]") {
  const Op op = parse_op("attention 1x4x4x24->1x4x4x8 heads=2 f32");
  const std::size_t floats = scratch_bytes(op) / sizeof(float);
  CHECK(floats == 16 * 16);
  std::vector<float> in(16 * 24, 0.5F);
  std::vector<float> out(16 * 8);
  std::vector<float> scratch(2 * floats, -1.0F);
  void* const slots[] = {in.data(), out.data(), scratch.data()};
  const Kernel kernel =
      kernel_of({op, {0}, {1}, 2, {}}, {{At(&slots[0])}, {At(&slots[1])}, At(&slots[2])});
  kernel({1, 2}, 1);
  CHECK(std::count(scratch.begin(), scratch.begin() + 256, -1.0F) == 256);
  CHECK(std::count(scratch.begin() + 256, scratch.end(), -1.0F) == 0);
  CHECK(out[3] == 0.0F);  // of the other head
  CHECK(out[4] == 0.5F);

  const auto arena = [&](int threads) {
    return plan(network_of(op), backends(), {.threads = threads}).arena_bytes;
  };
  CHECK(arena(3) - arena(1) == 2 * scratch_bytes(op));
}

TEST_CASE("a network computes the same in every way of cutting it into steps", "[profiler]") {
  const Network net = mixed_network();
  const auto run = [&](const ExecutorOptions& options, int thread_count) {
    Executor executor(net, random_parameters(), threads(thread_count), options);
    fill(executor.input(), 3);
    const Outputs expected = reference_run(executor, random_parameters());
    executor.run();
    CHECK(relative_error(executor.output(), expected.back()[0]) < 1e-5);
    if (options.keep_outputs)
      for (std::size_t i = 0; i < expected.size(); ++i) {
        CAPTURE(executor.network().nodes[i].name);
        CHECK(relative_error(executor.node_output(i), expected[i][0]) < 1e-5);
      }
    return executor.steps().size();
  };
  const std::size_t maximal = run({}, 1);
  const std::size_t single = run({.one_step_per_op = true}, 1);
  CHECK(maximal < single);
  run({.one_step_per_op = true, .keep_outputs = true}, 1);
  run({}, 2);
}

TEST_CASE("outputs of nodes are told only where they were kept", "[profiler]") {
  const Network net = mixed_network();
  Executor executor(net, random_parameters(), threads());
  fill(executor.input(), 3);
  executor.run();
  CHECK_THROWS_WITH(
      executor.node_output(0),
      "network \"" + net.name + "\": outputs of nodes are kept only with keep_outputs");
  Executor keeping(net, random_parameters(), threads(), {.keep_outputs = true});
  CHECK_NOTHROW(keeping.node_output(0));
}

TEST_CASE("activations share memory", "[profiler]") {
  const Executor shared(mixed_network(), random_parameters(), threads(), {.one_step_per_op = true});
  const Executor kept(mixed_network(), random_parameters(), threads(),
                      {.one_step_per_op = true, .keep_outputs = true});
  CHECK(shared.arena_bytes() * 2 < kept.arena_bytes());
}

TEST_CASE("a timed run adds to every step and computes the same", "[profiler]") {
  Executor executor(mixed_network(), random_parameters(), threads(), {.one_step_per_op = true});
  fill(executor.input(), 3);
  executor.run();
  const std::vector<float> expected(executor.output().begin(), executor.output().end());
  std::vector<double> step_ns(executor.steps().size(), 0.0);
  executor.run_timed(step_ns);
  CHECK(std::equal(expected.begin(), expected.end(), executor.output().begin()));
  CHECK(std::all_of(step_ns.begin(), step_ns.end(), [](double ns) { return ns > 0; }));
}

TEST_CASE("a node's output is to be had only where outputs are kept", "[profiler]") {
  Executor executor(mixed_network(), random_parameters(), threads());
  executor.run();
  CHECK_THROWS_AS(executor.node_output(0), std::invalid_argument);
  CHECK_THROWS_WITH(executor.node_output(0), ContainsSubstring("only with keep_outputs"));
  CHECK_THROWS_WITH(executor.input(1), ContainsSubstring("has 1 inputs, got input 1"));
}

TEST_CASE("the executor refuses what no engine runs", "[profiler]") {
  CHECK_THROWS_WITH(engine_of(parse_op("group_norm 1x1x1x4->1x1x1x4 qs8")),
                    ContainsSubstring("no backend of this build runs it"));
  CHECK_THROWS_WITH(ThreadPool(0), ContainsSubstring("threads must be in 1..1024, got 0"));
}

namespace {

/// Resident memory of this process in bytes.
std::int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::int64_t pages = 0;
  file >> pages >> pages;
  return pages * 4096;
}

}  // namespace

TEST_CASE("ten thousand runs take no memory and change nothing", "[profiler]") {
  Executor executor(mixed_network(), random_parameters(), threads());
  fill(executor.input(), 3);
  executor.run();
  const std::vector<float> expected(executor.output().begin(), executor.output().end());
  const std::int64_t before = resident_bytes();
  for (int i = 0; i < 10'000; ++i) executor.run();
  CHECK(resident_bytes() - before < 1 << 20);
  CHECK(std::equal(expected.begin(), expected.end(), executor.output().begin()));
}

TEST_CASE("making and ending executors takes no memory", "[profiler]") {
  const auto make = [] {
    Executor executor(mixed_network(), random_parameters(), threads(2));
    executor.run();
  };
  for (int i = 0; i < 20; ++i) make();
  const std::int64_t before = resident_bytes();
  for (int i = 0; i < 200; ++i) make();
  CHECK(resident_bytes() - before < 4 << 20);
}

TEST_CASE("an executor may be moved, and its activations into an arena that others use as well",
          "[profiler]") {
  Executor first(mixed_network(), random_parameters(), threads());
  Executor second(mixed_network(), random_parameters(), threads());
  Executor moved = std::move(first);
  fill(moved.input(), 3);
  moved.run();
  const std::vector<float> expected(moved.output().begin(), moved.output().end());
  const auto arena = std::make_shared<const Arena>(moved.arena_bytes() + 64);
  for (const std::size_t offset : {0U, 64U}) {
    for (Executor* executor : {&moved, &second}) {
      executor->move_to(arena, offset);
      CHECK(reinterpret_cast<std::byte*>(executor->input().data()) >= arena->data() + offset);
      CHECK(reinterpret_cast<std::byte*>(executor->input().data()) < arena->data() + arena->size());
      std::fill_n(arena->data(), arena->size(), std::byte{0});
      fill(executor->input(), 3);
      executor->run();
      CHECK(std::equal(expected.begin(), expected.end(), executor->output().begin()));
    }
  }
  for (const std::size_t offset : {32U, 128U})
    CHECK_THROWS_WITH(
        moved.move_to(arena, offset),
        fmt::format(
            "network \"{}\" needs {} bytes at a multiple of 64, got an arena of {} bytes and "
            "offset {}",
            moved.network().name, moved.arena_bytes(), arena->size(), offset));
}

TEST_CASE("an executor begins in the arena that it is given, where that has room", "[profiler]") {
  const Executor own(mixed_network(), random_parameters(), threads());
  const auto enough = std::make_shared<const Arena>(own.arena_bytes());
  const auto small = std::make_shared<const Arena>(own.arena_bytes() - 64);
  CHECK(Executor(mixed_network(), random_parameters(), threads(), {.arena = enough}).arena() ==
        enough);
  const auto instead =
      Executor(mixed_network(), random_parameters(), threads(), {.arena = small}).arena();
  CHECK(instead != small);
  CHECK(instead->size() >= own.arena_bytes());
}

TEST_CASE("backbones give the feature maps of the whole network at any resolution", "[profiler]") {
  const std::pair<int, int> resolutions[]{{320, 256}, {64, 512}, {96, 96}};
  for (const char* name : {"cpubone-nano", "mobileone-s0", "fasternet-t0"})
    for (const auto& [height, width] : resolutions) {
      INFO(name << " at " << height << "x" << width);
      const Network whole = with_resolution(find_network(name), height, width);
      const Network features = feature_network(whole);
      Executor all(whole, random_parameters(), threads(),
                   {.one_step_per_op = true, .keep_outputs = true});
      Executor backbone(features, random_parameters(), threads());
      fill(all.input(), 5);
      fill(backbone.input(), 5);
      all.run();
      backbone.run();
      REQUIRE(features.outputs.size() == 4);
      for (std::size_t i = 0; i < features.outputs.size(); ++i) {
        const Shape& shape = tensor(features, features.outputs[i]).shape;
        CHECK(shape.h == height >> (i + 2));
        CHECK(shape.w == width >> (i + 2));
        // The output as it is executed, with its activation.
        const Network& executed = backbone.network();
        const std::string& output =
            executed.nodes[static_cast<std::size_t>(executed.outputs[i].node)].name;
        const auto found = std::find_if(all.network().nodes.begin(), all.network().nodes.end(),
                                        [&](const Node& n) { return n.name == output; });
        const auto expected =
            all.node_output(static_cast<std::size_t>(found - all.network().nodes.begin()));
        CHECK(std::equal(expected.begin(), expected.end(), backbone.output(i).begin()));
      }
    }
}

TEST_CASE("a resolution that a network cannot have is refused with the node's name", "[profiler]") {
  CHECK_THROWS_WITH(with_resolution(find_network("b0"), 100, 100),
                    ContainsSubstring("node \"stage3.1.attention.add\"") &&
                        ContainsSubstring("inputs of add must be equal or 1 in each dimension"));
  CHECK_THROWS_WITH(with_resolution(find_network("fasternet-t0"), 3, 224),
                    ContainsSubstring("node \"stem.embed\"") &&
                        ContainsSubstring("kernel 4x4 does not fit the padded input 3x224"));
  CHECK_THROWS_WITH(with_resolution(find_network("mobileone-s0"), 224, 70000),
                    ContainsSubstring("node \"stem.conv\""));
}

TEST_CASE("a network that cannot run is refused with the operator's name", "[profiler]") {
  const auto refuses = [](const Network& network, const ParameterSource& parameters,
                          const std::string& node, const std::string& message) {
    CHECK_THROWS_WITH(Executor(network, parameters, threads()),
                      ContainsSubstring("\"" + node + "\"") && ContainsSubstring(message));
  };
  const Network good = mixed_network();
  const auto index = [&](const std::string& name) {
    for (std::size_t i = 0; i < good.nodes.size(); ++i)
      if (good.nodes[i].name == name) return i;
    throw std::invalid_argument(name);
  };
  SECTION("an operator of no engine") {
    CHECK_THROWS_WITH(Executor(with_dtype(good, DType::qs8), random_parameters(), threads()),
                      ContainsSubstring("op \"group_norm 1x8x8x24->1x8x8x24 qs8\": no backend"));
  }
  SECTION("a producer of another shape") {
    Network net = good;
    net.nodes[index("stage1.qkv")].op.inputs[0].shape.c = 12;
    refuses(net, random_parameters(), "stage1.qkv", "input 0 must be 1x4x4x12, got 1x4x4x24");
  }
  SECTION("a cycle") {
    Network net = good;
    net.nodes[index("stage1.add")].inputs[0] = static_cast<int>(index("stage1.add2"));
    refuses(net, random_parameters(), "stage1.add", "input 0 must be an earlier node");
  }
  SECTION("a missing tensor") {
    const ParameterSource some = [](const Node& node) {
      return node.name == "stage1.norm" ? Parameters{} : random_parameters()(node);
    };
    refuses(good, some, "stage1.norm", "weight must have 24 values, got 0");
  }
  SECTION("a tensor of another size") {
    const ParameterSource some = [](const Node& node) {
      Parameters p = random_parameters()(node);
      if (node.name == "stage1.out") p.bias.pop_back();
      return p;
    };
    refuses(good, some, "stage1.out", "bias must have 24 values, got 23");
  }
  SECTION("a node without parameters") {
    CHECK_THROWS_WITH(Executor(good, parameters_of({good, {}}), threads()),
                      ContainsSubstring("node \"stem.conv\" has no parameters"));
  }
}
