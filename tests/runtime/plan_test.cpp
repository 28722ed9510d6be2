#include "runtime/plan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "graph/builder.hpp"
#include "runtime/placement.hpp"
#include "runtime/xnnpack_backend.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

/// Runs operators of some kinds, and fuses ReLU into them; nothing is ever compiled.
class Imagined : public Backend {
 public:
  Imagined(std::string_view name, std::vector<OpKind> kinds, MemoryUse use = {})
      : name_(name), kinds_(std::move(kinds)), use_(use) {}
  std::string_view name() const override { return name_; }
  std::string identity() const override { return std::string(name_) + " 1"; }
  bool supports(const Op& op) const override {
    return std::find(kinds_.begin(), kinds_.end(), op.kind) != kinds_.end();
  }
  bool fuses(const Op& op) const override {
    return supports(op) && op.activation == Activation::relu;
  }
  MemoryUse memory(const Op&) const override { return use_; }
  std::unique_ptr<Executable> compile(Part, const ThreadPool*) const override { return nullptr; }

 private:
  std::string_view name_;
  std::vector<OpKind> kinds_;
  MemoryUse use_;
};

const Imagined fast("fast", {OpKind::conv2d, OpKind::add});
const Imagined slow("slow", {OpKind::group_norm, OpKind::activation, OpKind::conv2d},
                    {MemoryUse::Output::in_place});
const Imagined views("views", {OpKind::reshape}, {MemoryUse::Output::view});
constexpr std::array<const Backend*, 3> imagined{&fast, &slow, &views};

/// Takes networks as they were written.
class Whole : public Imagined {
 public:
  Whole() : Imagined("whole", {}) {}
  bool takes_networks() const override { return true; }
  bool supports(const Op&) const override { return true; }
  bool fuses(const Op&) const override { return true; }
};
const Whole entire;

std::vector<int> nodes_of(const PlanStep& step) {
  std::vector<int> nodes;
  for (const PlanOp& op : step.ops) nodes.push_back(op.node);
  return nodes;
}

/// Two branches, one with a norm.
Network branches() {
  NetworkBuilder b("branches", "test", {1, 8, 8, 8});
  const int left = b.conv2d(network_input, "a", {.out_channels = 8});
  const int norm = b.group_norm(left, "norm");
  const int right = b.conv2d(network_input, "b", {.out_channels = 8});
  return b.finish(b.add(norm, right, "add"));
}

Node node(const std::string& name, const std::string& line, std::vector<Edge> inputs) {
  return {name, "", parse_op(line), std::move(inputs)};
}

}  // namespace

TEST_CASE("parts are maximal: a backend runs all it can before the other", "[runtime]") {
  const Plan planned = plan(branches(), imagined);
  REQUIRE(planned.steps.size() == 3);
  CHECK(nodes_of(planned.steps[0]) == std::vector{0, 2});
  CHECK(planned.steps[1].backend == &slow);
  CHECK(nodes_of(planned.steps[2]) == std::vector{3});
}

TEST_CASE("the first backend that supports an operator runs it", "[runtime]") {
  constexpr std::array<const Backend*, 2> other{&slow, &fast};
  CHECK(plan(branches(), other).steps[0].backend == &slow);
}

TEST_CASE("an activation that no backend fuses is an operator of the plan", "[runtime]") {
  NetworkBuilder b("activations", "test", {1, 8, 8, 8});
  int x = b.conv2d(network_input, "a", {.out_channels = 8, .activation = Activation::relu});
  x = b.conv2d(x, "b", {.out_channels = 8, .activation = Activation::gelu});
  const Plan planned = plan(b.finish(x), imagined);
  REQUIRE(planned.network.nodes.size() == 3);
  CHECK(planned.network.nodes[2].name == "stem.b.gelu");
  CHECK(planned.steps[1].backend == &slow);
}

TEST_CASE("an operator that no backend supports is refused by name", "[runtime]") {
  Network net = branches();
  constexpr std::array<const Backend*, 1> only{&fast};
  CHECK_THROWS_WITH(plan(net, only),
                    ContainsSubstring("op \"group_norm 1x8x8x8->1x8x8x8 f32\": no backend"));
}

