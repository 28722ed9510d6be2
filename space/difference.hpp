#pragma once
#include <string>

#include "space/cpubone.hpp"

namespace cpubone {

/// What differs between two configurations, e.g. `stage 3: blocks 3 -> 5, groups 2 -> 1; input 224
/// -> 192`.
std::string difference(const CpuboneConfig& config, const CpuboneConfig& from);

}  // namespace cpubone
