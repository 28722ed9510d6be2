#include "predictor/calibration.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "graph/error.hpp"
#include "graph/json_file.hpp"
#include "graph/passes.hpp"
#include "predictor/evaluation.hpp"
#include "space/zoo.hpp"
#include "tests/approved.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

PredictionQuality left_out_quality(const DeviceDescription& device, double LeftOut::*prediction) {
  std::vector<Comparison> comparisons;
  const Predictor predictor = calibrate(device);
  for (const LeftOut& row : leave_one_out(device)) {
    const LatencyEstimate e = predict(predictor, find_network(row.network)).latency;
    // The interval's width around the prediction that did not know the latency.
    const double ms = row.*prediction;
    comparisons.push_back(
        {row.network, row.published_ms, ms, ms * e.low_ms / e.ms, ms * e.high_ms / e.ms});
  }
  return prediction_quality(comparisons);
}

/// pi5 with other latencies.
DeviceDescription with_latencies(const std::map<std::string, double>& ms) {
  DeviceDescription device = find_device("pi5");
  device.latencies.clear();
  for (const auto& [network, latency_ms] : ms) {
    PublishedLatencyRow row;
    row.network = row.zoo_name = network;
    row.latency_ms = latency_ms;
    device.latencies.push_back(row);
  }
  return device;
}

}  // namespace

TEST_CASE("published latencies on the Raspberry Pi 5 are predicted from the others",
          "[predictor]") {
  const DeviceDescription& pi5 = find_device("pi5");
  REQUIRE(pi5.latencies.size() == 21);
  const PredictionQuality network = left_out_quality(pi5, &LeftOut::without_network_ms);
  CHECK(network.mape <= 0.04);
  CHECK(network.spearman >= 0.97);
  CHECK(network.covered >= 0.9);
  const PredictionQuality family = left_out_quality(pi5, &LeftOut::without_family_ms);
  CHECK(family.mape <= 0.06);
  CHECK(family.covered >= 0.85);
  CHECK(family.covered <= 0.95);
}

TEST_CASE("ratios among CPUBone's networks on the Raspberry Pi 5 are the published ones",
          "[predictor]") {
  std::map<std::string, LeftOut> rows;
  for (const LeftOut& row : leave_one_out(find_device("pi5"))) rows[row.network] = row;
  const LeftOut& b0 = rows.at("cpubone-b0");
  for (const char* name : {"cpubone-b1", "cpubone-b2", "cpubone-b3"}) {
    const LeftOut& b = rows.at(name);
    CAPTURE(name);
    CHECK(b.without_network_ms / b0.without_network_ms ==
          Approx(b.published_ms / b0.published_ms).epsilon(0.1));
  }
}

TEST_CASE("a calibrated predictor knows every operator of the zoo", "[predictor]") {
  const Predictor predictor = device_predictor("pi5");
  for (const ZooEntry& entry : zoo()) {
    const NetworkPrediction p = predict(predictor, entry.build());
    CAPTURE(entry.name);
    CHECK(p.latency.low_ms < p.latency.ms);
    CHECK(p.latency.ms < p.latency.high_ms);
    CHECK(p.at_best_macps_ms < p.latency.ms);
    double sum_ns = 0;
    for (const OpPrediction& op : p.ops) sum_ns += op.latency_ns;
    CHECK(sum_ns == Approx(p.latency.ms * 1e6));
  }
}

TEST_CASE("calibrated predictions say what they stand on", "[predictor]") {
  const Predictor pi5 = device_predictor("pi5");
  CHECK(evidence_text(pi5) == "calibrated from published latencies (ONNX Runtime, 4 threads)");
  CHECK(pi5.network.networks == 21);
  CHECK(pi5.network.test_mape > 0.01);
  CHECK(evidence_text(device_predictor("generic-x86")) == "description");
}

TEST_CASE("a calibrated predictor survives its file", "[predictor]") {
  const Predictor predictor = device_predictor("pi5");
  const nlohmann::json json = to_json(predictor);
  const Predictor read = predictor_from_json(JsonReader(json, "pi5#"));
  const Network network = find_network("b0");
  CHECK(predict(read, network).latency.ms == predict(predictor, network).latency.ms);
  CHECK(predict(read, network).latency.high_ms == predict(predictor, network).latency.high_ms);
}

