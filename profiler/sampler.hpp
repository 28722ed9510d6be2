#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "profiler/machine.hpp"
#include "records/profile.hpp"

namespace cpubone {

/// Something that is timed, in independent copies with weights of their own.
class Subject {
 public:
  virtual ~Subject() = default;
  /// Lays what it calculates on elsewhere; before every sample.
  virtual void move() {}
  /// Writes the copy's input as a preceding operator would, and leaves the caches as it would;
  /// before every timed run of cold mode.
  virtual void feed(int copy) = 0;
  virtual void run(int copy) = 0;
};

/// What to time.
struct Task {
  std::int64_t weight_bytes = 0;  ///< of one copy
  double guess_ns = 1e5;          ///< rough duration of a run
  CacheMode cache = CacheMode::cold;
  std::function<std::unique_ptr<Subject>(int copies)> prepare;
};

struct SampleOptions {
  double budget_s = 60;    ///< wall time, preparation and warm-up included
  std::uint64_t seed = 1;  ///< of the order of rounds
  double batch_ns = 50e3;  ///< a sample lasts at least about this long, where copies allow
  int most_runs_per_sample = 16;
  double relative_half_width = 0.01;  ///< of the median's 95 % confidence interval: enough
  std::size_t fewest_samples = 5;
  std::size_t most_samples = 100;
  std::int64_t memory_bytes = std::int64_t{1} << 30;  ///< most that copies of weights may take
  double most_preparing = 0.4;  ///< share of the budget; tasks beyond it form another group
};

/// A sample, good or rejected.
struct Sample {
  int task = 0;
  double ns = 0;              ///< of one run
  double calibration_ns = 0;  ///< what the calibration kernel took around it
  bool interrupted = false;   ///< the CPU was taken away meanwhile
  double at_s = 0;            ///< when it began, since the run did
  bool operator==(const Sample&) const = default;
};

struct SampleProgress {
  double fraction = 0;     ///< of the work; never falls
  double remaining_s = 0;  ///< estimate, at most what is left of the budget
  int done = 0;            ///< tasks
  int tasks = 0;
};

/// How a sampling run went.
struct SampleReport {
  /// Of each task at the machine's typical pace; without samples where the budget ended before the
  /// first. Disturbed: fewer than the fewest samples were good, so that rejected ones are among
  /// them, or they scatter widely.
  std::vector<Timing> timings;
  std::vector<PaceRegime> paces;  ///< of the rounds, joined where they are alike
  double seconds = 0;             ///< up to the last sample, those of an interrupted run included
  int good = 0;                   ///< samples
  int rejected = 0;               ///< samples that interference rejected
  double calibration_ns = 0;  ///< what the calibration kernel took where this run was at its best
  double typical_calibration_ns = 0;  ///< and at the median
  double mean_competitors = 0;        ///< other threads that wanted a CPU, averaged over the run
  Conditions worst;                   ///< lowest frequency, highest temperature, most competitors
  double highest_mhz = 0;
};

struct SampleHooks {
  std::vector<Sample> known;  ///< samples of an interrupted run
  double known_s = 0;         ///< that it took; counts towards the budget
  std::function<void(std::span<const Sample>)>
      on_round;  ///< after every round, the round's samples
  std::function<void(const SampleProgress&)> on_progress;
  std::function<bool()> cancelled;
};

/// Times tasks in interleaved rounds of random order until the confidence interval of each median
/// is narrow enough or the budget is spent. Cold mode: each timed run uses a copy whose weights
/// have left the caches since its last run, with input and code warm. Samples during which the CPU
/// was taken away, or around which a calibration kernel was slow, are rejected and re-measured
/// where that is rare; where it is not, it is the machine's pace, and latencies are of that. A task
/// that cannot be had otherwise keeps rejected samples and is marked as disturbed.
SampleReport sample(std::span<const Task> tasks, Machine& machine, const SampleOptions& options,
                    const SampleHooks& hooks = {});

}  // namespace cpubone
