#include "explorer/inputs.hpp"

#include <set>

#include "explorer/assembly.hpp"
#include "graph/passes.hpp"
#include "predictor/calibration.hpp"
#include "space/cpubone.hpp"
#include "space/zoo.hpp"
#include "tests/catch.hpp"
#include "tests/predictor/co_execution.hpp"

using namespace cpubone;

namespace {

const Predictor& pi5() {
  static const Predictor predictor = calibrate(find_device("pi5"));
  return predictor;
}

}  // namespace

TEST_CASE("a predictor's breakdown adds up to its prediction", "[explorer]") {
  const Network b0 = build(cpubone_config("b0"));
  double ms = 0;
  std::int64_t total_macs = 0;
  std::set<std::pair<std::string, std::string>> parts;
  for (const BreakdownRow& row : break_down(b0, latency_model(pi5()))) {
    ms += row.latency_ms;
    total_macs += row.macs;
    CHECK(parts.insert({row.stage, row.op_class}).second);
  }
  CHECK(ms == Approx(predict(pi5(), b0).latency.ms));
  CHECK(total_macs == macs(b0));
}

TEST_CASE("a latency model predicts what its predictor does", "[explorer]") {
  const Network b1 = build(cpubone_config("b1"));
  const LatencyModel model = latency_model(pi5());
  CHECK(model.combine(latency_terms(b1, model)).ms == Approx(predict(pi5(), b1).latency.ms));
}

TEST_CASE("latencies of the zoo's networks are known as published, at no other resolution",
          "[explorer]") {
  Profile profile;
  const Timing timing{2e6, 1.9e6, 2.2e6, 0.01, {2e6, 1.9e6, 2.2e6}, 1, true};
  const Network b0 = build(cpubone_config("b0"));
  const auto record = [&](const Network& network) {
    return NetworkRecord{
        .name = network.name, .structure = structure_hash(network), .timing = timing};
  };
  profile.networks = {record(b0), record(with_resolution(build(cpubone_config("b1")), 256, 256)),
                      record(feature_network(build(cpubone_config("b2"))))};
  const std::vector<KnownLatency> known = known_latencies(profile, published_networks());
  REQUIRE(known.size() == 1);
  CHECK(known[0].network == "cpubone-b0");
  CHECK(known[0].latency.ms.value == Approx(2));
  CHECK(known[0].latency.ms.low == Approx(1.9));
  CHECK(known[0].latency.ms.high == Approx(2.2));
  CHECK(known[0].latency.samples == 3);
  CHECK(known[0].latency.disturbed);
}

TEST_CASE("a result claims no more evidence than its predictor has", "[explorer]") {
  Result result;
  describe_predictor(result, device_predictor("generic-x86"));
  CHECK(result.device.evidence == Evidence::description);
  Predictor adapted = pi5();
  adapted.evidence = Evidence::adapted;
  describe_predictor(result, adapted);
  CHECK(result.device.evidence == Evidence::adapted);
}

TEST_CASE("a result tells which device and evidence it stands on", "[explorer]") {
  Result result;
  describe_predictor(result, pi5());
  CHECK(result.device.name == "pi5");
  CHECK(result.device.evidence == Evidence::calibrated);
  CHECK(result.device.threads == 4);
  REQUIRE(result.predictor);
  CHECK(result.predictor->classes.size() == pi5().classes.size());
}

TEST_CASE("a latency model with shared layers predicts what its predictor does", "[explorer]") {
  CoExecutionPredictor predictor = fit_co_execution(test::imaginary_profile(2));
  predictor.cpu.network.ns_less_per_kept_byte = 0.01;
  predictor.cpu.network.most_kept_bytes = 4e6;
  const LatencyModel model = latency_model(predictor);
  const Network network = find_network("mobileone-s0");
  const CoExecutionPrediction p = predict(predictor, network);
  CHECK(model.combine(latency_terms(network, model)).ms == Approx(p.latency.ms));
  double sum_ns = 0;
  for (const ChannelSplit& split : p.splits) sum_ns += split.ns;
  CHECK(1e-6 * sum_ns == Approx(p.latency.ms));
  CHECK(model.bound(parse_op("conv2d 1x56x56x64->1x56x56x64 k3x3 s1 p1,1,1,1 g1 f32")) ==
        Bound::compute);
  double ms = 0;
  for (const BreakdownRow& row : break_down(network, model)) ms += row.latency_ms;
  CHECK(ms == Approx(p.latency.ms));
}

TEST_CASE("a summary of shared layers counts who runs them, and what that saves", "[explorer]") {
  const CoExecutionPredictor predictor = fit_co_execution(test::imaginary_profile(2));
  const std::vector<Network> networks{find_network("mobileone-s0")};
  const CoExecutionSummary summary = summarise(predictor, networks);
  CHECK(summary.synchronisation_us == Approx(1e-3 * predictor.synchronisation_ns));
  CHECK(summary.unhidden_share == predictor.unhidden_share);
  CHECK(summary.layers_measured == 20);
  REQUIRE(summary.networks.size() == 1);
  const SharedNetwork& n = summary.networks[0];
  const CoExecutionPrediction p = predict(predictor, networks[0]);
  CHECK(n.name == "mobileone-s0");
  CHECK(n.predicted_ms.value == Approx(p.latency.ms));
  CHECK(n.cpu_alone_ms.value == Approx(p.cpu_alone.latency.ms));
  CHECK(n.shared_layers > 5);
  CHECK(n.cpu_layers > 0);
  CHECK(n.shared_layers + n.coprocessor_layers + n.cpu_layers == static_cast<int>(p.splits.size()));
}
