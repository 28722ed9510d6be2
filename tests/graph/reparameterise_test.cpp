#include "graph/reparameterise.hpp"

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "graph/builder.hpp"
#include "graph/error.hpp"
#include "space/zoo.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

using Values = std::vector<float>;

ParameterSource given(std::map<std::string, Parameters> parameters) {
  return parameters_of({Network{}, std::move(parameters)});
}

/// Variance that, with eps, has the root 2.
constexpr float four = 4.0F - 1e-5F;

}  // namespace

TEST_CASE("a batch norm scales and shifts the convolution before it", "[space]") {
  NetworkBuilder b("folding", "test", {1, 1, 1, 2}, Form::train);
  const Network net = b.finish(b.conv2d(
      network_input, "conv", {.out_channels = 2, .activation = Activation::relu, .norm = true}));
  REQUIRE(net.nodes.size() == 2);
  CHECK(params(net) == 4 + 2 + 4);
  const Model folded =
      reparameterise(net, given({{"stem.conv", {{1, 2, 3, 4}, {5, 6}, {}, {}}},
                                 {"stem.conv.norm", {{2, 6}, {10, 20}, {1, 2}, {four, four}}}}));
  REQUIRE(folded.network.nodes.size() == 1);
  CHECK(text(folded.network.nodes[0].op) ==
        "conv2d 1x1x1x2->1x1x1x2 k1x1 s1 p0,0,0,0 g1 act=relu f32");
  // scales 2/2 and 6/2; biases (5 - 1) 1 + 10 and (6 - 2) 3 + 20.
  const Parameters& p = folded.parameters.at("stem.conv");
  CHECK(p.weight == Values{1, 2, 9, 12});
  CHECK(p.bias == Values{14, 32});
  CHECK(p.mean.empty());
}

TEST_CASE("the channels of a transposed convolution are scaled, group by group", "[space]") {
  NetworkBuilder b("transposed", "test", {1, 1, 1, 4});
  const int x = b.conv_transpose2d(network_input, "up",
                                   {.out_channels = 4, .groups = 2, .padding = Padding{}});
  const Network net = b.finish(b.batch_norm(x, "norm"));
  const Values zeros(4);
  const Values fours(4, four);
  const Model folded =
      reparameterise(net, given({{"stem.up", {{1, 2, 3, 4, 5, 6, 7, 8}, zeros, {}, {}}},
                                 {"stem.norm", {{2, 20, 200, 2000}, zeros, zeros, fours}}}));
  REQUIRE(folded.network.nodes.size() == 1);
  // Inputs 0 and 1 go to outputs 0 and 1, inputs 2 and 3 to outputs 2 and 3.
  CHECK(folded.parameters.at("stem.up").weight == Values{1, 20, 3, 40, 500, 6000, 700, 8000});
}

TEST_CASE("parallel branches become one convolution with the sum's name", "[space]") {
  NetworkBuilder b("branches", "test", {1, 4, 4, 2}, Form::train);
  const int wide = b.conv2d(network_input, "wide", {.out_channels = 2, .kernel = 3, .groups = 2});
  const int narrow = b.conv2d(network_input, "narrow", {.out_channels = 2, .bias = false});
  const int skip = b.batch_norm(network_input, "skip");
  const int x = b.add(wide, narrow, "partial");
  const Network net = b.finish(b.add(x, skip, "sum", Activation::relu));
  const Model folded = reparameterise(
      net, given({{"stem.wide",
                   {{1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 2}, {}, {}}},
                  {"stem.narrow", {{10, 20, 30, 40}, {}, {}, {}}},
                  {"stem.skip", {{200, 400}, {3, 4}, {0, 0}, {four, four}}}}));
  REQUIRE(folded.network.nodes.size() == 1);
  CHECK(folded.network.nodes[0].name == "stem.sum");
  CHECK(text(folded.network.nodes[0].op) ==
        "conv2d 1x4x4x2->1x4x4x2 k3x3 s1 p1,1,1,1 g1 act=relu f32");
  const Parameters& p = folded.parameters.at("stem.sum");
  CHECK(p.weight == Values{1, 2, 3, 4, 115, 6, 7, 8, 9,  //
                           0, 0, 0, 0, 20,  0, 0, 0, 0,  //
                           0, 0, 0, 0, 30,  0, 0, 0, 0,  //
                           1, 1, 1, 1, 241, 1, 1, 1, 1});
  CHECK(p.bias == Values{4, 6});
}

