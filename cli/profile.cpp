#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>

#include "cli/arguments.hpp"
#include "cli/device.hpp"
#include "cli/terminal.hpp"
#include "graph/error.hpp"
#include "graph/passes.hpp"
#include "predictor/calibration.hpp"
#include "predictor/predictor.hpp"
#include "profiler/host.hpp"
#include "profiler/host_profile.hpp"
#include "profiler/measure.hpp"
#include "profiler/remote.hpp"
#include "profiler/statistics.hpp"

using namespace cpubone;
namespace fs = std::filesystem;

namespace {

struct Arguments {
  std::string device = "host";
  std::vector<std::string> networks;
  std::string ops;
  int threads = 1;
  std::string cpus;
  std::string cache = "cold";
  std::string precision = "f32";
  std::string budget = "90s";
  std::string output;
  bool resume = false;
  bool features = false;
  std::string resolution;
  std::string format = "table";
  bool quiet = false;
  std::uint64_t seed = 1;
  bool list_devices = false;
  std::string agent;
  bool serve = false;
};

MeasureSettings settings_of(const Arguments& arguments) {
  MeasureSettings settings;
  if (arguments.threads < 1 || arguments.threads > 1024)
    throw std::invalid_argument(
        fmt::format("--threads: got {}, expected 1..1024", arguments.threads));
  settings.threads = arguments.threads;
  settings.dtype = parse_dtype(arguments.precision);
  if (arguments.cache != "cold" && arguments.cache != "hot")
    throw std::invalid_argument(
        fmt::format("--cache: got \"{}\", expected cold or hot", arguments.cache));
  settings.cache = arguments.cache == "hot" ? CacheMode::hot : CacheMode::cold;
  if (!arguments.cpus.empty()) settings.cpus = parse_cpus(arguments.cpus);
  return settings;
}

Network network_of(const Arguments& arguments, const std::string& name) {
  Network network = cli::named_network(name);
  if (!arguments.resolution.empty()) {
    const auto [height, width] = cli::parse_resolution("--resolution", arguments.resolution);
    network = with_resolution(network, height, width);
  }
  if (arguments.features) network = feature_network(network);
  return network;
}

/// One operator a line; blank lines and those that start with `#` do not count.
std::vector<Op> read_ops(const std::string& path, DType dtype) {
  std::ifstream file;
  const std::string shown = path == "-" ? "<stdin>" : path;
  if (path != "-") {
    file.open(path);
    if (!file) throw Error(fmt::format("{}: cannot read: {}", path, std::strerror(errno)));
  }
  std::istream& stream = path == "-" ? std::cin : file;
  std::vector<Op> ops;
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    const auto begin = line.find_first_not_of(" \t\r");
    if (begin == std::string::npos || line[begin] == '#') continue;
    const auto end = line.find_last_not_of(" \t\r");
    try {
      Op op = parse_op(std::string_view(line).substr(begin, end - begin + 1));
      if (op.dtype() != dtype)
        throw std::invalid_argument(
            fmt::format("op \"{}\": its data type is {}, but --precision is {}", text(op),
                        name(op.dtype()), name(dtype)));
      check_measurable(op);
      if (std::find(ops.begin(), ops.end(), op) == ops.end()) ops.push_back(std::move(op));
    } catch (const std::invalid_argument& e) {
      throw Error(fmt::format("{}:{}: {}", shown, number, e.what()));
    }
  }
  if (ops.empty()) throw Error(fmt::format("{}: no operators in it", shown));
  return ops;
}

double gmacps(std::int64_t macs, double ns) {
  return ns > 0 ? static_cast<double>(macs) / ns : 0;
}

