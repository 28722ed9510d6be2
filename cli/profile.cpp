#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstring>
#include <fstream>
#include <iostream>

#include "cli/arguments.hpp"
#include "cli/calibration.hpp"
#include "cli/device.hpp"
#include "cli/operator_list.hpp"
#include "cli/profile_output.hpp"
#include "cli/terminal.hpp"
#include "graph/error.hpp"
#include "graph/passes.hpp"
#include "predictor/predictor.hpp"
#include "profiler/agent.hpp"
#include "profiler/co_execution_profile.hpp"
#include "profiler/heap.hpp"
#include "profiler/host.hpp"
#include "profiler/host_profile.hpp"
#include "profiler/measure.hpp"
#include "profiler/remote.hpp"
#include "runtime/opencl/opencl.hpp"

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
  std::string runtime = "xnnpack";
  std::string runtime_library;
  std::string budget = "90s";
  std::string output;
  bool resume = false;
  cli::FormOptions form;
  std::string format = "table";
  bool quiet = false;
  std::uint64_t seed = 1;
  bool list_devices = false;
  std::string agent;
  int retries = RemoteOptions().retries;
  bool serve = false;
  bool beside_f32 = false;
  cli::CalibrationOptions calibration;
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

/// What is measured: this build's backends or another runtime on this machine.
Backends runtime_of(const Arguments& arguments) {
  if (arguments.runtime == "onnxruntime" &&
      (arguments.device != "host" || arguments.beside_f32 || arguments.precision == "f16" ||
       (arguments.networks.empty() && arguments.ops.empty())))
    throw std::invalid_argument(
        "--runtime onnxruntime measures networks or operators on this machine in f32 or qs8: "
        "expected --network or --ops, no other --device and no --beside-f32");
  const bool loaded_xnnpack = arguments.runtime == "xnnpack" && !arguments.runtime_library.empty();
  if (loaded_xnnpack && arguments.device != "host")
    throw std::invalid_argument(
        "--runtime-library is loaded on this machine: expected no other --device");
  if (loaded_xnnpack && arguments.networks.empty() && arguments.ops.empty() &&
      arguments.output.empty())
    throw std::invalid_argument(
        "--runtime-library: this machine's own profile is of the XNNPACK that this is built with; "
        "name another file with -o, and that file as --device of cpubone-predict and "
        "cpubone-explore");
  return find_runtime(arguments.runtime, arguments.runtime_library);
}

MeasureOptions options_of(const Arguments& arguments, Backends backends) {
  MeasureOptions options;
  options.settings = settings_of(arguments);
  options.backends = backends;
  options.budget_s = cli::parse_seconds("--budget", arguments.budget);
  options.seed = arguments.seed;
  options.resume = arguments.resume;
  options.cancelled = [] { return cli::interrupted().load(); };
  return options;
}

void show_progress(MeasureOptions& options, cli::Progress& progress) {
  options.on_progress = [&progress](const SampleProgress& p) {
    progress.update(p.fraction, 1, fmt::format("{} of {}", p.done, p.tasks));
  };
}

/// What is asked for: operators, networks, or where both are empty all that a predictor needs.
RemoteJob job_of(const Arguments& arguments, const MeasureSettings& settings, Backends backends) {
  RemoteJob job;
  const NetworkForm form = cli::form_of(arguments.form);
  const cli::Terminal terminal(arguments.quiet);
  for (const std::string& name : arguments.networks)
    job.networks.push_back(
        in_form(cli::named_network(name, arguments.form.input_shapes, terminal).network, form));
  if (!arguments.ops.empty()) job.ops = cli::read_ops(arguments.ops, settings.dtype, backends);
  return job;
}

/// Why is int8 slower, or not faster, than f32: operator by operator.
void compare_with_f32(const Arguments& arguments, Backends backends, cli::Format format) {
  if (arguments.networks.empty() || arguments.precision != "qs8" || arguments.device != "host" ||
      !arguments.output.empty())
    throw std::invalid_argument(
        "--beside-f32 compares networks on this machine: expected --network and --precision qs8, "
        "no other --device and no -o");
  const MeasureSettings settings = settings_of(arguments);
  const PinnedThread pinned(settings.cpus);
  const std::vector<Network> networks = job_of(arguments, settings, backends).networks;
  const double seconds =
      cli::parse_seconds("--budget", arguments.budget) / static_cast<double>(networks.size());
  const Device host = describe_host(settings.cpus, backends);
  std::vector<PrecisionComparison> comparisons;
  for (const Network& network : networks) {
    comparisons.push_back(compare_precisions(network, host, settings.threads, seconds, backends));
    if (cli::interrupted()) throw Error("interrupted");
  }
  print(cli::Terminal(arguments.quiet), comparisons, format);
}

