#include "predictor/split_planner.hpp"

#include <algorithm>

#include "tests/catch.hpp"

using namespace cpubone;

namespace {

/// So many ns a MAC, and of the coprocessor a dispatch.
CoExecutionCosts costs(double cpu_ns_per_mac, double dispatch_ns, double ns_per_mac,
                       double synchronisation_ns) {
  return {[=](const Op& op) { return cpu_ns_per_mac * static_cast<double>(macs(op)); },
          [=](const Op& op) { return dispatch_ns + ns_per_mac * static_cast<double>(macs(op)); },
          synchronisation_ns};
}

const Op linear = parse_op("linear 1x1x1x100->1x1x1x64 f32");  // 100 MACs a channel

}  // namespace

TEST_CASE("channels are split where both sides take about as long", "[predictor]") {
  // CPU 100 ns a channel; coprocessor 800 + 50 ns: 48 channels against 16 take 4800 and 1600,
  // 32 against 32 3200 and 2400, 16 against 48 1600 and 3200; equal is the one with more on the CPU
  const ChannelSplit split = plan_split(linear, costs(1, 800, 0.5, 200));
  CHECK(split == ChannelSplit{32, 3400, 3200, 2400});
}

TEST_CASE("a coprocessor that takes longer to start than the CPU to finish is not used",
          "[predictor]") {
  CHECK(plan_split(linear, costs(1, 6500, 0.1, 0)) == ChannelSplit{64, 6400, 6400, 0});
  // Nor one that would help by less than synchronisation takes.
  CHECK(plan_split(linear, costs(1, 6000, 0.1, 300)).cpu_channels == 64);
  CHECK(plan_split(linear, costs(1, 6000, 0.1, 200)) == ChannelSplit{48, 6360, 4800, 6160});
}

TEST_CASE("a coprocessor that is much faster computes alone", "[predictor]") {
  CHECK(plan_split(linear, costs(1, 100, 0.01, 50)) == ChannelSplit{0, 164, 0, 164});
}