nlohmann::json to_contract(const NetworkRecord& record) {
  nlohmann::json ops = nlohmann::json::array();
  for (const NetworkRecord::Part& part : record.ops)
    ops.push_back({{"op", text(part.op)},
                   {"stage", part.stage},
                   {"engine", part.engine},
                   {"macs", macs(part.op)},
                   {"latency_ms", part.latency_ns * 1e-6}});
  return {{"name", record.name},
          {"params", record.params},
          {"macs", record.macs},
          {"latency_ms", record.timing.median_ns * 1e-6},
          {"latency_low_ms", record.timing.low_ns * 1e-6},
          {"latency_high_ms", record.timing.high_ns * 1e-6},
          {"gmacps", gmacps(record.macs, record.timing.median_ns)},
          {"source", "measured"},
          {"disturbed", record.timing.disturbed},
          {"samples", record.timing.samples_ns.size()},
          {"peak_memory_bytes", record.peak_memory_bytes},
          {"ops", std::move(ops)}};
}

nlohmann::json to_contract(const OpRecord& record) {
  return {{"op", text(record.op)},
          {"engine", record.engine},
          {"macs", macs(record.op)},
          {"latency_ms", record.timing.median_ns * 1e-6},
          {"latency_low_ms", record.timing.low_ns * 1e-6},
          {"latency_high_ms", record.timing.high_ns * 1e-6},
          {"gmacps", gmacps(macs(record.op), record.timing.median_ns)},
          {"source", "measured"},
          {"disturbed", record.timing.disturbed},
          {"samples", record.timing.samples_ns.size()}};
}

std::string state(const Timing& timing) {
  return timing.disturbed ? "disturbed" : "good";
}

Table table_of(const std::vector<NetworkRecord>& networks) {
  Table table{"Networks",
              {{"network"},
               {"params M", true},
               {"MACs M", true},
               {"latency ms", true},
               {"low ms", true},
               {"high ms", true},
               {"GMACpS", true},
               {"memory MiB", true},
               {"samples", true},
               {"state"}},
              {}};
  for (const NetworkRecord& record : networks)
    table.rows.push_back(
        {record.name, fmt::format("{:.2f}", static_cast<double>(record.params) * 1e-6),
         fmt::format("{:.1f}", static_cast<double>(record.macs) * 1e-6),
         fmt::format("{:.3f}", record.timing.median_ns * 1e-6),
         fmt::format("{:.3f}", record.timing.low_ns * 1e-6),
         fmt::format("{:.3f}", record.timing.high_ns * 1e-6),
         fmt::format("{:.2f}", gmacps(record.macs, record.timing.median_ns)),
         fmt::format("{:.1f}", static_cast<double>(record.peak_memory_bytes) / (1 << 20)),
         fmt::to_string(record.timing.samples_ns.size()), state(record.timing)});
  return table;
}

Table breakdown_of(const NetworkRecord& record) {
  Table table{record.name,
              {{"stage"},
               {"operator"},
               {"engine"},
               {"MACs M", true},
               {"latency us", true},
               {"share %", true},
               {"GMACpS", true}},
              {}};
  for (const NetworkRecord::Part& part : record.ops)
    table.rows.push_back({part.stage, text(part.op), part.engine,
                          fmt::format("{:.2f}", static_cast<double>(macs(part.op)) * 1e-6),
                          fmt::format("{:.1f}", part.latency_ns * 1e-3),
                          fmt::format("{:.1f}", 100 * part.latency_ns / record.timing.median_ns),
                          fmt::format("{:.1f}", gmacps(macs(part.op), part.latency_ns))});
  return table;
}

Table table_of(const std::vector<OpRecord>& ops) {
  Table table{"Operators",
              {{"operator"},
               {"engine"},
               {"MACs M", true},
               {"latency us", true},
               {"low us", true},
               {"high us", true},
               {"GMACpS", true},
               {"samples", true},
               {"state"}},
              {}};
  for (const OpRecord& record : ops)
    table.rows.push_back({text(record.op), record.engine,
                          fmt::format("{:.3f}", static_cast<double>(macs(record.op)) * 1e-6),
                          fmt::format("{:.2f}", record.timing.median_ns * 1e-3),
                          fmt::format("{:.2f}", record.timing.low_ns * 1e-3),
                          fmt::format("{:.2f}", record.timing.high_ns * 1e-3),
                          fmt::format("{:.2f}", gmacps(macs(record.op), record.timing.median_ns)),
                          fmt::to_string(record.timing.samples_ns.size()), state(record.timing)});
  return table;
}

