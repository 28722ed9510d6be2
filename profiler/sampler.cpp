#include "profiler/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>
#include <random>
#include <stdexcept>

#include <fmt/format.h>

#include "profiler/pace.hpp"
#include "profiler/statistics.hpp"

namespace cpubone {
namespace {

// Slower than typical by more is interference. Neighbours on the same core cost 30 % and more;
// alone, one calibration is within 3 % of the next.
constexpr double slow_calibration = 1.1;
constexpr double lost_share = 0.02;     // of a sample's duration without a CPU: interference
constexpr double rare = 0.2;            // what happens more often is how the machine is
constexpr double best_quantile = 0.05;  // of all calibrations: the machine at its best
constexpr double calibration_interval_ns = 10e6;
constexpr double conditions_interval_ns = 500e6;
constexpr double progress_interval_ns = 100e6;
constexpr int first_calibrations = 20;
constexpr int most_retries = 3;
constexpr double too_uncertain = 0.1;      // half-width, beyond which a record is marked
constexpr std::size_t most_attempts = 10;  // samples, rejected ones included, per good one wanted
constexpr double short_ns = 200e3;         // where loading the code would be a percent
constexpr int enough_copies = 4;
constexpr std::int64_t cheap_weight_bytes = std::int64_t{8} << 20;  // of copies together
constexpr int most_warm_up_rounds = 3;
constexpr double warm = 0.98;            // a warm-up round that is less than 2 % faster is the last
constexpr double warms_itself_ns = 1e6;  // what takes longer is as warm after one round as ever

struct Prepared {
  int task = 0;
  std::unique_ptr<Subject> subject;
  int runs = 0;              ///< that were timed
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
        interruptions_(tasks.size()),
        start_ns_(machine.now_ns()) {
    for (const Sample& sample : hooks.known) {
      if (sample.task < 0 || static_cast<std::size_t>(sample.task) >= tasks.size())
        throw std::invalid_argument(fmt::format("known sample of task {}, but there are {} tasks",
                                                sample.task, tasks.size()));
      if (calibrations_.empty() || sample.calibration_ns != last_calibration_)
        note_calibration(sample.calibration_ns);
      keep(sample);
    }
    clock_ns_ = clock_cost_ns(machine);
    std::vector<double> first;  // of one moment: they count once
    for (int i = 0; i < first_calibrations; ++i) first.push_back(machine_.calibrate_ns());
    note_calibration(median(first));
    stolen_ns_ = machine_.stolen_ns();
    block_start_ns_ = machine_.now_ns();
  }

  SampleReport run() {
    std::vector<int> todo;
    for (std::size_t i = 0; i < tasks_.size(); ++i)
      if (!finished(i)) todo.push_back(static_cast<int>(i));
    for (std::size_t begin = 0; begin < todo.size() && !over(options_.budget_s);) {
      const std::size_t end = group_end(todo, begin);
      // What is left of the budget is shared out evenly over the tasks that are left.
      const double share =
          static_cast<double>(end - begin) / static_cast<double>(todo.size() - begin);
      begin += run_group({todo.begin() + static_cast<std::ptrdiff_t>(begin),
                          todo.begin() + static_cast<std::ptrdiff_t>(end)},
                         share * (options_.budget_s - spent_s()));
    }
    progress(0, true);
    return report();
  }

 private:
  double elapsed_s() const { return (machine_.now_ns() - start_ns_) * 1e-9; }
  double spent_s() const { return elapsed_s() + hooks_.known_s; }
  bool over(double deadline_s) const {
    return spent_s() >= deadline_s || (hooks_.cancelled && hooks_.cancelled());
  }

  int runs_per_sample(const Task& task) const {
    const double runs = std::ceil(options_.batch_ns / std::max(task.guess_ns, 1.0));
    return static_cast<int>(
        std::clamp(runs, 1.0, static_cast<double>(options_.most_runs_per_sample)));
  }

  /// One copy of a short task is only warmed up with, so that its code is warm when the others run.
  int spare_copies(const Task& task) const {
    return task.cache == CacheMode::cold && task.guess_ns < short_ns ? 1 : 0;
  }

  /// Several take turns where they are small: where in memory one lies is chance.
  int copies(const Task& task) const {
    if (task.cache == CacheMode::hot) return 1;
    const std::int64_t small = std::clamp<std::int64_t>(
        cheap_weight_bytes / std::max<std::int64_t>(task.weight_bytes, 1), 1, enough_copies);
    return std::max(runs_per_sample(task), static_cast<int>(small)) + spare_copies(task);
  }

