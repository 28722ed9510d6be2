#pragma once
#include <vector>

#include "cli/terminal.hpp"
#include "profiler/compare_precisions.hpp"
#include "records/co_execution_profile.hpp"

/// What cpubone-profile prints.
namespace cpubone::cli {

/// Operators one by one.
void print(const Terminal& terminal, const std::vector<OpRecord>& ops, Format format);

/// Networks; a single one as a table also operator by operator.
void print(const Terminal& terminal, const std::vector<NetworkRecord>& networks, Format format);

/// Networks in f32 beside int8; a single one as a table also operator by operator.
void print(const Terminal& terminal, const std::vector<PrecisionComparison>& comparisons,
           Format format);

/// Operators by class.
void print_summary(const Terminal& terminal, const Profile& profile, Format format);
void print_summary(const Terminal& terminal, const CoExecutionProfile& profile, Format format);

/// What can be measured or predicted.
void print_devices(const Terminal& terminal, Format format);

}  // namespace cpubone::cli