/// What people call an operator's class in a summary.
std::string class_of(const Op& op) {
  if (op.kind != OpKind::conv2d) return std::string(name(op.kind));
  if (is_depthwise(op)) return "conv2d depthwise";
  std::string which =
      is_pointwise(op) ? "conv2d 1x1" : fmt::format("conv2d {}x{}", op.kernel_h, op.kernel_w);
  return which + (op.groups > 1 ? " grouped" : "");
}

Table summary_of(const Profile& profile) {
  std::map<std::string, std::vector<const OpRecord*>> classes;
  for (const OpRecord& record : profile.ops) classes[class_of(record.op)].push_back(&record);
  Table table{"Profile",
              {{"class"},
               {"operators", true},
               {"median us", true},
               {"median GMACpS", true},
               {"median interval %", true},
               {"disturbed", true}},
              {}};
  for (const auto& [which, records] : classes) {
    std::vector<double> us;
    std::vector<double> speed;
    std::vector<double> interval;
    int disturbed = 0;
    for (const OpRecord* record : records) {
      const Timing& timing = record->timing;
      us.push_back(timing.median_ns * 1e-3);
      speed.push_back(gmacps(macs(record->op), timing.median_ns));
      interval.push_back(50 * (timing.high_ns - timing.low_ns) / timing.median_ns);
      disturbed += timing.disturbed ? 1 : 0;
    }
    table.rows.push_back({which, fmt::to_string(records.size()), fmt::format("{:.1f}", median(us)),
                          median(speed) > 0 ? fmt::format("{:.2f}", median(speed)) : "",
                          fmt::format("{:.2f}", median(interval)), fmt::to_string(disturbed)});
  }
  return table;
}

template <typename Records>
void print(const cli::Terminal& terminal, const Records& records, cli::Format format) {
  if (format != cli::Format::json) return terminal.print(table_of(records), format);
  nlohmann::json list = nlohmann::json::array();
  for (const auto& record : records) list.push_back(to_contract(record));
  terminal.print(list.dump(1) + "\n");
}

void list_devices(const cli::Terminal& terminal, cli::Format format) {
  Table table{"Devices",
              {{"device"}, {"hardware"}, {"runtime"}, {"evidence"}, {"expected error %", true}},
              {}};
  const auto percent = [](double error) { return fmt::format("{:.1f}", 100 * error); };
  const Device host = describe_host();
  const fs::path path = host_profile_path({});
  if (fs::exists(path)) {
    const Predictor predictor = cli::device_predictor("host", {}, terminal);
    table.rows.push_back({host.name, fmt::format("{}, {} cores", host.cpu, host.cores),
                          host.runtime, "measured here, 1 thread",
                          percent(predictor.network.test_mape)});
  } else {
    table.rows.push_back({host.name, fmt::format("{}, {} cores", host.cpu, host.cores),
                          host.runtime, "none yet: run cpubone-profile", ""});
  }
  for (const DeviceDescription& known : known_devices()) {
    const auto measured = cli::measured_profile(known.device.name, {});
    const DeviceSummary summary = summarise(known);
    table.rows.push_back(
        {summary.name, fmt::format("{}: {}", summary.title, summary.hardware),
         measured ? measured->device.runtime : known.device.runtime,
         measured
             ? "measured elsewhere, " + measured->created
             : fmt::format("{}{}", summary.evidence,
                           summary.latencies > 0 ? fmt::format(", {} networks", summary.latencies)
                                                 : " only"),
         measured ? "" : percent(summary.expected_error)});
  }
  terminal.print(table, format);
}

