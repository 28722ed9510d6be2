#include "cli/explore_studies.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "explorer/inputs.hpp"
#include "explorer/output_folder.hpp"
#include "explorer/studies_co_execution.hpp"
#include "explorer/studies_precision.hpp"
#include "explorer/study.hpp"
#include "profiler/compare_precisions.hpp"
#include "profiler/host.hpp"
#include "profiler/measure.hpp"
#include "reports/tables.hpp"
#include "reports/words.hpp"
#include "space/zoo.hpp"

namespace cpubone::cli {

bool compares_precisions(const ExploreArguments& arguments) {
  return std::find(arguments.studies.begin(), arguments.studies.end(), precision_study_name) !=
         arguments.studies.end();
}

namespace {

/// Measures layers shared on this machine; nothing where the profile is of another.
MeasureSplits splits_measurer(const ExploreArguments& arguments,
                              const CoExecutionPredictor& predictor, const Terminal& terminal) {
  if (arguments.device != "host") return {};
  MeasureOptions options;
  options.settings = predictor.cpu.settings;
  options.seed = seed_of(arguments);
  options.budget_s = studies_s(1);
  options.cancelled = [] { return interrupted().load(); };
  return [options, coprocessor = host_coprocessor(terminal),
          &terminal](std::span<const LayerSplit> layers) {
    return measured_latencies(time_splits(layers, coprocessor, options, terminal));
  };
}

/// The study `precision` of networks, and the device that it is of.
std::pair<Study, Target> compared_precisions(const ExploreArguments& arguments,
                                             std::span<const Network> networks,
                                             std::span<const OwnTop1> int8_top1,
                                             const Terminal& terminal) {
  const std::vector<std::string> devices = devices_of(arguments);
  const Conditions conditions = conditions_of(arguments);
  const bool is_host = devices == std::vector<std::string>{"host"};
  std::optional<Target> target;  // a profile that there is not yet is measured, as for all studies
  if (is_host) target = subject_of(arguments, published_networks(), terminal).target;
  const std::vector<Predictor> predictors = predictors_by_precision(devices, conditions, terminal);
  if (!is_host && predictors.size() == 1)
    throw std::invalid_argument(
        fmt::format("--study precision: \"{}\" is known in f32 only; measure it with "
                    "`cpubone-profile --precision qs8`, and name the files of its profiles, or of "
                    "predictors, by commas",
                    arguments.device));
  const PinnedThread pinned(conditions.cpus);
  ComparePrecisions compare;
  if (is_host)
    compare = [&, seconds = comparison_s(studies_s(1), networks.size())](const Network& network) {
      return compare_precisions(network, predictors.front().device,
                                predictors.front().settings.threads, seconds);
    };
  Study study = run_precision_study(predictors, networks, compare, int8_top1, hooks_of(terminal));
  return {std::move(study), target ? std::move(*target) : predicted_target(predictors.front())};
}

}  // namespace

void study_tool(const ExploreArguments& arguments, const ExploreRequest& request,
                const Terminal& terminal, Format format) {
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
    result.studies = run_studies(subject.target, subject.machine.get(), usual,
                                 studies_s(usual.size()), hooks_of(terminal));
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
        co_execution_predictor(arguments.device, conditions_of(arguments), terminal);
    const MeasureSplits measure = splits_measurer(arguments, predictor, terminal);
    for (const std::string& name : shared)
      result.studies.push_back(co_execution_study(name, predictor, measure));
    if (!target) target = predicted_target(predictor.cpu);
    result.device.conditions.push_back({"coprocessor", predictor.coprocessor.device.coprocessor});
  }
  describe(result, *target, request.provenance);
  save_result(result, {}, arguments.output);
  write_pages(std::span(&result, 1), arguments.output, terminal);
  if (format == Format::json) return terminal.print(to_json(result).at("studies").dump(1) + "\n");
  for (const Study& study : result.studies) {
    terminal.print(study_table(study), format);
    if (format != Format::table) continue;
    terminal.line(statement(study, result.device).sentence);
  }
  terminal.note("report: " + page(arguments));
}

}  // namespace cpubone::cli