/// What does int8 lose, calibrated on the user's images.
void tell_losses(const Arguments& arguments, cli::Format format) {
  if (arguments.networks.empty() || arguments.precision != "qs8" || arguments.device != "host" ||
      arguments.runtime != "xnnpack" || !arguments.runtime_library.empty() ||
      arguments.beside_f32 || !arguments.output.empty())
    throw std::invalid_argument(
        "--calibrate quantises networks and runs them on this build's XNNPACK: expected --network "
        "and --precision qs8, no other --device or --runtime, no --beside-f32 and no -o");
  const cli::Terminal terminal(arguments.quiet);
  const NetworkForm form = cli::form_of(arguments.form);
  std::vector<NamedNetwork> networks;
  for (const std::string& name : arguments.networks) {
    networks.push_back(cli::named_network(name, arguments.form.input_shapes, terminal));
    networks.back().network = in_form(networks.back().network, form);
  }
  cli::print(terminal,
             cli::int8_losses(networks, arguments.calibration, arguments.threads, terminal),
             format);
}

bool is_whole(const RemoteJob& job) {
  return job.ops.empty() && job.networks.empty();
}

Profile measure_here(const RemoteJob& job, const MeasureOptions& options) {
  if (is_whole(job)) return measure_host_profile(options, spread_of);
  Profile measured = host_profile(options.settings, options.backends);
  if (!job.ops.empty()) measure_ops(job.ops, options, measured);
  if (!job.networks.empty()) measure_networks(job.networks, options, measured);
  return measured;
}

/// Measures over ssh; the device keeps its own name where it is one that the toolkit knows.
Profile measure_there(const Arguments& arguments, const RemoteJob& job,
                      const MeasureOptions& options, const cli::Terminal& terminal) {
  RemoteOptions remote;
  remote.measure = options;
  remote.agent = arguments.agent;
  remote.retries = arguments.retries;
  remote.on_note = [&](const std::string& text) { terminal.warn(text); };
  const Transport transport = parse_transport(arguments.device);
  Profile profile = measure_remotely(transport, job, remote);
  const std::string board = known_board(profile.device);
  profile.device.name = board.empty() ? host_part(transport) : board;
  return profile;
}

/// Where a profile goes, and its journal before.
struct Output {
  fs::path file;     ///< empty: nowhere, or only known when the device has told what it is
  fs::path journal;  ///< empty: none
  bool in_cache = false;
};

Output output_of(const Arguments& arguments, bool remote, bool whole,
                 const MeasureSettings& settings) {
  Output output{.file = arguments.output, .journal = {}, .in_cache = false};
  output.in_cache = whole && output.file.empty();
  if (arguments.resume && output.file.empty() && !output.in_cache)
    throw std::invalid_argument("--resume continues the profile that -o names; there is none");
  if (output.in_cache) {
    fs::create_directories(cache_folder());
    if (remote)
      output.journal = cache_folder() / fmt::format("{}.journal", hash_text(arguments.device));
    else
      output.file = host_profile_path(settings);
  }
  if (output.file.empty()) return output;
  cli::require_writable(output.file);
  output.journal = output.file.string() + ".journal";
  return output;
}

/// A file of the same machine and settings that -o names is added to.
void check_can_be_added(const Output& output, const Profile& profile) {
  if (output.in_cache || output.file.empty() || !fs::exists(output.file)) return;
  Profile known = profile;
  try {
    merge(known, load_profile(output.file));
  } catch (const Error& e) {
    throw Error(fmt::format("{}: {}; name another file with -o", output.file.string(), e.what()));
  }
}

void remove_journals(const fs::path& journal, std::span<const char* const> parts) {
  for (const char* part : parts) {
    std::error_code code;
    fs::remove(journal.string() + part, code);
  }
}