/// Measures over ssh or adb; the device keeps its own name where it is one that the toolkit knows.
Profile measure_there(const Arguments& arguments, const RemoteJob& job,
                      const MeasureOptions& options, const cli::Terminal& terminal) {
  RemoteOptions remote;
  remote.measure = options;
  remote.agent = arguments.agent;
  remote.on_note = [&](const std::string& text) { terminal.warn(text); };
  const Transport transport = parse_transport(arguments.device);
  Profile profile = measure_remotely(transport, job, remote);
  const std::string board = known_board(profile.device);
  profile.device.name = board.empty() ? host_part(transport) : board;
  return profile;
}

void profile(const Arguments& arguments) {
  const cli::Format format = cli::parse_format(arguments.format);
  const cli::Terminal terminal(arguments.quiet);
  if (arguments.list_devices) return list_devices(terminal, format);
  const bool remote = is_transport(arguments.device);
  if (arguments.device != "host" && !remote)
    throw std::invalid_argument(fmt::format(
        "--device: got \"{}\", but only host, ssh://[user@]host[:port] and adb://serial can be "
        "measured; to predict for other devices use cpubone-predict --device {}",
        arguments.device, arguments.device));
  if (!remote && is_emulated())
    throw Error(
        "this process runs under an emulator: its timings would say nothing about a device");

  MeasureOptions options;
  options.settings = settings_of(arguments);
  options.budget_s = cli::parse_seconds("--budget", arguments.budget);
  options.seed = arguments.seed;
  if (!remote) options.calibration_ns = known_calibration_ns(options.settings);
  options.resume = arguments.resume;
  options.cancelled = [] { return cli::interrupted().load(); };
  const bool whole_plan = arguments.networks.empty() && arguments.ops.empty();
  std::vector<Network> networks;
  for (const std::string& name : arguments.networks)
    networks.push_back(network_of(arguments, name));
  std::vector<Op> ops;
  if (!arguments.ops.empty()) ops = read_ops(arguments.ops, options.settings.dtype);
  if (!networks.empty() && options.settings.dtype == DType::qs8)
    throw std::invalid_argument(
        "--precision: in int8 only conv2d and linear operators can be measured, no whole networks");
  for (Network& network : networks) network = with_dtype(network, options.settings.dtype);

  fs::path output = arguments.output;
  const bool kept = whole_plan && output.empty();
  if (kept && !remote) {
    output = host_profile_path(options.settings);
    fs::create_directories(output.parent_path());
  }
  if (arguments.resume && output.empty() && !kept)
    throw std::invalid_argument("--resume continues the profile that -o names; there is none");
  // What a file of the same machine and settings has already is kept.
  Profile result;
  if (!remote) result = host_profile(options.settings);
  if (kept && remote) {
    fs::create_directories(cache_folder());
    options.journal = cache_folder() / fmt::format("{}.journal", hash_text(arguments.device));
  }
  if (!output.empty()) {
    cli::require_writable(output);
    options.journal = output.string() + ".journal";
    if (fs::exists(output) && !kept && !remote) {
      try {
        merge(result, load_profile(output));
      } catch (const Error& e) {
        throw Error(fmt::format("{}: {}; name another file with -o", output.string(), e.what()));
      }
    }
  }

  Profile measured;
  if (!remote) measured = host_profile(options.settings);
  {
    cli::Progress progress(terminal, "measuring");
    options.on_progress = [&](const SampleProgress& p) {
      progress.update(p.fraction, 1, fmt::format("{} of {}", p.done, p.tasks));
    };
    if (remote) {
      measured = measure_there(arguments, {ops, networks}, options, terminal);
    } else if (whole_plan) {
      measured = measure_host_profile(options, spread_of);
    } else if (!networks.empty()) {
      measure_networks(networks, options, measured);
    } else {
      measure_ops(ops, options, measured);
    }
  }
  if (cli::interrupted())
    throw Error(output.empty() ? "interrupted" : "interrupted; --resume goes on from here");
  if (measured.ops.empty() && measured.networks.empty())
    throw Error(
        fmt::format("nothing could be measured within {}; raise --budget", arguments.budget));
  if (remote) {
    result = measured;
    if (kept)
      output = cache_folder() / fmt::format("{}-{}.json", result.device.name,
                                            fingerprint(result.device, result.settings));
    // What a file of the same machine and settings has already is kept.
    if (!kept && !output.empty() && fs::exists(output)) {
      result = load_profile(output);
      merge(result, measured);
    }
  } else {
    merge(result, measured);
  }
  result.created = measured.created;
  if (!output.empty()) {
    save_profile(result, output);
    for (const char* part : journal_parts) {
      std::error_code code;
      fs::remove(options.journal.string() + part, code);
    }
  }

  for (const Warning& warning : measured.warnings)
    terminal.warn(fmt::format("{}; remedy: {}", warning.what, warning.remedy));
  if (whole_plan) {
    terminal.print(summary_of(measured), format);
  } else if (!networks.empty()) {
    print(terminal, measured.networks, format);
    if (format == cli::Format::table && measured.networks.size() == 1) {
      terminal.print("\n");
      terminal.print(breakdown_of(measured.networks[0]), format);
    }
  } else {
    print(terminal, measured.ops, format);
  }
  if (!output.empty())
    terminal.note(fmt::format("{} operators and {} networks in {:.1f} s: {}", measured.ops.size(),
                              measured.networks.size(), measured.seconds, output.string()));
}

}  // namespace

