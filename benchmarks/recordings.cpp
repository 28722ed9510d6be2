#include "benchmarks/recordings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "benchmarks/networks.hpp"
#include "graph/error.hpp"
#include "predictor/normal_interval.hpp"
#include "space/random_network.hpp"

namespace cpubone {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t held_out_every = 7;

const Network* find(const std::vector<Network>& networks, const NetworkRecord& record) {
  for (const Network& network : networks)
    if (network.name == record.name && macs(network) == record.macs &&
        params(network) == record.params)
      return &network;
  return nullptr;
}

std::vector<Network> all_test_networks() {
  TestNetworks test = test_networks();
  std::vector<Network> all = std::move(test.published);
  for (auto* more : {&test.ablations, &test.members})
    std::move(more->begin(), more->end(), std::back_inserter(all));
  return all;
}

}  // namespace

std::vector<Recording> load_recordings(const fs::path& folder) {
  const std::string ending = "profile.json";
  std::vector<fs::path> paths;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder))
    if (entry.path().filename().string().ends_with(ending)) paths.push_back(entry.path());
  if (paths.empty())
    throw Error(fmt::format("{}: no *{} in it or in its folders", folder.string(), ending));
  std::sort(paths.begin(), paths.end());
  const std::vector<Network> known = all_test_networks();
  const std::vector<Network> calibration = calibration_networks();
  std::vector<Recording> recordings;
  for (const fs::path& path : paths) {
    Recording recording;
    recording.name = (path.parent_path().filename() / path.stem()).string();
    recording.profile = load_profile(path);
    std::vector<NetworkRecord> records = std::move(recording.profile.networks);
    recording.profile.networks.clear();
    std::string beside = path.string();
    beside.replace(beside.size() - ending.size(), ending.size(), "networks.json");
    if (fs::exists(beside))
      for (NetworkRecord& record : load_profile(beside).networks)
        records.push_back(std::move(record));
    for (NetworkRecord& record : records) {
      if (!(record.timing.median_ns > 0)) continue;
      if (find(calibration, record) != nullptr) {
        recording.profile.networks.push_back(std::move(record));
      } else if (const Network* network = find(known, record)) {
        recording.networks.push_back(*network);
        recording.measured_ns.push_back(record.timing.median_ns);
      }
    }
    recordings.push_back(std::move(recording));
  }
  return recordings;
}

std::vector<Comparison> compare(const Predictor& predictor, const Recording& recording) {
  std::vector<Comparison> comparisons;
  for (std::size_t i = 0; i < recording.networks.size(); ++i) {
    const LatencyEstimate e = predict(predictor, recording.networks[i]).latency;
    comparisons.push_back(
        {recording.networks[i].name, recording.measured_ns[i] * 1e-6, e.ms, e.low_ms, e.high_ms});
  }
  return comparisons;
}

Judgement judge(const Recording& recording) {
  Profile fitted = recording.profile;
  fitted.ops.clear();
  std::vector<OpRecord> held_out;
  for (std::size_t i = 0; i < recording.profile.ops.size(); ++i)
    (i % held_out_every == 0 ? held_out : fitted.ops).push_back(recording.profile.ops[i]);
  Judgement judgement;
  judgement.predictor = fit_predictor(fitted, calibration_networks());
  judgement.networks = compare(judgement.predictor, recording);
  OperatorQuality& q = judgement.operators;
  for (const OpRecord& record : held_out) {
    const OpEstimate e = estimate(judgement.predictor, record.op);
    const double error = e.ns / record.timing.median_ns - 1;
    ++q.count;
    q.mape += std::abs(error);
    q.within_10 += std::abs(error) <= 0.1 ? 1 : 0;
    q.covered += std::abs(std::log1p(error)) <= z90 * e.spread_ns / e.ns ? 1 : 0;
  }
  for (double* sum : {&q.mape, &q.within_10, &q.covered}) *sum /= q.count;
  return judgement;
}

}  // namespace cpubone
