#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <thread>

#include "cli/arguments.hpp"
#include "cli/device.hpp"
#include "cli/terminal.hpp"
#include "explorer/accuracy.hpp"
#include "explorer/checkpoint.hpp"
#include "explorer/explore.hpp"
#include "explorer/inputs.hpp"
#include "explorer/study.hpp"
#include "graph/error.hpp"
#include "predictor/predictor.hpp"
#include "profiler/host.hpp"
#include "profiler/host_profile.hpp"
#include "profiler/measure.hpp"
#include "reports/report.hpp"
#include "reports/tables.hpp"
#include "reports/words.hpp"
#include "space/random_network.hpp"
#include "space/zoo.hpp"

using namespace cpubone;
namespace fs = std::filesystem;

namespace {

struct Arguments {
  std::string device = "host";
  std::string space;
  std::string accuracy;
  std::string latency_ms;
  double params_m = 0;
  double memory_mb = 0;
  double macs_m = 0;
  double top1 = 0;
  std::string objectives = "latency,top1";
  std::string algorithm = "local";
  std::int64_t evaluations = 200'000;
  int proposals = 8;
  std::vector<std::string> studies;
  std::string budget = "140s";
  int threads = 1;
  std::string cpus;
  std::uint64_t seed = 1;
  bool resume = false;
  bool fresh = false;
  std::string output = "cpubone-out";
  std::string format = "table";
  bool quiet = false;
};

/// A device as an exploration needs it.
struct Target {
  std::string name;
  Predictor predictor;
  Profile profile;          ///< of the device; networks of the zoo that were measured
  bool measurable = false;  ///< it is this machine
  bool reused = false;      ///< its profile was there already
};

// Shares of the budget. A later run finds the profile, and confirms with fewer samples.
constexpr double profile_share = 0.5;
constexpr double zoo_share = 0.15;
constexpr double explore_share = 0.35;
constexpr double reused_share = 0.06;        // of exploring where the profile was there already
constexpr double measure_share = 1.0 / 6;    // of exploring: a round's operators, or its networks
constexpr double least_s_per_network = 0.4;  // half of it goes into packing weights
constexpr double least_learning_s = 2;

MeasureSettings settings_of(const Arguments& arguments) {
  MeasureSettings settings;
  settings.threads = arguments.threads;
  if (!arguments.cpus.empty()) settings.cpus = parse_cpus(arguments.cpus);
  return settings;
}

MeasureOptions measure_options(const Arguments& arguments, double budget_s,
                               cli::Progress* progress) {
  MeasureOptions options;
  options.settings = settings_of(arguments);
  options.budget_s = budget_s;
  options.details = false;
  options.seed = arguments.seed;
  options.cancelled = [] { return cli::interrupted().load(); };
  if (progress)
    options.on_progress = [progress](const SampleProgress& p) {
      progress->update(p.fraction, 1, fmt::format("{} of {}", p.done, p.tasks));
    };
  return options;
}

void stop_if_interrupted() {
  if (cli::interrupted())
    throw Error("interrupted; what was measured is kept, the same command goes on");
}

std::vector<Network> zoo_networks() {
  std::vector<Network> networks;
  for (const ZooEntry& entry : zoo()) networks.push_back(entry.build());
  return networks;
}

/// The profile of this machine, measured now where there is none yet.
Profile host_profile_of(const Arguments& arguments, const cli::Terminal& terminal) {
  const fs::path path = host_profile_path(settings_of(arguments));
  const double budget_s = cli::parse_seconds("--budget", arguments.budget);
  Profile profile;
  if (fs::exists(path) && !arguments.fresh) {
    profile = load_profile(path);
    terminal.note(fmt::format("profile of this machine: {} ({} operators, {})", path.string(),
                              profile.ops.size(), profile.created));
  } else {
    fs::create_directories(path.parent_path());
    cli::require_writable(path);
    cli::Progress progress(terminal, "measuring operators");
    MeasureOptions options = measure_options(arguments, profile_share * budget_s, &progress);
    options.journal = path.string() + ".journal";
    options.resume = !arguments.fresh;
    profile = measure_host_profile(options, spread_of);
    stop_if_interrupted();
    save_profile(profile, path);
    for (const char* part : journal_parts) fs::remove(options.journal.string() + part);
  }
  // Published networks, so that proposals are compared with measurements; never used to fit.
  std::vector<Network> missing;
  for (Network& network : zoo_networks())
    if (std::none_of(profile.networks.begin(), profile.networks.end(),
                     [&](const NetworkRecord& r) { return r.name == network.name; }))
      missing.push_back(std::move(network));
  if (!missing.empty()) {
    cli::Progress progress(terminal, "measuring published networks");
    measure_networks(missing, measure_options(arguments, zoo_share * budget_s, &progress), profile);
    stop_if_interrupted();
    save_profile(profile, path);
  }
  return profile;
}

Target target_of(const Arguments& arguments, const cli::Terminal& terminal) {
  Target target;
  target.name = arguments.device;
  if (arguments.device == "host") {
    target.reused = !arguments.fresh && fs::exists(host_profile_path(settings_of(arguments)));
    target.profile = host_profile_of(arguments, terminal);
    target.predictor = fit_predictor(target.profile, calibration_networks());
    target.measurable = true;
  } else {
    target.predictor = cli::device_predictor(arguments.device, settings_of(arguments), terminal);
    target.name = target.predictor.device.name;
  }
  return target;
}

SearchOptions search_options(const Arguments& arguments) {
  SearchOptions options;
  options.algorithm = parse_algorithm(arguments.algorithm);
  options.objectives.clear();
  for (std::string_view rest = arguments.objectives;;) {
    const auto comma = rest.find(',');
    options.objectives.push_back(parse_objective(rest.substr(0, comma)));
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  const auto bound = [&](Objective objective, double limit) {
    if (limit > 0) options.constraints.push_back({objective, limit});
  };
  if (!arguments.latency_ms.empty()) {
    const std::vector<double> budgets = cli::parse_numbers("--latency-ms", arguments.latency_ms);
    bound(Objective::latency, *std::max_element(budgets.begin(), budgets.end()));
  }
  bound(Objective::params, arguments.params_m);
  bound(Objective::memory, arguments.memory_mb);
  bound(Objective::macs, arguments.macs_m);
  bound(Objective::top1, arguments.top1);
  options.evaluations = arguments.evaluations;
  options.seed = arguments.seed;
  options.threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  options.checkpoint = fs::path(arguments.output) / "search.json";
  options.resume = arguments.resume;
  return options;
}

StudyContext study_context(const Arguments& arguments, const Target& target, double budget_s) {
  StudyContext context;
  context.predict_ms = [&target](const Network& network) {
    return predict(target.predictor, network).latency.ms;
  };
  if (target.measurable) {
    context.threads = target.predictor.device.cores;
    context.latencies = [&arguments, &target, budget_s](std::span<const Network> networks,
                                                        int threads) {
      MeasureOptions options = measure_options(arguments, budget_s, nullptr);
      options.calibration_ns = best_calibration_ns(target.profile);
      options.settings.threads = threads;
      std::vector<Interval> latencies;
      for (const Timing& timing : measure_timings(networks, options))
        latencies.push_back(measured_latency(timing).ms);
      return latencies;
    };
  } else {
    context.predicted = true;
    context.latencies = [&target](std::span<const Network> networks, int) {
      std::vector<Interval> latencies;
      for (const Network& network : networks) {
        const LatencyEstimate e = predict(target.predictor, network).latency;
        latencies.push_back({e.ms, e.low_ms, e.high_ms});
      }
      return latencies;
    };
  }
  return context;
}

std::vector<Study> run_studies(const Arguments& arguments, const Target& target,
                               const std::vector<std::string>& names, double budget_s,
                               const cli::Terminal& terminal) {
  const StudyContext context = study_context(
      arguments, target, budget_s / static_cast<double>(std::max<std::size_t>(names.size(), 1)));
  std::vector<StudyPlan> plans;
  for (const std::string& name : names) plans.push_back(study_plan(name, context));
  std::vector<Study> studies;
  cli::Progress progress(terminal, "studies");
  for (const StudyPlan& plan : plans) {
    progress.update(static_cast<double>(studies.size()), static_cast<double>(plans.size()),
                    plan.name);
    studies.push_back(run_study(plan, context));
  }
  return studies;
}

/// How predictions of published networks compare with their measurements; none was used to fit.
std::optional<NetworkError> network_error(const std::vector<ResultNetwork>& networks) {
  NetworkError error;
  double squares = 0;
  for (const ResultNetwork& network : networks) {
    if (network.origin != Origin::published || !network.predicted_ms || !network.measured_ms)
      continue;
    const double e = std::abs(network.predicted_ms->value / network.measured_ms->ms.value - 1);
    ++error.count;
    error.mape += e;
    squares += e * e;
    error.within_5 += e <= 0.05 ? 1 : 0;
    error.within_10 += e <= 0.10 ? 1 : 0;
  }
  if (error.count == 0) return std::nullopt;
  error.mape /= error.count;
  error.rmspe = std::sqrt(squares / error.count);
  error.within_5 /= error.count;
  error.within_10 /= error.count;
  return error;
}

void describe_run(Result& result, const Target& target, const std::string& command,
                  std::uint64_t seed) {
  result.tool_version = version();
  result.created = utc_now();
  result.command = command;
  result.seed = static_cast<std::int64_t>(seed);
  describe_predictor(result, target.predictor);
  result.device.name = target.name;
  for (const Warning& warning : target.profile.warnings) result.warnings.push_back(warning);
  result.predictor->profile_seconds = target.profile.seconds;
  result.predictor->networks = network_error(result.networks);
}

std::string interval_text(const Interval& i) {
  return fmt::format("{:.2f} ± {:.2f}", i.value, 0.5 * (i.high - i.low));
}

/// B0–B3 and the proposals, fastest first.
Table summary_table(const Result& result) {
  Table table{"Networks",
              {{"network"},
               {"description"},
               {"top-1 %", true},
               {"params M", true},
               {"MACs M", true},
               {"predicted ms", true},
               {"measured ms", true},
               {"GMACpS", true},
               {"faster than"}},
              {}};
  std::vector<const ResultNetwork*> shown;
  for (const ResultNetwork& network : result.networks)
    if (network.origin == Origin::proposal || network.family == "CPUBone")
      shown.push_back(&network);
  std::stable_sort(shown.begin(), shown.end(), [](const auto* a, const auto* b) {
    const auto x = latency_ms(*a);
    const auto y = latency_ms(*b);
    return (x ? x->value : 0) < (y ? y->value : 0);
  });
  for (const ResultNetwork* n : shown)
    table.rows.push_back({n->name, n->description,
                          n->top1 ? n->top1->estimated
                                        ? fmt::format("~{:.1f}", n->top1->percent.value)
                                        : fmt::format("{:.1f}", n->top1->percent.value)
                                  : "",
                          fmt::format("{:.1f}", static_cast<double>(n->params) * 1e-6),
                          fmt::format("{:.0f}", static_cast<double>(n->macs) * 1e-6),
                          n->predicted_ms ? fmt::format("{:.2f}", n->predicted_ms->value) : "",
                          n->measured_ms ? interval_text(n->measured_ms->ms) : "",
                          n->gmacps ? fmt::format("{:.1f}", *n->gmacps) : "",
                          fmt::format("{}", fmt::join(n->better_than, ", "))});
  return table;
}

void write_all(const Result& result, const std::vector<Network>& networks, const fs::path& folder,
               const cli::Terminal& terminal) {
  save_result(result, folder / "result.json");
  if (!networks.empty()) {
    fs::create_directories(folder / "networks");
    for (const Network& network : networks)
      save_network(network, folder / "networks" / (network.name + ".json"));
  }
  if (cli::interrupted()) {  // drawing charts takes seconds
    terminal.note(fmt::format("no report of an interrupted exploration: cpubone-report {} -o {}",
                              (folder / "result.json").string(), folder.string()));
    return;
  }
  const WrittenReport report = write_report(std::span(&result, 1), folder);
  for (const std::string& note : report.notes) terminal.note(note);
}

void run_study_tool(const Arguments& arguments, const std::string& command,
                    const cli::Terminal& terminal, cli::Format format) {
  std::vector<std::string> names = arguments.studies;
  if (names == std::vector<std::string>{"all"})
    names.assign(study_names().begin(), study_names().end());
  for (const std::string& name : names)
    if (std::find(study_names().begin(), study_names().end(), name) == study_names().end())
      study_plan(name, {});
  const Target target = target_of(arguments, terminal);
  Result result;
  result.studies = run_studies(arguments, target, names,
                               std::min(40.0 * static_cast<double>(names.size()), 240.0), terminal);
  describe_run(result, target, command, arguments.seed);
  write_all(result, {}, arguments.output, terminal);
  if (format == cli::Format::json)
    return terminal.print(to_json(result).at("studies").dump(1) + "\n");
  for (const Study& study : result.studies) {
    terminal.print(study_table(study), format);
    if (format == cli::Format::table)
      terminal.print(statement(study, result.device).sentence + "\n\n");
  }
  terminal.note(fmt::format("report: {}", (fs::path(arguments.output) / "report.html").string()));
}

void explore_tool(const Arguments& arguments, const std::string& command) {
  const cli::Format format = cli::parse_format(arguments.format);
  const cli::Terminal terminal(arguments.quiet);
  const double budget_s = cli::parse_seconds("--budget", arguments.budget);
  ExploreOptions options;
  options.search = search_options(arguments);
  options.proposals = arguments.proposals;
  check(options);
  const SearchSpace space =
      arguments.space.empty() ? default_search_space() : load_search_space(arguments.space);
  const AccuracyModel accuracy = arguments.accuracy.empty()
                                     ? published_accuracy_model()
                                     : load_accuracy_model(arguments.accuracy);
  if (!arguments.cpus.empty()) parse_cpus(arguments.cpus);
  cli::require_writable_folder(arguments.output);
  cli::interrupted();
  if (!arguments.studies.empty()) return run_study_tool(arguments, command, terminal, format);

  Target target = target_of(arguments, terminal);
  ExploreInput input{
      .space = space,
      .latency = latency_model(target.predictor),
      .accuracy = accuracy,
      .measure = {},
      .learn = {},
      .break_down = [&](const Network& network) { return break_down(network, target.predictor); },
      .measured = known_latencies(target.profile)};
  const double explore_s = (target.reused ? reused_share : explore_share) * budget_s;
  if (target.measurable) {
    MeasureOptions measuring = measure_options(arguments, measure_share * explore_s, nullptr);
    input.measure = [&target, measuring](std::span<const Network> networks) {
      MeasureOptions of_these = measuring;
      of_these.calibration_ns = best_calibration_ns(target.profile);
      of_these.budget_s =
          std::max(measuring.budget_s, least_s_per_network * static_cast<double>(networks.size()));
      return measured_latencies(measure_timings(networks, of_these));
    };
    measuring.budget_s = std::max(measuring.budget_s, least_learning_s);
    input.learn = [&target, measuring](std::span<const Op> ops) {
      measure_ops(ops, measuring, target.profile);
      stop_if_interrupted();
      save_profile(target.profile, host_profile_path(measuring.settings));
      target.predictor = fit_predictor(target.profile, calibration_networks());
    };
  }
  options.cancel = &cli::interrupted();
  options.budget_seconds = target.measurable ? explore_s : budget_s;

  Exploration exploration;
  {
    cli::Progress progress(terminal, "searching");
    options.progress = [&](double fraction, const std::string& text) {
      progress.update(fraction, 1, text);
    };
    exploration = explore(input, options);
  }
  if (!cli::interrupted()) remove_checkpoint(options.search.checkpoint);
  Result& result = exploration.result;
  // Predicted, so that they cost no time; --study measures them.
  Target predicted = target;
  predicted.measurable = false;
  predicted.name = target.measurable ? "this CPU" : target.name;
  if (!cli::interrupted())
    for (Study& study : run_studies(arguments, predicted,
                                    {"fusion", "grouping", "kernel", "operators"}, 0, terminal))
      result.studies.push_back(std::move(study));
  describe_run(result, target, command, arguments.seed);
  std::vector<Network> networks;
  for (const Proposal& proposal : exploration.proposals) networks.push_back(proposal.network);
  write_all(result, networks, arguments.output, terminal);

  if (format == cli::Format::json) {
    terminal.print(to_json(result).dump(1) + "\n");
  } else {
    terminal.print(summary_table(result), format);
  }
  for (const Warning& warning : result.warnings)
    terminal.warn(fmt::format("{}; remedy: {}", warning.what, warning.remedy));
  if (cli::interrupted()) terminal.warn("interrupted: the result holds what was found until then");
  if (format == cli::Format::table && !cli::interrupted())
    terminal.print(fmt::format(
        "report: {}\n",
        fs::absolute(fs::path(arguments.output) / "report.html").lexically_normal().string()));
}

std::string command_line(int argc, char** argv) {
  std::string line = "cpubone-explore";
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool plain =
        !word.empty() &&
        word.find_first_not_of(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./,=:@+") ==
            std::string::npos;
    line += plain ? " " + word : " '" + word + "'";
  }
  return line;
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
         "host, a known device (cpubone-profile --list-devices), or a profile or predictor file")
      ->capture_default_str();
  app.add_option("--space", a.space, "search space as JSON; default: around B0-B3");
  app.add_option(
      "--accuracy", a.accuracy,
      "CSV of your trained networks (network,params_m,macs_m,top1) instead of the published ones");
  app.add_option("--latency-ms", a.latency_ms,
                 "at most, in ms, such as 10 or 10,20 (the largest binds)");
  app.add_option("--params-m", a.params_m, "at most, in millions")->check(CLI::PositiveNumber);
  app.add_option("--memory-mb", a.memory_mb, "weights and activations, at most, in MB")
      ->check(CLI::PositiveNumber);
  app.add_option("--macs-m", a.macs_m, "at most, in millions")->check(CLI::PositiveNumber);
  app.add_option("--top1", a.top1, "estimated, at least, in percent")->check(CLI::PositiveNumber);
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
      ->capture_default_str();
  app.add_option("--study", a.studies,
                 "run studies instead, or \"all\": operators, partial-conv, grouping, kernel, "
                 "fusion, upsampling, attention, "
                 "activations, blocks, correlation, mac-efficiency, threads")
      ->delimiter(',');
  app.add_option("--budget", a.budget, "time for measuring and searching, such as 90s or 5m")
      ->capture_default_str();
  app.add_option("--threads", a.threads, "threads that networks run on")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  app.add_option("--cpus", a.cpus, "pin to these CPUs, such as 0-3");
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
      "  cpubone-explore --study fusion,grouping\n"
      "Exit status: 0 done, 1 failed, 2 wrong usage.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  return cli::run("cpubone-explore", [&] { explore_tool(a, command_line(argc, argv)); });
}
