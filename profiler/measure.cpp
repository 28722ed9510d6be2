#include "profiler/measure.hpp"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "graph/json_file.hpp"
#include "profiler/host.hpp"
#include "profiler/journal.hpp"
#include "profiler/statistics.hpp"
#include "runtime/executor.hpp"

namespace cpubone {
namespace {

constexpr double guess_macs_per_ns = 30;
constexpr double guess_bytes_per_ns = 10;
constexpr std::size_t arena_bytes = std::size_t{32} << 20;  // for activations
constexpr std::size_t window_bytes = std::size_t{1} << 20;  // that they begin in

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

/// Values to feed: the same for all, and none of them denormal.
const std::vector<float>& input_values() {
  static const std::vector<float> values = [] {
    std::mt19937 random(1);
    std::uniform_real_distribution<float> uniform(-1.0F, 1.0F);
    std::vector<float> v(1 << 20);
    for (float& value : v) value = uniform(random);
    return v;
  }();
  return values;
}

/// In a network several operators ran since the output's memory was last used: it is in the shared
/// cache, not in the core's own.
class PrivateCaches {
 public:
  explicit PrivateCaches(std::int64_t l2_bytes)
      : memory_(static_cast<std::size_t>(2 * std::max(l2_bytes, smallest_l2)) / sizeof(float),
                1.0F) {}
  void push_out() {
    constexpr std::size_t line = 64 / sizeof(float);
    float sum = 0;
    for (std::size_t i = 0; i < memory_.size(); i += line) sum += memory_[i];
    memory_[0] = sum > 0 ? 1.0F : sum;  // so that the sum is needed
  }

 private:
  static constexpr std::int64_t smallest_l2 = 256 << 10;
  std::vector<float> memory_;
};

void fill(std::span<float> out) {
  const std::vector<float>& values = input_values();
  for (std::size_t i = 0; i < out.size(); i += values.size())
    std::memcpy(out.data() + i, values.data(),
                std::min(values.size(), out.size() - i) * sizeof(float));
}

void fill_inputs(Executor& executor) {
  for (std::size_t i = 0; i < executor.network().inputs.size(); ++i) {
    const std::span<float> input = executor.input(i);
    // Values of int8 take a quarter of their memory.
    const bool bytes = executor.network().inputs[i].dtype == DType::qs8;
    fill(bytes ? input.first(input.size() / sizeof(float)) : input);
  }
}

/// The operator behind slices of images, one a resolution, so that it reads what was just written
/// and may write in place, as in a network.
Network network_of(const Op& op) {
  Network network;
  network.name = text(op);
  Node node{"op", "", op, {}};
  if (op.dtype() == DType::qs8) {  // slices are not in int8
    network.inputs = op.inputs;
    for (std::size_t i = 0; i < op.inputs.size(); ++i)
      node.inputs.emplace_back(network_input, static_cast<int>(i));
    network.nodes = {std::move(node)};
    network.outputs = {0};
    return network;
  }
  network.inputs.clear();
  std::vector<int> images;
  for (const Tensor& input : op.inputs) {
    const auto same = std::find_if(network.inputs.begin(), network.inputs.end(), [&](auto& image) {
      return image.shape.h == input.shape.h && image.shape.w == input.shape.w;
    });
    images.push_back(static_cast<int>(same - network.inputs.begin()));
    if (same == network.inputs.end()) {
      network.inputs.push_back(input);
    } else {
      same->shape.c = std::max(same->shape.c, input.shape.c);
    }
  }
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    Op slice;
    slice.kind = OpKind::slice;
    slice.inputs = {network.inputs[static_cast<std::size_t>(images[i])]};
    slice.outputs = {op.inputs[i]};
    node.inputs.emplace_back(static_cast<int>(i));
    network.nodes.push_back(
        {fmt::format("input{}", i), "", std::move(slice), {Edge(network_input, images[i])}});
  }
  network.outputs = {static_cast<int>(network.nodes.size())};
  network.nodes.push_back(std::move(node));
  return network;
}

/// Copies of a network. What is timed is the network from a node on; the nodes before it make its
/// input. Activations move through shared memory from visit to visit: where they lie decides how
/// they get along in the caches, up to 15 % of a small operator's time, and where they lie in a
/// user's process is chance.
class ExecutorSubject : public Subject {
 public:
  ExecutorSubject(const Network& network, int copies, const std::shared_ptr<const ThreadPool>& pool,
                  std::size_t first_node, std::shared_ptr<PrivateCaches> caches,
                  std::shared_ptr<const Arena> arena)
      : caches_(std::move(caches)) {
    const ParameterSource parameters = random_parameters();
    ExecutorOptions options;
    options.one_step_per_op = first_node > 0;
    options.arena = std::move(arena);
    for (int i = 0; i < copies; ++i) {
      executors_.emplace_back(network, parameters, pool, options);
      options.arena = executors_[0].arena();  // its own where it needs a larger one
    }
    const auto& steps = executors_[0].steps();
    last_step_ = steps.size();
    while (steps[first_step_].ops[0].node < static_cast<int>(first_node)) ++first_step_;
  }

