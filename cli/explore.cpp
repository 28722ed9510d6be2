#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <thread>

#include "cli/arguments.hpp"
#include "cli/device.hpp"
#include "cli/host_measurer.hpp"
#include "cli/terminal.hpp"
#include "explorer/inputs.hpp"
#include "explorer/known_accuracies.hpp"
#include "explorer/output_folder.hpp"
#include "explorer/studies_co_execution.hpp"
#include "explorer/studies_precision.hpp"
#include "explorer/study.hpp"
#include "explorer/workflow.hpp"
#include "graph/error.hpp"
#include "predictor/precision_comparison.hpp"
#include "profiler/compare_precisions.hpp"
#include "profiler/heap.hpp"
#include "profiler/host.hpp"
#include "profiler/measure.hpp"
#include "reports/headline.hpp"
#include "reports/report.hpp"
#include "reports/tables.hpp"
#include "reports/words.hpp"
#include "space/zoo.hpp"

using namespace cpubone;
namespace fs = std::filesystem;

namespace {

constexpr double least_comparison_s = 1;  // of a network in all precisions

struct Arguments {
  std::string device = "host";
  std::string space = "default";
  std::string accuracy;
  std::string latency_ms;
  std::string params_m;
  std::string memory_mb;
  std::string macs_m;
  std::string top1;
  cli::FormOptions form;
  std::vector<std::string> compare;
  std::string objectives = "latency,top1";
  std::string algorithm = "local";
  std::int64_t evaluations = 200'000;
  int proposals = 8;
  int next = 0;
  std::vector<std::string> studies;
  std::string budget = "140s";
  std::optional<int> threads;
  std::string cpus;
  std::string precision;
  bool co_executes = false;
  std::string seed = "1";
  bool resume = false;
  bool fresh = false;
  std::string output = "cpubone-out";
  std::string format = "table";
  bool quiet = false;
};

std::uint64_t seed_of(const Arguments& arguments) {
  return cli::parse_seed("--seed", arguments.seed);
}

cli::Conditions conditions_of(const Arguments& arguments) {
  cli::Conditions conditions;
  conditions.threads = arguments.threads;
  if (!arguments.cpus.empty()) conditions.cpus = parse_cpus(arguments.cpus);
  if (!arguments.precision.empty()) conditions.precision = parse_dtype(arguments.precision);
  return conditions;
}

/// A bar for each activity of the work.
WorkHooks hooks_of(const cli::Terminal& terminal) {
  WorkHooks hooks;
  hooks.cancel = &cli::interrupted();
  struct Bar {
    std::string activity;
    std::optional<cli::Progress> progress;
  };
  hooks.progress = [&terminal, bar = std::make_shared<Bar>()](
                       std::string_view activity, double fraction, const std::string& detail) {
    if (bar->activity != activity) {
      bar->activity = activity;
      bar->progress.emplace(terminal, bar->activity);
    }
    bar->progress->update(fraction, 1, detail);
  };
  return hooks;
}

/// What an exploration will do, how long it takes, and what it writes.
std::string announcement(const Arguments& arguments, double budget_s, const Measurer* machine) {
  const std::string written =
      fmt::format("writes {}: result.json, report.html, report.md, pareto.csv, networks/",
                  (fs::path(arguments.output) / "").string());
  if (machine == nullptr)
    return fmt::format(
        "Searches {} networks, of which nothing is measured, for {:.0f} s at most; {}.",
        arguments.evaluations, budget_s, written);
  const fs::path profile = machine->profile_file();
  const bool is_known = !arguments.fresh && fs::exists(profile);
  const Budget budget = share_out(budget_s, is_known);
  if (is_known)
    return fmt::format(
        "Searches, and measures what it proposes, for {:.0f} s or little more, with the profile of "
        "this machine {}; {}. Ctrl-C stops.",
        budget.explore_s, profile.string(), written);
  return fmt::format(
      "Measures this machine's operators for {:.0f} s and published networks for {:.0f} s, then "
      "searches and measures what it proposes for {:.0f} s; {}, and keeps the machine's profile in "
      "{}. Ctrl-C stops, and the same command goes on; an idle machine is measured best.",
      budget.profile_s, budget.published_s, budget.explore_s, written, profile.string());
}

bool compares_precisions(const Arguments& arguments) {
  return std::find(arguments.studies.begin(), arguments.studies.end(), precision_study_name) !=
         arguments.studies.end();
}

/// What `--device` names: several by commas, but where a file is of that name.
std::vector<std::string> devices_of(const Arguments& arguments) {
  if (fs::is_regular_file(arguments.device)) return {arguments.device};
  return cli::parse_list("--device", arguments.device);
}

/// A device with what measures it, which is nothing where it is not this machine; and others that
/// the same networks are for. Of several, none is measured.
struct Subject {
  Target target;
  std::vector<Target> elsewhere;
  std::unique_ptr<Measurer> machine;
};

Subject subjects_of(const Arguments& arguments, const std::vector<std::string>& devices,
                    const cli::Terminal& terminal) {
  const std::vector<std::string> names = cli::device_names(devices, most_devices);
  std::vector<Target> targets;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    targets.push_back(
        predicted_target(cli::device_predictor(devices[i], conditions_of(arguments), terminal)));
    targets.back().name = names[i];
  }
  return {targets.front(), {targets.begin() + 1, targets.end()}, nullptr};
}