TEST_CASE("calibration recovers the latencies that a predictor made", "[predictor]") {
  const Predictor truth = device_predictor("pi5");
  std::map<std::string, double> ms;
  for (const char* name : {"cpubone-b0", "cpubone-b3", "lowformer-b1", "repvit-m1-1", "fasternet-s",
                           "mobileone-s2", "mobilenetv2-100", "resnet50"})
    ms[name] = predict(truth, find_network(name)).latency.ms;
  const DeviceDescription device = with_latencies(ms);
  for (const LeftOut& row : leave_one_out(device)) {
    CAPTURE(row.network);
    CHECK(row.without_network_ms == Approx(row.published_ms).epsilon(0.1));
  }
  CHECK(predict(calibrate(device), find_network("b2")).latency.ms ==
        Approx(predict(truth, find_network("b2")).latency.ms).epsilon(0.02));
}

TEST_CASE("nothing is predicted faster than the peak of the hardware", "[predictor]") {
  const Network b0 = find_network("b0");
  const double impossible_ms = 1;
  const DeviceDescription device = with_latencies({{"cpubone-b0", impossible_ms}});
  const double bound_ms = static_cast<double>(macs(b0)) / peak_macps(device) * 1e3;
  CHECK(predict(calibrate(device), b0).latency.ms > bound_ms);
}

TEST_CASE("fewer latencies and none give wider intervals", "[predictor]") {
  const auto width = [](const DeviceDescription& device) {
    const LatencyEstimate e = predict(calibrate(device), find_network("b0")).latency;
    return std::log(e.high_ms / e.ms);
  };
  const DeviceDescription& pi5 = find_device("pi5");
  DeviceDescription none = pi5;
  none.latencies.clear();
  CHECK(width(pi5) > 0.05);
  CHECK(width(none) > width(pi5));
  CHECK(width(with_latencies({{"cpubone-b0", 24.2}})) >= width(pi5));
}

TEST_CASE("intervals widen with the distance from what was published", "[predictor]") {
  for (const char* device : {"pi5", "pi4", "pixel7pro", "xeon-w2125"}) {
    const Predictor predictor = device_predictor(device);
    const auto width = [&](const char* name, int pixels) {
      const LatencyEstimate e =
          predict(predictor, with_resolution(find_network(name), pixels, pixels)).latency;
      return std::log(e.high_ms / e.ms);
    };
    CAPTURE(device);
    for (const char* name : {"cpubone-b0", "mobilenetv2-100", "resnet50"}) {
      CAPTURE(name);
      CHECK(width(name, 512) > 1.1 * width(name, 224));
      CHECK(width(name, 1024) > width(name, 512));
    }
    CHECK(width("cpubone-b1", 224) == Approx(width("cpubone-b0", 224)).epsilon(0.15));
  }
}

TEST_CASE("the list of devices tells evidence and expected error", "[predictor]") {
  const std::vector<DeviceSummary> summaries = device_summaries();
  REQUIRE(summaries.size() == known_devices().size());
  CHECK(summaries[0].name == "pi5");
  CHECK(summaries[0].hardware == "4 x Cortex-A76 at 2.4 GHz, 17 GB/s");
  CHECK(summaries[0].expected_error <= 0.08);
  for (const DeviceSummary& summary : summaries) {
    CHECK(summary.expected_error > 0);
    CHECK((summary.latencies > 0) == (summary.evidence != "description"));
  }
}

TEST_CASE("known devices predict what was approved", "[predictor]") {
  std::string lines;
  for (const DeviceDescription& device : known_devices()) {
    const Predictor predictor = calibrate(device);
    const auto tell = [&](const std::string& what, const NetworkPrediction& p) {
      lines += fmt::format("{} {} {:.4g} ({:.4g} to {:.4g}) {:.4g}\n", device.device.name, what,
                           p.latency.ms, p.latency.low_ms, p.latency.high_ms, p.at_best_macps_ms);
    };
    for (const char* name : {"cpubone-nano", "cpubone-b1", "lowformer-b0", "mobileone-s0",
                             "fasternet-t0", "mobilenetv3-large-100", "shufflenetv2-x1-0"}) {
      const Network network = find_network(name);
      tell(name, predict(predictor, network));
      tell(std::string(name) + " 320", predict(predictor, with_resolution(network, 320, 320)));
    }
    const NetworkPrediction b0 = predict(predictor, find_network("cpubone-b0"));
    tell("cpubone-b0", b0);
    if (device.device.name != "pi5") continue;
    for (const OpPrediction& op : b0.ops)
      lines += fmt::format("{} {:.4g} +- {:.3g} us {}\n", text(op.op), op.latency_ns * 1e-3,
                           op.spread_ns * 1e-3, name(op.bound));
  }
  check_approved("devices.txt", lines);
}