void save(const Profile& measured, Output& output) {
  if (output.in_cache && output.file.empty())
    output.file = cache_folder() / fmt::format("{}-{}.json", measured.device.name,
                                               fingerprint(measured.device, measured.settings));
  if (output.file.empty()) return;
  Profile all = measured;
  if (!output.in_cache && fs::exists(output.file)) {
    all.ops.clear();
    all.networks.clear();
    all.warnings.clear();
    all.seconds = 0;
    merge(all, load_profile(output.file));
    merge(all, measured);
    all.created = measured.created;
  }
  save_profile(all, output.file);
  remove_journals(output.journal, journal_parts);
}

void warn_of(const Profile& measured, const cli::Terminal& terminal) {
  for (const Warning& warning : measured.warnings)
    terminal.warn(fmt::format("{}; remedy: {}", warning.what, warning.remedy));
}

/// The CPU, the coprocessor beside it, and layers that they share.
void profile_co_execution(const Arguments& arguments, cli::Format format,
                          const cli::Terminal& terminal) {
  if (!arguments.networks.empty() || !arguments.ops.empty() || arguments.beside_f32 ||
      arguments.precision == "qs8" || arguments.runtime != "xnnpack" ||
      !arguments.runtime_library.empty())
    throw std::invalid_argument(
        "--device host+gpu measures what predictions of co-execution need, in f32 or f16 on "
        "XNNPACK: expected no --network, --ops, --beside-f32, --precision qs8, --runtime or "
        "--runtime-library");
  MeasureOptions options = options_of(arguments, backends());
  options.calibration_ns = known_calibration_ns(options.settings);
  const auto coprocessor = cli::host_coprocessor(terminal);
  fs::path file = arguments.output;
  if (file.empty()) {
    fs::create_directories(cache_folder());
    file = host_co_execution_profile_path(options.settings);
  } else if (fs::exists(file)) {
    load_co_execution_profile(file);  // no other file is replaced
  }
  cli::require_writable(file);
  options.journal = file.string() + ".journal";
  CoExecutionProfile measured;
  {
    cli::Progress progress(terminal, "measuring");
    show_progress(options, progress);
    measured = measure_co_execution_profile(options, coprocessor, spread_of);
  }
  if (cli::interrupted()) throw Error("interrupted; --resume goes on from here");
  if (measured.coprocessor.ops.empty() || measured.shared.empty())
    throw Error(fmt::format(
        "within {} too little could be measured on the coprocessor; raise --budget, and --resume "
        "goes on from here",
        arguments.budget));
  save_co_execution_profile(measured, file);
  remove_journals(options.journal, co_execution_journal_parts);

  warn_of(measured.cpu, terminal);
  warn_of(measured.coprocessor, terminal);
  print_summary(terminal, measured, format);
  terminal.note(
      fmt::format("{} operators on the CPU, {} on the coprocessor, {} shared layers in "
                  "{:.1f} s: {}",
                  measured.cpu.ops.size(), measured.coprocessor.ops.size(), measured.shared.size(),
                  measured.cpu.seconds + measured.coprocessor.seconds, file.string()));
}

void profile(const Arguments& arguments) {
  const cli::Format format = cli::parse_format(arguments.format);
  const cli::Terminal terminal(arguments.quiet);
  if (arguments.list_devices) return print_devices(terminal, format);
  const bool remote = is_transport(arguments.device);
  const bool co_execution = arguments.device == "host+gpu";
  if (arguments.device != "host" && !co_execution && !remote)
    throw std::invalid_argument(fmt::format(
        "--device: got \"{}\", but only host, host+gpu and ssh://[user@]host[:port] can "
        "be measured; to predict "
        "for other devices use cpubone-predict --device {}",
        arguments.device, arguments.device));
  if (!remote && is_emulated())
    throw Error(
        "this process runs under an emulator: its timings would say nothing about a device");

  if (!arguments.calibration.images.empty()) return tell_losses(arguments, format);
  if (co_execution) return profile_co_execution(arguments, format, terminal);

  const Backends backends = runtime_of(arguments);
  if (arguments.beside_f32) return compare_with_f32(arguments, backends, format);

  MeasureOptions options = options_of(arguments, backends);
  const RemoteJob job = job_of(arguments, options.settings, backends);
  Output output = output_of(arguments, remote, is_whole(job), options.settings);
  options.journal = output.journal;
  if (!remote) {
    options.calibration_ns = known_calibration_ns(options.settings);
    check_can_be_added(output, host_profile(options.settings, backends));
  }

  Profile measured;
  {
    cli::Progress progress(terminal, "measuring");
    show_progress(options, progress);
    measured =
        remote ? measure_there(arguments, job, options, terminal) : measure_here(job, options);
  }
  if (cli::interrupted())
    throw Error(output.journal.empty() ? "interrupted" : "interrupted; --resume goes on from here");
  if (measured.ops.empty() && measured.networks.empty())
    throw Error(
        fmt::format("nothing could be measured within {}; raise --budget", arguments.budget));
  save(measured, output);

  warn_of(measured, terminal);
  if (is_whole(job))
    print_summary(terminal, measured, format);
  else if (!job.networks.empty())
    print(terminal, measured.networks, format);
  else
    print(terminal, measured.ops, format);
  if (!output.file.empty())
    terminal.note(fmt::format("{} operators and {} networks in {:.1f} s: {}", measured.ops.size(),
                              measured.networks.size(), measured.seconds, output.file.string()));
}

}  // namespace

