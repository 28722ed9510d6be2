#include "graph/network.hpp"
#include "graph/passes.hpp"

#include <nlohmann/json.hpp>
#include <string>

#include "graph/builder.hpp"
#include "graph/error.hpp"
#include "runtime/xnnpack_traits.hpp"
#include "tests/catch.hpp"

using namespace cpubone;
using nlohmann::json;

namespace {

/// A stem, a residual block and a head.
Network small_network() {
  NetworkBuilder b("small", "test", {1, 8, 8, 3});
  const int stem =
      b.conv2d(network_input, "conv",
               {.out_channels = 4, .kernel = 3, .stride = 2, .activation = Activation::hardswish});
  b.stage(1);
  const int wide = b.conv2d(stem, "expand", {.out_channels = 8, .activation = Activation::relu});
  const int narrow = b.conv2d(wide, "project", {.out_channels = 4});
  const int sum = b.add(narrow, stem, "add");
  b.head();
  const int pool = b.global_avg_pool(sum, "pool");
  return b.finish(b.linear(pool, "fc", 10));
}

json node(const char* name, const char* op, json inputs) {
  return {{"name", name}, {"op", op}, {"inputs", inputs}};
}

json hand_made() {
  return {{"schema", "cpubone/network/1"},
          {"name", "hand"},
          {"input", {1, 8, 8, 3}},
          {"nodes",
           {node("b", "activation 1x8x8x4->1x8x8x4 act=relu f32", {"a"}),
            node("a", "conv2d 1x8x8x3->1x8x8x4 k1x1 s1 p0,0,0,0 g1 f32", {"input"})}},
          {"outputs", {"b"}}};
}

}  // namespace

TEST_CASE("counts of a network are the sums over its nodes", "[space]") {
  const Network net = small_network();
  CHECK(macs(net) == 4 * 4 * 4 * 27 + 16 * 8 * 4 + 16 * 4 * 8 + 40);
  CHECK(params(net) == (108 + 4) + (32 + 8) + (32 + 4) + 50);
  CHECK(weight_bytes(net) == 4 * params(net));
}

TEST_CASE("peak activation memory is the largest sum of living tensors", "[space]") {
  // While the projection runs: stem (kept for the addition), expansion and projection.
  CHECK(peak_activation_bytes(small_network()) ==
        4 * (16 * 4 + 16 * 8 + 8 * 8 * 3 - 8 * 8 * 3 + 16 * 4));
}

TEST_CASE("what nobody reads needs memory only where it is written", "[space]") {
  NetworkBuilder b("dead end", "test", {1, 4, 4, 8});
  const int x = b.conv2d(network_input, "a", {.out_channels = 8});
  b.conv2d(x, "unread", {.out_channels = 64});
  Network net = b.finish(b.conv2d(x, "b", {.out_channels = 8}));
  CHECK(peak_activation_bytes(net) == 4 * 16 * (8 + 64));
  net.outputs = {1, 2};
  CHECK(peak_activation_bytes(net) == 4 * 16 * (8 + 64 + 8));
}

TEST_CASE("a file's nodes are put in order with the earliest that is ready first", "[space]") {
  json nodes = json::array();
  const auto node = [](const std::string& name, const std::string& input) {
    return json{{"name", name},
                {"stage", "stem"},
                {"op", "activation 1x1x1x8->1x1x1x8 act=relu f32"},
                {"inputs", {input}}};
  };
  // Backwards, which takes a pass a node where passes place what became possible.
  constexpr int count = 20'000;
  for (int i = count; i > 0; --i)
    nodes.push_back(node(std::to_string(i), i == 1 ? "input" : std::to_string(i - 1)));
  nodes.push_back(node("aside", "1"));
  const json file = {{"schema", "cpubone/network/1"},
                     {"name", "chain"},
                     {"input", {1, 1, 1, 8}},
                     {"nodes", nodes},
                     {"outputs", {std::to_string(count)}}};
  const Network net = network_from_json(file);
  CHECK(net.nodes.front().name == "1");
  CHECK(net.nodes[1].name == "2");
  CHECK(net.nodes.back().name == "aside");
  CHECK(peak_activation_bytes(net) == 4 * 8 * 3);
}