  void move() override {
    constexpr std::size_t line = 64;
    const std::shared_ptr<const Arena> arena = executors_[0].arena();
    const std::size_t room = arena->size() - executors_[0].arena_bytes();
    const std::size_t places = std::min(room, window_bytes) / line + 1;
    const std::size_t offset = line * (random_() % places);
    for (Executor& executor : executors_) executor.move_to(arena, offset);
  }
  void feed(int copy) override {
    if (caches_) caches_->push_out();
    Executor& executor = executors_[static_cast<std::size_t>(copy)];
    fill_inputs(executor);
    executor.run_steps(0, first_step_);
  }
  void run(int copy) override {
    executors_[static_cast<std::size_t>(copy)].run_steps(first_step_, last_step_);
  }

 private:
  std::shared_ptr<PrivateCaches> caches_;  ///< null: nothing is pushed out
  std::mt19937_64 random_;
  std::vector<Executor> executors_;
  std::size_t first_step_ = 0;
  std::size_t last_step_ = 0;
};

SampleOptions sample_options(const MeasureOptions& options, const Device& device) {
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
         "close other programs, pin with --cpus, set the governor to performance, and measure "
         "again"});
  const auto missing = count([](const Timing& t) { return t.samples_ns.empty(); });
  if (missing > 0)
    warnings.push_back({fmt::format("the budget ended before {} of {} could be measured", missing,
                                    report.timings.size()),
                        "raise --budget, or continue with --resume"});
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

/// Weights are made, packed and freed by the gigabyte: while memory is kept for the next, and not
/// given back to the system each time, preparing takes less than half as long.
class KeepFreedMemory {
#if defined(__GLIBC__)
 public:
  KeepFreedMemory() {
    ::mallopt(M_MMAP_THRESHOLD, largest_threshold);
    ::mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  }
  ~KeepFreedMemory() {
    ::mallopt(M_TRIM_THRESHOLD, 2 * largest_threshold);
    ::malloc_trim(0);
  }
  KeepFreedMemory(const KeepFreedMemory&) = delete;
  KeepFreedMemory& operator=(const KeepFreedMemory&) = delete;

 private:
  static constexpr int largest_threshold = 32 << 20;  // that glibc would reach by itself
#endif
};

