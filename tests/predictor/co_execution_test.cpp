#include "predictor/co_execution.hpp"

#include <algorithm>

#include "graph/error.hpp"
#include "graph/passes.hpp"
#include "runtime/channel_part.hpp"
#include "runtime/precision.hpp"
#include "space/random_network.hpp"
#include "space/zoo.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

constexpr double waiting_ns = 9000;

double cpu_ns(const Op& op) {
  return 1000 + static_cast<double>(macs(op)) / 20 +
         static_cast<double>(input_bytes(op) + output_bytes(op)) / 50;
}
/// Starts late, and is `times` as fast then.
double coprocessor_ns(const Op& op, double times) {
  return 30'000 + cpu_ns(op) / times;
}

std::vector<Op> some_ops() {
  std::vector<Network> networks;
  for (std::uint64_t seed = 500; seed < 512; ++seed)
    networks.push_back(lowered(random_network(seed), DType::f32));
  return distinct_ops(networks);
}

/// Of an imaginary machine.
CoExecutionProfile profile_with(double times) {
  const auto timing = [](double ns) {
    return Timing{ns, 0.998 * ns, 1.002 * ns, 0.001, {ns, ns}, 1, false};
  };
  CoExecutionProfile profile;
  profile.cpu.device.name = "imaginary";
  profile.cpu.device.architecture = "x86_64";
  profile.coprocessor = profile.cpu;
  for (const Op& op : some_ops()) {
    profile.cpu.ops.push_back({op, "xnnpack", timing(cpu_ns(op))});
    if (!has_channel_parts(op)) continue;
    profile.coprocessor.ops.push_back({op, "co-execution", timing(coprocessor_ns(op, times))});
    const int channels = op.output().c;
    const int half = channels / channel_step(op) / 2 * channel_step(op);
    if (half > 0 && profile.shared.size() < 20)
      profile.shared.push_back(
          {op, half,
           timing(waiting_ns + std::max(cpu_ns(channel_part(op, 0, half)),
                                        coprocessor_ns(channel_part(op, half, channels), times)))});
  }
  return profile;
}

const CoExecutionPredictor& fast_coprocessor() {
  static const CoExecutionPredictor predictor = fit_co_execution(profile_with(3));
  return predictor;
}

}  // namespace

TEST_CASE("what synchronisation costs is fitted to layers that were shared", "[predictor]") {
  CHECK(fast_coprocessor().synchronisation_ns == Approx(waiting_ns).epsilon(0.1));
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

TEST_CASE("a coprocessor that is never faster leaves a network's prediction as it is",
          "[predictor]") {
  CoExecutionPredictor predictor = fit_co_execution(profile_with(0.01));
  predictor.cpu.network.ns_less_per_node = 300;  // as profiles of networks show
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

TEST_CASE("a layer that was shared as it cannot be is refused", "[predictor]") {
  CoExecutionProfile profile = profile_with(3);
  profile.shared[0].op = parse_op("conv2d 1x8x8x8->1x8x8x96 k1x1 s1 p0,0,0,0 g4 f32");
  profile.shared[0].cpu_channels = 25;
  CHECK_THROWS_WITH(fit_co_execution(profile),
                    ContainsSubstring("g4 f32\": 25 of its channels are no part of it"));
}
