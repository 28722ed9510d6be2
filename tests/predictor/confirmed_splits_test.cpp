#include "predictor/confirmed_splits.hpp"

#include <set>
#include <stdexcept>

#include "space/zoo.hpp"
#include "tests/catch.hpp"
#include "tests/predictor/co_execution.hpp"

using namespace cpubone;

namespace {

const CoExecutionPredictor& twice_as_fast() {
  static const CoExecutionPredictor predictor = fit_co_execution(test::imaginary_profile(2));
  return predictor;
}

std::vector<Timing> timed(std::span<const LayerSplit> layers,
                          const std::function<double(const LayerSplit&)>& ns) {
  std::vector<Timing> timings;
  for (const LayerSplit& layer : layers)
    timings.push_back({ns(layer), ns(layer), ns(layer), 0, {ns(layer)}, 1, false});
  return timings;
}

}  // namespace

TEST_CASE("the likeliest splits are worth measuring, and the CPU alone", "[predictor]") {
  const Op op = parse_op("conv2d 1x28x28x128->1x28x28x256 k3x3 s1 p1,1,1,1 g1 f32");
  const std::vector<ChannelSplit> splits =
      splits_to_measure(op, costs_within_network(twice_as_fast()));
  REQUIRE(splits.size() == splits_worth_measuring + 1);
  CHECK(splits.front() == planned_split(twice_as_fast(), op));
  CHECK(splits.back().cpu_channels == 256);
  const Op small = parse_op("conv2d 1x7x7x16->1x7x7x32 k1x1 s1 p0,0,0,0 g1 f32");
  CHECK(splits_to_measure(small, costs_within_network(twice_as_fast())).size() == 3);
}

TEST_CASE("layers are executed by the split that was measured to be fastest", "[predictor]") {
  const Network network = find_network("mobileone-s0");
  std::set<std::string> measured;
  // The more channels on the CPU the faster, but for all of them.
  const auto ns = [](const LayerSplit& layer) {
    const int channels = layer.op.output().c;
    return layer.cpu_channels == channels ? 900.0 : 1000.0 - layer.cpu_channels / 2.0;
  };
  const std::vector<ConfirmedSplit> confirmed =
      confirm_splits(twice_as_fast(), network, [&](std::span<const LayerSplit> layers) {
        for (const LayerSplit& layer : layers) measured.insert(text(layer.op));
        return timed(layers, ns);
      });
  REQUIRE(confirmed.size() == measured.size());
  const auto split = split_by(confirmed);
  const auto planned = split_as_planned(confirmed);
  int shared = 0;
  int otherwise = 0;
  for (const ConfirmedSplit& c : confirmed) {
    CHECK(split(c.op) == c.cpu_channels);
    CHECK(planned(c.op) == planned_split(twice_as_fast(), c.op).cpu_channels);
    CHECK(c.fastest.median_ns == ns({c.op, c.cpu_channels}));
    CHECK(c.planned.median_ns == ns({c.op, c.planned_cpu_channels}));
    CHECK(c.cpu_alone.median_ns == 900);
    CHECK(c.fastest.median_ns <= 900);
    shared += c.cpu_channels < c.op.output().c ? 1 : 0;
    otherwise += c.cpu_channels != c.planned_cpu_channels ? 1 : 0;
  }
  CHECK(shared > 0);
  CHECK(otherwise > 0);
  // What was not measured stays on the CPU.
  CHECK(split(parse_op("linear 1x1x1x3->1x1x1x5 f32")) == 5);
}

TEST_CASE("splits are confirmed by as many timings as there are splits", "[predictor]") {
  const Network network = find_network("mobileone-s0");
  CHECK_THROWS_AS(confirm_splits(twice_as_fast(), network,
                                 [](std::span<const LayerSplit>) { return std::vector<Timing>(); }),
                  std::logic_error);
  CoExecutionPredictor nothing = twice_as_fast();
  nothing.coprocessor.classes.clear();
  CHECK(confirm_splits(nothing, network, {}).empty());
}
