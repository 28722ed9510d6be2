#include "profiler/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "profiler/statistics.hpp"

namespace cpubone {
namespace {

constexpr double slow_calibration = 1.05;  // this much slower than usual is interference
constexpr double calibration_interval_ns = 10e6;
constexpr int most_retries = 3;
constexpr double most_disturbed = 0.2;  // share of samples, beyond which a record is marked
constexpr double too_uncertain = 0.05;  // half-width, beyond which a record is marked
constexpr int most_warm_up_rounds = 3;

struct Subjects {
  std::unique_ptr<Subject> subject;
  int runs = 1;
  std::int64_t read_at = 0;  ///< bytes that had been read by everybody at the last visit
};

class Sampler {
 public:
  Sampler(std::span<const Task> tasks, Machine& machine, const SampleOptions& options,
          const SampleHooks& hooks)
      : tasks_(tasks),
        machine_(machine),
        options_(options),
        hooks_(hooks),
        random_(options.seed),
        samples_(tasks.size()),
        disturbed_(tasks.size(), 0),
        runs_(tasks.size(), 1),
        start_ns_(machine.now_ns()) {
    for (const Sample& sample : hooks.known) keep(sample);
    for (int i = 0; i < 20; ++i) calibrations_.push_back(machine_.calibrate_ns());
  }

  SampleReport run() {
    std::vector<int> todo;
    for (std::size_t i = 0; i < tasks_.size(); ++i)
      if (!finished(i)) todo.push_back(static_cast<int>(i));
    for (std::size_t begin = 0; begin < todo.size() && !stopped();) {
      const std::size_t end = group_end(todo, begin);
      // What is left of the budget is shared out evenly over the tasks that are left.
      const double share =
          static_cast<double>(end - begin) / static_cast<double>(todo.size() - begin);
      run_group({todo.begin() + static_cast<std::ptrdiff_t>(begin),
                 todo.begin() + static_cast<std::ptrdiff_t>(end)},
                elapsed_s() + share * (options_.budget_s - elapsed_s()));
      begin = end;
    }
    return report();
  }

 private:
  double elapsed_s() const { return (machine_.now_ns() - start_ns_) * 1e-9; }
  bool stopped() const { return hooks_.cancelled && hooks_.cancelled(); }

  int runs_per_sample(const Task& task) const {
    const double runs = std::ceil(options_.batch_ns / std::max(task.guess_ns, 1.0));
    return static_cast<int>(
        std::clamp(runs, 1.0, static_cast<double>(options_.most_runs_per_sample)));
  }

  /// One copy is only warmed up with, so that code and activations are warm when the others run.
  int copies(const Task& task) const {
    return options_.cache == CacheMode::hot ? 1 : runs_per_sample(task) + 1;
  }

  std::size_t group_end(const std::vector<int>& todo, std::size_t begin) const {
    std::int64_t bytes = 0;
    std::size_t end = begin;
    for (; end < todo.size(); ++end) {
      const Task& task = tasks_[static_cast<std::size_t>(todo[end])];
      bytes += task.weight_bytes * copies(task);
      if (bytes > options_.memory_bytes && end > begin) break;
    }
    return end;
  }

  bool finished(std::size_t task) const {
    const auto& samples = samples_[task];
    if (samples.size() >= options_.most_samples) return true;
    return samples.size() >= options_.fewest_samples &&
           relative_half_width(samples) < options_.relative_half_width;
  }

  void keep(const Sample& sample) {
    const auto task = static_cast<std::size_t>(sample.task);
    samples_.at(task).push_back(sample.ns);
    disturbed_[task] += sample.disturbed ? 1 : 0;
  }

  void run_group(const std::vector<int>& group, double deadline_s) {
    std::vector<Subjects> subjects;
    for (const int i : group) {
      const Task& task = tasks_[static_cast<std::size_t>(i)];
      subjects.push_back({task.prepare(copies(task)), runs_per_sample(task), 0});
      runs_[static_cast<std::size_t>(i)] = subjects.back().runs;
      if (stopped()) return;
    }
    warm_up(group, subjects);
    std::vector<std::size_t> open(group.size());
    std::iota(open.begin(), open.end(), 0);
    bool first = true;
    while (!open.empty() && !stopped() && (first || elapsed_s() < deadline_s)) {
      std::shuffle(open.begin(), open.end(), random_);
      round_.clear();
      for (const std::size_t k : open) {
        if (stopped() || (!first && elapsed_s() >= deadline_s)) break;
        visit(group[k], subjects[k]);
        calibrate_if_due();
      }
      commit();
      first = false;
      if (hooks_.on_round && !round_.empty()) hooks_.on_round(round_);
      std::erase_if(open,
                    [&](std::size_t k) { return finished(static_cast<std::size_t>(group[k])); });
      progress();
    }
  }

  /// Untimed rounds until the sum of all durations stops falling.
  void warm_up(const std::vector<int>& group, std::vector<Subjects>& subjects) {
    double before = 0;
    for (int round = 0; round < most_warm_up_rounds && !stopped(); ++round) {
      double total = 0;
      for (std::size_t k = 0; k < group.size(); ++k) total += timed_runs(group[k], subjects[k]);
      if (round > 0 && total > 0.98 * before) break;
      before = total;
    }
  }

