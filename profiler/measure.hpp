#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graph/network.hpp"
#include "profiler/sampler.hpp"
#include "records/profile.hpp"
#include "runtime/backend.hpp"

namespace cpubone {

class CoExecution;
class Coprocessor;
struct LayerSplit;
class ThreadPool;

struct MeasureOptions {
  MeasureSettings settings;
  Backends backends = cpubone::backends();  ///< what is measured, as `find_runtime` gives it
  double budget_s = 60;
  double relative_half_width = SampleOptions{}.relative_half_width;  ///< that is enough, as there
  std::uint64_t seed = 1;
  /// JSON lines, one a round, so that a killed run loses at most the round in flight; empty: none.
  std::filesystem::path journal;
  /// Continue from the journal where there is one. Throws cpubone::Error where it is of other
  /// operators, settings or another machine.
  bool resume = false;
  /// Also where in a network its time goes and the memory it takes: two more runs of each, which
  /// the budget does not cover.
  bool details = true;
  /// Among operators also the profile's roofline, where it has none.
  bool roofline = false;
  /// What the calibration kernel takes on this machine at its best, as an earlier profile knows
  /// (`best_calibration_ns`); 0: unknown.
  double calibration_ns = 0;
  /// Operators that it supports are measured on the coprocessor, or shared with it; null: none.
  std::shared_ptr<const CoExecution> co_execution = nullptr;
  std::function<void(const SampleProgress&)> on_progress;
  std::function<bool()> cancelled;
};

/// Throws std::invalid_argument naming the operator where no engine runs it.
void check_measurable(const Op& op, Backends backends = cpubone::backends());

/// A profile of this machine without records, whose operators are to be measured in co-execution:
/// its device names the coprocessor, so that it is mixed with no other.
Profile host_profile(const MeasureSettings& settings, const CoExecution& co_execution);

/// Measures distinct operators on this machine and appends records, warnings and seconds to
/// `profile`, whose device, settings and runtime it must be. An activation that its operator cannot
/// apply while it writes is part of the time. Throws std::invalid_argument naming an operator that
/// no engine runs.
void measure_ops(std::span<const Op> ops, const MeasureOptions& options, Profile& profile);

/// Measures whole networks as chains, interleaved and in the settings' precision (`in_precision`);
/// with `details`, a breakdown by operator.
void measure_networks(std::span<const Network> networks, const MeasureOptions& options,
                      Profile& profile);

/// Timings of networks in the order given, measured in the same rounds; several may have the same
/// name. Those that the budget leaves out are measured after it, within twice as much, until all
/// are: what was asked for is not done without them. Throws cpubone::Error where it is cancelled.
std::vector<Timing> measure_timings(std::span<const Network> networks, MeasureOptions options);

/// Timings of layers that are shared with the coprocessor, in the order given, measured in the same
/// rounds; a layer may stand there with several splits. All are measured, as by `measure_timings`.
std::vector<Timing> measure_splits(std::span<const LayerSplit> layers,
                                   const std::shared_ptr<const Coprocessor>& coprocessor,
                                   const MeasureOptions& options);

/// Timings of a network in the settings' precision, measured in the same rounds: shared with the
/// coprocessor by each of `by`, and on the CPU alone where that is null. All are measured, as by
/// `measure_timings`. Throws std::invalid_argument unless the first is not null.
std::vector<Timing> measure_shared_network(const Network& network,
                                           std::span<const std::shared_ptr<const CoExecution>> by,
                                           const MeasureOptions& options);

/// Bytes of everything that a network holds while it runs: packed weights, activations and what
/// its runtime allocates beside them.
std::int64_t memory_of(const Network& network, const std::shared_ptr<const ThreadPool>& pool,
                       Backends backends = cpubone::backends());

/// A profile of this machine and a runtime on it, without records.
Profile host_profile(const MeasureSettings& settings, Backends backends = cpubone::backends());

}  // namespace cpubone