int main(int argc, char** argv) {
  Arguments a;
  CLI::App app(
      "Measure how long operators and networks take on this machine. Without --network and --ops:\n"
      "the operators that a predictor for it needs.",
      "cpubone-profile");
  app.add_option(
         "--device", a.device,
         "machine to measure: host, ssh://[user@]host[:port], or host+gpu: this machine and "
         "the OpenCL device beside it, in f32 or f16, for cpubone-predict --co-execution")
      ->capture_default_str();
  app.add_option("--agent", a.agent,
                 "folder with cpubone-profile and its libraries, built for a device of another "
                 "architecture");
  app.add_option("--retries", a.retries,
                 "times that a lost connection is taken up again without anything coming of it")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  app.add_flag("--serve", a.serve, "run a job for another machine")->group("");
  auto* networks =
      app.add_option("--network", a.networks,
                     "whole network: a name of cpubone-predict --list, a network file (.json) or "
                     "an ONNX model (.onnx)");
  app.add_option("--ops", a.ops, "file with one operator a line, - for standard input")
      ->excludes(networks);
  app.add_option("--threads", a.threads, "threads that share an operator's work")
      ->capture_default_str();
  app.add_option("--cpus", a.cpus, "pin to these CPUs: a list such as 0-3,6, or big, little, all");
  app.add_option("--cache", a.cache, "weights of operators: cold as in a network, or hot")
      ->capture_default_str();
  app.add_option("--precision", a.precision, "f32, f16, or qs8 (int8)")->capture_default_str();
  app.add_option("--runtime", a.runtime, "what is measured: xnnpack or onnxruntime")
      ->capture_default_str();
  app.add_option(
      "--runtime-library", a.runtime_library,
      "file of XNNPACK, instead of this build's, e.g. libexecutorch_backend_xnnpack.so of PyPI's "
      "executorch; or of ONNX Runtime, by default $CPUBONE_ONNXRUNTIME, or the system's");
  app.add_flag("--beside-f32", a.beside_f32,
               "with --network and --precision qs8: each operator in f32 beside f16 and int8, what "
               "stays f32 and why, and conversions; takes --budget");
  cli::add_calibration_options(app, a.calibration);
  app.add_option("--budget", a.budget, "longest time that measuring takes, e.g. 90s or 2m")
      ->capture_default_str();
  app.add_option("-o,--output", a.output,
                 "profile that is written, or added to (of host+gpu: replaced); without --network "
                 "and --ops by default in ~/.cache/cpubone");
  app.add_flag("--resume", a.resume, "go on where a run with the same -o was interrupted");
  cli::add_form_options(app, a.form);
  app.add_option("--format", a.format, "table, json or csv")->capture_default_str();
  app.add_flag("--quiet", a.quiet, "no progress and notes, only warnings and errors");
  app.add_option("--seed", a.seed, "of the plan and of the order of measuring")
      ->capture_default_str();
  app.add_flag("--list-devices", a.list_devices, "say what can be measured, and end");
  app.set_version_flag("--version", CPUBONE_VERSION);
  app.footer("Exit status: 0 done, 1 failed, 2 wrong usage.");
  int status = 0;
  const int code = cli::run_tool(app, argc, argv, [&] {
    const KeepFreedMemory keep;
    if (a.serve)
      status = serve_remote_job(0, 1, spread_of);
    else
      profile(a);
  });
  return code == 0 ? status : code;
}
