#include "profiler/host_profile.hpp"

#include <fmt/format.h>

#include <cstdlib>

#include "profiler/host.hpp"
#include "profiler/plan.hpp"
#include "space/error.hpp"
#include "space/random_network.hpp"

namespace cpubone {
namespace {

constexpr int planned_ops = 900;
constexpr double share_of_ops = 0.65;  // of the budget; networks take the rest

}  // namespace

std::filesystem::path cache_folder() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::filesystem::path(value ? value : "");
  };
  const std::filesystem::path cache = variable("XDG_CACHE_HOME");
  if (cache.is_absolute()) return cache / "cpubone";
  const std::filesystem::path home = variable("HOME");
  if (home.empty())
    throw Error(
        "no folder for profiles: neither XDG_CACHE_HOME nor HOME is set; name a file with -o");
  return home / ".cache" / "cpubone";
}

std::filesystem::path host_profile_path(const MeasureSettings& settings) {
  return cache_folder() / fmt::format("host-{}.json", fingerprint(describe_host(), settings));
}

Profile measure_host_profile(const MeasureOptions& options) {
  Profile profile = host_profile(options.settings);
  const auto part = [&](const char* name, double budget_s, double from, double to) {
    MeasureOptions half = options;
    half.budget_s = budget_s;
    half.details = false;
    if (!options.journal.empty()) half.journal = options.journal.string() + name;
    if (options.on_progress)
      half.on_progress = [&, from, to](SampleProgress progress) {
        // The second half is known to take its budget at most.
        if (from == 0) progress.remaining_s += options.budget_s * (1 - share_of_ops);
        progress.fraction = from + (to - from) * progress.fraction;
        options.on_progress(progress);
      };
    return half;
  };
  const std::vector<Op> ops = sampling_plan(options.seed, planned_ops, options.settings.dtype);
  measure_ops(ops, part(".ops", share_of_ops * options.budget_s, 0, share_of_ops), profile);
  if (options.cancelled && options.cancelled()) return profile;
  if (options.settings.dtype == DType::qs8) return profile;  // only operators run in int8
  std::vector<Network> networks = calibration_networks();
  for (Network& network : networks) network = with_dtype(network, options.settings.dtype);
  measure_networks(
      networks, part(".networks", (1 - share_of_ops) * options.budget_s, share_of_ops, 1), profile);
  return profile;
}

}  // namespace cpubone