TEST_CASE("no candidate is faster than the planned one", "[predictor]") {
  const Op op = parse_op("conv2d 1x7x7x24->1x7x7x200 k3x3 s1 p1,1,1,1 g1 f32");
  for (const double ns_per_mac : {0.1, 0.5, 1.0, 2.0, 10.0}) {
    const CoExecutionCosts c = costs(1, 20'000, ns_per_mac, 500);
    const ChannelSplit planned = plan_split(op, c);
    for (const int channels : candidate_splits(op))
      CHECK(planned.ns <= split_at(op, channels, c).ns);
  }
}

TEST_CASE("likely splits are the candidates of least latency, the planned one first",
          "[predictor]") {
  // 0, 16, 32, 48 and 64 channels on the CPU take 4000, 3400, 3400, 5000 and 6400.
  const CoExecutionCosts c = costs(1, 800, 0.5, 200);
  std::vector<int> channels;
  for (const ChannelSplit& split : likely_splits(linear, c, 3))
    channels.push_back(split.cpu_channels);
  CHECK(channels.front() == plan_split(linear, c).cpu_channels);
  CHECK(channels == std::vector<int>{32, 16, 0});
  CHECK(likely_splits(linear, c, 9).size() == 5);
  CHECK(likely_splits(linear, c, 9).back().ns == 6400);
}

TEST_CASE("splits are multiples that suit kernels and groups", "[predictor]") {
  using Splits = std::vector<int>;
  CHECK(candidate_splits(parse_op("linear 1x1x1x9->1x1x1x40 f32")) == Splits{0, 16, 32, 40});
  CHECK(candidate_splits(parse_op("linear 1x1x1x9->1x1x1x3 f32")) == Splits{0, 1, 2, 3});
  CHECK(candidate_splits(parse_op("conv2d 1x8x8x8->1x8x8x96 k1x1 s1 p0,0,0,0 g4 f32")) ==
        Splits{0, 48, 96});
  CHECK(candidate_splits(parse_op("conv2d 1x8x8x8->1x8x8x96 k1x1 s1 p0,0,0,0 g4 f32"), 1) ==
        Splits{0, 24, 48, 72, 96});
  CHECK(candidate_splits(parse_op("conv2d 1x8x8x8->1x8x8x20 k1x1 s1 p0,0,0,0 g4 f32")) ==
        Splits{0, 5, 10, 15, 20});
  CHECK(candidate_splits(parse_op("add 1x5x5x8,1x5x5x8->1x5x5x8 f32")) == Splits{0, 8});
  // A cache line has twice as many channels of f16.
  CHECK(candidate_splits(parse_op("linear 1x1x1x8->1x1x1x96 f16")) == Splits{0, 32, 64, 96});
}

TEST_CASE("the CPU's part begins when the coprocessor has been started", "[predictor]") {
  CoExecutionCosts c = costs(1, 500, 0.5, 100);
  const ChannelSplit before = split_at(linear, 48, c);  // the CPU's part takes longest
  const ChannelSplit device = split_at(linear, 0, c);
  const ChannelSplit longer_there = split_at(linear, 16, c);
  c.start_ns = 300;
  CHECK(split_at(linear, 48, c).ns == before.ns + 300);
  CHECK(split_at(linear, 48, c).cpu_ns == before.cpu_ns);
  CHECK(split_at(linear, 16, c).ns == longer_there.ns);  // within the coprocessor's time
  CHECK(split_at(linear, 0, c) == device);
  CHECK(fitted_sharing(std::vector<MeasuredSplit>{{linear, 48, before.ns + 300}}, c)
            .synchronisation_ns == Approx(100));
}

TEST_CASE("synchronisation is what operators take beyond the larger part, in the median",
          "[predictor]") {
  const CoExecutionCosts c = costs(1, 0, 1, 0);
  CHECK(fitted_sharing({}, c).synchronisation_ns == 0);
  const std::vector<MeasuredSplit> measured{
      {linear, 32, 3250}, {linear, 16, 4860}, {linear, 48, 9999}};
  CHECK(fitted_sharing(measured, c).synchronisation_ns == 60);
  const std::vector<MeasuredSplit> faster{{linear, 32, 3000}};
  CHECK(fitted_sharing(faster, c).synchronisation_ns == 0);
}

TEST_CASE("what the longer part does not hide of the shorter is fitted", "[predictor]") {
  const CoExecutionCosts c = costs(1, 100, 0.5, 0);
  for (const double share : {0.0, 0.4, 1.0}) {
    CoExecutionCosts shared = c;
    shared.synchronisation_ns = 70;
    shared.unhidden_share = share;
    std::vector<MeasuredSplit> measured;
    for (const int channels : {8, 16, 24, 32, 40, 48, 56})
      measured.push_back({linear, channels, split_at(linear, channels, shared).ns});
    const SharingCosts fitted = fitted_sharing(measured, c);
    CHECK(fitted.unhidden_share == Approx(share));
    CHECK(fitted.synchronisation_ns == Approx(70));
    CHECK(fitted.mape == Approx(0).margin(1e-9));
  }
  // A part that takes long to be hidden is not worth sharing.
  CoExecutionCosts turns = costs(1, 800, 0.5, 0);
  CHECK(plan_split(linear, turns).cpu_channels == 32);
  turns.unhidden_share = 1;
  CHECK(plan_split(linear, turns).cpu_channels == 0);
}

TEST_CASE("a share that explains less than a tenth of the error is not fitted", "[predictor]") {
  const CoExecutionCosts c = costs(1, 5000, 0.1, 0);
  std::vector<MeasuredSplit> measured;  // 5 ns a channel, with a share of 0.05, err by 4 % less
  for (int channels = 1; channels < 9; ++channels)
    measured.push_back({linear, channels, split_at(linear, channels, c).ns + 3.5 * channels});
  CHECK(fitted_sharing(measured, c).unhidden_share == 0);
}
