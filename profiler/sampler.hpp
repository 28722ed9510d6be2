#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "profiler/machine.hpp"
#include "space/profile.hpp"

namespace cpubone {

/// Something that is timed, in independent copies with weights of their own.
class Subject {
 public:
  virtual ~Subject() = default;
  /// Writes the input as a preceding operator would.
  virtual void feed() = 0;
  virtual void run(int copy) = 0;
};

/// What to time.
struct Task {
  std::int64_t weight_bytes = 0;  ///< of one copy
  double guess_ns = 1e5;          ///< rough duration of a run
  std::function<std::unique_ptr<Subject>(int copies)> prepare;
};

struct SampleOptions {
  double budget_s = 60;
  CacheMode cache = CacheMode::cold;
  std::uint64_t seed = 1;  ///< of the order of rounds
  double batch_ns = 50e3;  ///< a sample lasts at least about this long, where copies allow
  int most_runs_per_sample = 16;
  double relative_half_width = 0.01;  ///< of the median's 95 % confidence interval: enough
  std::size_t fewest_samples = 5;
  std::size_t most_samples = 60;
  std::int64_t memory_bytes = std::int64_t{1} << 30;  ///< most that copies of weights may take
};

/// A sample that was accepted.
struct Sample {
  int task = 0;
  double ns = 0;  ///< of one run
  bool disturbed = false;
  bool operator==(const Sample&) const = default;
};

struct SampleProgress {
  double fraction = 0;     ///< of the work
  double remaining_s = 0;  ///< estimate
  int done = 0;            ///< tasks
  int tasks = 0;
};

/// How a sampling run went.
struct SampleReport {
  std::vector<Timing>
      timings;  ///< of each task; no samples where the budget ended before the first
  double seconds = 0;
  int discarded = 0;  ///< samples that interference spoilt
  int accepted = 0;
  double slowest_calibration = 1;  ///< relative to the fastest, where samples were kept
};

struct SampleHooks {
  std::vector<Sample> known;  ///< samples of an interrupted run
  std::function<void(std::span<const Sample>)>
      on_round;  ///< after every round, the round's samples
  std::function<void(const SampleProgress&)> on_progress;
  std::function<bool()> cancelled;
};

/// Times tasks in interleaved rounds of random order until the confidence interval of each median
/// is narrow enough or the budget is spent. Cold mode: each timed run uses a copy whose weights
/// have left the caches since its last run, with input and code warm. Samples during which
/// something else ran, or around which a calibration kernel was slow, are discarded and taken
/// again; what cannot be had otherwise is kept and marked as disturbed.
SampleReport sample(std::span<const Task> tasks, Machine& machine, const SampleOptions& options,
                    const SampleHooks& hooks = {});

}  // namespace cpubone