  /// Hot weights are, where the caches can hold them: others are as cold the second time.
  bool is_read_before_samples(const Task& task) const {
    return task.cache == CacheMode::hot && task.weight_bytes <= machine_.llc_bytes();
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

  /// Calibrations above it are interference; none where slower ones are not rare.
  double slowest_calibration() const {
    const double slow = slow_calibration * sorted_quantile(calibrations_, 0.5);
    return sorted_quantile(calibrations_, 1 - rare) <= slow
               ? slow
               : std::numeric_limits<double>::infinity();
  }
  bool interruptions_are_rare() const {
    return interrupted_ <= rare * static_cast<double>(tasks_.size());
  }
  /// Share of a task's samples during which the CPU was taken away, slow to believe in few.
  double interrupted_share(std::size_t task) const {
    constexpr int doubtful = 10;
    return static_cast<double>(interruptions_[task]) /
           static_cast<double>(samples_[task].size() + doubtful);
  }
  bool good(const Sample& sample) const {
    return !(sample.interrupted && interruptions_are_rare()) &&
           sample.calibration_ns <= slowest_calibration_;
  }
  void keep(const Sample& sample) {
    const auto task = static_cast<std::size_t>(sample.task);
    interrupted_ -= interrupted_share(task);
    samples_[task].push_back(sample);
    interruptions_[task] += sample.interrupted ? 1 : 0;
    interrupted_ += interrupted_share(task);
  }
  std::vector<double> good_durations(std::size_t task) const {
    std::vector<double> ns;
    for (const Sample& sample : samples_[task])
      if (good(sample)) ns.push_back(sample.ns);
    return ns;
  }

  bool finished(std::size_t task) const {
    if (samples_[task].size() < options_.fewest_samples) return false;
    if (samples_[task].size() >= most_attempts * options_.most_samples) return true;
    const std::vector<double> ns = good_durations(task);
    return ns.size() >= options_.most_samples ||
           (ns.size() >= options_.fewest_samples &&
            relative_half_width(ns) < options_.relative_half_width);
  }

  /// Prepares and times the first tasks of the group, as many as leave time to measure them;
  /// returns how many.
  std::size_t run_group(const std::vector<int>& group, double share_s) {
    const double start_s = spent_s();
    std::vector<Prepared> prepared;
    for (const int i : group) {
      if (!prepared.empty() && over(start_s + options_.most_preparing * share_s)) break;
      const Task& task = tasks_[static_cast<std::size_t>(i)];
      prepared.push_back({i, task.prepare(copies(task)), 0, never_read});
      progress(static_cast<double>(prepared.size()));
    }
    prepared_ += static_cast<double>(prepared.size());
    const double deadline_s = start_s + share_s;
    warm_up(prepared, deadline_s);
    const auto done = [&](std::size_t k) {
      return finished(static_cast<std::size_t>(prepared[k].task));
    };
    std::vector<std::size_t> all(prepared.size());
    std::iota(all.begin(), all.end(), 0);
    std::vector<std::size_t> open = all;
    while (!open.empty() && !over(deadline_s)) {
      std::shuffle(open.begin(), open.end(), random_);
      round_.clear();
      for (const std::size_t k : open) {
        if (over(deadline_s)) break;
        visit(prepared[k]);
        if (machine_.now_ns() - block_start_ns_ > calibration_interval_ns) close_block();
      }
      close_block();
      if (hooks_.on_round && !round_.empty()) hooks_.on_round(round_);
      // What was enough may not be, now that more is known of the machine's pace.
      open = all;
      std::erase_if(open, done);
      progress(0);
    }
    return prepared.size();
  }

  /// Untimed rounds of what needs them until the sum of its durations stops falling.
  void warm_up(std::vector<Prepared>& prepared, double deadline_s) {
    std::vector<Prepared*> cool;
    for (Prepared& one : prepared) {
      const Task& task = tasks_[static_cast<std::size_t>(one.task)];
      if (!is_read_before_samples(task)) cool.push_back(&one);
    }
    double before = std::numeric_limits<double>::infinity();
    for (int round = 0; round < most_warm_up_rounds && !cool.empty(); ++round) {
      double total = 0;
      std::vector<Prepared*> still_cool;
      for (Prepared* one : cool) {
        if (over(deadline_s)) return;
        const double ns = timed_runs(*one).ns;
        if (ns > warms_itself_ns) continue;
        total += ns;
        still_cool.push_back(one);
      }
      if (total > warm * before) break;
      before = total;
      cool = std::move(still_cool);
    }
    close_block();
  }

  Sample timed_runs(Prepared& prepared) {
    const Task& task = tasks_[static_cast<std::size_t>(prepared.task)];
    const bool cold = task.cache == CacheMode::cold;
    const int runs = runs_per_sample(task);
    if (cold && task.weight_bytes > 0 && prepared.read_at != never_read &&
        bytes_read_ - prepared.read_at < machine_.eviction_bytes()) {
      machine_.evict_caches();
      bytes_read_ += machine_.eviction_bytes();
    }
    Subject& subject = *prepared.subject;
    const double lost = machine_.lost_ns();
    const double start = machine_.now_ns();
    const double at_s = spent_s();
    subject.move();
    const int spares = spare_copies(task);
    if (spares > 0 || is_read_before_samples(task)) {
      subject.feed(0);
      subject.run(0);
    }
    double ns = 0;
    if (cold) {
      // One by one: in a network nobody has just read the input or written the output.
      const int timed_copies = copies(task) - spares;
      for (int run = 0; run < runs; ++run) {
        const int copy = spares + prepared.runs++ % timed_copies;
        subject.feed(copy);
        const double begin = machine_.now_ns();
        subject.run(copy);
        ns += std::max(0.0, machine_.now_ns() - begin - clock_ns_);
      }
    } else {
      const double begin = machine_.now_ns();
      for (int run = 0; run < runs; ++run) subject.run(0);
      ns = machine_.now_ns() - begin;
    }
    // Also between the timed runs, so that it is a share of all the time: a second thread waits for
    // work there, and is in the way of the system's own.
    const bool interrupted = machine_.lost_ns() - lost > lost_share * (machine_.now_ns() - start);
    bytes_read_ += task.weight_bytes * (runs + spares);
    prepared.read_at = bytes_read_;
    return {prepared.task, ns / runs, 0, interrupted, at_s};
  }

  void visit(Prepared& prepared) {
    for (int attempt = 0; attempt <= most_retries; ++attempt) {
      block_.push_back(timed_runs(prepared));
      if (!block_.back().interrupted || !interruptions_are_rare()) return;
    }
  }

  void note_calibration(double ns) {
    last_calibration_ = ns;
    calibrations_.insert(std::lower_bound(calibrations_.begin(), calibrations_.end(), ns), ns);
    slowest_calibration_ = slowest_calibration();
  }

  /// Calibrates; what was measured since the last time is as good as the machine was at the worse
  /// of both times.
  void close_block() {
    double now = machine_.calibrate_ns();
    note_calibration(now);
    // One slow calibration may itself have been hit; a second opinion is cheap.
    if (now > slow_calibration * sorted_quantile(calibrations_, 0.5))
      now = std::min(now, machine_.calibrate_ns());
    const double worse = std::max(before_block_, now);
    before_block_ = now;
    const double stolen = machine_.stolen_ns();
    const double end = machine_.now_ns();
    const bool steal_exceeded = stolen - stolen_ns_ > lost_share * (end - block_start_ns_);
    for (Sample& sample : block_) {
      sample.calibration_ns = worse;
      sample.interrupted = sample.interrupted || steal_exceeded;
      keep(sample);
      round_.push_back(sample);
    }
    block_.clear();
    stolen_ns_ = stolen;
    look_around();
    block_start_ns_ = machine_.now_ns();
  }

  void look_around() {
    if (machine_.now_ns() - looked_ns_ < conditions_interval_ns) return;
    const Conditions now = machine_.conditions();
    looked_ns_ = machine_.now_ns();
    ++looks_;
    competitors_ += now.competitors;
    worst_.competitors = std::max(worst_.competitors, now.competitors);
    if (worst_.frequency_mhz == 0 ||
        (now.frequency_mhz > 0 && now.frequency_mhz < worst_.frequency_mhz))
      worst_.frequency_mhz = now.frequency_mhz;
    highest_mhz_ = std::max(highest_mhz_, now.frequency_mhz);
    worst_.celsius = std::max(worst_.celsius, now.celsius);
    worst_.throttled = worst_.throttled || now.throttled;
  }

  /// Samples that a task will have taken, as far as can be told now.
  double samples_needed(std::size_t task) const {
    const auto fewest = static_cast<double>(options_.fewest_samples);
    const auto most = static_cast<double>(options_.most_samples);
    const std::vector<double> ns = good_durations(task);
    if (ns.size() < options_.fewest_samples) return 2 * fewest;
    const double ratio = relative_half_width(ns) / options_.relative_half_width;
    return std::clamp(static_cast<double>(ns.size()) * ratio * ratio, fewest, most);
  }

  void progress(double preparing, bool last = false) {
    if (!hooks_.on_progress) return;
    if (!last && machine_.now_ns() - progress_ns_ < progress_interval_ns) return;
    progress_ns_ = machine_.now_ns();
    constexpr double samples_of_preparing = 3;
    SampleProgress progress;
    progress.tasks = static_cast<int>(tasks_.size());
    double done = samples_of_preparing * (prepared_ + preparing);
    double all = samples_of_preparing * static_cast<double>(tasks_.size());
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      const bool is_done = finished(i);
      progress.done += is_done ? 1 : 0;
      const double needed = samples_needed(i);
      all += needed;
      done += is_done ? needed : std::min(static_cast<double>(samples_[i].size()), 0.95 * needed);
    }
    fraction_ = last ? 1.0 : std::clamp(done / all, fraction_, 1.0);
    progress.fraction = fraction_;
    const double left_s = std::max(0.0, options_.budget_s - spent_s());
    progress.remaining_s =
        fraction_ > 0 ? std::min(left_s, elapsed_s() * (1 / fraction_ - 1)) : left_s;
    hooks_.on_progress(progress);
  }

