#include "graph/quantise.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "graph/builder.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

/// Everything but softmax, attention and normalisations; no dynamic layers.
bool runs_most(const Op& op) {
  return !op.dynamic && op.kind != OpKind::softmax && op.kind != OpKind::attention &&
         !is_norm(op.kind);
}

bool runs_dynamic_ones_too(const Op& op) {
  return op.dynamic || runs_most(op);
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

Names dynamic_layers(const Network& network) {
  Calibration calibration = all(network, {-1, 1});
  Names layers;
  for (const Node& node : quantise(network, calibration, runs_dynamic_ones_too).network.nodes)
    if (node.op.dynamic) layers.push_back(node.name);
  return layers;
}

/// Nodes in a row, the first of which reads the input.
Network chain(std::initializer_list<const char*> ops) {
  Network network;
  network.name = "chain";
  for (const char* op : ops) {
    const int last = static_cast<int>(network.nodes.size()) - 1;
    network.nodes.push_back({fmt::format("n{}", last + 1),
                             "",
                             parse_op(op),
                             {last < 0 ? Edge(network_input, 0) : Edge(last)}});
  }
  network.inputs = network.nodes.front().op.inputs;
  network.outputs = {static_cast<int>(network.nodes.size()) - 1};
  return network;
}

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

TEST_CASE("a wide linear layer between floats becomes dynamic where it runs so", "[quantise]") {
  NetworkBuilder b("net", "test", {1, 14, 14, 16});
  const int x = b.conv2d(network_input, "patches", {.out_channels = 192});
  const int norm = b.layer_norm(x, "norm");
  const int mixed = b.attention(b.linear(norm, "qkv", 576), "attention", 3);
  const Network network = b.finish(b.add(x, b.linear(mixed, "projection", 192), "add"));
  const QuantisedNetwork q = quantise(network, all(network, {-1, 1}), runs_dynamic_ones_too);
  CHECK(names(q.network) == Names{"input0.quantise", "stem.patches", "stem.patches.dequantise",
                                  "stem.norm", "stem.qkv", "stem.attention",
                                  "stem.attention.quantise", "stem.projection", "stem.add",
                                  "stem.add.dequantise"});
  CHECK(text(op_of(q.network, "stem.qkv")) == "linear 1x14x14x192->1x14x14x576 dynamic f32");
  CHECK(op_of(q.network, "stem.projection").dtype() == DType::qs8);
  CHECK(q.floats ==
        std::vector<FloatOperator>{{"stem.norm", "layer_norm has no int8 kernel here"},
                                   {"stem.attention", "attention has no int8 kernel here"}});
  CHECK(op_of(quantise(network, all(network, {-1, 1}), runs_most).network, "stem.qkv").dtype() ==
        DType::qs8);
  CHECK_THROWS_WITH(quantise(q.network, all(q.network, {-1, 1}), runs_most),
                    ContainsSubstring("node \"input0.quantise\" is qs8, only f32"));
}

TEST_CASE("a linear layer becomes dynamic only where that takes less time", "[quantise]") {
  const auto between_norms = [](const char* norm, const char* linear, const char* end) {
    return dynamic_layers(chain({norm, linear, end})).size();
  };
  CHECK(between_norms("layer_norm 1x9x9x192->1x9x9x192", "linear 1x9x9x192->1x9x9x576",
                      "layer_norm 1x9x9x576->1x9x9x576") == 1);
  CHECK(between_norms("layer_norm 1x9x9x191->1x9x9x191", "linear 1x9x9x191->1x9x9x576",
                      "layer_norm 1x9x9x576->1x9x9x576") == 0);
  CHECK(between_norms("layer_norm 1x9x9x192->1x9x9x192", "linear 1x9x9x192->1x9x9x575",
                      "layer_norm 1x9x9x575->1x9x9x575") == 0);
  CHECK(between_norms("layer_norm 1x1x1x192->1x1x1x192", "linear 1x1x1x192->1x1x1x192",
                      "layer_norm 1x1x1x192->1x1x1x192") == 1);
  CHECK(between_norms("layer_norm 1x1x1x192->1x1x1x192", "linear 1x1x1x192->1x1x1x191",
                      "layer_norm 1x1x1x191->1x1x1x191") == 0);
}

TEST_CASE("a linear layer is dynamic only where all that read it stay f32", "[quantise]") {
  const char* norm = "layer_norm 1x1x1x192->1x1x1x192";
  const char* linear = "linear 1x1x1x192->1x1x1x192";
  const char* gelu = "activation 1x1x1x192->1x1x1x192 act=gelu";
  const char* view = "reshape 1x1x1x192->1x1x1x192";
  const char* softmax = "softmax 1x1x1x192->1x1x1x192";
  const char* conv = "conv2d 1x1x1x192->1x1x1x8 k1x1 s1 p0,0,0,0 g1";
  CHECK(dynamic_layers(chain({norm, linear})) == Names{"n1"});  // outputs of networks are f32
  CHECK(dynamic_layers(chain({norm, linear, view, softmax})) == Names{"n1"});
  CHECK(dynamic_layers(chain({norm, linear, view, conv})).empty());
  CHECK(dynamic_layers(chain({norm, linear, gelu, linear})).empty());  // an MLP
  CHECK(dynamic_layers(chain({linear, norm})) == Names{"n0"});         // reads the input
  CHECK(dynamic_layers(chain({linear, linear, norm})).empty());
  Network forked = chain({norm, linear, view, softmax});
  forked.nodes.push_back({"fork", "", parse_op(conv), {2}});
  forked.outputs.emplace_back(4);
  CHECK(dynamic_layers(forked).empty());
  // What another layer reads in int8 anyway costs no conversion.
  Network shared = chain({norm, linear, linear, norm});
  shared.nodes.push_back({"second", "", parse_op(linear), {0}});
  shared.outputs.emplace_back(4);
  CHECK(dynamic_layers(shared).empty());
}

TEST_CASE("sums of what a linear layer gives are f32 only if all that they add is", "[quantise]") {
  const char* norm = "layer_norm 1x1x1x192->1x1x1x192";
  const char* linear = "linear 1x1x1x192->1x1x1x192";
  Network network = chain({norm, linear});
  const auto add = [&](const Edge& other) {
    Network whole = network;
    const int sum = static_cast<int>(whole.nodes.size());
    whole.nodes.push_back({"sum", "", parse_op("add 1x1x1x192,1x1x1x192->1x1x1x192"), {1, other}});
    whole.nodes.push_back({"end", "", parse_op(norm), {sum}});
    whole.outputs = {sum + 1};
    return dynamic_layers(whole);
  };
  CHECK(add(0) == Names{"n1"});
  CHECK(add(Edge(network_input, 0)).empty());  // has to be converted anyway
  network.nodes.push_back({"bias", "", parse_op("constant ->1x1x1x192"), {}});
  CHECK(add(2) == Names{"n1"});
  network.nodes[2] = {"mlp", "", parse_op("linear 1x1x1x192->1x1x1x192"), {0}};
  CHECK(add(2).empty());
}

TEST_CASE("weights of a dynamic layer have steps of their own, biases none", "[quantise]") {
  const Op op = parse_op("linear 1x1x1x2->1x1x1x3 dynamic");
  const std::vector<float> scales =
      weight_scales(op, {{1.27F, -0.5F, 0, 0, 1e-9F, -2.54e-9F}, {1e9F, 1e9F, 1e9F}, {}, {}});
  CHECK(scales[0] == Approx(0.01F));
  CHECK(scales[1] == std::numeric_limits<float>::min());
  CHECK(scales[2] == Approx(2e-11F));
  // A byte a weight, four a bias, and as many a scale.
  CHECK(weight_bytes(op) == 6 + 3 * 4 + 3 * 4);
  CHECK(input_bytes(op) == 8);
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
