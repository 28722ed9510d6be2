#pragma once
#include <array>
#include <filesystem>
#include <functional>
#include <optional>

#include "profiler/measure.hpp"
#include "profiler/plan.hpp"

namespace cpubone {

/// Where profiles of this machine are kept: $XDG_CACHE_HOME/cpubone, else ~/.cache/cpubone; nowhere
/// where neither variable is set.
std::optional<std::filesystem::path> find_cache_folder();
/// The same; throws cpubone::Error where there is none.
std::filesystem::path cache_folder();

/// Where the profile of this machine with these settings is kept; its fingerprint is in the name.
std::filesystem::path host_profile_path(const MeasureSettings& settings);

/// What the calibration kernel takes on this machine at its best, as the profile that is kept
/// knows; 0 where there is none that can be read.
double known_calibration_ns(const MeasureSettings& settings);

/// Operators of a profile that are spread evenly; then come those that a predictor made of them is
/// least sure of.
inline constexpr int host_profile_spread_ops = 600;
/// Of a median's 95 % interval: many operators teach a predictor more than as much time spent on
/// few of them.
inline constexpr double host_profile_half_width = 0.015;
/// Of the budget; the networks take the rest.
inline constexpr double host_profile_ops_share = 0.68;
inline constexpr double host_profile_spread_share = 0.38;  ///< of these at most

/// What is left of the operators' share of `budget_s` after those of `spread`.
double rest_s(const Profile& spread, double budget_s);
/// Of the operators that a predictor is least sure of, how many are measured after `spread`: as
/// many as there is time for where they take somewhat longer than those of `spread` did, 500 to
/// 1,800. On a slow or a busy machine that is fewer.
int unsure_ops(const Profile& spread, double budget_s);

/// Makes a predictor of what was measured and tells where it is unsure.
using MakeSpread = std::function<Spread(const Profile& measured)>;

/// What a predictor of this machine needs: operators of `sampling_plan`, those of `next_operators`
/// by a predictor of the first, and the networks of `calibration_networks`, measured within
/// `options.budget_s`. Journals are beside `options.journal`, one a part, where it is not empty.
Profile measure_host_profile(const MeasureOptions& options, const MakeSpread& spread_of);

/// What is appended to `options.journal` for the parts; the first is that of `measure_ops` alone.
inline constexpr std::array<const char*, 4> journal_parts{"", ".ops", ".unsure", ".networks"};

/// Options of a part of a run, which has that share of its budget and comes after a share `from`;
/// `journal_part` is appended to the journal's name. `options` must outlive what is returned.
MeasureOptions part_of(const MeasureOptions& options, const char* journal_part, double from,
                       double share);

}  // namespace cpubone
