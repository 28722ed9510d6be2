#include "profiler/measure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <numeric>
#include <stdexcept>

#include "graph/json_file.hpp"
#include "graph/passes.hpp"
#include "profiler/handover.hpp"
#include "profiler/heap.hpp"
#include "profiler/host.hpp"
#include "profiler/journal.hpp"
#include "profiler/pace.hpp"
#include "profiler/roofline.hpp"
#include "profiler/statistics.hpp"
#include "profiler/subjects.hpp"
#include "runtime/channel_part.hpp"
#include "runtime/co_execution.hpp"
#include "runtime/executor.hpp"
#include "runtime/precision.hpp"

namespace cpubone {
namespace {

constexpr double guess_macs_per_ns = 30;
constexpr double guess_bytes_per_ns = 10;

double guess_ns(const Op& op) {
  return static_cast<double>(macs(op)) / guess_macs_per_ns +
         static_cast<double>(input_bytes(op) + output_bytes(op) + weight_bytes(op)) /
             guess_bytes_per_ns +
         500;
}

double guess_ns(const Network& network) {
  double total = 0;
  for (const Node& node : network.nodes) total += guess_ns(node.op);
  return total;
}

SampleOptions sample_options(const MeasureOptions& options, const Device& device) {
  if (!(options.budget_s > 0))
    throw std::invalid_argument(
        fmt::format("budget_s: expected seconds above 0, got {}", options.budget_s));
  SampleOptions sampling;
  sampling.budget_s = options.budget_s;
  sampling.relative_half_width = options.relative_half_width;
  sampling.seed = options.seed;
  sampling.memory_bytes = device.memory_bytes / 5;
  return sampling;
}

/// What measuring all tasks takes, by the share of their work that was reached within `budget_s`.
double budget_for_all_s(const SampleReport& report, std::span<const Task> tasks, double budget_s) {
  double all_ns = 0;
  double reached_ns = 0;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    all_ns += tasks[i].guess_ns;
    if (!report.timings[i].samples_ns.empty()) reached_ns += tasks[i].guess_ns;
  }
  // Where nothing was reached, not even the first task fits.
  const double share =
      std::max(reached_ns, all_ns / static_cast<double>(tasks.size() + 1)) / all_ns;
  return std::ceil(std::max(budget_s, report.seconds) / share);
}

/// What happened while measuring, as warnings with remedies. `budget_s` would have been enough.
std::vector<Warning> run_warnings(const SampleReport& report, double budget_s,
                                  double best_calibration_ns) {
  std::vector<Warning> warnings;
  const double slower = report.typical_calibration_ns / best_calibration_ns;
  constexpr double much_slower = 1.1;
  if (slower > much_slower)
    warnings.push_back({fmt::format("this machine's typical pace while it was measured, which all "
                                    "latencies are at, is {:.0f} % of its best",
                                    100 / slower),
                        "if that is not how it will be used: close what else runs on its cores, or "
                        "on those of the host of a virtual machine, set the governor to "
                        "performance, and measure again"});
  const auto [fastest, slowest] =
      std::minmax_element(report.paces.begin(), report.paces.end(),
                          [](const PaceRegime& a, const PaceRegime& b) { return a.pace < b.pace; });
  if (!report.paces.empty() && slowest->pace > much_slower * fastest->pace)
    warnings.push_back(
        {fmt::format("the machine's pace changed between {:.0f} and {:.0f} % of its typical one, "
                     "which all latencies are at",
                     100 / slowest->pace, 100 / fastest->pace),
         "let the machine come to its sustained pace, and measure again"});
  const auto count = [&](auto condition) {
    return std::count_if(report.timings.begin(), report.timings.end(), condition);
  };
  const auto disturbed = count([](const Timing& t) { return t.disturbed; });
  if (disturbed > 0)
    warnings.push_back(
        {fmt::format(
             "{} of {} measurements stayed disturbed: fewer than 5 samples, or uncertain by "
             "more than 10 %",
             disturbed, report.timings.size()),
         "measure again with a longer budget; close other programs, pin to CPUs that are idle, set "
         "the governor to performance"});
  const auto missing = count([](const Timing& t) { return t.samples_ns.empty(); });
  if (missing > 0)
    warnings.push_back({fmt::format("the budget ended before {} of {} could be measured", missing,
                                    report.timings.size()),
                        fmt::format("measure again with a budget of {:.0f} s or more", budget_s)});
  if (report.mean_competitors >= 0.5)
    warnings.push_back(
        {fmt::format("{:.1f} other threads wanted a CPU, on average, while measuring",
                     report.mean_competitors),
         "close other programs, or measure when the machine is idle"});
  if (report.worst.throttled)
    warnings.push_back({"the firmware throttled the CPU while measuring",
                        "improve cooling and power supply, and measure again"});
  constexpr double changed = 0.95;
  if (report.worst.frequency_mhz > 0 && report.worst.frequency_mhz < changed * report.highest_mhz)
    warnings.push_back({fmt::format("the CPU frequency changed between {:.0f} and {:.0f} MHz while "
                                    "measuring",
                                    report.worst.frequency_mhz, report.highest_mhz),
                        "sudo cpupower frequency-set -g performance, and improve cooling"});
  return warnings;
}

/// What is measured in the same rounds: first operators that the profile has, to compare the
/// machine's pace by, then what is new to it.
struct RunPlan {
  std::vector<Task> tasks;
  nlohmann::json labels = nlohmann::json::array();
  std::vector<PacedTask> paced;