Subject subject_of(const Arguments& arguments, std::span<const Network> compared,
                   const cli::Terminal& terminal) {
  const std::vector<std::string> devices = devices_of(arguments);
  const cli::Conditions conditions = conditions_of(arguments);
  const double budget_s = cli::parse_seconds("--budget", arguments.budget);
  const bool announces = arguments.studies.empty();
  if (devices.size() > 1) {
    if (announces) terminal.note(announcement(arguments, budget_s, nullptr));
    return subjects_of(arguments, devices, terminal);
  }
  Subject subject;
  if (arguments.co_executes) {
    subject.target =
        predicted_target(cli::co_execution_predictor(arguments.device, conditions, terminal));
    if (announces) terminal.note(announcement(arguments, budget_s, nullptr));
    return subject;
  }
  if (arguments.device != "host") {
    subject.target =
        predicted_target(cli::device_predictor(arguments.device, conditions, terminal));
    if (announces) terminal.note(announcement(arguments, budget_s, nullptr));
    return subject;
  }
  subject.machine = host_measurer(cli::settings_of(conditions), seed_of(arguments),
                                  [] { return cli::interrupted().load(); });
  if (announces) terminal.note(announcement(arguments, budget_s, subject.machine.get()));
  subject.target =
      machine_target(*subject.machine, budget_s, arguments.fresh, hooks_of(terminal), compared);
  const Profile& profile = subject.target.profile;
  if (subject.target.is_known)
    terminal.note(fmt::format("profile of this machine: {} ({} operators, {})",
                              subject.target.file.string(), profile.ops.size(), profile.created));
  return subject;
}

SearchOptions search_options(const Arguments& arguments) {
  SearchOptions options;
  options.algorithm = parse_algorithm(arguments.algorithm);
  options.objectives.clear();
  for (const std::string& objective : cli::parse_list("--objectives", arguments.objectives))
    options.objectives.push_back(parse_objective(objective));
  const std::vector<std::string> devices = cli::device_names(devices_of(arguments), most_devices);
  const auto limits = cli::parse_limits("--latency-ms", arguments.latency_ms, devices);
  for (std::size_t d = 0; d < limits.size(); ++d)
    if (limits[d]) options.constraints.push_back({latency_objective(d), *limits[d]});
  const auto bound = [&](Objective objective, std::string_view option, const std::string& text) {
    if (!text.empty()) options.constraints.push_back({objective, cli::parse_number(option, text)});
  };
  bound(Objective::params, "--params-m", arguments.params_m);
  bound(Objective::memory, "--memory-mb", arguments.memory_mb);
  bound(Objective::macs, "--macs-m", arguments.macs_m);
  bound(Objective::top1, "--top1", arguments.top1);
  options.evaluations = arguments.evaluations;
  options.seed = seed_of(arguments);
  options.threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  options.resume = arguments.resume;
  return options;
}

void write_pages(std::span<const Result> results, const fs::path& folder,
                 const cli::Terminal& terminal) {
  const WrittenReport report = write_report(results, folder);
  for (const std::string& note : report.notes) terminal.note(note);
}

std::string page(const Arguments& arguments) {
  return fs::absolute(fs::path(arguments.output) / "report.html").lexically_normal().string();
}

/// Measures layers shared on this machine; nothing where the profile is of another.
MeasureSplits splits_measurer(const Arguments& arguments, const CoExecutionPredictor& predictor,
                              const cli::Terminal& terminal) {
  if (arguments.device != "host") return {};
  MeasureOptions options;
  options.settings = predictor.cpu.settings;
  options.seed = seed_of(arguments);
  options.budget_s = studies_s(1);
  options.cancelled = [] { return cli::interrupted().load(); };
  return [options, coprocessor = cli::host_coprocessor(terminal),
          &terminal](std::span<const LayerSplit> layers) {
    cli::Progress progress(terminal, "measuring shared layers");
    MeasureOptions with_progress = options;
    with_progress.on_progress = [&](const SampleProgress& p) { progress.update(p.fraction, 1); };
    return measured_latencies(measure_splits(layers, coprocessor, with_progress));
  };
}

