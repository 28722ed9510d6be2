#include "graph/onnx/onnx.hpp"

#include <cmath>
#include <set>
#include <string>

#include "graph/builder.hpp"
#include "graph/onnx/graph_writer.hpp"
#include "graph/reparameterise.hpp"
#include "runtime/calibration.hpp"
#include "space/zoo.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

/// Where two networks differ first, or nothing.
std::string difference(const Network& got, const Network& expected) {
  for (std::size_t i = 0; i < std::min(got.nodes.size(), expected.nodes.size()); ++i) {
    const Node& a = got.nodes[i];
    const Node& b = expected.nodes[i];
    if (a != b)
      return fmt::format("node {}: {} {} {}, expected {} {} {}", i, a.name, a.stage, text(a.op),
                         b.name, b.stage, text(b.op));
  }
  if (got.nodes.size() != expected.nodes.size())
    return fmt::format("{} nodes, expected {}", got.nodes.size(), expected.nodes.size());
  return got == expected ? "" : "name, family, inputs, outputs or features";
}

Model exported_and_imported(const Network& network) {
  OnnxImport import = import_onnx(to_onnx(network, random_parameters()), network.name);
  for (const UnsupportedNode& node : import.unsupported)
    FAIL(node.type + " " + node.name + ": " + node.reason);
  return std::move(import.model);
}

}  // namespace

TEST_CASE("every published network comes back from ONNX as it was", "[onnx][zoo]") {
  for (const ZooEntry& entry : zoo()) {
    CAPTURE(entry.name);
    const Network network = entry.build();
    const Model back = exported_and_imported(network);
    CHECK(difference(back.network, network) == "");
  }
}

TEST_CASE("each node of an exported model has a name of its own, as ONNX Runtime wants",
          "[onnx][zoo]") {
  for (const ZooEntry& entry : zoo()) {
    CAPTURE(entry.name);
    onnx::proto::ModelProto model;
    REQUIRE(model.ParseFromString(to_onnx(entry.build(), random_parameters())));
    std::set<std::string> names;
    for (const auto& node : model.graph().node()) {
      CAPTURE(node.name());
      CHECK(names.insert(node.name()).second);
    }
  }
}

TEST_CASE("parameters come back from ONNX bit for bit", "[onnx]") {
  for (const char* name : {"cpubone-nano", "shufflenetv2-x1-0", "fasternet-t0"}) {
    CAPTURE(name);
    const Network network = find_network(name);
    const Model back = exported_and_imported(network);
    const ParameterSource source = random_parameters();
    for (const Node& node : network.nodes)
      if (params(node.op) > 0) CHECK(back.parameters.at(node.name) == source(node));
  }
}

TEST_CASE("an RMS norm comes back from ONNX as it was", "[onnx]") {
  NetworkBuilder b("norms", "test", {1, 6, 5, 8});
  int x = b.rms_norm(network_input, "first", Activation::gelu);
  x = b.conv2d(x, "conv", {.out_channels = 12, .kernel = 3});
  x = b.rms_norm(x, "norm");
  const Network network =
      b.finish(b.linear(b.rms_norm(b.global_avg_pool(x, "pool"), "last"), "fc", 10));
  const Model back = exported_and_imported(network);
  CHECK(difference(back.network, network) == "");
  for (const Node& node : network.nodes)
    if (is_norm(node.op.kind)) CHECK(back.parameters.at(node.name) == random_parameters()(node));
}

TEST_CASE("attention in windows and its bias come back from ONNX as they were", "[onnx]") {
  NetworkBuilder b("windows", "test", {1, 4, 4, 24});
  Network network = b.finish(b.attention(b.linear(network_input, "qkv", 24), "attention", 2));
  const int windows = GENERATE(1, 4);
  const int matrices = GENERATE(1, 2, 8);
  if (matrices > 2 * windows) return;
  CAPTURE(windows, matrices);
  Node bias;
  bias.name = network.nodes[1].name + "/bias";
  bias.op = parse_op(fmt::format("constant ->1x{0}x{1}x{1} f32", matrices, 16 / windows));
  Node& attention = network.nodes[1];
  attention.op.windows = windows;
  attention.op.inputs.push_back(bias.op.outputs[0]);
  attention.inputs.push_back(1);
  network.nodes.insert(network.nodes.begin() + 1, bias);
  network.nodes[2].inputs[1] = 1;
  network.outputs = {2};
  const Model back = exported_and_imported(network);
  CHECK(difference(back.network, network) == "");
  for (const Node& node : network.nodes)
    if (params(node.op) > 0) CHECK(back.parameters.at(node.name) == random_parameters()(node));
}

TEST_CASE("a network in int8 comes back from ONNX as it was", "[onnx]") {
  const auto pool = std::make_shared<const ThreadPool>(1);
  for (const char* name :
       {"cpubone-nano", "mobilenetv3-large-100", "shufflenetv2-x1-0", "fasternet-t0"}) {
    CAPTURE(name);
    const Network f32 = find_network(name);
    const Network network = quantise(f32, random_parameters(), random_images(f32, 1), pool).network;
    const Model back = exported_and_imported(network);
    CHECK(difference(back.network, network) == "");
    // Weights are what their steps stand for, and so are the same from then on.
    const OnnxImport again = import_onnx(to_onnx(back.network, parameters_of(back)), network.name);
    CHECK(difference(again.model.network, network) == "");
  }
}

TEST_CASE("dynamic layers come back from ONNX as they were", "[onnx][int8]") {
  Network network;
  network.name = "dynamic";
  network.nodes = {{"norm", "", parse_op("layer_norm 1x2x7x192->1x2x7x192"), {network_input}},
                   {"qkv", "", parse_op("linear 1x2x7x192->1x2x7x48 dynamic act=relu"), {0}},
                   {"row", "", parse_op("linear 1x2x7x48->1x2x7x9 dynamic nobias"), {1}},
                   {"end", "", parse_op("softmax 1x2x7x9->1x2x7x9"), {2}}};
  network.inputs = network.nodes[0].op.inputs;
  network.outputs = {3};
  const Model back = exported_and_imported(network);
  CHECK(difference(back.network, network) == "");
  const OnnxImport again = import_onnx(to_onnx(back.network, parameters_of(back)), network.name);
  CHECK(difference(again.model.network, network) == "");
  CHECK(again.model.parameters == back.parameters);
  // In steps that 127 are the largest weight of, of each channel.
  const std::vector<float> weight = random_parameters()(network.nodes[1]).weight;
  const std::vector<float> scales = weight_scales(network.nodes[1].op, {weight, {}, {}, {}});
  for (std::size_t i = 0; i < weight.size(); ++i)
    CHECK(back.parameters.at("qkv").weight[i] ==
          std::round(weight[i] / scales[i / 192]) * scales[i / 192]);
}
