#include "graph/quantise.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "graph/builder.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

/// Everything but softmax and normalisations.
bool runs_most(const Op& op) {
  return op.kind != OpKind::softmax && !is_norm(op.kind);
}

/// A calibration in which every tensor has one range.
Calibration all(const Network& network, ValueRange range) {
  Calibration calibration;
  calibration.inputs.assign(network.inputs.size(), range);
  for (const Node& node : network.nodes)
    calibration.nodes.emplace_back(node.op.outputs.size(), range);
  return calibration;
}

std::vector<std::string> names(const Network& network) {
  std::vector<std::string> all;
  for (const Node& node : network.nodes) all.push_back(node.name);
  return all;
}

const Op& op_of(const Network& network, const std::string& name) {
  for (const Node& node : network.nodes)
    if (node.name == name) return node.op;
  throw std::invalid_argument(name);
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("a range becomes 256 steps that hold zero exactly", "[quantise]") {
  const auto is = [](ValueRange range, float scale, int zero_point) {
    const Quantisation q = quantisation_of(range);
    CHECK(q.scale == Approx(scale));
    CHECK(q.zero_point == zero_point);
  };
  is({0, 2.55F}, 0.01F, -128);
  is({-1.28F, 1.27F}, 0.01F, 0);
  is({-2.55F, 0}, 0.01F, 127);
  is({1, 2.55F}, 0.01F, -128);   // widened to 0
  is({-2.55F, -1}, 0.01F, 127);  // the same below
  is({-0.5F, 2.05F}, 0.01F, -78);
  is({-0.504F, 2.046F}, 0.01F, -78);  // -77.6 is no step: the range moves by less than half of one
  is({0, 0}, 1, 0);
}

TEST_CASE("a range that is none is refused", "[quantise]") {
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK_THROWS_WITH(quantisation_of(ValueRange{1, -1}), ContainsSubstring("got 1 to -1"));
  CHECK_THROWS_AS(quantisation_of(ValueRange{0, infinity}), std::invalid_argument);
  CHECK_THROWS_AS(quantisation_of(ValueRange{std::nanf(""), 1}), std::invalid_argument);
}

TEST_CASE("int8 begins and ends with conversions, and inputs and outputs stay f32", "[quantise]") {
  NetworkBuilder b("net", "test", {1, 4, 4, 3});
  int x = b.conv2d(network_input, "conv", {.out_channels = 8});
  x = b.global_avg_pool(x, "pool");
  const Network network = b.finish(b.linear(x, "fc", 10));
  const QuantisedNetwork q = quantise(network, all(network, {-1.28F, 1.27F}), runs_most);
  CHECK(q.floats.empty());
  CHECK(is_quantised(q.network));
  CHECK_FALSE(is_quantised(network));
  CHECK(names(q.network) ==
        Names{"input0.quantise", "stem.conv", "stem.pool", "stem.fc", "stem.fc.dequantise"});
  CHECK(q.network.inputs == network.inputs);
  CHECK(tensor(q.network, q.network.outputs[0]) == tensor(network, network.outputs[0]));
  CHECK(text(op_of(q.network, "stem.pool")) ==
        "global_avg_pool 1x4x4x8:qs8/0.01/0->1x1x1x8:qs8/0.01/0");
  CHECK(macs(q.network) == macs(network));
}

TEST_CASE("what has no int8 kernel is an island of f32, with a reason", "[quantise]") {
  NetworkBuilder b("net", "test", {1, 4, 4, 3});
  int x = b.conv2d(network_input, "conv", {.out_channels = 8});
  x = b.group_norm(x, "norm");
  x = b.activation(x, "act", Activation::relu);
  const Network network = b.finish(b.conv2d(x, "conv2", {.out_channels = 8}));
  const QuantisedNetwork q = quantise(network, all(network, {-1, 1}), runs_most);
  CHECK(q.floats == std::vector<FloatOperator>{{"stem.norm", "group_norm has no int8 kernel here"},
                                               {"stem.act", "all that it reads is f32"}});
  CHECK(names(q.network) == Names{"input0.quantise", "stem.conv", "stem.conv.dequantise",
                                  "stem.norm", "stem.act", "stem.act.quantise", "stem.conv2",
                                  "stem.conv2.dequantise"});
  CHECK(op_of(q.network, "stem.norm") == network.nodes[1].op);
}

TEST_CASE("scales that a kernel does not take are a reason to stay in f32", "[quantise]") {
  NetworkBuilder b("net", "test", {1, 4, 4, 8});
  const int x = b.conv2d(network_input, "conv", {.out_channels = 8});
  const Network network = b.finish(b.add(x, x, "add"));
  Calibration calibration = all(network, {-1, 1});
  calibration.nodes[1][0] = {-1000, 1000};
  const QuantisedNetwork q = quantise(network, calibration, [](const Op& op) {
    return quantisation_of(op.outputs[0]).scale < 100 * quantisation_of(op.inputs[0]).scale;
  });
  CHECK(q.floats ==
        std::vector<FloatOperator>{{"stem.add",
                                    "scales of its tensors differ by more than its int8 kernel "
                                    "allows"}});
}

TEST_CASE("operators that move values have one scale for all tensors", "[quantise]") {
  NetworkBuilder b("net", "test", {1, 4, 4, 3});
  const int left = b.conv2d(network_input, "left", {.out_channels = 8});
  const int right = b.conv2d(network_input, "right", {.out_channels = 8});
  const int joined = b.concat(std::array{left, right}, "concat");
  const Network network = b.finish(b.conv2d(joined, "conv", {.out_channels = 8}));
  Calibration calibration = all(network, {0, 2.55F});
  calibration.nodes[1][0] = {-1.275F, 1.275F};
  const QuantisedNetwork q = quantise(network, calibration, runs_most);
  const Op& concat = op_of(q.network, "stem.concat");
  const Quantisation of_both = quantisation_of(ValueRange{-1.275F, 2.55F});
  for (const Tensor& tensor : {concat.inputs[0], concat.inputs[1], concat.outputs[0]})
    CHECK(tensor.quantisation == of_both);
  CHECK(op_of(q.network, "stem.left").outputs[0].quantisation == of_both);
  CHECK(op_of(q.network, "stem.conv").outputs[0].quantisation ==
        quantisation_of(ValueRange{0, 2.55F}));
}

TEST_CASE("a tensor is converted once for all that read it", "[quantise]") {
  NetworkBuilder b("net", "test", {1, 4, 4, 8});
  const int x = b.conv2d(network_input, "conv", {.out_channels = 8});
  const int first = b.group_norm(x, "norm");
  const int second = b.layer_norm(x, "norm2");
  const Network network = b.finish(b.add(first, second, "add"));
  const QuantisedNetwork q = quantise(network, all(network, {-1, 1}), runs_most);
  CHECK(names(q.network) == Names{"input0.quantise", "stem.conv", "stem.conv.dequantise",
                                  "stem.norm", "stem.norm2", "stem.add"});
}

TEST_CASE("only f32 networks with their own calibration can be quantised", "[quantise]") {
  NetworkBuilder b("net", "test", {1, 4, 4, 3});
  const Network network = b.finish(b.conv2d(network_input, "conv", {.out_channels = 8}));
  const QuantisedNetwork q = quantise(network, all(network, {-1, 1}), runs_most);
  CHECK_THROWS_WITH(quantise(q.network, all(q.network, {-1, 1}), runs_most),
                    ContainsSubstring("node \"input0.quantise\" is qs8, only f32"));
  CHECK_THROWS_WITH(quantise(network, {{{-1, 1}}, {}}, runs_most),
                    ContainsSubstring("has 2 tensors, the calibration is of 1"));
}