/// The study `precision` of networks, and the device that it is of.
std::pair<Study, Target> compared_precisions(const Arguments& arguments,
                                             std::span<const Network> networks,
                                             std::span<const OwnTop1> int8_top1,
                                             const cli::Terminal& terminal) {
  const std::vector<std::string> devices = devices_of(arguments);
  const cli::Conditions conditions = conditions_of(arguments);
  const bool is_host = devices == std::vector<std::string>{"host"};
  std::optional<Target> target;  // a profile that there is not yet is measured, as for all studies
  if (is_host) target = subject_of(arguments, published_networks(), terminal).target;
  const std::vector<Predictor> predictors =
      cli::predictors_by_precision(devices, conditions, terminal);
  if (!is_host && predictors.size() == 1)
    throw std::invalid_argument(
        fmt::format("--study precision: \"{}\" is known in f32 only; measure it with "
                    "`cpubone-profile --precision qs8`, and name the files of its profiles, or of "
                    "predictors, by commas",
                    arguments.device));
  std::vector<PrecisionComparison> measured;
  std::vector<PrecisionComparison> predicted;
  const PinnedThread pinned(conditions.cpus);
  const double seconds =
      std::max(least_comparison_s, studies_s(1) / static_cast<double>(networks.size()));
  cli::Progress progress(terminal, "comparing precisions");
  for (const Network& network : networks) {
    progress.update(static_cast<double>(predicted.size()), static_cast<double>(networks.size()),
                    network.name);
    predicted.push_back(predict_precisions(predictors, network));
    if (is_host)
      measured.push_back(compare_precisions(network, predictors.front().settings.threads, seconds));
    if (cli::interrupted()) throw Error("interrupted");
  }
  Study study = precision_study(measured, predicted, int8_top1);
  return {std::move(study), target ? std::move(*target) : predicted_target(predictors.front())};
}

void study_tool(const Arguments& arguments, const ExploreRequest& request,
                const cli::Terminal& terminal, cli::Format format) {
  std::vector<std::string> names = arguments.studies;
  if (names == std::vector<std::string>{"all"})
    names.assign(study_names().begin(), study_names().end());
  std::vector<std::string> shared;
  std::vector<std::string> usual;
  for (const std::string& name : names) {
    if (name == precision_study_name) continue;
    if (is_co_execution_study(name)) {
      shared.push_back(name);
    } else {
      check_study_name(name);
      usual.push_back(name);
    }
  }
  Result result;
  std::optional<Target> target;
  if (!usual.empty()) {
    Subject subject = subject_of(arguments, published_networks(), terminal);
    result.studies = run_studies(subject.target, subject.machine.get(), usual, hooks_of(terminal));
    target = std::move(subject.target);
  }
  if (compares_precisions(arguments)) {
    auto [study, of] =
        compared_precisions(arguments, request.own.empty() ? published_networks() : request.own,
                            request.accuracy.own, terminal);
    result.studies.push_back(std::move(study));
    if (!target) target = std::move(of);
  }
  if (!shared.empty()) {
    const CoExecutionPredictor predictor =
        cli::co_execution_predictor(arguments.device, conditions_of(arguments), terminal);
    const MeasureSplits measure = splits_measurer(arguments, predictor, terminal);
    for (const std::string& name : shared)
      result.studies.push_back(co_execution_study(name, predictor, measure));
    if (!target) target = predicted_target(predictor.cpu);
    result.device.conditions.push_back({"coprocessor", predictor.coprocessor.device.runtime});
  }
  describe(result, *target, request.provenance);
  save_result(result, {}, arguments.output);
  write_pages(std::span(&result, 1), arguments.output, terminal);
  if (format == cli::Format::json)
    return terminal.print(to_json(result).at("studies").dump(1) + "\n");
  for (const Study& study : result.studies) {
    terminal.print(study_table(study), format);
    if (format != cli::Format::table) continue;
    terminal.line(statement(study, result.device).sentence);
  }
  terminal.note("report: " + page(arguments));
}