TEST_CASE("activations that convolutions cannot apply become nodes", "[space]") {
  const Network net = lowered(small_network());
  REQUIRE(net.nodes.size() == 7);
  CHECK(net.nodes[0].op.activation == Activation::none);
  CHECK(net.nodes[1].name == "stem.conv.hardswish");
  CHECK(text(net.nodes[1].op) == "activation 1x4x4x4->1x4x4x4 act=hardswish f32");
  CHECK(net.nodes[2].op.activation == Activation::relu);
  CHECK(net.nodes[2].inputs == std::vector<Edge>{1});
  CHECK(net.nodes[4].inputs == std::vector<Edge>{3, 1});
  CHECK(net.outputs == std::vector<Edge>{6});
  CHECK_NOTHROW(check(net));
  CHECK(macs(net) == macs(small_network()));
  CHECK(lowered(net) == net);
}

TEST_CASE("a norm's ReLU becomes a node, a convolution's does not", "[space]") {
  NetworkBuilder b("relu", "test", {1, 4, 4, 8});
  int x = b.conv2d(network_input, "conv", {.out_channels = 8, .activation = Activation::relu6});
  x = b.layer_norm(x, "norm", Activation::relu);
  const Network net = lowered(b.finish(x));
  REQUIRE(net.nodes.size() == 3);
  CHECK(net.nodes[0].op.activation == Activation::relu6);
  CHECK(net.nodes[2].name == "stem.norm.relu");
}

TEST_CASE("the feature network ends with the last stage", "[space]") {
  const Network net = feature_network(small_network());
  CHECK(net.nodes.size() == 4);
  CHECK(net.outputs == std::vector<Edge>{3});
  Network headless = small_network();
  headless.features.clear();
  CHECK_THROWS_WITH(feature_network(headless), ContainsSubstring("has no feature maps"));
  const NetworkForm form{.height = 64, .width = 32, .features = true};
  CHECK(in_form(small_network(), form) ==
        feature_network(with_resolution(small_network(), 64, 32)));
  CHECK(in_form(small_network(), {}) == small_network());
  CHECK(text(form) == "64x32 pixels, without heads");
  CHECK(text(NetworkForm{.features = true}) == "without heads");
  CHECK(text(NetworkForm{}).empty());
}

TEST_CASE("another resolution changes shapes and MACs but no parameter", "[space]") {
  const Network net = with_resolution(small_network(), 16, 32);
  CHECK(net.nodes[0].op.output() == Shape{1, 8, 16, 4});
  CHECK(params(net) == params(small_network()));
  CHECK_THROWS_WITH(with_resolution(small_network(), 0, 8),
                    ContainsSubstring("dimensions must be in"));
}

TEST_CASE("network JSON reads back as the same network", "[space]") {
  const Network net = small_network();
  CHECK(network_from_json(to_json(net)) == net);
  CHECK(to_json(network_from_json(to_json(net))).dump() == to_json(net).dump());
}

TEST_CASE("a hand-made network may list nodes in any order", "[space]") {
  const Network net = network_from_json(hand_made());
  CHECK(net.nodes[0].name == "a");
  CHECK(net.outputs == std::vector<Edge>{1});
}

TEST_CASE("a wrong network file is refused with the place", "[space]") {
  const auto refuses = [](const json& file, const char* message) {
    CHECK_THROWS_WITH(network_from_json(file), ContainsSubstring(message));
  };
  json file = hand_made();
  file["colour"] = 1;
  refuses(file, "network#: unknown key \"colour\"");
  file = hand_made();
  file["schema"] = "cpubone/network/2";
  refuses(file, "network#/schema: expected \"cpubone/network/1\", got \"cpubone/network/2\"");
  file = hand_made();
  file.erase("nodes");
  refuses(file, "missing key \"nodes\"");
  file = hand_made();
  file["input"] = {1, 8, 8, -3};
  refuses(file, "network#/input/3: expected a whole number in 1..65536, got -3");
  file = hand_made();
  file["nodes"][1]["inputs"] = {"b"};
  file["nodes"][1]["op"] = "conv2d 1x8x8x4->1x8x8x4 k1x1 s1 p0,0,0,0 g1 f32";
  refuses(file, "node \"b\" is on or behind a cycle");
  file = hand_made();
  file["nodes"][0]["inputs"] = {"c"};
  refuses(file, "node \"b\" reads \"c\", but no node has that name");
  file = hand_made();
  file["nodes"][0]["op"] = "activation 1x8x8x5->1x8x8x5 act=relu f32";
  refuses(file, "input 0 must be 1x8x8x5, got 1x8x8x4 from \"a\"");
  file = hand_made();
  file["nodes"][0]["op"] = "fft 1x8x8x4->1x8x8x4";
  refuses(file, "network#/nodes/0/op: node \"b\": op \"fft");
  file = hand_made();
  file["nodes"][1]["name"] = "b";
  refuses(file, "a name that no other node has");
  file = hand_made();
  file["outputs"] = {"z"};
  refuses(file, "network#/outputs/0: expected the name of a node, got \"z\"");
}

