#pragma once
#include <array>
#include <memory>

#include "profiler/host_profile.hpp"
#include "records/co_execution_profile.hpp"
#include "runtime/coprocessor.hpp"

namespace cpubone {

/// What predictions of co-execution need, within `options.budget_s`: the profile of this machine as
/// `measure_host_profile` makes it, operators that the coprocessor runs, and small layers of which
/// either side computes half. That each of the coprocessor's kernels runs once before, for its
/// driver to compile it, is beyond the budget. `options.co_execution` is not asked. Cancelled it
/// has less. Throws std::invalid_argument for a precision other than f32 and f16, cpubone::Error
/// where the CPU calculates nothing in f16 that is asked for, or the coprocessor fails.
CoExecutionProfile measure_co_execution_profile(const MeasureOptions& options,
                                                std::shared_ptr<const Coprocessor> coprocessor,
                                                const MakeSpread& spread_of);

/// Nanoseconds that the CPU takes to start an operator on the coprocessor, before it can go on: the
/// median of many starts, each waited for. Throws cpubone::Error where the coprocessor fails.
double start_ns(const Coprocessor& coprocessor, DType dtype);

/// What is appended to `options.journal` for its parts.
inline constexpr std::array<const char*, 4> co_execution_journal_parts{".ops", ".unsure",
                                                                       ".networks", ".coprocessor"};

/// Where the co-execution profile of this machine with these settings is kept.
std::filesystem::path host_co_execution_profile_path(const MeasureSettings& settings);

}  // namespace cpubone
