#include "profiler/measure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <numeric>
#include <stdexcept>

#include "graph/json_file.hpp"
#include "profiler/heap.hpp"
#include "profiler/host.hpp"
#include "profiler/journal.hpp"
#include "profiler/statistics.hpp"
#include "profiler/subjects.hpp"
#include "runtime/executor.hpp"

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
  sampling.cache = options.settings.cache;
  sampling.seed = options.seed;
  sampling.memory_bytes = device.memory_bytes / 5;
  sampling.calibration_ns = options.calibration_ns;
  return sampling;
}

/// What happened while measuring, as warnings with remedies.
std::vector<Warning> run_warnings(const SampleReport& report, double best_calibration_ns) {
  std::vector<Warning> warnings;
  const double slower = report.calibration_ns / best_calibration_ns;
  constexpr double much_slower = 1.1;
  if (slower > much_slower)
    warnings.push_back({fmt::format("all the time this machine calculated at {:.0f} % of the speed "
                                    "that it has had",
                                    100 / slower),
                        "close what else runs on its cores, or on those of the host of a virtual "
                        "machine, set the governor to performance, and measure again"});
  const auto count = [&](auto condition) {
    return std::count_if(report.timings.begin(), report.timings.end(), condition);
  };
  const auto disturbed = count([](const Timing& t) { return t.disturbed; });
  if (disturbed > 0)
    warnings.push_back(
        {fmt::format("{} of {} measurements stayed disturbed by other work on this machine",
                     disturbed, report.timings.size()),
         "close other programs, pin to CPUs that are idle, set the governor to performance, and "
         "measure again"});
  const auto missing = count([](const Timing& t) { return t.samples_ns.empty(); });
  if (missing > 0)
    warnings.push_back({fmt::format("the budget ended before {} of {} could be measured", missing,
                                    report.timings.size()),
                        "measure again with a longer budget"});
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

SampleReport run(std::span<const Task> tasks, const nlohmann::json& labels, const ThreadPool& pool,
                 SampleOptions sampling, const MeasureOptions& options, Profile& profile) {
  const nlohmann::json header = {{"schema", "cpubone/journal/1"},
                                 {"fingerprint", fingerprint(profile.device, profile.settings)},
                                 {"tool_version", version()},
                                 {"tasks", labels}};
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
  sampling.calibration_ns = faster(sampling.calibration_ns, best_calibration_ns(profile));
  SampleReport report = sample(tasks, *machine, sampling, hooks);
  const double best_ns = faster(sampling.calibration_ns, report.calibration_ns);
  if (profile.tool_version == version()) profile.calibration_ns = best_ns;
  profile.seconds += journal.known_s() + report.seconds;
  profile.created = utc_now();
  std::vector<Warning> warnings = host_warnings();
  for (Warning& warning : run_warnings(report, best_ns)) warnings.push_back(std::move(warning));
  // Parts of one profile need not repeat each other with other numbers.
  const auto without_numbers = [](const Warning& warning) {
    std::string words = warning.what;
    std::erase_if(words, [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
    return words;
  };
  for (Warning& warning : warnings)
    if (std::none_of(profile.warnings.begin(), profile.warnings.end(), [&](const Warning& known) {
          return without_numbers(known) == without_numbers(warning);
        }))
      profile.warnings.push_back(std::move(warning));
  return report;
}

}  // namespace

Profile host_profile(const MeasureSettings& settings) {
  Profile profile;
  profile.device = describe_host(settings.cpus);
  profile.settings = settings;
  profile.tool_version = version();
  profile.created = utc_now();
  return profile;
}

void check_measurable(const Op& op) {
  check(op);
  engine_of(op);
}

void measure_ops(std::span<const Op> ops, const MeasureOptions& options, Profile& profile) {
  const SampleOptions sampling = sample_options(options, profile.device);
  const PinnedThread pinned(options.settings.cpus);
  const Bench bench(options.settings.threads, profile.device.l2_bytes);
  const bool cold = options.settings.cache == CacheMode::cold;
  std::vector<Task> tasks;
  nlohmann::json labels = nlohmann::json::array();
  for (const Op& op : ops) {
    check_measurable(op);
    labels.push_back(text(op));
    tasks.push_back({weight_bytes(op), guess_ns(op),
                     [&op, &bench, cold](int copies) { return bench.subject(op, copies, cold); }});
  }
  const SampleReport report = run(tasks, labels, bench.pool(), sampling, options, profile);
  Profile measured = profile;
  measured.ops.clear();
  measured.networks.clear();
  measured.seconds = 0;
  for (std::size_t i = 0; i < ops.size(); ++i)
    if (!report.timings[i].samples_ns.empty())
      measured.ops.push_back({ops[i], engine_of(ops[i]), report.timings[i]});
  merge(profile, measured);
}

namespace {

/// Everything that a network holds while it runs: packed weights, activations and what XNNPACK
/// allocates beside them.
std::int64_t memory_of(const Network& network, const std::shared_ptr<const ThreadPool>& pool) {
  const std::int64_t before = heap_bytes();
  Executor executor(network, random_parameters(), pool);
  executor.run();
  return std::max<std::int64_t>(0, heap_bytes() - before);
}

/// Median time of each step over a few runs, scaled so that they add up to the whole network's.
std::vector<NetworkRecord::Part> breakdown(const Network& network,
                                           const std::shared_ptr<const ThreadPool>& pool,
                                           double total_ns) {
  Executor executor(network, random_parameters(), pool, {.one_step_per_op = true});
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
    const int index = steps[s].ops[0].node;
    const Node& node = executor.network().nodes[static_cast<std::size_t>(index)];
    const double ns = median(step_ns[s]);
    sum += ns;
    if (index != last_node) parts.push_back({node.op, node.stage, engine_of(node.op), 0});
    parts.back().latency_ns += ns;
    last_node = index;
  }
  for (NetworkRecord::Part& part : parts) part.latency_ns *= total_ns / sum;
  return parts;
}

/// Of each network; without samples where the budget ended before the first.
std::vector<Timing> time_networks(std::span<const Network> networks, const MeasureOptions& options,
                                  double most_preparing, const Bench& bench, Profile& profile) {
  std::vector<Task> tasks;
  nlohmann::json labels = nlohmann::json::array();
  for (const Network& network : networks) {
    labels.push_back(to_json(network));
    // A network runs again and again with the same weights, as applications run it.
    tasks.push_back({weight_bytes(network), guess_ns(network),
                     [&network, &bench](int) { return bench.subject(network); }});
  }
  SampleOptions sampling = sample_options(options, profile.device);
  sampling.cache = CacheMode::hot;
  sampling.most_preparing = most_preparing;
  return run(tasks, labels, bench.pool(), sampling, options, profile).timings;
}

}  // namespace

void measure_networks(std::span<const Network> networks, const MeasureOptions& options,
                      Profile& profile) {
  const PinnedThread pinned(options.settings.cpus);
  const Bench bench(options.settings.threads, profile.device.l2_bytes);
  const std::vector<Timing> timings =
      time_networks(networks, options, SampleOptions{}.most_preparing, bench, profile);
  Profile measured = profile;
  measured.ops.clear();
  measured.networks.clear();
  measured.seconds = 0;
  for (std::size_t i = 0; i < networks.size(); ++i) {
    if (timings[i].samples_ns.empty()) continue;
    NetworkRecord record{.name = networks[i].name,
                         .structure = structure_hash(networks[i]),
                         .params = params(networks[i]),
                         .macs = macs(networks[i]),
                         .timing = timings[i]};
    if (options.details) {
      record.ops = breakdown(networks[i], bench.shared_pool(), record.timing.median_ns);
      record.peak_memory_bytes = memory_of(networks[i], bench.shared_pool());
    }
    measured.networks.push_back(std::move(record));
  }
  merge(profile, measured);
}

std::vector<Timing> measure_timings(std::span<const Network> networks, MeasureOptions options) {
  const PinnedThread pinned(options.settings.cpus);
  Profile profile = host_profile(options.settings);
  const Bench bench(options.settings.threads, profile.device.l2_bytes);
  std::vector<Timing> timings(networks.size());
  std::vector<std::size_t> left(networks.size());
  std::iota(left.begin(), left.end(), 0);
  while (!left.empty()) {
    std::vector<Network> missing;
    for (const std::size_t i : left) missing.push_back(networks[i]);
    const std::vector<Timing> got =
        time_networks(missing, options, 1, bench, profile);  // all in the same rounds
    if (options.cancelled && options.cancelled())
      throw Error("interrupted while networks were measured");
    for (std::size_t k = 0; k < left.size(); ++k) timings[left[k]] = got[k];
    std::erase_if(left, [&](std::size_t i) { return !timings[i].samples_ns.empty(); });
    options.budget_s *= 2;
  }
  return timings;
}

}  // namespace cpubone