  void add(Task task, nlohmann::json label, PacedTask as = {}) {
    tasks.push_back(std::move(task));
    labels.push_back(std::move(label));
    paced.push_back(as);
  }
};

/// `shared`: with the bench's coprocessor, otherwise than the bench's operators are.
Task op_task(const Op& op, const Bench& bench, CacheMode cache,
             const std::shared_ptr<const CoExecution>& shared = nullptr) {
  const bool cold = cache == CacheMode::cold;
  return {weight_bytes(op), guess_ns(op), cache, [&op, &bench, shared, cold](int copies) {
            return shared ? bench.subject(op, copies, cold, shared)
                          : bench.subject(op, copies, cold);
          }};
}

/// Keeps to operators that live in `profile`.
RunPlan begin_plan(const Profile& profile, const Bench& bench) {
  RunPlan plan;
  for (const std::size_t i : anchors(profile)) {
    const OpRecord& record = profile.ops[i];
    plan.add(op_task(record.op, bench, profile.settings.cache), text(record.op),
             {record.timing.median_ns, moves_data(record.op)});
  }
  return plan;
}

/// Tells of what is new to the profile only.
SampleReport run(const RunPlan& plan, const ThreadPool& pool, const SampleOptions& sampling,
                 const MeasureOptions& options, Profile& profile) {
  const nlohmann::json header = {{"schema", "cpubone/journal/2"},
                                 {"fingerprint", fingerprint(profile.device, profile.settings)},
                                 {"tool_version", version()},
                                 {"tasks", plan.labels}};
  Journal journal(options.journal, header, options.resume);
  const auto machine =
      host_machine(profile.device.llc_bytes,
                   [&](const std::function<void()>& work) { pool.on_all_threads(work); });
  const double start_ns = machine->now_ns();
  SampleHooks hooks;
  hooks.known = journal.known();
  hooks.known_s = journal.known_s();
  hooks.on_round = [&](std::span<const Sample> round) {
    journal.append(round, (machine->now_ns() - start_ns) * 1e-9);
  };
  hooks.on_progress = options.on_progress;
  hooks.cancelled = options.cancelled;
  SampleReport report = sample(plan.tasks, *machine, sampling, hooks);
  const double enough_s = budget_for_all_s(report, plan.tasks, sampling.budget_s);
  bring_to_common_pace(profile, report, plan.paced);
  const double best_ns =
      faster(faster(options.calibration_ns, best_calibration_ns(profile)), report.calibration_ns);
  std::vector<Warning> warnings = host_warnings();
  for (Warning& warning : run_warnings(report, enough_s, best_ns))
    warnings.push_back(std::move(warning));
  if (profile.tool_version == version()) {
    profile.calibration_ns = best_ns;
    // Of all that it holds.
    const double before_s = profile.typical_calibration_ns > 0 ? profile.seconds : 0;
    profile.typical_calibration_ns =
        std::lerp(report.typical_calibration_ns, profile.typical_calibration_ns,
                  before_s / std::max(before_s + report.seconds, 1e-9));
  }
  profile.seconds += report.seconds;
  profile.created = utc_now();
  add_warnings(profile, std::move(warnings));
  return report;
}

std::string engine_in(const MeasureOptions& options, const Op& op) {
  if (options.co_execution && options.co_execution->supports(op))
    return std::string(options.co_execution->name());
  return engine_of(op, options.backends);
}

}  // namespace

