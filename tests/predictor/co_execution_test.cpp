#include "predictor/co_execution.hpp"

#include <algorithm>

#include "graph/error.hpp"
#include "space/zoo.hpp"
#include "tests/catch.hpp"
#include "tests/predictor/co_execution.hpp"

using namespace cpubone;

using test::imaginary_profile;

namespace {

const CoExecutionPredictor& fast_coprocessor() {
  static const CoExecutionPredictor predictor = fit_co_execution(imaginary_profile(3));
  return predictor;
}

}  // namespace

TEST_CASE("what synchronisation costs is fitted to layers that were shared", "[predictor]") {
  CHECK(fast_coprocessor().synchronisation_ns == Approx(test::waiting_ns).epsilon(0.1));
  CHECK(fast_coprocessor().start_ns == test::starting_ns);
  CHECK(fast_coprocessor().shared_layers == 20);
  CHECK(fast_coprocessor().shared_mape < 0.03);
  CHECK(fast_coprocessor().shared_mape > 0);
}

TEST_CASE("layers of a network are shared where that is predicted to take less", "[predictor]") {
  const CoExecutionPrediction p = predict(fast_coprocessor(), find_network("mobileone-s0"));
  REQUIRE(p.splits.size() == p.cpu_alone.ops.size());
  double sum_ns = 0;
  int shared = 0;
  for (std::size_t i = 0; i < p.splits.size(); ++i) {
    const ChannelSplit& split = p.splits[i];
    const Op& op = p.cpu_alone.ops[i].op;
    sum_ns += split.ns;
    CHECK(split.ns <= Approx(p.cpu_alone.ops[i].latency_ns));
    if (!has_channel_parts(op)) CHECK(split.cpu_channels == op.output().c);
    if (split.cpu_ns > 0 && split.coprocessor_ns > 0) ++shared;
  }
  CHECK(shared > 5);
  CHECK(p.latency.ms == Approx(1e-6 * sum_ns));
  CHECK(p.latency.ms < 0.8 * p.cpu_alone.latency.ms);
  CHECK(p.latency.low_ms < p.latency.ms);
  CHECK(p.latency.high_ms > p.latency.ms);
}

TEST_CASE("a profile in f16 predicts networks in f16 with half the memory traffic", "[predictor]") {
  const CoExecutionPredictor half = fit_co_execution(imaginary_profile(3, DType::f16));
  const CoExecutionPrediction p = predict(half, find_network("mobileone-s0"));
  for (const OpPrediction& op : p.cpu_alone.ops) CHECK(op.op.dtype() == DType::f16);
  const CoExecutionPrediction f32 = predict(fast_coprocessor(), find_network("mobileone-s0"));
  CHECK(p.latency.ms < f32.latency.ms);
  CHECK(p.latency.ms < 0.8 * p.cpu_alone.latency.ms);
  CHECK(summarise("net", p).shared_layers > 5);
}

TEST_CASE("a coprocessor that is never faster leaves a network's prediction as it is",
          "[predictor]") {
  CoExecutionPredictor predictor = fit_co_execution(imaginary_profile(0.01));
  predictor.cpu.network.ns_less_per_kept_byte = 0.01;  // as profiles of networks show
  predictor.cpu.network.most_kept_bytes = 4e6;
  const CoExecutionPrediction p = predict(predictor, find_network("mobileone-s0"));
  CHECK(p.latency.ms == Approx(p.cpu_alone.latency.ms));
  CHECK(p.latency.low_ms == Approx(p.cpu_alone.latency.low_ms));
  CHECK(p.latency.high_ms == Approx(p.cpu_alone.latency.high_ms));
}

TEST_CASE("a coprocessor is only given operators of classes that were measured there",
          "[predictor]") {
  const auto runs = [](const char* op) {
    return runs_on_coprocessor(fast_coprocessor(), parse_op(op));
  };
  CHECK(runs("conv2d 1x7x7x64->1x7x7x64 k1x1 s1 p0,0,0,0 g1 f32"));
  CHECK_FALSE(runs("add 1x5x5x8,1x5x5x8->1x5x5x8 f32"));
  CHECK_FALSE(runs("attention 1x7x7x96->1x7x7x32 heads=2 f32"));
}

TEST_CASE("published latencies of a coprocessor are predicted from the others", "[predictor]") {
  const CoExecutionPredictor pixel4 = calibrate_co_execution(find_device("pixel4"));
  CHECK(coprocessor_mape(pixel4) < 0.11);
  CHECK(coprocessor_mape(pixel4) > 0.01);
  CHECK(pixel4.cpu.evidence == Evidence::calibrated);
  CHECK_THAT(coprocessor_evidence(pixel4),
             ContainsSubstring("calibrated from published latencies (TFLite GPU delegate) of 702 "
                               "operators") &&
                 ContainsSubstring("30 us to start an operator and to wait for it (assumed, "));
  CHECK_THAT(coprocessor_evidence(fast_coprocessor()), ContainsSubstring("20 shared layers"));
  CHECK_THROWS_WITH(calibrate_co_execution(find_device("pi5")),
                    ContainsSubstring("device \"pi5\": its file has no \"coprocessor\""));
}

TEST_CASE("what it takes to wait for a coprocessor is in each of its parts", "[predictor]") {
  DeviceDescription device = find_device("pixel4");
  const Op op = parse_op("conv2d 1x14x14x256->1x14x14x256 k3x3 s1 p1,1,1,1 g1 f32");
  const CoExecutionPredictor pixel4 = calibrate_co_execution(device);
  const ChannelSplit split = split_at(op, 0, costs_within_network(pixel4));
  CHECK(split.coprocessor_ns == Approx(30'000 + estimate(pixel4.coprocessor, op).ns).epsilon(0.02));
  CHECK(planned_split(pixel4, op).ns < split.ns);
  CHECK(terms(pixel4, op, split).ops_ns == split.ns);
  device.coprocessor->wait_us = 1e5;
  const CoExecutionPredictor late = calibrate_co_execution(device);
  CHECK(planned_split(late, op).cpu_channels == 256);
}

TEST_CASE("a layer that was shared as it cannot be is refused", "[predictor]") {
  CoExecutionProfile profile = imaginary_profile(3);
  profile.shared[0].op = parse_op("conv2d 1x8x8x8->1x8x8x96 k1x1 s1 p0,0,0,0 g4 f32");
  profile.shared[0].cpu_channels = 25;
  CHECK_THROWS_WITH(fit_co_execution(profile),
                    ContainsSubstring("g4 f32\": 25 of its channels are no part of it"));
}
