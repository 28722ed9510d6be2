#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <thread>

#include "cli/explore_studies.hpp"
#include "explorer/inputs.hpp"
#include "explorer/known_accuracies.hpp"
#include "explorer/output_folder.hpp"
#include "explorer/workflow.hpp"
#include "graph/error.hpp"
#include "profiler/heap.hpp"
#include "profiler/host.hpp"
#include "reports/headline.hpp"
#include "reports/tables.hpp"
#include "reports/words.hpp"

using namespace cpubone;

namespace {

SearchOptions search_options(const cli::ExploreArguments& arguments) {
  SearchOptions options;
  options.algorithm = parse_algorithm(arguments.algorithm);
  options.objectives.clear();
  for (const std::string& objective : cli::parse_list("--objectives", arguments.objectives))
    options.objectives.push_back(parse_objective(objective));
  const std::vector<std::string> devices =
      cli::device_names(cli::devices_of(arguments), most_devices);
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
  options.seed = cli::seed_of(arguments);
  options.threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  options.resume = arguments.resume;
  return options;
}

void explore_tool(const cli::ExploreArguments& arguments, const std::string& command) {
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
  const bool only_precisions = cli::compares_precisions(arguments) && arguments.studies.size() == 1;
  if (!arguments.studies.empty() && !request.own.empty() && !only_precisions)
    throw std::invalid_argument(
        "--study: has networks of its own; leave out --compare, or all studies but precision");
  if (!arguments.studies.empty() && cli::devices_of(arguments).size() > 1 && !only_precisions)
    throw std::invalid_argument("--study: is of one device, got \"" + arguments.device + "\"");
  if (cli::compares_precisions(arguments) && !arguments.precision.empty())
    throw std::invalid_argument("--study precision: is of all precisions; leave out --precision");
  if (arguments.co_executes &&
      (!arguments.studies.empty() || cli::devices_of(arguments).size() > 1))
    throw std::invalid_argument(
        "--co-execution: searches networks for one CPU and the coprocessor beside it: expected one "
        "--device and no --study (co-execution-linear and co-execution-conv need no option)");
  request.folder = arguments.output;
  request.afresh = arguments.fresh;
  request.provenance = {utc_now(), command, request.options.search.seed};
  cli::conditions_of(arguments);
  cli::require_writable_folder(request.folder);
  const FolderLock lock(request.folder);
  cli::interrupted();
  if (!arguments.studies.empty()) return cli::study_tool(arguments, request, terminal, format);

  const cli::Subject subject =
      cli::subject_of(arguments, compared_networks(request.form, request.own), terminal);
  request.elsewhere = subject.elsewhere;
  request.budget =
      subject.machine ? share_out(budget_s, subject.target.is_known) : predicting_budget(budget_s);
  Explored explored =
      explore_target(subject.target, subject.machine.get(), request, cli::hooks_of(terminal));
  for (Warning& warning : incomplete) explored.result.warnings.push_back(std::move(warning));
  save(explored, subject.target, request.folder);
  const Result& result = explored.result;
  std::vector<Result> results{result};
  results.insert(results.end(), explored.elsewhere.begin(), explored.elsewhere.end());
  // Drawing charts takes seconds.
  if (explored.is_complete) cli::write_pages(results, request.folder, terminal);
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
  if (format == cli::Format::table) terminal.line("report: " + cli::page(arguments));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Find networks with a better speed-accuracy trade-off than CPUBone B0-B3 on a CPU: measure "
      "operators,\n"
      "fit MACs / MACpS, rebuild the published networks, search, confirm by measuring, and report.",
      "cpubone-explore");
  cli::ExploreArguments a;
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
      "as is predicted to take least, in f32 or f16; nothing is measured; --device is host, or a "
      "file, that "
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