SampleReport run(std::span<const Task> tasks, const nlohmann::json& labels, const ThreadPool& pool,
                 SampleOptions sampling, const MeasureOptions& options, Profile& profile) {
  const nlohmann::json header = {{"schema", "cpubone/journal/1"},
                                 {"fingerprint", fingerprint(profile.device, profile.settings)},
                                 {"tool_version", version()},
                                 {"tasks", labels}};
  [[maybe_unused]] const KeepFreedMemory keep{};
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
  profile.device = describe_host();
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
  if (!options.settings.cpus.empty()) pin_to_cpus(options.settings.cpus);
  const auto pool = std::make_shared<ThreadPool>(options.settings.threads);
  const auto caches = options.settings.cache == CacheMode::cold
                          ? std::make_shared<PrivateCaches>(profile.device.l2_bytes)
                          : nullptr;
  const auto arena = std::make_shared<const Arena>(arena_bytes);
  std::vector<Task> tasks;
  nlohmann::json labels = nlohmann::json::array();
  for (const Op& op : ops) {
    check_measurable(op);
    labels.push_back(text(op));
    tasks.push_back({weight_bytes(op), guess_ns(op), [&op, &pool, &caches, &arena](int copies) {
                       const Network network = network_of(op);
                       return std::make_unique<ExecutorSubject>(
                           network, copies, pool, network.nodes.size() - 1, caches, arena);
                     }});
  }
  const SampleReport report =
      run(tasks, labels, *pool, sample_options(options, profile.device), options, profile);
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

/// Bytes that malloc has given out and not got back; 0 where the C library does not tell.
std::int64_t heap_bytes() {
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
  const struct mallinfo2 info = ::mallinfo2();
  return static_cast<std::int64_t>(info.uordblks + info.hblkhd);
#else
  return 0;
#endif
}

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

}  // namespace

namespace {

void measure_chains(std::span<const Network> networks, const MeasureOptions& options,
                    double most_preparing, Profile& profile) {
  if (!options.settings.cpus.empty()) pin_to_cpus(options.settings.cpus);
  const auto pool = std::make_shared<ThreadPool>(options.settings.threads);
  const auto arena = std::make_shared<const Arena>(arena_bytes);
  std::vector<Task> tasks;
  nlohmann::json labels = nlohmann::json::array();
  for (const Network& network : networks) {
    labels.push_back(to_json(network));
    // A network runs again and again with the same weights, as applications run it.
    tasks.push_back({weight_bytes(network), guess_ns(network), [&network, &pool, &arena](int) {
                       return std::make_unique<ExecutorSubject>(network, 1, pool, 0, nullptr,
                                                                arena);
                     }});
  }
  SampleOptions sampling = sample_options(options, profile.device);
  sampling.cache = CacheMode::hot;
  sampling.most_preparing = most_preparing;
  const SampleReport report = run(tasks, labels, *pool, sampling, options, profile);
  Profile measured = profile;
  measured.ops.clear();
  measured.networks.clear();
  measured.seconds = 0;
  for (std::size_t i = 0; i < networks.size(); ++i) {
    if (report.timings[i].samples_ns.empty()) continue;
    NetworkRecord record{
        networks[i].name, params(networks[i]), macs(networks[i]), report.timings[i], {}, 0};
    if (options.details) {
      record.ops = breakdown(networks[i], pool, record.timing.median_ns);
      record.peak_memory_bytes = memory_of(networks[i], pool);
    }
    measured.networks.push_back(std::move(record));
  }
  merge(profile, measured);
}

}  // namespace

void measure_networks(std::span<const Network> networks, const MeasureOptions& options,
                      Profile& profile) {
  measure_chains(networks, options, SampleOptions{}.most_preparing, profile);
}

std::vector<Timing> measure_timings(std::span<const Network> networks, MeasureOptions options) {
  std::vector<Network> left(networks.begin(), networks.end());
  for (std::size_t i = 0; i < left.size(); ++i) left[i].name = fmt::to_string(i);
  std::vector<Timing> timings(networks.size());
  while (!left.empty()) {
    Profile profile = host_profile(options.settings);
    measure_chains(left, options, 1, profile);  // all in the same rounds
    if (options.cancelled && options.cancelled())
      throw Error("interrupted while networks were measured");
    options.budget_s *= 2;
    for (NetworkRecord& record : profile.networks) {
      std::erase_if(left, [&](const Network& network) { return network.name == record.name; });
      timings[std::stoul(record.name)] = std::move(record.timing);
    }
  }
  return timings;
}

}  // namespace cpubone
