#pragma once
#include <filesystem>

#include "profiler/measure.hpp"

namespace cpubone {

/// Where profiles of this machine are kept: $XDG_CACHE_HOME/cpubone, else ~/.cache/cpubone. Throws
/// cpubone::Error where neither variable is set.
std::filesystem::path cache_folder();

/// Where the profile of this machine with these settings is kept; its fingerprint is in the name.
std::filesystem::path host_profile_path(const MeasureSettings& settings);

/// What a predictor of this machine needs: the operators of `sampling_plan` and the networks of
/// `calibration_networks`, measured within `options.budget_s`. Journals are beside
/// `options.journal`, one for each half, where it is not empty.
Profile measure_host_profile(const MeasureOptions& options);

}  // namespace cpubone