  double timed_runs(int task_index, Subjects& subjects) {
    const Task& task = tasks_[static_cast<std::size_t>(task_index)];
    const bool cold = options_.cache == CacheMode::cold;
    if (cold && task.weight_bytes > 0 &&
        bytes_read_ - subjects.read_at < machine_.eviction_bytes()) {
      machine_.evict_caches();
      bytes_read_ += machine_.eviction_bytes();
    }
    subjects.subject->feed();
    subjects.subject->run(0);
    const double begin = machine_.now_ns();
    for (int run = 1; run <= subjects.runs; ++run) subjects.subject->run(cold ? run : 0);
    const double ns = (machine_.now_ns() - begin) / subjects.runs;
    bytes_read_ += task.weight_bytes * (cold ? subjects.runs + 1 : 1);
    subjects.read_at = bytes_read_;
    return ns;
  }

  void visit(int task, Subjects& subjects) {
    for (int attempt = 0;; ++attempt) {
      const std::uint64_t before = machine_.disturbances();
      const double ns = timed_runs(task, subjects);
      const bool disturbed = machine_.disturbances() != before;
      if (!disturbed || attempt == most_retries) {
        pending_.push_back({task, ns, disturbed});
        return;
      }
      ++discarded_;
    }
  }

  void calibrate_if_due() {
    if (machine_.now_ns() - calibrated_ns_ > calibration_interval_ns) commit();
  }

  /// Accepts what was measured since the last calibration unless the machine is slower now.
  void commit() {
    const double now = machine_.calibrate_ns();
    calibrations_.push_back(now);
    if (calibrations_.size() > 4096)
      calibrations_.erase(calibrations_.begin(), calibrations_.begin() + 2048);
    const double usual = quantile(calibrations_, 0.1);
    // One slow calibration may itself have been hit; a second opinion is cheap.
    const bool slow =
        now > slow_calibration * usual && machine_.calibrate_ns() > slow_calibration * usual;
    calibrated_ns_ = machine_.now_ns();
    slowest_ = std::max(slowest_, slow ? now / usual : 1.0);
    const bool give_up = discarded_ > accepted_ + 100;  // always slow: keep, but marked
    if (slow && !give_up) {
      discarded_ += static_cast<int>(pending_.size());
    } else {
      for (Sample& sample : pending_) {
        sample.disturbed = sample.disturbed || slow;
        keep(sample);
        round_.push_back(sample);
        ++accepted_;
      }
    }
    pending_.clear();
  }

  void progress() {
    if (!hooks_.on_progress) return;
    SampleProgress progress;
    progress.tasks = static_cast<int>(tasks_.size());
    double work = 0;
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      const bool done = finished(i);
      progress.done += done ? 1 : 0;
      const double samples = static_cast<double>(samples_[i].size());
      work +=
          done ? 1.0
               : std::min(0.95, samples / (samples + static_cast<double>(options_.fewest_samples)));
    }
    progress.fraction = work / static_cast<double>(tasks_.size());
    const double by_speed =
        progress.fraction > 0 ? elapsed_s() * (1 / progress.fraction - 1) : options_.budget_s;
    progress.remaining_s = std::max(0.0, std::min(by_speed, options_.budget_s - elapsed_s()));
    hooks_.on_progress(progress);
  }

  SampleReport report() {
    SampleReport report;
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      if (samples_[i].empty()) {
        report.timings.emplace_back();
        continue;
      }
      Timing timing = summarise(samples_[i], runs_[i]);
      const double share =
          static_cast<double>(disturbed_[i]) / static_cast<double>(samples_[i].size());
      timing.disturbed = share > most_disturbed || relative_half_width(samples_[i]) > too_uncertain;
      report.timings.push_back(std::move(timing));
    }
    report.seconds = elapsed_s();
    report.discarded = discarded_;
    report.accepted = accepted_;
    report.slowest_calibration = slowest_;
    return report;
  }

  std::span<const Task> tasks_;
  Machine& machine_;
  const SampleOptions& options_;
  const SampleHooks& hooks_;
  std::mt19937_64 random_;
  std::vector<std::vector<double>> samples_;
  std::vector<int> disturbed_;
  std::vector<int> runs_;
  std::vector<double> calibrations_;
  std::vector<Sample> pending_;  ///< since the last calibration
  std::vector<Sample> round_;
  std::int64_t bytes_read_ = std::int64_t{1} << 60;  // everything is cold at first
  double start_ns_;
  double calibrated_ns_ = 0;
  double slowest_ = 1;
  int discarded_ = 0;
  int accepted_ = 0;
};

}  // namespace

SampleReport sample(std::span<const Task> tasks, Machine& machine, const SampleOptions& options,
                    const SampleHooks& hooks) {
  return Sampler(tasks, machine, options, hooks).run();
}

}  // namespace cpubone
