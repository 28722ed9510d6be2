// Networks of the zoo, or those named, in f32, f16 and int8, which run in turns: latency and
// memory, what conversions and operators that stay f32 take of int8's, and how far int8's output is
// from f32's on images that it was not calibrated on.
#include <cmath>
#include <cstdlib>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "benchmarks/rows.hpp"
#include "profiler/compare_precisions.hpp"
#include "profiler/host.hpp"
#include "runtime/calibration.hpp"
#include "space/zoo.hpp"

using namespace cpubone;

namespace {

constexpr double seconds_per_network = 2;
constexpr int calibration_images = 4;
constexpr int other_images = 2;

double ms(double ns) {
  return ns * 1e-6;
}

/// What stays f32, by reason.
std::string fallbacks(const PrecisionComparison& comparison) {
  std::map<std::string, int> counts;
  for (const PrecisionPart& part : comparison.parts)
    if (!part.reason.empty()) ++counts[part.reason];
  std::string text;
  for (const auto& [reason, count] : counts)
    text += fmt::format("{}{} x {}", text.empty() ? "" : ", ", count, reason);
  return text.empty() ? "nothing stays f32" : text;
}

QuantisationError accuracy(const Network& network) {
  const auto pool = std::make_shared<const ThreadPool>(1);
  const auto images = random_images(network, calibration_images + other_images);
  const std::span<const InputValues> all(images);
  const QuantisedNetwork quantised =
      quantise(network, random_parameters(), all.first(calibration_images), pool);
  return compare(network, quantised, random_parameters(), all.last(other_images), pool);
}

void run(std::span<const std::string> arguments, Rows& rows) {
  const char* set = std::getenv("CPUBONE_THREADS");
  const int threads = set ? std::atoi(set) : 1;
  std::vector<Network> networks;
  for (const std::string& name : arguments) networks.push_back(find_network(name));
  if (arguments.empty())
    for (const ZooEntry& entry : zoo()) networks.push_back(entry.build());
  const Device host = describe_host();
  double log_speedups = 0;
  for (const Network& network : networks) {
    const PrecisionComparison got = compare_precisions(network, host, threads, seconds_per_network);
    const std::string& name = network.name;
    log_speedups += std::log(got.speedup.value);
    rows.inform(name + ": f32", ms(got.f32_ns.value), "ms", fmt::format("{} threads", threads));
    rows.inform(name + ": f16", ms(got.f16_ns.value), "ms",
                got.f16_ns.value == 0 ? "does not run here"
                : got.f16_emulated    ? "emulated"
                                      : "native");
    rows.inform(name + ": f32 over f16", got.f16_speedup.value, "ratio", "median of turns");
    rows.inform(name + ": int8", ms(got.int8_ns.value), "ms");
    rows.add(name + ": f32 over int8", got.speedup.value, "ratio", 1, ">=", "median of turns");
    rows.inform(name + ": int8's time in conversions", conversion_ns(got) / got.int8_ns.value,
                "share");
    rows.inform(name + ": int8's time in what stays f32", fallback_ns(got) / got.int8_ns.value,
                "share", fallbacks(got));
    rows.add(
        name + ": memory of int8 over f32's",
        static_cast<double>(got.int8_memory_bytes) / static_cast<double>(got.f32_memory_bytes),
        "ratio", 0.35, "<=",
        fmt::format("{:.1f} of {:.1f} MiB", static_cast<double>(got.int8_memory_bytes) / (1 << 20),
                    static_cast<double>(got.f32_memory_bytes) / (1 << 20)));
    const QuantisationError compared = accuracy(network);
    rows.add(name + ": cosine of outputs", compared.output.cosine, "cosine", 0.99, ">=",
             fmt::format("most is lost in {}, which adds {:.1f} %", compared.worst().node,
                         100 * compared.worst().added_error));
  }
  if (networks.size() > 1)
    rows.inform("f32 over int8, geometric mean",
                std::exp(log_speedups / static_cast<double>(networks.size())), "ratio",
                fmt::format("{} networks", networks.size()));
}

}  // namespace

int main(int argc, char** argv) {
  return run_benchmark("precision [NETWORK...]", 1000, argc, argv, run);
}