namespace {

/// Two inputs, a node of two outputs of which both are read, and two outputs.
Network many() {
  Network net;
  net.name = "many";
  net.inputs = {{{1, 4, 4, 6}}, {{1, 1, 1, 2}}};
  net.nodes = {{"cut", "", parse_op("split 1x4x4x6->1x4x4x4,1x4x4x2 f32"), {network_input}},
               {"scale",
                "",
                parse_op("mul 1x4x4x2,1x1x1x2->1x4x4x2 f32"),
                {Edge(0, 1), Edge(network_input, 1)}},
               {"act", "", parse_op("activation 1x4x4x4->1x4x4x4 act=relu f32"), {0}}};
  net.outputs = {2, 1};
  return net;
}

}  // namespace

TEST_CASE("networks of several inputs and outputs survive their JSON", "[graph]") {
  const Network net = many();
  CHECK_NOTHROW(check(net));
  const json file = to_json(net);
  CHECK(file["nodes"][1]["inputs"].dump() == R"(["cut:1","input:1"])");
  CHECK(file["inputs"].dump() == "[[1,4,4,6],[1,1,1,2]]");
  CHECK(network_from_json(file) == net);
}

TEST_CASE("an edge to an output that a node lacks is refused", "[graph]") {
  Network net = many();
  net.nodes[1].inputs[0] = Edge(0, 2);
  CHECK_THROWS_WITH(check(net), ContainsSubstring("node \"scale\": input 0 must be an earlier "
                                                  "node, got output 2 of node 0"));
  net = many();
  net.nodes[1].inputs[1] = Edge(network_input, 2);
  CHECK_THROWS_WITH(check(net), ContainsSubstring("got output 2 of node -1"));
  json file = to_json(many());
  file["nodes"][1]["inputs"][0] = std::string("cut:7");
  CHECK_THROWS_WITH(network_from_json(file), ContainsSubstring("got output 7 of node 0"));
  file["nodes"][1]["inputs"][0] = std::string("cut:x");
  CHECK_THROWS_WITH(network_from_json(file),
                    ContainsSubstring("reads \"cut:x\", but no node has that name"));
}

TEST_CASE("a pass keeps which output of a node is read", "[graph]") {
  Network net = many();
  net.nodes[1].op.activation = Activation::gelu;
  const Network split = lowered(net);
  REQUIRE(split.nodes.size() == 4);
  CHECK(split.nodes[1].inputs == std::vector<Edge>{Edge(0, 1), Edge(network_input, 1)});
  CHECK(split.outputs == std::vector<Edge>{3, 2});
}

TEST_CASE("the backbone is what features depend on, whatever its stages are called", "[graph]") {
  Network net = small_network();
  CHECK(net.features == std::vector<Edge>{3});
  for (Node& node : net.nodes) node.stage.clear();
  CHECK(backbone(net) == std::vector<bool>{true, true, true, true, false, false});
  CHECK(feature_network(net).nodes.size() == 4);
  CHECK(network_from_json(to_json(net)).features == net.features);
  net.features.clear();
  CHECK(backbone(net) == std::vector<bool>(6, true));
}

TEST_CASE("types of a network's inputs come from the operators that read them", "[graph]") {
  const Network half = with_dtype(small_network(), DType::f16);
  CHECK(half.inputs[0].dtype == DType::f16);
  CHECK(network_from_json(to_json(half)) == half);
  CHECK(2 * peak_activation_bytes(half) == peak_activation_bytes(small_network()));
}