TEST_CASE("an operator writes over its input only where nobody reads that afterwards",
          "[runtime]") {
  Plan planned = plan(branches(), imagined);
  const int norm = planned.node_tensors[1][0];
  CHECK(planned.tensors[static_cast<std::size_t>(norm)].shares == planned.node_tensors[0][0]);
  NetworkBuilder b("residual", "test", {1, 8, 8, 8});
  const int x = b.conv2d(network_input, "a", {.out_channels = 8});
  planned = plan(b.finish(b.add(b.group_norm(x, "norm"), x, "add")), imagined);
  CHECK(planned.tensors[static_cast<std::size_t>(planned.node_tensors[1][0])].shares == -1);
}

TEST_CASE("nothing is written over the network's input", "[runtime]") {
  NetworkBuilder b("norm", "test", {1, 8, 8, 8});
  const Plan planned = plan(b.finish(b.group_norm(network_input, "norm")), imagined);
  CHECK(planned.tensors[1].shares == -1);
  CHECK(planned.tensors[1].offset != planned.tensors[0].offset);
}

TEST_CASE("a reshape is a view, and keeps what it views from being written over", "[runtime]") {
  Network net;
  net.name = "views";
  net.inputs = {{{1, 4, 4, 8}}};
  net.nodes = {node("conv", "conv2d 1x4x4x8->1x4x4x8 k1x1 s1 p0,0,0,0 g1 f32", {network_input}),
               node("view", "reshape 1x4x4x8->1x2x8x8 f32", {0}),
               node("norm", "group_norm 1x4x4x8->1x4x4x8 f32", {0}),
               node("end", "group_norm 1x2x8x8->1x2x8x8 f32", {1})};
  net.outputs = {2, 3};
  const Plan planned = plan(net, imagined);
  const auto tensor = [&](std::size_t n) {
    return planned.tensors[static_cast<std::size_t>(planned.node_tensors[n][0])];
  };
  CHECK(tensor(1).shares == planned.node_tensors[0][0]);
  CHECK(tensor(1).offset == tensor(0).offset);
  // Both norms would overwrite the convolution's output; only the last to read it may.
  CHECK((tensor(2).shares == -1) != (tensor(3).shares == -1));
}

TEST_CASE("a plan can be read", "[runtime]") {
  NetworkBuilder b("short", "test", {1, 2, 2, 8});
  const int x = b.conv2d(network_input, "a", {.out_channels = 8});
  CHECK(text(plan(b.finish(b.group_norm(x, "norm")), imagined)) ==
        "plan of short: 2 steps, 384 bytes of activations\n"
        "step 0: fast\n"
        "  0: stem.a 0 -> 1: conv2d 1x2x2x8->1x2x2x8 k1x1 s1 p0,0,0,0 g1 f32\n"
        "step 1: slow\n"
        "  1: stem.norm 1 -> 2: group_norm 1x2x2x8->1x2x2x8 f32\n"
        "tensor 0: 1x2x2x8 at 0, 192 bytes, operators 0 to 2\n"
        "tensor 1: 1x2x2x8 at 192, 192 bytes, operators 0 to 2\n"
        "tensor 2: 1x2x2x8 at 192, 192 bytes, shared with 1, operators 1 to 2\n");
}

TEST_CASE("with all outputs kept, no tensor has the memory of another", "[runtime]") {
  const Plan planned = plan(branches(), imagined, {.keep_outputs = true});
  std::size_t end = 0;
  for (const PlanTensor& tensor : planned.tensors) {
    CHECK(tensor.shares == -1);
    CHECK(tensor.offset == end);
    end += tensor.bytes;
  }
  CHECK(planned.arena_bytes == end);
}

TEST_CASE("an output begins elsewhere in its page than what is read meanwhile", "[runtime]") {
  // Tensors of whole pages, one after the other, would all begin alike.
  NetworkBuilder b("aliasing", "test", {1, 32, 32, 64});
  int x = b.conv2d(network_input, "a", {.out_channels = 64});
  for (int i = 0; i < 12; ++i)
    x = b.add(x, b.conv2d(x, fmt::format("c{}", i), {.out_channels = 64}), fmt::format("add{}", i));
  const Plan planned = plan(b.finish(x), imagined);
  int pairs = 0;
  for (const PlanStep& step : planned.steps)
    for (const PlanOp& op : step.ops)
      for (const int output : op.outputs)
        for (const int input : op.inputs) {
          const PlanTensor& written = planned.tensors.at(static_cast<std::size_t>(output));
          const PlanTensor& read = planned.tensors.at(static_cast<std::size_t>(input));
          if (written.shares >= 0) continue;
          const std::size_t distance =
              (written.offset + aliasing_bytes - read.offset % aliasing_bytes) % aliasing_bytes;
          CHECK(distance >= 512);
          CHECK(distance <= aliasing_bytes - 512);
          ++pairs;
        }
  CHECK(pairs > 20);
}