void explore_tool(const Arguments& arguments, const std::string& command) {
  const cli::Format format = cli::parse_format(arguments.format);
  const cli::Terminal terminal(arguments.quiet);
  const double budget_s = cli::parse_seconds("--budget", arguments.budget);
  ExploreRequest request;
  request.options.search = search_options(arguments);
  request.options.proposals = arguments.proposals;
  request.options.next = arguments.next;
  check(request.options);
  request.space = named_search_space(arguments.space);
  request.accuracy = accuracy_model(request.space, arguments.accuracy);
  request.form = cli::form_of(arguments.form);
  if (!arguments.studies.empty() && request.form != NetworkForm{})
    throw std::invalid_argument(
        "--study: has networks of its own; leave out --resolution and --features");
  std::vector<Warning> incomplete;
  for (const std::string& name : arguments.compare) {
    NamedNetwork named = cli::named_network(name, arguments.form.input_shapes, terminal);
    for (const UnsupportedNode& node : named.unsupported)
      incomplete.push_back(
          {fmt::format("{}: {}", named.network.name, text(node)), "its latency is of the rest"});
    request.own.push_back(std::move(named.network));
  }
  const bool only_precisions = compares_precisions(arguments) && arguments.studies.size() == 1;
  if (!arguments.studies.empty() && !request.own.empty() && !only_precisions)
    throw std::invalid_argument(
        "--study: has networks of its own; leave out --compare, or all studies but precision");
  if (!arguments.studies.empty() && devices_of(arguments).size() > 1 && !only_precisions)
    throw std::invalid_argument("--study: is of one device, got \"" + arguments.device + "\"");
  if (compares_precisions(arguments) && !arguments.precision.empty())
    throw std::invalid_argument("--study precision: is of all precisions; leave out --precision");
  if (arguments.co_executes && (!arguments.studies.empty() || devices_of(arguments).size() > 1))
    throw std::invalid_argument(
        "--co-execution: searches networks for one CPU and the coprocessor beside it: expected one "
        "--device and no --study (co-execution-linear and co-execution-conv need no option)");
  request.folder = arguments.output;
  request.afresh = arguments.fresh;
  request.provenance = {utc_now(), command, request.options.search.seed};
  conditions_of(arguments);
  cli::require_writable_folder(request.folder);
  const FolderLock lock(request.folder);
  cli::interrupted();
  if (!arguments.studies.empty()) return study_tool(arguments, request, terminal, format);

  const Subject subject =
      subject_of(arguments, compared_networks(request.form, request.own), terminal);
  request.elsewhere = subject.elsewhere;
  request.budget =
      subject.machine ? share_out(budget_s, subject.target.is_known) : predicting_budget(budget_s);
  Explored explored =
      explore_target(subject.target, subject.machine.get(), request, hooks_of(terminal));
  for (Warning& warning : incomplete) explored.result.warnings.push_back(std::move(warning));
  save(explored, subject.target, request.folder);
  const Result& result = explored.result;
  std::vector<Result> results{result};
  results.insert(results.end(), explored.elsewhere.begin(), explored.elsewhere.end());
  // Drawing charts takes seconds.
  if (explored.is_complete) write_pages(results, request.folder, terminal);
  if (format == cli::Format::json) {
    nlohmann::json json = nlohmann::json::array();
    for (const Result& on_device : results) json.push_back(to_json(on_device));
    terminal.print((results.size() == 1 ? json[0] : json).dump(1) + "\n");
  } else {
    terminal.print(results.size() == 1 ? summary_table(result) : devices_table(results), format);
    if (!result.next.empty()) terminal.print(next_table(result), format);
    if (format == cli::Format::table && results.size() == 1)
      terminal.line(headline_sentence(result));
    for (const Finding& finding : result.findings)
      if (format == cli::Format::table && std::holds_alternative<RobustFinding>(finding))
        terminal.line(statement(finding, result).sentence);
  }
  for (const Warning& warning : result.warnings)
    terminal.warn(fmt::format("{}; remedy: {}", warning.what, warning.remedy));
  if (!explored.is_complete)
    throw Error(
        "interrupted: result.json holds what was found until then; the same command with --resume "
        "goes on");
  if (format == cli::Format::table) terminal.line("report: " + page(arguments));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Find networks with a better speed-accuracy trade-off than CPUBone B0-B3 on a CPU: measure "
      "operators,\n"
      "fit MACs / MACpS, rebuild the published networks, search, confirm by measuring, and report.",
      "cpubone-explore");
  Arguments a;
  app.add_option(
         "--device", a.device,
         "host, a known device (cpubone-profile --list-devices), or a profile or predictor file; "
         "for networks that are to be fast on several, up to three by commas, which are predicted")
      ->capture_default_str();
  app.add_option("--space", a.space,
                 fmt::format("{}, or a search space as JSON (docs/spaces.md)",
                             fmt::join(search_space_names(), ", ")))
      ->capture_default_str();
  app.add_option("--accuracy", a.accuracy,
                 "CSV of networks that you trained (network,top1; or timm's or W&B's), whose scale "
                 "it becomes");
  app.add_option("--latency-ms", a.latency_ms,
                 "at most, in ms, such as 10 or 10,20 (the largest binds); of several devices "
                 "pi5=30,pixel7pro=15; the upper end of a latency's interval keeps it");
  app.add_option("--params-m", a.params_m, "at most, in millions");
  app.add_option("--memory-mb", a.memory_mb, "weights and activations, at most, in MB");
  app.add_option("--macs-m", a.macs_m, "at most, in millions");
  app.add_option("--top1", a.top1,
                 "reached with a probability of 90 %, at least, in percent, as it is estimated");
  cli::add_form_options(app, a.form);
  app.add_option("--compare", a.compare,
                 "your own networks (.onnx, or .json), told beside the published ones; --accuracy "
                 "takes their top-1");
  app.add_option("--objectives", a.objectives,
                 "latency, top1 and one more of macs, params, memory, file-size")
      ->capture_default_str();
  app.add_option("--algorithm", a.algorithm, "local, nsga2, moead or random")
      ->capture_default_str();
  app.add_option("--evaluations", a.evaluations,
                 "different networks that the searches evaluate in all, at most")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000'000));
  app.add_option("--proposals", a.proposals, "networks that are proposed, at most")
      ->capture_default_str()
      ->check(CLI::Range(5, 100));
  app.add_option("--next", a.next,
                 "also print so many networks to train next: what is expected to improve the front "
                 "most, as little is known of latency and accuracy yet; --accuracy takes results")
      ->check(CLI::Range(1, 100));
  app.add_option("--study", a.studies,
                 "run studies instead, or \"all\": operators, partial-conv, grouping, kernel, "
                 "fusion, upsampling, attention, "
                 "activations, blocks, correlation, mac-efficiency, threads; or, not of \"all\", "
                 "precision (f32 beside f16 and int8, of --compare's networks or the published "
                 "ones), and "
                 "co-execution-linear and co-execution-conv, of a machine that cpubone-profile "
                 "--device host+gpu has measured")
      ->delimiter(',');
  app.add_flag(
      "--co-execution", a.co_executes,
      "networks whose layers the CPU shares with the OpenCL device beside it, each split "
      "as is predicted to take least; nothing is measured; --device is host, or a file, that "
      "cpubone-profile --device host+gpu has measured, or a device, such as pixel4, of whose GPU "
      "latencies were published");
  app.add_option("--budget", a.budget, "time for measuring and searching, such as 90s or 5m")
      ->capture_default_str();
  app.add_option("--threads", a.threads,
                 "threads that networks run on; default: 1, elsewhere those of the device")
      ->check(CLI::Range(1, 1024));
  app.add_option("--cpus", a.cpus, "pin to these CPUs of this machine, such as 0-3");
  app.add_option(
      "--precision", a.precision,
      "that networks run in: f32, f16 or qs8 (int8); default: f32, elsewhere that of the "
      "device");
  app.add_option("--seed", a.seed, "of plan and search")->capture_default_str();
  app.add_flag("--resume", a.resume, "go on with an interrupted search in the same folder");
  app.add_flag("--fresh", a.fresh, "measure this machine again although it has a profile");
  app.add_option(
         "-o,--output", a.output,
         "folder that is written: result.json, report.html, report.md, pareto.csv, networks/")
      ->capture_default_str();
  app.add_option("--format", a.format, "of the terminal's table: table, json or csv")
      ->capture_default_str();
  app.add_flag("--quiet", a.quiet, "no progress, only warnings and errors");
  app.set_version_flag("--version", CPUBONE_VERSION);
  app.footer(
      "Examples:\n"
      "  cpubone-explore --device host\n"
      "  cpubone-explore --device host --latency-ms 8 --params-m 12 -o small\n"
      "  cpubone-explore --device pi5,pixel7pro --latency-ms pi5=30,pixel7pro=15\n"
      "  cpubone-explore --study fusion,grouping\n"
      "Exit status: 0 done, 1 failed, 2 wrong usage.");
  return cli::run_tool(app, argc, argv, [&] {
    const KeepFreedMemory keep;
    explore_tool(a, cli::command_line("cpubone-explore", argc, argv));
  });
}
