#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <memory>

#include "benchmarks/networks.hpp"
#include "benchmarks/replay.hpp"
#include "graph/error.hpp"
#include "graph/hash.hpp"
#include "profiler/host_profile.hpp"
#include "profiler/pace.hpp"
#include "profiler/plan.hpp"
#include "profiler/sampler.hpp"
#include "profiler/statistics.hpp"
#include "runtime/plan.hpp"
#include "runtime/xnnpack_traits.hpp"
#include "space/random_network.hpp"

namespace cpubone {
namespace {

constexpr double quirk = 0.03;         // of an operator, which its features do not tell
constexpr double sample_noise = 0.02;  // of a sample, on a machine of steady pace
constexpr double feed_ns_per_byte = 0.1;
constexpr double prepare_ns_per_byte = 1;
constexpr double kernel_ns = 86e3;

/// Standard normal, a function of the text.
double normal(std::uint64_t hash) {
  // Box and Muller, of the two halves.
  const double u = (static_cast<double>(hash >> 32) + 0.5) / 4294967296.0;
  const double v = static_cast<double>(hash & 0xFFFFFFFF) / 4294967296.0;
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * M_PI * v);
}

std::uint64_t mixed(std::uint64_t x) {
  x ^= x >> 33;
  x *= 0xFF51AFD7ED558CCDull;
  x ^= x >> 33;
  x *= 0xC4CEB9FE1A85EC53ull;
  return x ^ x >> 33;
}

/// Time passes by the trace: nothing takes any but work.
class TracedMachine : public Machine {
 public:
  TracedMachine(const Trace& trace, double start_s, std::uint64_t seed)
      : trace_(trace), now_(start_s * 1e9), seed_(seed) {}

  double now_ns() override { return now_; }
  double lost_ns() override { return 0; }
  double stolen_ns() override { return 0; }
  double calibrate_ns() override { return work(kernel_ns * noise()); }
  Conditions conditions() override { return {}; }
  void evict_caches() override { work(1e6); }
  std::int64_t eviction_bytes() const override { return std::int64_t{64} << 20; }
  std::int64_t llc_bytes() const override { return std::int64_t{32} << 20; }

  /// What takes so long at the machine's best; returns what it takes now.
  double work(double best_ns) {
    const double begin = now_;
    while (best_ns > 0) {
      const double step = std::floor(now_ / trace_.step_ns);
      const double pace = trace_.pace[static_cast<std::size_t>(
          std::fmod(step, static_cast<double>(trace_.pace.size())))];
      const double until = std::max((step + 1) * trace_.step_ns - now_, 1.0);
      const double taken = std::min(until, best_ns * pace);
      now_ += taken;
      best_ns -= taken / pace;
      if (taken < until) break;
    }
    return now_ - begin;
  }
  double noise() { return std::exp(sample_noise * normal(mixed(seed_ + ++count_))); }

 private:
  const Trace& trace_;
  double now_;
  std::uint64_t seed_;
  std::uint64_t count_ = 0;
};

class KnownSubject : public Subject {
 public:
  KnownSubject(TracedMachine& machine, double best_ns, double feed_ns)
      : machine_(machine), best_ns_(best_ns), feed_ns_(feed_ns) {}
  void feed(int) override { machine_.work(feed_ns_); }
  void run(int) override { machine_.work(best_ns_ * machine_.noise()); }

