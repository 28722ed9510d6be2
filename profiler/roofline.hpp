#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "profiler/sampler.hpp"
#include "records/profile.hpp"

namespace cpubone {

class ThreadPool;

/// One rate of the roofline: a kernel of our own that is timed among the operators, in the same
/// rounds, and so at the same pace.
struct Ceiling {
  std::string name;
  double Roofline::*rate;
  double work = 0;  ///< MACs or bytes of a run, of all threads
  Task task;
};

/// Arithmetic, then caches and memory. Runs on all threads of `pool`, which must outlive the tasks.
std::vector<Ceiling> ceilings(const Device& device, const ThreadPool& pool);

/// Rates from a timing of each ceiling; 0 where one has no samples or was disturbed, so that
/// nothing is told of a runtime that only other programs made slow.
Roofline roofline_of(std::span<const Ceiling> ceilings, std::span<const Timing> timings);

/// Median share of the peak among dense convolutions that data would allow to reach it; 0 where
/// fewer than 5 were measured undisturbed.
double convolution_share(const Profile& profile);

/// Where the runtime's convolutions are known to be slow on this CPU and are: what they reach, and
/// the remedy.
std::optional<Warning> slow_runtime(const Profile& profile);

}  // namespace cpubone
