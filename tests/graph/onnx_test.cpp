#include "graph/onnx/onnx.hpp"

#include <cstring>
#include <map>
#include <string>

#include "graph/builder.hpp"
#include "graph/error.hpp"
#include "graph/quantise.hpp"
#include "graph/reparameterise.hpp"
#include "space/zoo.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

std::size_t occurrences(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("every network becomes an ONNX model with all its weights", "[space]") {
  for (const char* name : {"cpubone-nano", "shufflenetv2-x1-0", "lowformer-b0", "mobileone-s0"}) {
    const Network network = find_network(name);
    const std::string model = to_onnx(network, random_parameters());
    CHECK(model.size() > static_cast<std::size_t>(4 * params(network)));
    for (const Node& node : network.nodes) CHECK(model.find(node.name) != std::string::npos);
  }
}

TEST_CASE("weights are written as they are", "[space]") {
  NetworkBuilder b("net", "test", {1, 1, 1, 1});
  const Network net = b.finish(b.conv2d(network_input, "c", {.out_channels = 2}));
  const Parameters values{{1.5F, -2.0F}, {0.25F, 4.0F}, {}, {}};
  const std::string model = to_onnx(net, parameters_of({net, {{"stem.c", values}}}));
  for (const auto& tensor : {values.weight, values.bias}) {
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), tensor.data(), 8);
    CHECK(occurrences(model, bytes) == 1);
  }
}

TEST_CASE("an int8 network is exported as steps and scales between conversions", "[space]") {
  NetworkBuilder b("net", "test", {1, 1, 1, 1});
  const Network net =
      b.finish(b.conv2d(network_input, "c", {.out_channels = 2, .activation = Activation::relu}));
  const Parameters values{{1.27F, -2.54F}, {0.5F, -1.0F}, {}, {}};
  const Calibration calibration{{{0, 2.55F}}, {{{0, 5.1F}}}};
  const QuantisedNetwork q = quantise(net, calibration, [](const Op&) { return true; });
  const std::string model = to_onnx(q.network, parameters_of({q.network, {{"stem.c", values}}}));
  const auto written = [&](const auto& tensor) {
    const std::string bytes(reinterpret_cast<const char*>(tensor.data()),
                            tensor.size() * sizeof(tensor[0]));
    return occurrences(model, bytes);
  };
  CHECK(written(std::vector<std::int8_t>{127, -127}) == 1);
  const std::vector<float> weight_scale = weight_scales(q.network.nodes[1].op, values);
  CHECK(weight_scale[0] == Approx(0.01));
  CHECK(weight_scale[1] == Approx(0.02));
  CHECK(written(weight_scale) == 1);
  CHECK(written(std::vector<std::int32_t>{5000, -5000}) == 1);  // of 0.01 x 0.01, and 0.02
  // Of weight, bias, what is convolved and the output; of the input and what was convolved.
  CHECK(occurrences(model, "DequantizeLinear") == 4);
  CHECK(occurrences(model, "QuantizeLinear") == 2);
}

TEST_CASE("parameters of the wrong size are not exported", "[space]") {
  NetworkBuilder b("net", "test", {1, 1, 1, 1});
  const Network net = b.finish(b.conv2d(network_input, "c", {.out_channels = 2}));
  CHECK_THROWS_WITH(to_onnx(net, parameters_of({net, {{"stem.c", {{1}, {0, 0}, {}, {}}}}})),
                    ContainsSubstring("node \"stem.c\"") &&
                        ContainsSubstring("weight must have 2 values, got 1"));
}

TEST_CASE("a network too large for one file is refused", "[space]") {
  NetworkBuilder b("huge", "test", {1, 1, 1, 32768});
  const Network net = b.finish(b.linear(network_input, "wide", 32768));
  CHECK_THROWS_WITH(to_onnx(net, random_parameters()),
                    ContainsSubstring("network \"huge\": 4295098368 bytes"));
}
