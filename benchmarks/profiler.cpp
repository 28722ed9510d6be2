// Whether measurements can be trusted: repeated, beside a busy process, summed to networks, after
// being killed. Arguments choose some of `repeat busy threads sum overhead plan kill`; all without.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <thread>
#include <utility>

#include "benchmarks/rows.hpp"
#include "graph/error.hpp"
#include "predictor/predictor.hpp"
#include "profiler/heap.hpp"
#include "profiler/host_profile.hpp"
#include "profiler/machine.hpp"
#include "profiler/measure.hpp"
#include "profiler/plan.hpp"
#include "profiler/sampler.hpp"
#include "profiler/statistics.hpp"
#include "runtime/steady_clock.hpp"
#include "runtime/xnnpack_traits.hpp"
#include "space/zoo.hpp"

using namespace cpubone;
namespace fs = std::filesystem;

namespace {

constexpr int operators = 200;
// Enough where nothing else runs; elsewhere the whole still ends within 6 minutes, and how
// uncertain records were left stands beside what they are compared for.
constexpr double operator_budget_s = 0.05;
constexpr double networks_budget_s = 10;

/// Of all that this run measures: one machine has one best.
double calibration_ns = 0;

/// Measures operators, or networks, into a profile.
void measure(std::span<const Op> ops, std::span<const Network> networks, Profile& profile) {
  MeasureOptions options;
  options.settings = profile.settings;
  options.details = false;
  options.calibration_ns = calibration_ns;
  options.budget_s = operator_budget_s * static_cast<double>(ops.size());
  if (!ops.empty()) measure_ops(ops, options, profile);
  options.budget_s = networks_budget_s;
  if (!networks.empty()) measure_networks(networks, options, profile);
  calibration_ns = profile.calibration_ns;
}

Profile measured(std::span<const Op> ops, const MeasureSettings& settings = {}) {
  Profile profile = host_profile(settings);
  measure(ops, {}, profile);
  return profile;
}

/// Median half-width of the intervals of operators: what a comparison of them cannot show less
/// than.
double half_width(const Profile& profile) {
  std::vector<double> widths;
  for (const OpRecord& record : profile.ops)
    widths.push_back(relative_half_width(record.timing.samples_ns));
  return median(widths);
}

int disturbed(const Profile& profile) {
  return static_cast<int>(std::count_if(profile.ops.begin(), profile.ops.end(),
                                        [](const OpRecord& r) { return r.timing.disturbed; }));
}

/// Quotients of the operators that both have, without marked ones.
std::vector<double> quotients(const Profile& a, const Profile& b) {
  std::map<std::string, double> known;
  for (const OpRecord& record : a.ops)
    if (!record.timing.disturbed) known[text(record.op)] = record.timing.median_ns;
  std::vector<double> result;
  for (const OpRecord& record : b.ops)
    if (const auto found = known.find(text(record.op));
        found != known.end() && !record.timing.disturbed)
      result.push_back(record.timing.median_ns / found->second);
  return result;
}

/// |quotient - 1| of quotients that are `pace` times as large.
std::vector<double> deviations(std::vector<double> values, double pace = 1) {
  for (double& value : values) value = std::abs(value / pace - 1);
  return values;
}

/// A process that sleeps, spins, and ends.
class Spinner {
 public:
  Spinner(double sleep_s, double spin_s) : child_(::fork()) {
    if (child_ != 0) return;
    const auto wait = [](double s) { return std::chrono::duration<double>(s); };
    std::this_thread::sleep_for(wait(sleep_s));
    const double end = steady_now_ns() + spin_s * 1e9;
    while (steady_now_ns() < end) {
    }
    ::_exit(0);
  }
  ~Spinner() {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  Spinner(const Spinner&) = delete;
  Spinner& operator=(const Spinner&) = delete;

 private:
  pid_t child_;
};

void repeat_and_busy(Rows& rows, bool busy) {
  const std::vector<Op> ops = sampling_plan(1, operators);
  const Profile first = measured(ops);
  const Profile second = measured(ops);
  const std::vector<double> repeated = quotients(first, second);
  if (repeated.empty()) throw Error("two profiles share no operator that is not marked");
  const double pace = median(repeated);
  const std::vector<double> idle = deviations(repeated);
  const std::string known =
      fmt::format("{} operators; half-width of their intervals {:.1f} % at the median",
                  repeated.size(), 100 * half_width(first));
  rows.add("repeated profile, median |ratio - 1|", 100 * median(idle), "%", 0.5, "<=", known);
  rows.add("repeated profile, 95th percentile", 100 * quantile(idle, 0.95), "%", 2, "<=", known);
  rows.inform("repeated profile, largest", 100 * quantile(idle, 1), "%");
  rows.inform("repeated profile at the pace of the first, 95th percentile",
              100 * quantile(deviations(repeated, pace), 0.95), "%",
              fmt::format("latencies of the second are {:+.1f} % at the median", 100 * (pace - 1)));
  rows.inform("repeated profile, marked records", disturbed(first) + disturbed(second), "records");
  rows.inform("seconds for 200 operators", first.seconds, "s");
  // Two profiles in turns of a few operators: what is left when the machine itself drifts.
  constexpr std::size_t turn = 10;
  Profile one = host_profile({});
  Profile other = host_profile({});
  for (std::size_t i = 0; i < ops.size(); i += turn)
    for (Profile* profile : {&one, &other}) {
      merge(*profile, measured(std::span(ops).subspan(i, std::min(turn, ops.size() - i))));
    }
  const std::vector<double> turns = deviations(quotients(one, other));
  rows.inform("two profiles in turns of 10 operators, median |ratio - 1|", 100 * median(turns),
              "%");
  rows.inform("two profiles in turns of 10 operators, 95th percentile", 100 * quantile(turns, 0.95),
              "%");
  if (!busy) return;
  const auto beside = [&](const char* what, int spinners, int threads) {
    const MeasureSettings settings{threads, DType::f32, CacheMode::cold, {}};
    const Profile reference = threads == 1 ? first : measured(ops, settings);
    std::vector<std::unique_ptr<Spinner>> processes;
    for (int i = 0; i < spinners; ++i)
      processes.push_back(std::make_unique<Spinner>(reference.seconds / 4, reference.seconds / 2));
    const Profile profile = measured(ops, settings);
    const std::vector<double> off = deviations(quotients(reference, profile));
    const std::string row = fmt::format("{}, unmarked records", what);
    const std::string note =
        fmt::format("{} of {} records are marked", disturbed(profile), profile.ops.size());
    if (off.empty()) {
      rows.inform(row, 0, "records", note);
      return;
    }
    if (threads == 1 && spinners == 1) {
      rows.add(row + ", 95th percentile", 100 * quantile(off, 0.95), "%", 5, "<=", note);
      rows.add(row + ", largest", 100 * quantile(off, 1), "%", 10, "<=", note);
    } else {
      rows.inform(row + ", 95th percentile", 100 * quantile(off, 0.95), "%", note);
      rows.inform(row + ", largest", 100 * quantile(off, 1), "%", note);
    }
  };
  beside("beside a spinning process", 1, 1);
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  beside("beside a spinning process on every core", cores, 1);
  if (cores > 1) beside("all cores as threads, beside a spinning process", 1, cores);
}

/// Operators one by one against the chain, measured twice; all at the pace of one profile.
void sums(Rows& rows, int threads) {
  std::vector<Network> networks;
  for (const char* name : {"nano", "t0", "s0", "b0", "b1", "b2", "b3"})
    networks.push_back(find_network(name));
  std::vector<Network> executed;
  for (const Network& network : networks) executed.push_back(lowered(network));
  const std::vector<Op> ops = distinct_ops(executed);
  Profile profile = measured(ops, {threads, DType::f32, CacheMode::cold, {}});
  const std::string how = fmt::format("sum of operators against the chain, {} thread{}", threads,
                                      threads > 1 ? "s" : "");
  std::array<std::vector<double>, 2> by_run;
  std::vector<double> chains_ns;
  for (std::vector<double>& of_run : by_run) {
    profile.networks.clear();
    measure({}, networks, profile);
    if (profile.ops.size() < ops.size() || profile.networks.size() < networks.size()) {
      rows.inform(how + ": not measured within the budget",
                  static_cast<double>(ops.size() - profile.ops.size() + networks.size() -
                                      profile.networks.size()),
                  "operators and networks");
      return;
    }
    std::map<std::string, double> known;
    for (const OpRecord& record : profile.ops) known[text(record.op)] = record.timing.median_ns;
    for (std::size_t i = 0; i < networks.size(); ++i) {
      double sum_ns = 0;
      for (const Node& node : executed[i].nodes) sum_ns += known.at(text(node.op));
      chains_ns.push_back(profile.networks[i].timing.median_ns);
      of_run.push_back(sum_ns / chains_ns.back());
    }
  }
  for (std::size_t i = 0; i < networks.size(); ++i) {
    const double error = 100 * ((by_run[0][i] + by_run[1][i]) / 2 - 1);
    const std::string note =
        fmt::format("chain {:.3f} ms; {:+.1f} and {:+.1f} %, half-width of operators {:.1f} %",
                    chains_ns[i] * 1e-6, 100 * (by_run[0][i] - 1), 100 * (by_run[1][i] - 1),
                    100 * half_width(profile));
    const std::string row = fmt::format("{}, {}", how, networks[i].name);
    const bool has_goal = threads == 1 && networks[i].name.find("-b") != std::string::npos;
    if (has_goal) {
      rows.add("|" + row + "|", std::abs(error), "%", 3, "<=", note);
    } else {
      rows.inform(row, error, "%", note);
    }
  }
}

/// Work of a known length, by the profiler and by a plain loop, in turns.
void overhead(Rows& rows) {
  class Work : public Subject {
   public:
    void feed(int) override {}
    void run(int) override {
      // A chain of dependent additions and multiplications: about 20 us.
      for (int i = 0; i < 20'000; ++i)
        value_ = value_ * 6364136223846793005ULL + 1442695040888963407ULL;
    }
    volatile std::uint64_t value_ = 1;
  };
  const auto machine = host_machine(1 << 20);
  Work work;
  // The mean of batches as long as the profiler's: what runs in a row take, as latencies of a
  // profile are.
  const auto plain = [&] {
    constexpr int runs = 3;
    std::vector<double> means;
    for (int batch = 0; batch < 600; ++batch) {
      const double begin = steady_now_ns();
      for (int i = 0; i < runs; ++i) work.run(0);
      means.push_back((steady_now_ns() - begin) / runs);
    }
    return trimmed_mean(std::move(means)).value;
  };
  std::vector<double> ratios;
  double length = plain();
  for (int round = 0; round < 40; ++round) {
    const double before = plain();
    const std::vector<Task> tasks{
        {0, length, CacheMode::hot, [](int) { return std::make_unique<Work>(); }}};
    SampleOptions options;
    options.fewest_samples = options.most_samples = 60;
    const double by_profiler = sample(tasks, *machine, options).timings[0].median_ns;
    length = plain();
    ratios.push_back(by_profiler / ((before + length) / 2) - 1);
  }
  const double overhead = median(ratios);
  rows.add(
      "|overhead of the profiler on known work|", 100 * std::abs(overhead), "%", 0.3, "<=",
      fmt::format("{:+.2f} %, {:.1f} us a run; median of {} rounds, half of which were between "
                  "{:+.2f} and {:+.2f} %",
                  100 * overhead, length * 1e-3, ratios.size(), 100 * quantile(ratios, 0.25),
                  100 * quantile(ratios, 0.75)));
}

void default_plan(Rows& rows) {
  MeasureOptions options;
  options.budget_s = 90;
  const double begin = steady_now_ns();
  const Profile profile = measure_host_profile(options, spread_of);
  rows.add("default profile of this machine", (steady_now_ns() - begin) * 1e-9, "s", 120, "<=",
           fmt::format("{} operators, {} networks, {} marked", profile.ops.size(),
                       profile.networks.size(), disturbed(profile)));
}

/// Runs are killed at random moments and resumed; each must end with the records of all operators.
void kills(Rows& rows) {
  constexpr int times = 20;
  const std::vector<Op> ops = sampling_plan(2, 60);
  std::string name = (fs::temp_directory_path() / "cpubone-kill-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw Error("cannot make a folder for the killed runs");
  const fs::path folder = name;
  const auto start = [&](const fs::path& output, bool resume) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    Profile profile = host_profile({});
    MeasureOptions options;
    options.budget_s = operator_budget_s * static_cast<double>(ops.size());
    options.journal = output.string() + ".journal";
    options.resume = resume;
    measure_ops(ops, options, profile);
    save_profile(profile, output);
    ::_exit(0);
  };
  const double begin = steady_now_ns();
  ::waitpid(start(folder / "reference.json", false), nullptr, 0);
  const double whole_ns = steady_now_ns() - begin;
  std::mt19937 random(1);
  int killed = 0;
  int equal = 0;
  for (int i = 0; i < times; ++i) {
    const fs::path output = folder / fmt::format("{}.json", i);
    const pid_t child = start(output, false);
    std::this_thread::sleep_for(std::chrono::nanoseconds(
        static_cast<std::int64_t>(std::uniform_real_distribution<double>(0, whole_ns)(random))));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    killed += WIFSIGNALED(status) ? 1 : 0;
    ::waitpid(start(output, true), &status, 0);
    std::set<std::string> got;
    for (const OpRecord& record : load_profile(output).ops) got.insert(text(record.op));
    equal += status == 0 && got.size() == ops.size() ? 1 : 0;
  }
  fs::remove_all(folder);
  rows.add("resumed after kill -9 with all records", equal, "of 20 runs", times,
           ">=", fmt::format("{} were killed before they ended", killed));
}

constexpr std::array part_names{"repeat", "busy", "threads", "sum", "overhead", "plan", "kill"};

void run(std::span<const std::string> arguments, Rows& rows) {
  const std::set<std::string> chosen(arguments.begin(), arguments.end());
  for (const std::string& name : chosen)
    if (std::find(part_names.begin(), part_names.end(), name) == part_names.end())
      throw std::invalid_argument(
          fmt::format("got \"{}\", expected one of {}", name, fmt::join(part_names, ", ")));
  const auto wanted = [&](const char* name) { return chosen.empty() || chosen.count(name) != 0; };
  const KeepFreedMemory keep;
  if (wanted("repeat") || wanted("busy")) repeat_and_busy(rows, wanted("busy"));
  if (wanted("overhead")) overhead(rows);
  if (wanted("sum")) sums(rows, 1);
  if (wanted("threads") && std::thread::hardware_concurrency() > 1)
    sums(rows, static_cast<int>(std::thread::hardware_concurrency()));
  if (wanted("plan")) default_plan(rows);
  if (wanted("kill")) kills(rows);
}

}  // namespace

int main(int argc, char** argv) {
  return run_benchmark("profiler [PART...]", part_names.size(), argc, argv, run);
}
