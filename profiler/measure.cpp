#include "profiler/measure.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "profiler/executor.hpp"
#include "profiler/host.hpp"
#include "profiler/statistics.hpp"
#include "space/json_file.hpp"

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

void fill(std::span<float> out) {
  const std::vector<float>& values = input_values();
  for (std::size_t i = 0; i < out.size(); i += values.size())
    std::memcpy(out.data() + i, values.data(),
                std::min(values.size(), out.size() - i) * sizeof(float));
}

/// The operator behind slices of the network's input, so that it reads what was just written and
/// may write in place, as in a network.
Network network_of(const Op& op) {
  Network network;
  network.name = text(op);
  network.input = op.inputs[0];
  for (const Shape& input : op.inputs) network.input.c = std::max(network.input.c, input.c);
  Node node{"op", "", op, {}};
  const auto make = [&](OpKind kind, int from, Shape from_shape, Shape to) {
    Op producer;
    producer.kind = kind;
    producer.inputs = {from_shape};
    producer.output = to;
    const auto index = static_cast<int>(network.nodes.size());
    network.nodes.push_back({fmt::format("input{}", index), "", producer, {from}});
    return index;
  };
  for (const Shape& input : op.inputs) {
    int from = network_input;
    Shape from_shape = network.input;
    if (input.h != network.input.h || input.w != network.input.w) {
      const Shape pooled{1, 1, 1, network.input.c};
      from = make(OpKind::global_avg_pool, from, from_shape, pooled);
      from_shape = pooled;
    }
    node.inputs.push_back(make(OpKind::slice, from, from_shape, input));
  }
  network.nodes.push_back(std::move(node));
  network.outputs = {static_cast<int>(network.nodes.size()) - 1};
  return network;
}

/// Copies of an operator or a network that share their activations; `first_step` is where the part
/// that is timed begins.
class ExecutorSubject : public Subject {
 public:
  ExecutorSubject(const Network& network, int copies, const std::shared_ptr<const ThreadPool>& pool,
                  bool only_last_node) {
    const ParameterSource parameters = random_parameters();
    ExecutorOptions options;
    options.one_step_per_op = only_last_node;
    for (int i = 0; i < copies; ++i) {
      executors_.emplace_back(network, parameters, pool, options);
      options.arena = executors_[0].arena();
    }
    const auto& steps = executors_[0].steps();
    last_step_ = steps.size();
    const int last_node = steps.back().nodes.back();
    while (only_last_node && first_step_ < last_step_ && steps[first_step_].nodes[0] != last_node)
      ++first_step_;
  }

  void feed() override {
    fill(executors_[0].input());
    executors_[0].run_steps(0, first_step_);
  }
  void run(int copy) override {
    executors_[static_cast<std::size_t>(copy)].run_steps(first_step_, last_step_);
  }

 private:
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
  return sampling;
}

/// One line a round: `{"samples": [[task, ns, disturbed], ...]}` behind a header that names the
/// tasks.
class Journal {
 public:
  /// Opens for appending; an unfinished last line of a killed run is cut off.
  Journal(const std::filesystem::path& path, const nlohmann::json& header, bool resume)
      : path_(path) {
    if (path.empty()) return;
    std::size_t keep = 0;
    if (resume && std::filesystem::exists(path)) keep = read(header);
    file_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (file_ < 0 || ::ftruncate(file_, static_cast<off_t>(keep)) != 0 ||
        ::lseek(file_, 0, SEEK_END) < 0)
      fail();
    if (keep == 0) append(header);
  }
  ~Journal() {
    if (file_ >= 0) ::close(file_);
  }
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  std::vector<Sample> known;

  void append(std::span<const Sample> samples) {
    if (file_ < 0) return;
    nlohmann::json line = nlohmann::json::array();
    for (const Sample& sample : samples) line.push_back({sample.task, sample.ns, sample.disturbed});
    append(nlohmann::json{{"samples", std::move(line)}});
  }

  void remove() {
    if (!path_.empty()) std::filesystem::remove(path_);
  }

 private:
  [[noreturn]] void fail() const {
    throw Error(
        fmt::format("{}: cannot write the journal: {}", path_.string(), std::strerror(errno)));
  }