  SampleReport report() {
    SampleReport report;
    std::vector<std::vector<Sample>> used(tasks_.size());
    std::vector<int> runs;
    std::vector<bool> few(tasks_.size(), false);
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      runs.push_back(runs_per_sample(tasks_[i]));
      std::copy_if(samples_[i].begin(), samples_[i].end(), std::back_inserter(used[i]),
                   [&](const Sample& sample) { return good(sample); });
      for (const Sample& sample : samples_[i])
        report.seconds = std::max(report.seconds, sample.at_s);
      report.good += static_cast<int>(used[i].size());
      report.rejected += static_cast<int>(samples_[i].size() - used[i].size());
      few[i] = used[i].size() < options_.fewest_samples;
      if (few[i]) used[i] = samples_[i];
    }
    auto [durations, paces] = at_typical_pace(used, runs);
    double measured_s = 0;
    for (const PaceRegime& regime : paces) measured_s += regime.seconds;
    for (PaceRegime& regime : paces) regime.seconds *= spent_s() / measured_s;
    report.paces = std::move(paces);
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      if (durations[i].empty()) {
        report.timings.emplace_back();
        continue;
      }
      Timing timing = summarise(durations[i], runs[i]);
      timing.disturbed = few[i] || relative_half_width(durations[i]) > too_uncertain;
      report.timings.push_back(std::move(timing));
    }
    report.calibration_ns = sorted_quantile(calibrations_, best_quantile);
    report.typical_calibration_ns = sorted_quantile(calibrations_, 0.5);
    report.mean_competitors = looks_ > 0 ? competitors_ / looks_ : 0;
    report.worst = worst_;
    report.highest_mhz = highest_mhz_;
    return report;
  }

