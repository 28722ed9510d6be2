#pragma once
#include <string>
#include <vector>

#include "cli/terminal.hpp"
#include "predictor/predictor.hpp"
#include "space/network.hpp"

namespace cpubone::cli {

/// The predictor that `--device` means: `host` (fitted to the profile of this machine that
/// cpubone-profile keeps), a device in devices/ (calibrated from published latencies), or a file
/// with a profile, a predictor or a device. Warns where it was made on another machine. Throws
/// cpubone::Error saying which command makes what is missing.
Predictor device_predictor(const std::string& device, const MeasureSettings& settings,
                           const Terminal& terminal);

/// The network that a user means: a name of the zoo or a `.json` file.
Network named_network(const std::string& name_or_file);

}  // namespace cpubone::cli
