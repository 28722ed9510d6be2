// Models in ONNX files: those of a folder (`FOLDER/NAME/model.onnx` with `test_data_set_0` as the
// ONNX project lays out its own cases, or `FOLDER/NAME.onnx`). Rows: how many import, how far their
// outputs are off, how long the import takes; how right a predictor of this machine, measured in
// this run on none of them, is about their latencies; and with ONNX Runtime's shared library, how
// their latencies compare with those there. One thread.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <numeric>
#include <optional>

#include "benchmarks/onnx_cases.hpp"
#include "benchmarks/rows.hpp"
#include "graph/error.hpp"
#include "predictor/evaluation.hpp"
#include "predictor/predictor.hpp"
#include "profiler/heap.hpp"
#include "profiler/host_profile.hpp"
#include "profiler/statistics.hpp"
#include "profiler/subjects.hpp"
#include "runtime/executor.hpp"
#include "runtime/steady_clock.hpp"
#include "space/random_network.hpp"

using namespace cpubone;

namespace {

constexpr double profile_s = 90;
constexpr double seconds_per_network = 1;
constexpr std::size_t fewest_turns = 5;

double share(std::size_t part, std::size_t all) {
  return 100 * static_cast<double>(part) / static_cast<double>(all);
}

/// Bytes of a case's model with the data in files beside it, which then are in memory: imports are
/// not to wait for the disk.
std::size_t bytes_read(const std::filesystem::path& path) {
  std::vector<std::filesystem::path> files{path};
  if (std::filesystem::is_directory(path))
    files.assign(std::filesystem::directory_iterator(path), {});
  std::vector<char> buffer(1 << 20);
  std::size_t bytes = 0;
  for (const std::filesystem::path& name : files) {
    if (!std::filesystem::is_regular_file(name)) continue;
    std::ifstream file(name, std::ios::binary);
    do {
      file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
      bytes += static_cast<std::size_t>(file.gcount());
    } while (file);
  }
  return bytes;
}

/// The networks of those models that compute what they must.
std::vector<Network> imported(const std::string& folder, Rows& rows) {
  std::vector<Network> networks;
  std::size_t all = 0;
  std::size_t not_refused = 0;
  double slowest_s = 0;  // for each 100 MB of its file
  for (const auto& path : case_folders(folder)) {
    OnnxCase one;
    OnnxVerdict verdict;
    double megabytes = 0;
    try {
      one = load_case(path);
      megabytes = 1e-6 * static_cast<double>(bytes_read(path));
      verdict = judge(one);
    } catch (const std::exception& e) {
      verdict.outcome = OnnxVerdict::Outcome::failed;
      verdict.why = e.what();
      one.name = path.filename().string();
    }
    ++all;
    if (verdict.outcome != OnnxVerdict::Outcome::refused) ++not_refused;
    if (verdict.outcome == OnnxVerdict::Outcome::passed) {
      networks.push_back(std::move(verdict.network));
      networks.back().name = one.name;
    }
    slowest_s = std::max(slowest_s, verdict.import_s / std::max(1.0, megabytes / 100));
    rows.inform(one.name, verdict.error, "relative L2",
                verdict.why.empty()
                    ? fmt::format("up to {:.1e} is equal; {:.1f} MB, imported in {:.2f} s",
                                  verdict.tolerance, megabytes, verdict.import_s)
                    : verdict.why);
  }
  if (all == 0) throw Error(fmt::format("{} has no models", folder));
  rows.add("models that import", share(not_refused, all), "%", 95, ">=", fmt::format("of {}", all));
  rows.add("models whose outputs are equal", share(networks.size(), all), "%", 95,
           ">=", "to 1e-4, or to three times the distance of another's float32 from the expected");
  rows.add("slowest import", slowest_s, "s", 1, "<=", "for each 100 MB, or begun ones");
  return networks;
}

void predicted(std::span<const Network> networks, Rows& rows) {
  MeasureOptions options;
  options.details = false;
  options.budget_s = profile_s;
  const std::vector<Network> calibration = calibration_networks();
  // The models' latencies are at the profile's pace, whatever the machine's was meanwhile.
  Profile profile = measure_host_profile(options, spread_of);
  options.budget_s = seconds_per_network * static_cast<double>(networks.size());
  measure_networks(networks, options, profile);
  const Predictor predictor = fit_predictor(profile, calibration);
  std::vector<Comparison> comparisons;
  double slowest_ms = 0;
  for (std::size_t i = 0; i < networks.size(); ++i) {
    const double begin = steady_now_ns();
    LatencyEstimate e;
    try {
      e = predict(predictor, networks[i]).latency;
    } catch (const Error& error) {
      rows.inform(networks[i].name + ": not predicted", std::nan(""), "ms", error.what());
      continue;
    }
    slowest_ms = std::max(slowest_ms, (steady_now_ns() - begin) * 1e-6);
    const NetworkRecord* record = find_record(profile, networks[i]);
    if (record == nullptr) {
      rows.inform(networks[i].name + ": measured", std::nan(""), "ms", "not within the budget");
      continue;
    }
    comparisons.push_back(
        {networks[i].name, record->timing.median_ns * 1e-6, e.ms, e.low_ms, e.high_ms});
    const Comparison& c = comparisons.back();
    rows.inform(
        c.network + ": measured", c.measured_ms, "ms",
        fmt::format("predicted {:.2f}, {:+.1f} %, 90 % interval {:.2f} to {:.2f}", c.predicted_ms,
                    100 * (c.predicted_ms / c.measured_ms - 1), c.low_ms, c.high_ms));
  }
  rows.add("models that are predicted", share(comparisons.size(), networks.size()), "%", 100, ">=");
  if (comparisons.empty()) return;
  const PredictionQuality quality = prediction_quality(comparisons);
  rows.add("predicted against measured: RMSPE", 100 * quality.rmspe, "%", 5, "<=",
           fmt::format("{} models, none of which the predictor was fitted to; bias {:+.1f} %, "
                       "worst {:.1f} %",
                       quality.count, 100 * quality.bias, 100 * quality.worst));
  rows.add("predicted against measured: within 10 %", 100 * quality.within_10, "%", 95, ">=");
  rows.inform("predicted against measured: Spearman", quality.spearman, "");
  rows.inform("90 % interval covers", 100 * quality.covered, "%");
  rows.add("slowest prediction, without the import", slowest_ms, "ms", 5, "<=");
}

void beside_onnxruntime(std::span<const Network> networks, const std::string& library, Rows& rows) {
  const auto pool = std::make_shared<const ThreadPool>(1);
  const Backends theirs = find_runtime("onnxruntime", library);
  const auto run_ns = [](Executor& executor) {
    const double begin = steady_now_ns();
    executor.run();
    return steady_now_ns() - begin;
  };
  std::vector<double> log_ratios;
  for (const Network& network : networks) {
    std::optional<Executor> in_theirs;
    try {
      in_theirs.emplace(network, random_parameters(), pool, ExecutorOptions{.backends = theirs});
    } catch (const Error& e) {
      rows.inform(network.name + ": not in ONNX Runtime", std::nan(""), "ratio", e.what());
      continue;
    }
    Executor& there = *in_theirs;
    Executor here(network, random_parameters(), pool);
    std::vector<double> here_ns;
    std::vector<double> ratios;
    for (Executor* executor : {&here, &there}) {
      fill_inputs(*executor);
      executor->run();
    }
    const double end = steady_now_ns() + seconds_per_network * 1e9;
    while (ratios.size() < fewest_turns || steady_now_ns() < end) {
      here_ns.push_back(run_ns(here));
      ratios.push_back(here_ns.back() / run_ns(there));
    }
    log_ratios.push_back(std::log(median(ratios)));
    rows.inform(network.name + ": over ONNX Runtime", median(ratios), "ratio",
                fmt::format("{:.2f} ms here, {} turns", median(here_ns) * 1e-6, ratios.size()));
  }
  rows.add("over ONNX Runtime, geometric mean",
           std::exp(std::accumulate(log_ratios.begin(), log_ratios.end(), 0.0) /
                    static_cast<double>(log_ratios.size())),
           "ratio", 1, "<=",
           fmt::format("{} models; {} beside {}", log_ratios.size(), backend_identities(),
                       backend_identities(theirs)));
}

void run(std::span<const std::string> arguments, Rows& rows) {
  if (arguments.empty()) throw std::invalid_argument("expected onnx FOLDER [ONNXRUNTIME_LIBRARY]");
  const KeepFreedMemory keep;
  const std::vector<Network> networks = imported(arguments[0], rows);
  if (networks.empty()) return;
  predicted(networks, rows);
  if (arguments.size() > 1) beside_onnxruntime(networks, arguments[1], rows);
}

}  // namespace

int main(int argc, char** argv) {
  return run_benchmark("onnx FOLDER [ONNXRUNTIME_LIBRARY]", 2, argc, argv, run);
}