Profile host_profile(const MeasureSettings& settings, Backends backends) {
  Profile profile;
  profile.device = describe_host(settings.cpus, backends);
  profile.settings = settings;
  profile.tool_version = version();
  profile.created = utc_now();
  return profile;
}

Profile host_profile(const MeasureSettings& settings, const CoExecution& co_execution) {
  Profile profile = host_profile(settings);
  const Coprocessor& coprocessor = co_execution.coprocessor();
  profile.device.coprocessor = coprocessor.identity();
  profile.device.tile_channels = coprocessor.tile().channels;
  profile.device.tile_pixels = coprocessor.tile().pixels;
  return profile;
}

void check_measurable(const Op& op, Backends backends) {
  check(op);
  engine_of(op, backends);
}

void measure_ops(std::span<const Op> ops, const MeasureOptions& options, Profile& profile) {
  const SampleOptions sampling = sample_options(options, profile.device);
  const PinnedThread pinned(options.settings.cpus);
  const Bench bench(options.settings.threads, profile.device.l2_bytes, options.co_execution,
                    options.backends);
  RunPlan plan = begin_plan(profile, bench);
  const bool with_roofline = options.roofline && profile.roofline == Roofline{};
  const std::vector<Ceiling> rates =
      with_roofline ? ceilings(profile.device, bench.pool()) : std::vector<Ceiling>{};
  for (const Ceiling& rate : rates) plan.add(rate.task, rate.name);
  const bool with_handover = options.settings.threads > 1;
  if (with_handover) plan.add(handover_task(bench.pool()), "handover");
  for (const Op& op : ops) {
    check_measurable(op, options.backends);
    plan.add(op_task(op, bench, options.settings.cache), text(op), {.moves_data = moves_data(op)});
  }
  const SampleReport report = run(plan, bench.pool(), sampling, options, profile);
  if (with_roofline) profile.roofline = roofline_of(rates, report.timings);
  if (with_handover)
    if (auto warning = changing_cores(report.timings[rates.size()]))
      add_warnings(profile, {*std::move(warning)});
  const std::span<const Timing> timings =
      std::span(report.timings).subspan(rates.size() + (with_handover ? 1 : 0));
  Profile measured = profile;
  measured.ops.clear();
  measured.networks.clear();
  measured.seconds = 0;
  for (std::size_t i = 0; i < ops.size(); ++i)
    if (!timings[i].samples_ns.empty())
      measured.ops.push_back({ops[i], engine_in(options, ops[i]), timings[i]});
  merge(profile, measured);
}

std::int64_t memory_of(const Network& network, const std::shared_ptr<const ThreadPool>& pool,
                       Backends backends) {
  const std::int64_t before = heap_bytes();
  Executor executor(network, random_parameters(), pool, {.backends = backends});
  executor.run();
  return std::max<std::int64_t>(0, heap_bytes() - before);
}