int main(int argc, char** argv) {
  Arguments a;
  CLI::App app(
      "Measure how long operators and networks take on this machine. Without --network and --ops:\n"
      "the operators that a predictor for it needs.",
      "cpubone-profile");
  app.add_option("--device", a.device,
                 "machine to measure: host, ssh://[user@]host[:port] or adb://serial")
      ->capture_default_str();
  app.add_option("--agent", a.agent,
                 "folder with cpubone-profile and its libraries, built for a device of another "
                 "architecture");
  app.add_flag("--serve", a.serve, "run a job for another machine")->group("");
  auto* networks = app.add_option("--network", a.networks,
                                  "whole network, by name (cpubone-predict --list) or JSON file");
  app.add_option("--ops", a.ops, "file with one operator a line, - for standard input")
      ->excludes(networks);
  app.add_option("--threads", a.threads, "threads that share an operator's work")
      ->capture_default_str();
  app.add_option("--cpus", a.cpus, "pin to these CPUs: a list such as 0-3,6, or big, little, all");
  app.add_option("--cache", a.cache, "weights of operators: cold as in a network, or hot")
      ->capture_default_str();
  app.add_option("--precision", a.precision, "f32, f16, or qs8 (int8, operators only)")
      ->capture_default_str();
  app.add_option("--budget", a.budget, "longest time that measuring takes, e.g. 90s or 2m")
      ->capture_default_str();
  app.add_option("-o,--output", a.output,
                 "profile that is written, or added to; without --network and --ops by default "
                 "in ~/.cache/cpubone");
  app.add_flag("--resume", a.resume, "go on where a run with the same -o was interrupted");
  app.add_flag("--features", a.features, "networks without their heads, as detectors use them");
  app.add_option("--resolution", a.resolution,
                 "of the networks' input in pixels: 224, or height x width such as 288x512");
  app.add_option("--format", a.format, "table, json or csv")->capture_default_str();
  app.add_flag("--quiet", a.quiet, "no progress and notes, only warnings and errors");
  app.add_option("--seed", a.seed, "of the plan and of the order of measuring")
      ->capture_default_str();
  app.add_flag("--list-devices", a.list_devices, "say what can be measured, and end");
  app.set_version_flag("--version", CPUBONE_VERSION);
  app.footer("Exit status: 0 done, 1 failed, 2 wrong usage.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  if (a.serve) return serve_remote_job(0, 1, spread_of);
  return cli::run("cpubone-profile", [&] { profile(a); });
}
