// How well devices that are not at hand are predicted from their hardware and published latencies.
#include <cmath>
#include <map>

#include "benchmarks/rows.hpp"
#include "predictor/calibration.hpp"
#include "predictor/evaluation.hpp"
#include "space/zoo.hpp"

using namespace cpubone;

namespace {

PredictionQuality left_out(const DeviceDescription& device, double LeftOut::*prediction) {
  const Predictor predictor = calibrate(device);
  std::vector<Comparison> comparisons;
  for (const LeftOut& row : leave_one_out(device)) {
    const LatencyEstimate e = predict(predictor, find_network(row.network)).latency;
    const double ms = row.*prediction;
    comparisons.push_back(
        {row.network, row.published_ms, ms, ms * e.low_ms / e.ms, ms * e.high_ms / e.ms});
  }
  return prediction_quality(comparisons);
}

/// One constant MACpS, each network left out of its fit in turn.
PredictionQuality constant_macps(const DeviceDescription& device) {
  std::vector<Network> networks;
  std::vector<double> ns;
  for (const PublishedLatencyRow& row : device.latencies) {
    networks.push_back(find_network(row.zoo_name));
    ns.push_back(row.latency_ms * 1e6);
  }
  std::vector<Comparison> comparisons;
  for (std::size_t i = 0; i < networks.size(); ++i) {
    std::vector<Network> others = networks;
    std::vector<double> others_ns = ns;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
    others_ns.erase(others_ns.begin() + static_cast<std::ptrdiff_t>(i));
    const double ms =
        predict_ms(fit_baseline(BaselineKind::constant_macps, others, others_ns), networks[i]);
    comparisons.push_back({networks[i].name, ns[i] * 1e-6, ms, ms, ms});
  }
  return prediction_quality(comparisons);
}

void run(std::span<const std::string>, Rows& rows) {
  const DeviceDescription& pi5 = find_device("pi5");
  const PredictionQuality network = left_out(pi5, &LeftOut::without_network_ms);
  const PredictionQuality family = left_out(pi5, &LeftOut::without_family_ms);
  const std::string count = fmt::format("{} published latencies", network.count);
  rows.add("pi5: error, each network left out", 100 * network.mape, "% MAPE", 8, "<=", count);
  rows.add("pi5: rank correlation, each network left out", network.spearman, "Spearman", 0.97,
           ">=", count);
  rows.add("pi5: error, each family left out", 100 * family.mape, "% MAPE", 6, "<=");
  rows.inform("pi5: error of one constant MACpS, each network left out",
              100 * constant_macps(pi5).mape, "% MAPE");
  rows.inform("pi5: largest error, each network left out", 100 * network.worst, "%");
  rows.inform("pi5: left-out networks inside of their 90 % interval", network.covered, "share");
  for (const auto& [sense, goal] : {std::pair(">=", 0.85), std::pair("<=", 0.95)})
    rows.add("pi5: networks of left-out families inside of it", family.covered, "share", goal,
             sense);

  std::map<std::string, LeftOut> by_name;
  for (const LeftOut& row : leave_one_out(pi5)) by_name[row.network] = row;
  const LeftOut& b0 = by_name.at("cpubone-b0");
  for (const char* name : {"cpubone-b1", "cpubone-b2", "cpubone-b3"}) {
    const LeftOut& b = by_name.at(name);
    const double predicted = b.without_network_ms / b0.without_network_ms;
    const double published = b.published_ms / b0.published_ms;
    rows.add(fmt::format("pi5: {} / cpubone-b0 off the published ratio", name),
             100 * std::abs(predicted / published - 1), "%", 10,
             "<=", fmt::format("{:.3f}, published {:.3f}", predicted, published));
  }
  for (const DeviceDescription& device : known_devices()) {
    if (device.device.name == "pi5" || device.latencies.empty()) continue;
    const PredictionQuality a = left_out(device, &LeftOut::without_network_ms);
    rows.inform(fmt::format("{}: error, each network left out", device.device.name), 100 * a.mape,
                "% MAPE",
                fmt::format("{} published latencies, {}", a.count, device.device.runtime));
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run_benchmark("devices", 0, argc, argv, run);
}