namespace {

/// Median time of each step over a few runs, scaled so that they add up to the whole network's.
std::vector<NetworkRecord::Part> breakdown(const Network& network, const Bench& bench,
                                           double total_ns) {
  Executor executor(network, random_parameters(), bench.shared_pool(),
                    {.one_step_per_op = true, .backends = bench.backends()});
  fill_inputs(executor);
  executor.run();
  constexpr int runs = 9;
  const auto& steps = executor.steps();
  std::vector<std::vector<double>> step_ns(steps.size());
  for (int i = 0; i < runs; ++i) {
    std::vector<double> once(steps.size(), 0.0);
    executor.run_timed(once);
    for (std::size_t s = 0; s < once.size(); ++s) step_ns[s].push_back(once[s]);
  }
  std::vector<NetworkRecord::Part> parts;
  double sum = 0;
  int last_node = -1;
  for (std::size_t s = 0; s < steps.size(); ++s) {
    const int index = steps[s].ops.back().node;
    const Node& node = executor.network().nodes[static_cast<std::size_t>(index)];
    const double ns = median(step_ns[s]);
    sum += ns;
    // Without scales, which latencies do not depend on.
    if (index != last_node)
      parts.push_back(
          {without_quantisation(node.op), node.stage, engine_of(node.op, bench.backends()), 0});
    parts.back().latency_ns += ns;
    last_node = index;
  }
  for (NetworkRecord::Part& part : parts) part.latency_ns *= total_ns / sum;
  return parts;
}

/// The networks in the precision that is to be measured.
std::vector<Network> as_executed(std::span<const Network> networks, const MeasureOptions& options) {
  std::vector<Network> executed;
  const bool dynamic = runs_dynamic(options.backends);
  for (const Network& network : networks)
    executed.push_back(in_precision(network, options.settings.dtype, dynamic));
  return executed;
}

/// Of each network; without samples where the budget ended before the first.
std::vector<Timing> time_networks(std::span<const Network> networks, const MeasureOptions& options,
                                  double most_preparing, const Bench& bench, Profile& profile) {
  RunPlan plan = begin_plan(profile, bench);
  for (const Network& network : networks)
    // A network runs again and again with the same weights, as applications run it.
    plan.add({weight_bytes(network), guess_ns(network), CacheMode::hot,
              [&network, &bench](int) { return bench.subject(network); }},
             to_json(network));
  SampleOptions sampling = sample_options(options, profile.device);
  sampling.most_preparing = most_preparing;
  return run(plan, bench.pool(), sampling, options, profile).timings;
}

}  // namespace

void measure_networks(std::span<const Network> networks, const MeasureOptions& options,
                      Profile& profile) {
  const PinnedThread pinned(options.settings.cpus);
  const Bench bench(options.settings.threads, profile.device.l2_bytes, nullptr, options.backends);
  const std::vector<Network> executed = as_executed(networks, options);
  const std::vector<Timing> timings =
      time_networks(executed, options, SampleOptions{}.most_preparing, bench, profile);
  Profile measured = profile;
  measured.ops.clear();
  measured.networks.clear();
  measured.seconds = 0;
  for (std::size_t i = 0; i < networks.size(); ++i) {
    if (timings[i].samples_ns.empty()) continue;
    NetworkRecord record{
        .name = networks[i].name,
        .structure = structure_hash(with_dtype(networks[i], options.settings.dtype)),
        .params = params(networks[i]),
        .macs = macs(networks[i]),
        .timing = timings[i]};
    if (options.details) {
      record.ops = breakdown(executed[i], bench, record.timing.median_ns);
      record.peak_memory_bytes = memory_of(executed[i], bench.shared_pool(), options.backends);
    }
    measured.networks.push_back(std::move(record));
  }
  merge(profile, measured);
}

