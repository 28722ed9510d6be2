#include "predictor/suggestions.hpp"

#include <algorithm>

#include "graph/builder.hpp"
#include "predictor/calibration.hpp"
#include "predictor/devices.hpp"
#include "space/zoo.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

const Predictor& pi5() {
  static const Predictor predictor = calibrate(find_device("pi5"));
  return predictor;
}

/// A stem, depthwise convolutions of that kernel in a row, and a head.
Network depthwise_network(int kernel, Activation activation = Activation::relu) {
  NetworkBuilder b("test", "test", {1, 56, 56, 3});
  int x = b.conv2d(network_input, "stem", {.out_channels = 24, .activation = activation});
  for (const char* name : {"a", "b", "c"}) x = b.depthwise(x, name, {.kernel = kernel});
  return b.finish(x);
}

std::vector<std::string> changes(const Network& network) {
  std::vector<std::string> names;
  for (const Suggestion& s : suggestions(pi5(), network)) names.push_back(s.change);
  return names;
}

}  // namespace

TEST_CASE("a smaller kernel saves the difference of the predictions", "[predictor]") {
  const Network large = depthwise_network(7);
  const std::vector<Suggestion> found = suggestions(pi5(), large);
  REQUIRE(found.size() == 1);
  CHECK(found[0].change == "depthwise 7x7 -> 5x5");
  CHECK(found[0].operators == 3);
  CHECK(found[0].saved_macs == 3 * 56 * 56 * 24 * (49 - 25));
  CHECK(found[0].saved_ms ==
        Approx(predict(pi5(), large).latency.ms - predict(pi5(), depthwise_network(5)).latency.ms));
}

TEST_CASE("kernels are made smaller that have a middle", "[predictor]") {
  CHECK(changes(depthwise_network(8)).empty());
  CHECK(changes(depthwise_network(9)) == std::vector<std::string>{"depthwise 9x9 -> 7x7"});
}

TEST_CASE("what costs nothing is not suggested to be changed", "[predictor]") {
  CHECK(changes(depthwise_network(3)).empty());
  CHECK(changes(depthwise_network(3, Activation::gelu)) ==
        std::vector<std::string>{"gelu -> relu"});
}

TEST_CASE("dense convolutions are suggested in groups, and norms as batch norms", "[predictor]") {
  NetworkBuilder b("test", "test", {1, 28, 28, 64});
  int x = b.conv2d(network_input, "dense", {.out_channels = 64, .kernel = 3});
  x = b.layer_norm(x, "norm");
  x = b.rms_norm(x, "norm2");
  const std::vector<std::string> found = changes(b.finish(x));
  CHECK(found == std::vector<std::string>{"convolution 3x3 -> in 2 groups",
                                          "layer_norm -> batch norm in the layer before",
                                          "rms_norm -> batch norm in the layer before"});
}

TEST_CASE("suggestions for published networks are in order of what they save", "[predictor]") {
  for (const ZooEntry& entry : zoo()) {
    INFO(entry.name);
    const std::vector<Suggestion> found = suggestions(pi5(), entry.build());
    CHECK(std::is_sorted(found.begin(), found.end(), [](const Suggestion& a, const Suggestion& b) {
      return a.saved_ms > b.saved_ms;
    }));
    for (const Suggestion& s : found) CHECK(s.saved_ms > 0);
  }
}