 private:
  TracedMachine& machine_;
  double best_ns_;
  double feed_ns_;
};

Task task(TracedMachine& machine, double best_ns, CacheMode cache, std::int64_t weights,
          std::int64_t moved) {
  return {weights, best_ns, cache, [&machine, best_ns, weights, moved](int copies) {
            machine.work(prepare_ns_per_byte * static_cast<double>(weights) * copies);
            return std::make_unique<KnownSubject>(machine, best_ns,
                                                  feed_ns_per_byte * static_cast<double>(moved));
          }};
}

Task op_task(const KnownMachine& known, TracedMachine& machine, const Op& op) {
  return task(machine, known.latency_ns(op), CacheMode::cold, weight_bytes(op),
              input_bytes(op) + output_bytes(op));
}

/// Of what is new to the profile, beside which it is measured as `measure_ops` does.
std::vector<Timing> measure(const KnownMachine& known, TracedMachine& machine,
                            std::vector<Task> tasks, std::vector<PacedTask> news, double budget_s,
                            double half_width, std::uint64_t seed, Profile& profile) {
  std::vector<Task> all;
  std::vector<PacedTask> paced;
  for (const std::size_t i : anchors(profile)) {
    all.push_back(op_task(known, machine, profile.ops[i].op));
    paced.push_back({profile.ops[i].timing.median_ns, moves_data(profile.ops[i].op)});
  }
  std::move(tasks.begin(), tasks.end(), std::back_inserter(all));
  paced.insert(paced.end(), news.begin(), news.end());
  SampleOptions options;
  options.budget_s = budget_s;
  options.relative_half_width = half_width;
  options.seed = seed;
  options.memory_bytes = std::int64_t{4} << 30;
  SampleReport report = sample(all, machine, options);
  bring_to_common_pace(profile, report, paced);
  profile.seconds += report.seconds;
  return report.timings;
}

void measure(const KnownMachine& known, TracedMachine& machine, const std::vector<Op>& ops,
             double budget_s, std::uint64_t seed, Profile& profile) {
  std::vector<Task> tasks;
  std::vector<PacedTask> news;
  for (const Op& op : ops) {
    tasks.push_back(op_task(known, machine, op));
    news.push_back({.moves_data = moves_data(op)});
  }
  const std::vector<Timing> all =
      measure(known, machine, tasks, news, budget_s, host_profile_half_width, seed, profile);
  for (std::size_t i = 0; i < ops.size(); ++i)
    if (!all[i].samples_ns.empty()) profile.ops.push_back({ops[i], engine_of(ops[i]), all[i]});
}

Trace made(const char* name, const std::function<double(double s)>& pace) {
  Trace trace{.name = name, .step_ns = 2e6, .pace = {}};
  constexpr int steps = 100'000;  // 200 s
  for (int i = 0; i < steps; ++i) trace.pace.push_back(pace(0.002 * i));
  return trace;
}

}  // namespace

Trace load_trace(const std::filesystem::path& csv) {
  std::ifstream stream(csv);
  std::string line;
  if (!std::getline(stream, line) || line != "seconds,pace")
    throw Error(
        fmt::format("{}:1: expected the columns seconds,pace, got \"{}\"", csv.string(), line));
  Trace trace{.name = csv.stem().string(), .step_ns = 0, .pace = {}};
  double last_s = 0;
  double first_s = 0;
  for (int number = 2; std::getline(stream, line); ++number) {
    double seconds = 0;
    double pace = 0;
    const char* end = line.data() + line.size();
    const auto comma = std::from_chars(line.data(), end, seconds);
    if (comma.ec != std::errc{} || comma.ptr == end || *comma.ptr != ',' ||
        std::from_chars(comma.ptr + 1, end, pace).ptr != end || !(pace > 0))
      throw Error(fmt::format("{}:{}: expected seconds and a pace above 0, got \"{}\"",
                              csv.string(), number, line));
    if (trace.pace.empty()) first_s = seconds;
    last_s = seconds;
    trace.pace.push_back(pace);
  }
  if (trace.pace.size() < 2 || !(last_s > first_s))
    throw Error(fmt::format("{}: expected at least two readings in order of time", csv.string()));
  const auto count = static_cast<double>(trace.pace.size());
  trace.step_ns = (last_s - first_s) / (count - 1) * 1e9;
  return trace;
}

std::vector<Trace> made_traces() {
  const auto step = [](double s, double seconds) {
    return static_cast<std::uint64_t>(s / seconds);
  };
  return {made("quiet", [](double) { return 1.0; }),
          made("spikes", [&](double s) { return mixed(step(s, 0.002)) % 100 == 0 ? 5.0 : 1.0; }),
          made("two regimes", [](double s) { return std::fmod(s, 10) < 6 ? 1.0 : 1.4; }),
          made("throttling", [](double s) { return s < 20   ? 1.0
                                                   : s < 30 ? 1.3
                                                            : 1.6; }),
          made("drift", [](double s) { return 1 + 0.1 * std::min(s / 90, 1.0); })};
}

double typical_pace(const Trace& trace, double start_s, double seconds) {
  const double steps_a_second = 1e9 / trace.step_ns;
  std::vector<double> paces;
  constexpr double window_s = 0.25;
  for (double s = start_s; s < start_s + seconds; s += window_s) {
    double work = 0;  // that is done meanwhile
    const auto from = static_cast<std::size_t>(s * steps_a_second);
    const auto count = static_cast<std::size_t>(std::ceil(window_s * steps_a_second));
    for (std::size_t i = from; i < from + count; ++i)
      work += 1 / trace.pace[i % trace.pace.size()] / static_cast<double>(count);
    paces.push_back(1 / work);
  }
  return median(paces);
}

double KnownMachine::latency_ns(const Op& op) const {
  // A class that the predictor's recording is too old to have costs its bytes and a dispatch.
  const bool known = std::any_of(predictor_.classes.begin(), predictor_.classes.end(),
                                 [&](const ClassModel& c) { return c.name == op_class(op); });
  const double ns = known ? estimate(predictor_, op).ns
                          : 2e3 + 0.2 * static_cast<double>(input_bytes(op) + output_bytes(op));
  return ns * std::exp(quirk * normal(mixed(fnv1a(text(op)))));
}