namespace {

/// Timings of so many. `measure` is given the indices of some, an empty timing being what the
/// budget left out; these are measured after it, within twice as much, until all are.
template <typename Measure>
std::vector<Timing> timings_of_all(std::size_t count, MeasureOptions options, Measure measure) {
  std::vector<Timing> timings(count);
  std::vector<std::size_t> left(count);
  std::iota(left.begin(), left.end(), 0);
  while (!left.empty()) {
    const std::vector<Timing> got = measure(std::span<const std::size_t>(left), options);
    if (options.cancelled && options.cancelled()) throw Error("interrupted while measuring");
    for (std::size_t k = 0; k < left.size(); ++k) timings[left[k]] = got[k];
    std::erase_if(left, [&](std::size_t i) { return !timings[i].samples_ns.empty(); });
    options.budget_s *= 2;
  }
  return timings;
}

/// Timings of so many subjects in the same rounds. `add` puts one into a plan; the bench is that of
/// the coprocessor.
template <typename Add>
std::vector<Timing> shared_timings(std::size_t count, const std::shared_ptr<const CoExecution>& any,
                                   const MeasureOptions& options, Add add) {
  const PinnedThread pinned(options.settings.cpus);
  Profile profile = host_profile(options.settings, *any);
  const Bench bench(options.settings.threads, profile.device.l2_bytes, any, options.backends);
  return timings_of_all(count, options,
                        [&](std::span<const std::size_t> left, const MeasureOptions& now) {
                          RunPlan plan;
                          for (const std::size_t i : left) add(plan, bench, i);
                          SampleOptions sampling = sample_options(now, profile.device);
                          sampling.most_preparing = 1;  // all in the same rounds
                          return run(plan, bench.pool(), sampling, now, profile).timings;
                        });
}

}  // namespace

std::vector<Timing> measure_timings(std::span<const Network> networks, MeasureOptions options) {
  const PinnedThread pinned(options.settings.cpus);
  Profile profile = host_profile(options.settings, options.backends);
  const Bench bench(options.settings.threads, profile.device.l2_bytes, nullptr, options.backends);
  const std::vector<Network> executed = as_executed(networks, options);
  return timings_of_all(networks.size(), std::move(options),
                        [&](std::span<const std::size_t> left, const MeasureOptions& now) {
                          std::vector<Network> missing;
                          for (const std::size_t i : left) missing.push_back(executed[i]);
                          return time_networks(missing, now, 1, bench,
                                               profile);  // all in the same rounds
                        });
}

std::vector<Timing> measure_splits(std::span<const LayerSplit> layers,
                                   const std::shared_ptr<const Coprocessor>& coprocessor,
                                   const MeasureOptions& options) {
  if (layers.empty()) return {};
  std::vector<std::shared_ptr<const CoExecution>> by;
  for (const LayerSplit& layer : layers)
    by.push_back(std::make_shared<const CoExecution>(
        coprocessor, [channels = layer.cpu_channels](const Op&) { return channels; }));
  return shared_timings(
      layers.size(), by[0], options, [&](RunPlan& plan, const Bench& bench, std::size_t i) {
        plan.add(op_task(layers[i].op, bench, options.settings.cache, by[i]),
                 fmt::format("{} of {}", layers[i].cpu_channels, text(layers[i].op)));
      });
}

std::vector<Timing> measure_shared_network(const Network& network,
                                           std::span<const std::shared_ptr<const CoExecution>> by,
                                           const MeasureOptions& options) {
  if (by.empty() || !by[0])
    throw std::invalid_argument("measure_shared_network: expected a co-execution first");
  const Network executed = in_precision(network, options.settings.dtype);
  return shared_timings(by.size(), by[0], options,
                        [&](RunPlan& plan, const Bench& bench, std::size_t i) {
                          plan.add({weight_bytes(executed), guess_ns(executed), CacheMode::hot,
                                    [&, i](int) { return bench.subject(executed, by[i]); }},
                                   executed.name);
                        });
}

}  // namespace cpubone