TEST_CASE("engines are those of an operator and its activation", "[runtime]") {
  const auto engine = [](const char* line) { return engine_of(parse_op(line)); };
  CHECK(engine("conv2d 1x4x4x8->1x4x4x8 k1x1 s1 p0,0,0,0 g1 act=hardswish f32") == "xnnpack");
  CHECK(engine("conv2d 1x4x4x8->1x4x4x8 k1x1 s1 p0,0,0,0 g1 act=silu f32") == "xnnpack+eigen");
  CHECK(engine("upsample_nearest 1x4x4x4->1x8x8x4 s2 act=silu f32") == "eigen");
  CHECK(engine("upsample_nearest 1x4x4x4->1x8x8x4 s2 act=relu f32") == "xnnpack+eigen");
  CHECK(engine("batch_norm 1x4x4x8->1x4x4x8 act=relu f32") == "eigen");
  CHECK(engine("batch_norm 1x4x4x8->1x4x4x8 act=hardswish f32") == "xnnpack+eigen");
  CHECK(engine("partial_conv2d 1x6x6x16->1x6x6x16 k3x3 s1 p1,1,1,1 conv=4 form=slicing nobias "
               "f32") == "xnnpack+eigen");
  CHECK(engine("avg_pool2d 1x8x8x8->1x4x4x8 k2x2 s2 p0,0,0,0 f16") == "eigen");
}

TEST_CASE("XNNPACK runs what its version has", "[runtime]") {
  const bool since_2024 = xnnpack_version().find("git2022") == std::string::npos;
  const std::string newer = since_2024 ? "xnnpack" : "eigen";
  for (const char* line :
       {"activation 1x4x4x8->1x4x4x8 act=gelu f32", "activation 1x4x4x8->1x4x4x8 act=tanh f32",
        "activation 1x4x4x8->1x4x4x8 act=exp f32", "activation 1x4x4x8->1x4x4x8 act=log f32",
        "transpose 1x4x6x5->1x5x4x6 perm=0,3,1,2 f32"})
    CHECK(engine_of(parse_op(line)) == newer);
  for (const char* line :
       {"activation 1x4x4x8->1x4x4x8 act=gelu f16", "activation 1x4x4x8->1x4x4x8 act=mish f32",
        "matmul 1x3x4x5,1x3x5x6->1x3x4x6 f32"})
    CHECK(engine_of(parse_op(line)) == "eigen");
}

TEST_CASE("backends tell their names and versions", "[runtime]") {
  CHECK_THAT(backend_identities(),
             ContainsSubstring("XNNPACK ") && ContainsSubstring(", Eigen 3."));
}

TEST_CASE("a runtime that takes networks is given one as it was written, in a step", "[plan]") {
  Network network;
  network.name = "whole";
  network.inputs = {{{1, 4, 4, 8}}};
  network.nodes = {node("known", "constant ->1x4x4x8 f32", {}),
                   node("sum", "add 1x4x4x8,1x4x4x8->1x4x4x8 act=gelu f32", {network_input, 0}),
                   node("part", "partial_conv2d 1x4x4x8->1x4x4x8 k3x3 s1 p1,1,1,1 conv=4 f32", {1}),
                   node("to int8", "quantise 1x4x4x8:f32->1x4x4x8:qs8/0.5/0", {2}),
                   node("back", "dequantise 1x4x4x8:qs8/0.5/0->1x4x4x8:f32", {3})};
  network.outputs = {4};
  constexpr std::array<const Backend*, 1> alone{&entire};
  const Plan planned = plan(network, alone);
  REQUIRE(planned.steps.size() == 1);
  CHECK(nodes_of(planned.steps[0]) == std::vector{0, 1, 2, 3, 4});
  CHECK(planned.network == network);
  CHECK(plan(network, alone, {.one_step_per_op = true}).steps.size() == 4);
}

TEST_CASE("a runtime that takes networks is planned for alone", "[plan]") {
  constexpr std::array<const Backend*, 2> beside{&entire, &fast};
  CHECK_THROWS_WITH(plan(branches(), beside),
                    "backends: a runtime that takes networks runs all of one, got 2 backends");
}