TEST_CASE("a convolution of even size and its input keep their alignment", "[space]") {
  NetworkBuilder b("even", "test", {1, 4, 4, 1});
  const int conv = b.conv2d(network_input, "conv", {.out_channels = 1, .kernel = 2, .bias = false});
  const Network net = b.finish(b.add(network_input, conv, "sum"));
  const Model folded = reparameterise(net, given({{"stem.conv", {{1, 2, 3, 4}, {}, {}, {}}}}));
  REQUIRE(folded.network.nodes.size() == 1);
  CHECK(text(folded.network.nodes[0].op) ==
        "conv2d 1x4x4x1->1x4x4x1 k2x2 s1 p1,0,1,0 g1 nobias f32");
  // One row and one column are padded before, so a pixel meets the last tap.
  CHECK(folded.parameters.at("stem.sum").weight == Values{1, 2, 3, 5});
}

TEST_CASE("what somebody else reads, or no convolution computes, stays", "[space]") {
  SECTION("the convolution's own output is needed") {
    NetworkBuilder b("shared", "test", {1, 4, 4, 4});
    const int conv = b.conv2d(network_input, "conv", {.out_channels = 4});
    const int norm = b.batch_norm(conv, "norm");
    const Network net = b.finish(b.mul(norm, conv, "mul"));
    CHECK(reparameterise(net) == net);
  }
  SECTION("an activation stands between") {
    NetworkBuilder b("activated", "test", {1, 4, 4, 4});
    const int conv =
        b.conv2d(network_input, "conv", {.out_channels = 4, .activation = Activation::relu});
    const int norm = b.batch_norm(conv, "norm");
    const Network net = b.finish(b.add(norm, network_input, "add"));
    CHECK(reparameterise(net) == net);
  }
  SECTION("branches read different tensors") {
    NetworkBuilder b("residual", "test", {1, 4, 4, 4});
    const int a = b.conv2d(network_input, "a", {.out_channels = 4});
    const int act = b.activation(a, "act", Activation::gelu);
    const int c = b.conv2d(act, "c", {.out_channels = 4});
    const Network net = b.finish(b.add(c, network_input, "add"));
    CHECK(reparameterise(net) == net);
  }
  SECTION("a branch is an output") {
    NetworkBuilder b("output", "test", {1, 4, 4, 4});
    const int a = b.conv2d(network_input, "a", {.out_channels = 4});
    const int c = b.conv2d(network_input, "c", {.out_channels = 4});
    Network net = b.finish(b.add(a, c, "add"));
    net.outputs.push_back(a);
    CHECK(reparameterise(net) == net);
  }
  SECTION("an inference form") {
    CHECK(reparameterise(find_network("b0")) == find_network("b0"));
  }
}

TEST_CASE("the train form of every size folds to its inference form, node by node", "[space]") {
  int folded = 0;
  for (const ZooEntry& entry : zoo()) {
    if (!entry.train_form) continue;
    INFO(entry.name);
    const Network train = entry.train_form();
    const Network inference = entry.build();
    CHECK(train.nodes.size() > inference.nodes.size());
    const Network result = reparameterise(train);
    for (std::size_t i = 0; i < std::min(result.nodes.size(), inference.nodes.size()); ++i)
      REQUIRE(result.nodes[i] == inference.nodes[i]);
    CHECK(result == inference);
    CHECK(network_from_json(to_json(train)) == train);
    ++folded;
  }
  CHECK(folded == 7 + 5 + 6);
}

TEST_CASE("train forms are found by name, others refused", "[space]") {
  CHECK(find_train_form("S0") == find_train_form("cpubone-s0"));
  CHECK_THROWS_WITH(
      find_train_form("resnet18"),
      ContainsSubstring("train form: got \"resnet18\", expected one of cpubone-nano, "));
}

TEST_CASE("parameters of the wrong size are refused with the node's name", "[space]") {
  NetworkBuilder b("wrong", "test", {1, 4, 4, 2}, Form::train);
  const Network net =
      b.finish(b.conv2d(network_input, "conv", {.out_channels = 2, .bias = false, .norm = true}));
  const Parameters norm{{1, 1}, {0, 0}, {0, 0}, {1}};
  CHECK_THROWS_WITH(reparameterise(net, given({{"stem.conv", {{1, 2, 3}, {}, {}, {}}},
                                               {"stem.conv.norm", norm}})),
                    ContainsSubstring("node \"stem.conv\"") &&
                        ContainsSubstring("weight must have 4 values, got 3"));
  CHECK_THROWS_WITH(reparameterise(net, given({{"stem.conv", {{1, 2, 3, 4}, {}, {}, {}}},
                                               {"stem.conv.norm", norm}})),
                    ContainsSubstring("node \"stem.conv.norm\"") &&
                        ContainsSubstring("running variance must have 2 values, got 1"));
  CHECK_THROWS_WITH(reparameterise(net, given({})),
                    "network \"\": node \"stem.conv\" has no parameters");
}
