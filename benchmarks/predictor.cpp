// How right a predictor of this machine is about networks and operators that it has never seen.
// Measures everything that it reports in this one run; takes three minutes, on a slow CPU eight.
// predictor [<prefix of files with what was measured> [<factor on the time that measuring takes>
// [<precision>]]]
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <thread>
#include <utility>

#include "benchmarks/networks.hpp"
#include "benchmarks/rows.hpp"
#include "predictor/evaluation.hpp"
#include "predictor/normal_interval.hpp"
#include "predictor/predictor.hpp"
#include "profiler/handover.hpp"
#include "profiler/heap.hpp"
#include "profiler/host_profile.hpp"
#include "profiler/measure.hpp"
#include "profiler/plan.hpp"
#include "profiler/statistics.hpp"
#include "runtime/precision.hpp"
#include "runtime/thread_pool.hpp"
#include "space/cpubone.hpp"
#include "space/cpubone_space.hpp"
#include "space/random_network.hpp"
#include "space/zoo.hpp"

using namespace cpubone;

namespace {

constexpr int held_out_ops = 150;
constexpr int few = 30;

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// What two threads share takes longer where the host has moved them to cores that are far.
double handover_now_ns() {
  constexpr int runs = 21;
  const ThreadPool pool(2);
  const std::unique_ptr<Subject> subject = handover_task(pool).prepare(1);
  std::vector<double> ns;
  for (int i = 0; i < runs; ++i) {
    const double start_s = now_s();
    subject->run(0);
    ns.push_back(handover_ns(1e9 * (now_s() - start_s)));
  }
  return median(ns);
}

std::set<std::string> texts(std::span<const Op> ops) {
  std::set<std::string> all;
  for (const Op& op : ops) all.insert(text(op));
  return all;
}

/// A profile with networks in it, at one pace with what it has.
Profile measured(std::span<const Network> networks, Profile profile, double budget_s) {
  MeasureOptions options;
  options.settings = profile.settings;
  options.details = false;
  options.budget_s = budget_s;
  measure_networks(networks, options, profile);
  // Once more what other work disturbed, whatever its latency was.
  std::vector<Network> again;
  for (const Network& network : networks)
    for (const NetworkRecord& record : profile.networks)
      if (record.name == network.name && record.timing.disturbed) again.push_back(network);
  options.budget_s = budget_s / 2;
  if (!again.empty()) measure_networks(again, options, profile);
  return profile;
}

const Timing& timing_of(const Profile& profile, const Network& network) {
  for (const NetworkRecord& record : profile.networks)
    if (record.name == network.name) return record.timing;
  throw Error(fmt::format("network \"{}\" was not measured within the budget", network.name));
}

std::vector<Comparison> compared(const Predictor& predictor, std::span<const Network> networks,
                                 const Profile& truth) {
  std::vector<Comparison> comparisons;
  for (const Network& network : networks) {
    const LatencyEstimate e = predict(predictor, network).latency;
    comparisons.push_back(
        {network.name, timing_of(truth, network).median_ns * 1e-6, e.ms, e.low_ms, e.high_ms});
  }
  return comparisons;
}

PredictionQuality of_baseline(const Baseline& baseline, std::span<const Network> networks,
                              const Profile& truth) {
  std::vector<Comparison> comparisons;
  for (const Network& network : networks)
    comparisons.push_back({network.name, timing_of(truth, network).median_ns * 1e-6,
                           predict_ms(baseline, network), 0, 0});
  return prediction_quality(comparisons);
}

std::ptrdiff_t disturbed_of(const Profile& profile) {
  return std::count_if(profile.networks.begin(), profile.networks.end(),
                       [](const NetworkRecord& r) { return r.timing.disturbed; });
}

/// The second argument: by how much longer than usual measuring takes.
double parse_patience(const std::string& text) {
  double factor = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), factor);
  if (code != std::errc{} || end != text.data() + text.size() || !(factor > 0 && factor <= 1000))
    throw std::invalid_argument(
        fmt::format("FACTOR: expected a number above 0 such as 2, got \"{}\"", text));
  return factor;
}