  void append(const nlohmann::json& line) {
    const std::string text = line.dump() + "\n";
    // One write a line: whatever kills the run leaves whole lines and at most one torn end.
    for (std::string_view rest = text; !rest.empty();) {
      const ssize_t written = ::write(file_, rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail();
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  /// Reads what is there; returns the length of its whole lines.
  std::size_t read(const nlohmann::json& header) {
    std::ifstream stream(path_, std::ios::binary);
    std::size_t length = 0;
    int number = 0;
    for (std::string line; std::getline(stream, line) && !stream.eof();) {
      const std::string where = fmt::format("{}:{}", path_.string(), ++number);
      const nlohmann::json json = parse_json(line, where);
      if (number == 1) {
        if (json != header) throw Error(fmt::format("{}: {}", where, difference(json, header)));
      } else {
        read_samples(JsonReader(json, where + "#"), header.at("tasks").size());
      }
      length += line.size() + 1;
    }
    return length;
  }

  void read_samples(const JsonReader& json, std::size_t tasks) {
    json.expect_keys({"samples"});
    json.at("samples").each([&](const JsonReader& item) {
      if (item.size() != 3) item.fail("[task, ns, disturbed]");
      std::vector<JsonReader> parts;
      item.each([&](const JsonReader& part) { parts.push_back(part); });
      known.push_back({static_cast<int>(parts[0].integer(0, static_cast<std::int64_t>(tasks) - 1)),
                       parts[1].number(0, 1e15), parts[2].boolean()});
    });
  }

  static std::string difference(const nlohmann::json& got, const nlohmann::json& expected) {
    for (const auto& [key, value] : expected.items())
      if (!got.is_object() || !got.contains(key) || got[key] != value)
        return fmt::format(
            "the journal is of a run with another \"{}\"; finish or delete it, or start without "
            "--resume",
            key);
    return "the journal is of another run; delete it, or start without --resume";
  }

  std::filesystem::path path_;
  int file_ = -1;
};

SampleReport run(std::span<const Task> tasks, const nlohmann::json& labels,
                 const MeasureOptions& options, Profile& profile) {
  const SampleOptions sampling = sample_options(options, profile.device);
  const nlohmann::json header = {{"schema", "cpubone/journal/1"},
                                 {"fingerprint", fingerprint(profile.device, profile.settings)},
                                 {"tool_version", version()},
                                 {"tasks", labels}};
  Journal journal(options.journal, header, options.resume);
  SampleHooks hooks;
  hooks.known = std::move(journal.known);
  hooks.on_round = [&](std::span<const Sample> round) { journal.append(round); };
  hooks.on_progress = options.on_progress;
  hooks.cancelled = options.cancelled;
  const auto machine = host_machine(profile.device.llc_bytes);
  SampleReport report = sample(tasks, *machine, sampling, hooks);
  profile.seconds += report.seconds;
  profile.created = utc_now();
  const auto add_warning = [&](Warning warning) {
    if (std::find(profile.warnings.begin(), profile.warnings.end(), warning) ==
        profile.warnings.end())
      profile.warnings.push_back(std::move(warning));
  };
  for (Warning& warning : host_warnings()) add_warning(std::move(warning));
  const auto disturbed = std::count_if(report.timings.begin(), report.timings.end(),
                                       [](const Timing& t) { return t.disturbed; });
  if (disturbed > 0)
    add_warning({fmt::format("{} of {} measurements stayed disturbed by other work on this machine",
                             disturbed, tasks.size()),
                 "close other programs, pin with --cpus, set the governor to performance, and "
                 "measure again"});
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

void measure_ops(std::span<const Op> ops, const MeasureOptions& options, Profile& profile) {
  if (!options.settings.cpus.empty()) pin_to_cpus(options.settings.cpus);
  const auto pool = std::make_shared<ThreadPool>(options.settings.threads);
  std::vector<Task> tasks;
  nlohmann::json labels = nlohmann::json::array();
  for (const Op& op : ops) {
    check(op);
    engine_of(op);
    labels.push_back(text(op));
    tasks.push_back({weight_bytes(op), guess_ns(op), [&op, &pool](int copies) {
                       return std::make_unique<ExecutorSubject>(network_of(op), copies, pool, true);
                     }});
  }
  const SampleReport report = run(tasks, labels, options, profile);
  Profile measured = profile;
  measured.ops.clear();
  measured.networks.clear();
  measured.seconds = 0;
  for (std::size_t i = 0; i < ops.size(); ++i)
    if (!report.timings[i].samples_ns.empty())
      measured.ops.push_back({ops[i], std::string(name(engine_of(ops[i]))), report.timings[i]});
  merge(profile, measured);
}

namespace {

/// Median time of each step over a few runs, scaled so that they add up to the whole network's.
std::vector<NetworkRecord::Part> breakdown(const Network& network,
                                           const std::shared_ptr<const ThreadPool>& pool,
                                           double total_ns) {
  Executor executor(network, random_parameters(), pool, {.one_step_per_op = true});
  fill(executor.input());
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
    const int index = steps[s].nodes[0];
    const Node& node = executor.network().nodes[static_cast<std::size_t>(index)];
    const double ns = median(step_ns[s]);
    sum += ns;
    if (index != last_node)
      parts.push_back({node.op, node.stage, std::string(name(engine_of(node.op))), 0});
    parts.back().latency_ns += ns;
    last_node = index;
  }
  for (NetworkRecord::Part& part : parts) part.latency_ns *= total_ns / sum;
  return parts;
}

}  // namespace

void measure_networks(std::span<const Network> networks, const MeasureOptions& options,
                      Profile& profile) {
  if (!options.settings.cpus.empty()) pin_to_cpus(options.settings.cpus);
  const auto pool = std::make_shared<ThreadPool>(options.settings.threads);
  std::vector<Task> tasks;
  nlohmann::json labels = nlohmann::json::array();
  for (const Network& network : networks) {
    labels.push_back(to_json(network));
    // A network runs again and again with the same weights, as applications run it.
    tasks.push_back({weight_bytes(network), guess_ns(network), [&network, &pool](int) {
                       return std::make_unique<ExecutorSubject>(network, 1, pool, false);
                     }});
  }
  MeasureOptions chain = options;
  chain.settings.cache = CacheMode::hot;
  const SampleReport report = run(tasks, labels, chain, profile);
  Profile measured = profile;
  measured.ops.clear();
  measured.networks.clear();
  measured.seconds = 0;
  for (std::size_t i = 0; i < networks.size(); ++i) {
    if (report.timings[i].samples_ns.empty()) continue;
    measured.networks.push_back({networks[i].name, params(networks[i]), macs(networks[i]),
                                 report.timings[i],
                                 breakdown(networks[i], pool, report.timings[i].median_ns), 0});
  }
  merge(profile, measured);
}

}  // namespace cpubone
