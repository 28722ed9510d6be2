#pragma once
#include "cli/explore_arguments.hpp"

namespace cpubone::cli {

/// Whether the study `precision` is asked for, which is of all precisions.
bool compares_precisions(const ExploreArguments& arguments);

/// The studies that `--study` names: writes their result and report, prints their tables. Throws
/// std::invalid_argument for a name that is none, or as `device_predictor` does.
void study_tool(const ExploreArguments& arguments, const ExploreRequest& request,
                const Terminal& terminal, Format format);

}  // namespace cpubone::cli
