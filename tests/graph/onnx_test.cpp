#include "graph/onnx/onnx.hpp"

#include <cstring>
#include <map>
#include <string>

#include "graph/builder.hpp"
#include "graph/error.hpp"
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