void run(std::span<const std::string> arguments, Rows& rows) {
  const double patience = arguments.size() > 1 ? parse_patience(arguments[1]) : 1;
  // What is measured is kept, for whoever wants to look closer.
  const auto keep_profile = [&](const Profile& profile, const char* what) {
    if (!arguments.empty()) save_profile(profile, arguments[0] + what);
  };
  const KeepFreedMemory keep;
  MeasureSettings one_thread;
  if (arguments.size() > 2) one_thread.dtype = parse_dtype(arguments[2]);
  const DType dtype = one_thread.dtype;

  // The profile, as `measure_host_profile` makes it: operators spread evenly, those that a
  // predictor of them is least sure of, and networks of no family. Operators of another plan are
  // taken in the rounds of the first, to be held out.
  std::vector<Op> ops = sampling_plan(1, host_profile_spread_ops, dtype);
  std::set<std::string> known = texts(ops);
  for (const Op& op : sampling_plan(2, held_out_ops, dtype))
    if (known.insert(text(op)).second) ops.push_back(op);
  Profile profile = host_profile(one_thread);
  MeasureOptions options;
  options.settings = one_thread;
  options.details = false;
  options.relative_half_width = host_profile_half_width;
  const double budget_s = patience * 90;
  options.budget_s = budget_s * host_profile_spread_share;
  measure_ops(ops, options, profile);
  // Which decide nothing, but stay in the profile until all is at one pace.
  const std::set<std::string> not_known = texts(std::span(ops).subspan(host_profile_spread_ops));
  const auto without_held_out = [&] {
    Profile rest = profile;
    std::erase_if(rest.ops, [&](const OpRecord& r) { return not_known.count(text(r.op)) != 0; });
    return rest;
  };
  const Profile spread = without_held_out();
  options.budget_s = rest_s(spread, budget_s);
  measure_ops(next_operators(ops, spread_of(spread), unsure_ops(spread, budget_s), 1, dtype),
              options, profile);
  Profile others = profile;
  std::erase_if(others.ops, [&](const OpRecord& r) { return not_known.count(text(r.op)) == 0; });
  keep_profile(others, "-held-out.json");
  const std::vector<OpRecord> held_out = std::move(others.ops);
  profile = without_held_out();
  const auto trained = static_cast<double>(profile.ops.size());
  const double ops_s = profile.seconds;

  // Networks: those of no family to calibrate on and those to test on, spread evenly over the same
  // rounds, so that a machine that gets faster or slower does so for both.
  const std::vector<Network> calibration = calibration_networks();
  TestNetworks test = test_networks();
  std::vector<Network> networks = std::move(test.published);
  const std::size_t published = networks.size();
  for (Network& network : test.ablations) networks.push_back(std::move(network));
  const std::size_t designed = networks.size();
  for (Network& network : test.members) networks.push_back(std::move(network));
  std::vector<Network> both;
  for (std::size_t i = 0, k = 0; i < networks.size(); ++i) {
    both.push_back(networks[i]);
    for (; k * networks.size() < (i + 1) * calibration.size(); ++k) both.push_back(calibration[k]);
  }
  Profile truth = measured(both, host_profile(one_thread), patience * 180);
  double calibration_s = 0;
  double all_s = 0;
  for (const NetworkRecord& record : truth.networks) {
    const double seconds = static_cast<double>(record.timing.samples_ns.size()) *
                           record.timing.runs_per_sample * record.timing.median_ns * 1e-9;
    all_s += seconds;
    const bool calibrates =
        std::any_of(calibration.begin(), calibration.end(),
                    [&](const Network& network) { return network.name == record.name; });
    if (!calibrates) continue;
    calibration_s += seconds;
    profile.networks.push_back(record);
  }
  std::erase_if(truth.networks, [&](const NetworkRecord& record) {
    return std::any_of(calibration.begin(), calibration.end(),
                       [&](const Network& network) { return network.name == record.name; });
  });
  const double profile_s = ops_s + truth.seconds * calibration_s / all_s;
  keep_profile(profile, "-profile.json");
  const double fit_start = now_s();
  const Predictor predictor = fit_predictor(profile, calibration);
  const double fit_s = now_s() - fit_start;

  keep_profile(truth, "-networks.json");
  const std::vector<Comparison> comparisons = compared(predictor, networks, truth);
  const PredictionQuality a = prediction_quality(comparisons);
  const std::string set =
      fmt::format("{} published, {} ablations, {} members; {} disturbed", published,
                  designed - published, networks.size() - designed, disturbed_of(truth));
  rows.inform("networks", a.count, "", set);
  rows.add("networks: RMSPE", 100 * a.rmspe, "%", 3,
           "<=", fmt::format("bias {:+.1f} %, worst {:.1f} %", 100 * a.bias, 100 * a.worst));
  rows.add("networks: within 5 %", 100 * a.within_5, "%", 95, ">=");
  rows.add("networks: within 10 %", 100 * a.within_10, "%", 100, ">=");
  rows.add("networks: Spearman", a.spearman, "", 0.995, ">=");
  rows.add("networks: Kendall", a.kendall, "", 0.97, ">=");
  const auto part = [&](const char* name, std::size_t begin, std::size_t end) {
    const PredictionQuality p =
        prediction_quality(std::span(comparisons).subspan(begin, end - begin));
    rows.inform(fmt::format("{}: RMSPE", name), 100 * p.rmspe, "%",
                fmt::format("within 5 % {:.0f} %, bias {:+.1f} %, covered {:.0f} %",
                            100 * p.within_5, 100 * p.bias, 100 * p.covered));
  };
  part("published networks", 0, published);
  part("ablations of B0 and T0", published, designed);
  part("members of the search space", designed, networks.size());

  // Calibration networks belong to no family, so that every family is left out already.
  std::map<std::string, std::vector<Comparison>> families;
  for (std::size_t i = 0; i < networks.size(); ++i)
    families[networks[i].family].push_back(comparisons[i]);
  double worst_family = 0;
  std::string worst_name;
  for (const auto& [family, members_of] : families)
    if (const double rmspe = prediction_quality(members_of).rmspe; rmspe > worst_family) {
      worst_family = rmspe;
      worst_name = family;
    }
  const std::string how =
      fmt::format("nothing of any family is used for training; {} families, worst {} {:.1f} %",
                  families.size(), worst_name, 100 * worst_family);
  rows.add("leave-family-out: RMSPE", 100 * a.rmspe, "%", 4, "<=", how);
  rows.add("leave-family-out: within 10 %", 100 * a.within_10, "%", 99, ">=", how);

  double mape = 0;
  double within_10 = 0;
  double covered = 0;
  for (const OpRecord& record : held_out) {
    const OpEstimate e = estimate(predictor, record.op);
    const double error = e.ns / record.timing.median_ns - 1;
    const auto n = static_cast<double>(held_out.size());
    mape += std::abs(error) / n;
    within_10 += (std::abs(error) <= 0.1 ? 1.0 : 0.0) / n;
    covered += (std::abs(std::log1p(error)) <= z90 * e.spread_ns / e.ns ? 1.0 : 0.0) / n;
  }
  const std::string other_plan =
      fmt::format("{} operators of another plan, same rounds", held_out.size());
  rows.add("operators held out: MAPE", 100 * mape, "%", 4, "<=", other_plan);
  rows.add("operators held out: within 10 %", 100 * within_10, "%", 95, ">=", other_plan);
  rows.inform("operators held out: in the 90 % interval of their spread", 100 * covered, "%");
  std::map<std::string, std::vector<double>> errors;
  for (const OpRecord& record : held_out)
    errors[op_class(record.op)].push_back(
        std::abs(estimate(predictor, record.op).ns / record.timing.median_ns - 1));
  for (const auto& [name, of_class] : errors) {
    if (of_class.size() < 5) continue;
    const auto n = static_cast<double>(of_class.size());
    const auto near =
        std::count_if(of_class.begin(), of_class.end(), [](double e) { return e <= 0.1; });
    rows.inform(fmt::format("{}: MAPE, held out", name),
                100 * std::accumulate(of_class.begin(), of_class.end(), 0.0) / n, "%",
                fmt::format("{} operators, within 10 % {:.0f} %", of_class.size(),
                            100 * static_cast<double>(near) / n));
  }
  for (const ClassModel& model : predictor.classes)
    if (model.operators >= 30)
      rows.inform(fmt::format("{}: MAPE, each left out", model.name), 100 * model.test_mape, "%",
                  fmt::format("{} operators, within 10 % {:.0f} %", model.operators,
                              100 * model.test_within_10));

  rows.add("90 % interval covers, at least", 100 * a.covered, "%", 85, ">=");
  rows.add("90 % interval covers, at most", 100 * a.covered, "%", 95, "<=");

  std::vector<double> calibration_ns;
  for (const Network& network : calibration)
    calibration_ns.push_back(timing_of(profile, network).median_ns);
  const auto baseline = [&](const char* name, BaselineKind kind) {
    const PredictionQuality b =
        of_baseline(fit_baseline(kind, calibration, calibration_ns), networks, truth);
    rows.inform(
        fmt::format("baseline, {}: RMSPE", name), 100 * b.rmspe, "%",
        fmt::format("within 10 % {:.0f} %, Spearman {:.3f}", 100 * b.within_10, b.spearman));
  };
  baseline("constant MACpS", BaselineKind::constant_macps);
  baseline("linear in MACs, activations, parameters", BaselineKind::linear);

  rows.add("profile: time", profile_s, "s", 90,
           "<=", "held-out operators included; networks by their share of samples");
  rows.inform("profile: operators and networks", trained + static_cast<double>(calibration.size()),
              "", fmt::format("{} operators, {} networks", trained, calibration.size()));

  std::vector<Network> executed;
  for (const Network& network : networks) executed.push_back(lowered(network, dtype));
  const std::vector<Op> distinct = distinct_ops(executed);
  const double speed_start = now_s();
  double sum = 0;
  std::size_t predicted = 0;
  while (now_s() - speed_start < 1)
    for (const Op& op : distinct) {
      sum += terms(predictor, op).ops_ns;
      ++predicted;
    }
  rows.add("prediction speed", static_cast<double>(predicted) / (now_s() - speed_start),
           "operators/s", 100'000, ">=", sum > 0 ? "one core" : "");
  rows.add("fit time", fit_s, "s", 10, "<=");

  // Two threads from few operators.
  if (std::thread::hardware_concurrency() >= 2) {
    try {
      MeasureSettings two_threads = one_thread;
      two_threads.threads = 2;
      Profile some = host_profile(two_threads);
      MeasureOptions quick;
      quick.settings = two_threads;
      quick.budget_s = patience * 8;
      const std::vector<Op> few_ops = sampling_plan(3, few, dtype);
      const double before_ns = handover_now_ns();
      measure_ops(few_ops, quick, some);
      const double between_ns = handover_now_ns();
      const std::span<const Network> zoo_networks = std::span(networks).first(published);
      Profile truth_2 = measured(zoo_networks, some, patience * 90);
      some.ops = std::exchange(truth_2.ops, {});
      keep_profile(some, "-2-threads-profile.json");
      keep_profile(truth_2, "-2-threads-networks.json");
      double expected = 0;
      const Predictor adapted = adapt_predictor(predictor, some, {}, &expected);
      const PredictionQuality f = prediction_quality(compared(adapted, zoo_networks, truth_2));
      const std::string note = fmt::format(
          "{} operators, expected error {:.1f} % an operator, covered {:.0f} %, bias {:+.1f} %; {} "
          "of {} networks disturbed; one thread had another's line after {:.0f} ns before the "
          "operators, {:.0f} before the networks, {:.0f} at the end",
          few, 100 * expected, 100 * f.covered, 100 * f.bias, disturbed_of(truth_2), published,
          before_ns, between_ns, handover_now_ns());
      rows.add("few-shot, one to two threads: Spearman", f.spearman, "", 0.98, ">=", note);
      rows.add("few-shot, one to two threads: MAPE", 100 * f.mape, "%", 6, "<=", note);
    } catch (const std::exception& e) {
      const double nothing = std::numeric_limits<double>::quiet_NaN();
      rows.add("few-shot, one to two threads: Spearman", nothing, "", 0.98, ">=", e.what());
      rows.add("few-shot, one to two threads: MAPE", nothing, "%", 6, "<=", e.what());
    }
  }

  std::vector<Comparison> sorted = comparisons;
  std::sort(sorted.begin(), sorted.end(), [](const Comparison& x, const Comparison& y) {
    return x.predicted_ms / x.measured_ms < y.predicted_ms / y.measured_ms;
  });
  for (const Comparison& c : sorted)
    fmt::print(stderr, "{:<32} {:9.3f} ms measured {:9.3f} predicted {:+6.1f} %{}\n", c.network,
               c.measured_ms, c.predicted_ms, 100 * (c.predicted_ms / c.measured_ms - 1),
               c.low_ms <= c.measured_ms && c.measured_ms <= c.high_ms ? "" : "  outside");
}

}  // namespace

int main(int argc, char** argv) {
  return run_benchmark("predictor [PREFIX [FACTOR [PRECISION]]]", 3, argc, argv, run);
}