double KnownMachine::latency_ns(const Network& network) const {
  double sum = 0;
  for (const Node& node : lowered(network).nodes) sum += latency_ns(node.op);
  return sum;
}

Profile replay_profile(const KnownMachine& known, const Trace& trace, double start_s,
                       double budget_s, std::uint64_t seed) {
  // The parts of measure_host_profile.
  TracedMachine machine(trace, start_s, mixed(seed) + static_cast<std::uint64_t>(1e3 * start_s));
  Profile profile;
  profile.device = known.device();
  profile.tool_version = version();
  measure(known, machine, sampling_plan(seed, host_profile_spread_ops),
          host_profile_spread_share * budget_s, seed, profile);
  const double left_s = rest_s(profile, budget_s);
  std::vector<Op> ops;
  for (const OpRecord& record : profile.ops) ops.push_back(record.op);
  const int unsure = unsure_ops(profile, budget_s);
  measure(known, machine, next_operators(ops, spread_of(profile), unsure, seed), left_s, seed,
          profile);
  std::vector<Task> tasks;
  const std::vector<Network> networks = calibration_networks();
  for (const Network& network : networks)
    tasks.push_back(
        task(machine, known.latency_ns(network), CacheMode::hot, weight_bytes(network), 0));
  const std::vector<Timing> all = measure(
      known, machine, tasks, std::vector<PacedTask>(tasks.size()),
      (1 - host_profile_ops_share) * budget_s, SampleOptions{}.relative_half_width, seed, profile);
  for (std::size_t i = 0; i < networks.size(); ++i)
    if (!all[i].samples_ns.empty())
      profile.networks.push_back({.name = networks[i].name,
                                  .structure = structure_hash(networks[i]),
                                  .params = params(networks[i]),
                                  .macs = macs(networks[i]),
                                  .timing = all[i]});
  return profile;
}

ReplayQuality replay(const KnownMachine& machine, const Trace& trace, double budget_s, int draws) {
  constexpr double apart_s = 9.1;  // in the trace
  constexpr double later_s = 7.3;  // the same operators again
  ReplayQuality q;
  std::vector<Comparison> comparisons;
  std::vector<double> errors;
  std::vector<double> differences;
  int covered = 0;
  for (int draw = 0; draw < draws; ++draw) {
    const double start_s = draw * apart_s;
    const auto seed = static_cast<std::uint64_t>(draw + 1);
    const Profile profile = replay_profile(machine, trace, start_s, budget_s, seed);
    const Predictor predictor = fit_predictor(profile, calibration_networks());
    q.seconds = profile.seconds;
    q.typical_pace = typical_pace(trace, start_s, profile.seconds);
    for (const Network& network : test_networks().published) {
      const LatencyEstimate e = predict(predictor, network).latency;
      comparisons.push_back({network.name, q.typical_pace * machine.latency_ns(network) * 1e-6,
                             e.ms, e.low_ms, e.high_ms});
    }
    for (const Op& op : sampling_plan(77, 200))
      errors.push_back(
          std::abs(estimate(predictor, op).ns / (q.typical_pace * machine.latency_ns(op)) - 1));
    std::map<std::string, double> before;
    for (const OpRecord& record : profile.ops) {
      const double truth = q.typical_pace * machine.latency_ns(record.op);
      covered += record.timing.low_ns <= truth && truth <= record.timing.high_ns ? 1 : 0;
      q.disturbed += record.timing.disturbed ? 1 : 0;
      if (record.timing.median_ns > 10e3) before[text(record.op)] = record.timing.median_ns;
    }
    q.operators += static_cast<int>(profile.ops.size());
    q.measured_networks += static_cast<int>(profile.networks.size());
    // A board that throttles does so from the beginning, the second time.
    const double again_s = start_s + (trace.name == "throttling" ? 60 : later_s);
    for (const OpRecord& record : replay_profile(machine, trace, again_s, budget_s, seed).ops)
      if (const auto found = before.find(text(record.op)); found != before.end())
        differences.push_back(std::abs(record.timing.median_ns / found->second - 1));
  }
  q.networks = prediction_quality(comparisons);
  for (const double error : errors) {
    q.operators_mape += error / static_cast<double>(errors.size());
    q.operators_within_10 += error <= 0.1 ? 1.0 / static_cast<double>(errors.size()) : 0;
  }
  q.records_covered = static_cast<double>(covered) / q.operators;
  q.repeat_95 = quantile(differences, 0.95);
  return q;
}

}  // namespace cpubone
