#include "profiler/host_profile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "graph/error.hpp"
#include "profiler/host.hpp"
#include "profiler/plan.hpp"
#include "profiler/roofline.hpp"
#include "space/random_network.hpp"

namespace cpubone {
namespace {

std::vector<Op> unsure_operators(const Profile& profile, const MakeSpread& spread_of,
                                 const MeasureOptions& options) {
  std::vector<Op> known;
  for (const OpRecord& record : profile.ops) known.push_back(record.op);
  const int count = unsure_ops(profile, options.budget_s);
  return next_operators(known, spread_of(profile), count, options.seed, profile.settings.dtype,
                        runs_dynamic(options.backends));
}

}  // namespace

double rest_s(const Profile& spread, double budget_s) {
  return host_profile_ops_share * budget_s -
         std::min(host_profile_spread_share * budget_s, spread.seconds);
}

int unsure_ops(const Profile& spread, double budget_s) {
  constexpr double fewest = 500;
  constexpr double most = 1800;
  constexpr double planned = 0.88;  // of the time: those that are unsure take longer
  const double left_s = planned * host_profile_ops_share * budget_s - spread.seconds;
  const double count = static_cast<double>(spread.ops.size()) * left_s / spread.seconds;
  return static_cast<int>(std::clamp(std::isfinite(count) ? count : fewest, fewest, most));
}

std::optional<std::filesystem::path> find_cache_folder() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::filesystem::path(value ? value : "");
  };
  const std::filesystem::path cache = variable("XDG_CACHE_HOME");
  if (cache.is_absolute()) return cache / "cpubone";
  const std::filesystem::path home = variable("HOME");
  if (home.empty()) return std::nullopt;
  return home / ".cache" / "cpubone";
}

std::filesystem::path cache_folder() {
  if (const auto folder = find_cache_folder()) return *folder;
  throw Error("no folder for profiles: neither XDG_CACHE_HOME nor HOME is set; set one of them");
}

std::filesystem::path host_profile_path(const MeasureSettings& settings) {
  return cache_folder() /
         fmt::format("host-{}.json", fingerprint(describe_host(settings.cpus), settings));
}

double known_calibration_ns(const MeasureSettings& settings) {
  try {
    const std::filesystem::path path = host_profile_path(settings);
    return std::filesystem::exists(path) ? best_calibration_ns(load_profile(path)) : 0;
  } catch (const Error&) {
    return 0;
  }
}

MeasureOptions part_of(const MeasureOptions& options, const char* journal_part, double from,
                       double share) {
  MeasureOptions part = options;
  part.budget_s = share * options.budget_s;
  if (!options.journal.empty()) part.journal = options.journal.string() + journal_part;
  if (options.on_progress)
    part.on_progress = [&options, from, share](SampleProgress progress) {
      // Later parts take their budget at most.
      progress.remaining_s += options.budget_s * (1 - from - share);
      progress.fraction = from + share * progress.fraction;
      options.on_progress(progress);
    };
  return part;
}

Profile measure_host_profile(const MeasureOptions& options, const MakeSpread& spread_of) {
  Profile profile = host_profile(options.settings, options.backends);
  double done = 0;  // share of the budget that parts before took
  const auto part = [&](const char* name, double share, double half_width) {
    MeasureOptions one = part_of(options, name, done, share);
    one.details = false;
    one.roofline = true;
    one.relative_half_width = half_width;
    done += share;
    return one;
  };
  const auto cancelled = [&] { return options.cancelled && options.cancelled(); };
  measure_ops(sampling_plan(options.seed, host_profile_spread_ops, options.settings.dtype,
                            runs_dynamic(options.backends)),
              part(".ops", host_profile_spread_share, host_profile_half_width), profile);
  if (std::optional<Warning> slow = slow_runtime(profile))
    profile.warnings.push_back(*std::move(slow));
  if (cancelled()) return profile;
  MeasureOptions rest =
      part(".unsure", host_profile_ops_share - host_profile_spread_share, host_profile_half_width);
  rest.budget_s = rest_s(profile, options.budget_s);
  measure_ops(unsure_operators(profile, spread_of, options), rest, profile);
  if (cancelled()) return profile;
  measure_networks(calibration_networks(), part(".networks", 1 - done, options.relative_half_width),
                   profile);
  return profile;
}

}  // namespace cpubone