  static constexpr std::int64_t never_read = -1;
  static constexpr double long_ago = -1e18;

  std::span<const Task> tasks_;
  Machine& machine_;
  const SampleOptions& options_;
  const SampleHooks& hooks_;
  std::mt19937_64 random_;
  std::vector<std::vector<Sample>> samples_;
  std::vector<int> interruptions_;    ///< by task
  double interrupted_ = 0;            ///< sum of their shares
  std::vector<double> calibrations_;  ///< sorted
  double slowest_calibration_ = 0;    ///< that is no interference
  double last_calibration_ = 0;
  double before_block_ = 0;    ///< calibration
  std::vector<Sample> block_;  ///< since the last calibration
  std::vector<Sample> round_;
  std::int64_t bytes_read_ = 0;
  double start_ns_;
  double clock_ns_ = 0;
  double block_start_ns_ = 0;
  double stolen_ns_ = 0;
  double looked_ns_ = long_ago;
  double progress_ns_ = long_ago;
  double competitors_ = 0;
  int looks_ = 0;
  Conditions worst_;
  double highest_mhz_ = 0;
  double prepared_ = 0;
  double fraction_ = 0;
};

}  // namespace

SampleReport sample(std::span<const Task> tasks, Machine& machine, const SampleOptions& options,
                    const SampleHooks& hooks) {
  return Sampler(tasks, machine, options, hooks).run();
}

}  // namespace cpubone
