#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "runtime/xnnpack_traits.hpp"
#include "space/zoo.hpp"
#include "tests/catch.hpp"
#include "tests/golden.hpp"
#include "tests/golden_fill.hpp"

using namespace cpubone;
using golden::Golden;
using golden::Layer;

namespace {

/// What a golden layer says about an operator, in the words of its canonical line.
std::string line(const std::string& kind, const Op& op) {
  return fmt::format("{} {}x{}x{} k{}x{} s{} p{},{},{},{} g{} heads={} begin={} conv={} {}", kind,
                     op.output().h, op.output().w, op.output().c, op.kernel_h, op.kernel_w,
                     op.stride_h, op.padding.top, op.padding.bottom, op.padding.left,
                     op.padding.right, op.groups, op.heads, op.begin, op.conv_channels,
                     name(op.activation));
}

std::string line(const Layer& layer, const Op& like) {
  Op op;
  op.outputs = {{layer.output}};
  op.kernel_h = layer.kernel_h;
  op.kernel_w = layer.kernel_w;
  op.stride_h = layer.windowed ? layer.stride : like.stride_h;
  op.padding = layer.padding;
  op.groups = layer.groups;
  op.heads = layer.heads;
  op.begin = layer.begin;
  op.conv_channels = layer.conv_channels;
  op.activation = layer.activation;
  return line(layer.kind, op);
}

/// Compares node by node; names the first node that differs.
void check_against_golden(const Network& network) {
  const Golden g = golden::load(network.name);
  INFO(network.name << ", " << g.source);
  CHECK(network.inputs == std::vector<Tensor>{{g.input}});
  CHECK(params(network) == g.params);
  CHECK(macs(network) == g.macs);

  const Network executed = lowered(network);
  const auto matches = golden::match(executed, g);
  std::map<int, int> node_of_layer{{-1, network_input}};
  int parameters = -1;
  for (std::size_t i = 0; i < matches.size(); ++i) {
    const Node& node = executed.nodes[i];
    const Layer& layer = g.layers[static_cast<std::size_t>(matches[i].layer)];
    INFO(node.name << " against layer " << matches[i].layer);
    // After the split, an activation that became a node is on the layer, not on its producer.
    Op op = node.op;
    if (op.activation == Activation::none) op.activation = layer.activation;
    REQUIRE(line(golden::kind_of(op), op) == line(layer, op));
    REQUIRE(params(node.op) == layer.params);
    REQUIRE(macs(node.op) == layer.macs);
    std::vector<int> inputs;
    for (const int input : layer.inputs) inputs.push_back(node_of_layer.at(input));
    // Sums and products commute; references differ in which operand comes first.
    std::vector<int> got;
    for (const Edge& input : node.inputs) got.push_back(input.node);
    if (node.op.kind == OpKind::add || node.op.kind == OpKind::mul) {
      std::sort(got.begin(), got.end());
      std::sort(inputs.begin(), inputs.end());
    }
    REQUIRE(got == inputs);
    node_of_layer[matches[i].output] = static_cast<int>(i);
    for (const int t : {layer.weight_t, layer.bias_t})
      if (t >= 0) REQUIRE(t == ++parameters);
  }
}

}  // namespace

TEST_CASE("every network with golden facts equals them layer by layer", "[golden]") {
  int compared = 0;
  for (const ZooEntry& entry : zoo()) {
    if (!std::filesystem::exists(golden::folder() / (entry.name + ".json"))) continue;
    check_against_golden(entry.build());
    ++compared;
  }
  CHECK(compared == 30);
}

TEST_CASE("every golden file belongs to a network", "[golden]") {
  for (const auto& file : std::filesystem::directory_iterator(golden::folder()))
    if (file.path().extension() == ".json")
      CHECK_FALSE(zoo_name(file.path().stem().string()).empty());
}

TEST_CASE("train forms have their references' parameters and MACs", "[golden]") {
  int compared = 0;
  for (const ZooEntry& entry : zoo()) {
    if (!entry.train_form || !std::filesystem::exists(golden::folder() / (entry.name + ".json")))
      continue;
    INFO(entry.name);
    const Network train = entry.train_form();
    CHECK(params(train) == golden::load(entry.name).params_train_form);
    if (entry.family != "MobileOne") CHECK(macs(train) == golden::load(entry.name).macs);
    ++compared;
  }
  CHECK(compared == 7 + 4 + 4);
}

TEST_CASE("tensors of the train forms add up to the published parameters", "[golden]") {
  for (const char* name : {"cpubone-nano", "cpubone-s0", "cpubone-b0"}) {
    INFO(name);
    const golden::TrainForm form = golden::load_train_form(name);
    std::int64_t parameters = 0;
    for (const golden::Tensor& tensor : form.state_dict) {
      std::int64_t size = 1;
      for (const int extent : tensor.shape) size *= extent;
      if (tensor.kind != "mean" && tensor.kind != "var") parameters += size;
    }
    CHECK(parameters == golden::load(name).params_train_form);
    CHECK(form.all_logits.size() == 1000);
    CHECK(form.all_logits[15] == Approx(form.logits.first16[15]));
    CHECK_FALSE(form.intermediates.empty());
  }
}

TEST_CASE("a network that differs from its golden facts is named with the node", "[golden]") {
  const Golden b0 = golden::load("cpubone-b0");
  CHECK_THROWS_WITH(golden::match(lowered(find_network("b1")), b0),
                    "cpubone-b1, node stage3.4.attention.norm: got group_norm, golden has conv2d "
                    "as layer 59");
}

TEST_CASE("the golden fill formula gives the reference's first values", "[golden]") {
  // First values of the input image and of the first weight of CPUBone-Nano, as PyTorch had them.
  CHECK(golden::input(0) == 0.4999208450317383F);
  CHECK(golden::input(1) == -0.17214548587799072F);
  CHECK(golden::weight(0, 0, 3, 27) == -0.32815659046173096F);
  CHECK(golden::weight(0, 3, 3, 27) == -0.2928513288497925F);
  CHECK(golden::gamma(1, 0) == 0.7597108483314514F);
  CHECK(golden::bias(2, 0) == -0.08785365521907806F);
}
