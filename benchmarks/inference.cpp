// Every network of the zoo, or those named: latency, MACpS, what XNNPACK and the Eigen kernels each
// take of the time, and memory. Each network runs in a process of its own, so that memory is its
// own: resident memory is compared with that just before the executor was made; the kernel's
// high-water mark is reset (clear_refs) between making and running it.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <random>
#include <set>
#include <span>

#include "benchmarks/rows.hpp"
#include "graph/error.hpp"
#include "runtime/executor.hpp"
#include "runtime/steady_clock.hpp"
#include "runtime/xnnpack_traits.hpp"
#include "space/zoo.hpp"

using namespace cpubone;

namespace {

constexpr double seconds_per_network = 1.0;
constexpr int fewest_runs = 7;

/// A value in kB of /proc/self/status, in bytes.
double status_bytes(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;)
    if (word == key + ":") {
      double kib = 0;
      file >> kib;
      return kib * 1024;
    }
  throw Error(fmt::format("/proc/self/status has no {}", key));
}

void reset_high_water_mark() {
  std::ofstream("/proc/self/clear_refs") << "5";
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

nlohmann::json measure(const Network& network, int threads) {
  const auto pool = std::make_shared<ThreadPool>(threads);
  const double before = status_bytes("VmRSS");
  reset_high_water_mark();
  Executor executor(network, random_parameters(), pool);
  const double making = status_bytes("VmHWM") - before;
  reset_high_water_mark();
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1.0F, 1.0F);
  for (float& value : executor.input()) value = uniform(random);
  executor.run();
  executor.run();
  std::vector<double> run_ns;
  std::vector<double> step_ns(executor.steps().size(), 0.0);
  const double start = steady_now_ns();
  while (run_ns.size() < fewest_runs || steady_now_ns() - start < seconds_per_network * 1e9) {
    const double begin = steady_now_ns();
    executor.run();
    run_ns.push_back(steady_now_ns() - begin);
    executor.run_timed(step_ns);
  }
  const double running = status_bytes("VmHWM") - before;
  double total = 0;
  double eigen = 0;
  for (std::size_t i = 0; i < step_ns.size(); ++i) {
    total += step_ns[i];
    if (executor.steps()[i].backend->name() == "eigen") eigen += step_ns[i];
  }
  return {{"latency_ms", median(run_ns) * 1e-6},
          {"runs", run_ns.size()},
          {"eigen", eigen / total},
          {"running_bytes", running},
          {"making_bytes", making}};
}

/// What `measure` finds in a process of its own.
nlohmann::json measure_apart(const Network& network, int threads) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) throw Error("pipe failed");
  const pid_t child = fork();
  if (child < 0) throw Error("fork failed");
  if (child == 0) {
    close(ends[0]);
    int code = 0;
    try {
      const std::string text = measure(network, threads).dump();
      if (write(ends[1], text.data(), text.size()) != static_cast<ssize_t>(text.size())) code = 1;
    } catch (const std::exception& e) {
      fmt::print(stderr, "{}: {}\n", network.name, e.what());
      code = 1;
    }
    _exit(code);
  }
  close(ends[1]);
  std::string text;
  std::array<char, 512> buffer{};
  for (ssize_t n = 0; (n = read(ends[0], buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0) throw Error(fmt::format("network \"{}\" did not run", network.name));
  return nlohmann::json::parse(text);
}

void add_rows(Rows& rows, const Network& network, int threads) {
  const std::set<std::string> b_networks{"cpubone-b0", "cpubone-b1", "cpubone-b2", "cpubone-b3"};
  const nlohmann::json got = measure_apart(network, threads);
  const auto value = [&](const char* key) { return got.at(key).get<double>(); };
  const std::string& name = network.name;
  const double ms = value("latency_ms");
  const double share = value("eigen");
  rows.inform(name + ": median latency", ms, "ms",
              fmt::format("{} runs, {} threads", got.at("runs").get<int>(), threads));
  rows.inform(name + ": MACpS", static_cast<double>(macs(network)) / ms * 1e-6, "GMACpS");
  rows.inform(name + ": time in XNNPACK", 1 - share, "share");
  if (b_networks.count(name)) {
    rows.add(name + ": time in Eigen kernels", share, "share", 0.08, "<=");
  } else {
    rows.inform(name + ": time in Eigen kernels", share, "share");
  }
  const Network executed = lowered(network);
  const auto needed = static_cast<double>(weight_bytes(executed) + peak_activation_bytes(executed));
  const double ratio = value("running_bytes") / needed;
  const std::string note = "high-water mark of resident memory while it runs";
  rows.inform(name + ": memory", value("running_bytes") / 1048576, "MiB", note);
  rows.inform(name + ": memory while weights are packed", value("making_bytes") / 1048576, "MiB");
  if (name == "cpubone-b3") {
    rows.add(name + ": memory over weights and activations", ratio, "ratio", 1.3,
             "<=", fmt::format("{:.1f} MiB needed", needed / 1048576));
  } else {
    rows.inform(name + ": memory over weights and activations", ratio, "ratio");
  }
}

void run(std::span<const std::string> arguments, Rows& rows) {
  const char* set = std::getenv("CPUBONE_THREADS");
  const int threads = set ? std::atoi(set) : 1;
  std::vector<Network> networks;
  for (const std::string& name : arguments) networks.push_back(find_network(name));
  if (arguments.empty())
    for (const ZooEntry& entry : zoo()) networks.push_back(entry.build());
  for (const Network& network : networks) add_rows(rows, network, threads);
}

}  // namespace

int main(int argc, char** argv) {
  return run_benchmark("inference [NETWORK...]", 1000, argc, argv, run);
}
