#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>

#include "cli/arguments.hpp"
#include "cli/co_execution_output.hpp"
#include "cli/device.hpp"
#include "cli/prediction_output.hpp"
#include "cli/terminal.hpp"
#include "predictor/evaluation.hpp"
#include "predictor/predictor.hpp"
#include "space/published.hpp"
#include "space/random_network.hpp"
#include "space/zoo.hpp"
#ifdef CPUBONE_WITH_PROFILER
#include "profiler/heap.hpp"
#include "profiler/host_profile.hpp"
#include "profiler/measure.hpp"
#include "runtime/co_execution.hpp"
#endif

using namespace cpubone;
using cli::Format;

namespace {

/// Every network by name, or what `--list` shows of it.
void list_networks(const cli::Terminal& terminal, Format format) {
  nlohmann::json list = nlohmann::json::array();
  Table table{
      "Networks",
      {{"name"}, {"family"}, {"params M", true}, {"MACs M", true}, {"top-1 %", true}, {"source"}},
      {}};
  if (format == Format::csv)
    table.columns = {{"name"},       {"family"},     {"params", true},
                     {"macs", true}, {"top1", true}, {"source"}};
  for (const ZooEntry& entry : zoo()) {
    const Network network = entry.build();
    const auto published = published_accuracy(entry.name);
    const bool has_top1 = published && published->top1 > 0;
    list.push_back({{"name", entry.name},
                    {"family", entry.family},
                    {"params", params(network)},
                    {"macs", macs(network)},
                    {"top1", has_top1 ? nlohmann::json(published->top1) : nlohmann::json()},
                    {"source", entry.source}});
    const auto count = [&](std::int64_t n) {
      return format == Format::csv ? fmt::to_string(n)
                                   : fmt::format("{:.2f}", static_cast<double>(n) * 1e-6);
    };
    table.rows.push_back({entry.name, entry.family, count(params(network)), count(macs(network)),
                          has_top1 ? fmt::format("{:.2f}", published->top1) : "", entry.source});
  }
  if (format == Format::json) return cli::print_json(terminal, list);
  terminal.print(table, format);
}

#ifdef CPUBONE_WITH_PROFILER
/// Measures networks that the predictor was not fitted to and tells how right it is about them.
void evaluate(const cli::Terminal& terminal, const Predictor& predictor,
              const std::vector<Network>& networks, double budget_s, Format format) {
  const KeepFreedMemory keep;
  Profile profile = host_profile(predictor.settings);
  {
    cli::Progress progress(terminal, "measuring networks");
    MeasureOptions options;
    options.settings = predictor.settings;
    options.budget_s = budget_s;
    options.calibration_ns = known_calibration_ns(predictor.settings);
    options.details = false;
    options.on_progress = [&](const SampleProgress& p) { progress.update(p.fraction, 1); };
    measure_networks(networks, options, profile);
  }
  for (const Warning& warning : profile.warnings)
    terminal.warn(fmt::format("{}; {}", warning.what, warning.remedy));
  std::vector<Comparison> comparisons;
  for (const Network& network : networks) {
    const NetworkRecord* record = find_record(profile, network);
    if (record == nullptr) continue;  // beyond the budget, of which there is a warning
    const LatencyEstimate latency = predict(predictor, network).latency;
    comparisons.push_back({network.name, record->timing.median_ns * 1e-6, latency.ms,
                           latency.low_ms, latency.high_ms});
  }
  const PredictionQuality a = prediction_quality(comparisons);
  if (format == Format::json) {
    nlohmann::json list = nlohmann::json::array();
    for (const Comparison& c : comparisons)
      list.push_back({{"name", c.network},
                      {"measured_ms", c.measured_ms},
                      {"predicted_ms", c.predicted_ms},
                      {"predicted_low_ms", c.low_ms},
                      {"predicted_high_ms", c.high_ms},
                      {"error", c.predicted_ms / c.measured_ms - 1}});
    return print_json(
        terminal,
        {{"networks", std::move(list)},
         {"count", a.count},
         {"rmspe", a.rmspe},
         {"mape", a.mape},
         {"bias", a.bias},
         {"worst", a.worst},
         {"within_5", a.within_5},
         {"within_10", a.within_10},
         {"spearman", std::isfinite(a.spearman) ? nlohmann::json(a.spearman) : nlohmann::json()},
         {"kendall", std::isfinite(a.kendall) ? nlohmann::json(a.kendall) : nlohmann::json()},
         {"interval_covers", a.covered}});
  }
  Table table{"Predicted and measured",
              {{"name"},
               {"measured_ms", true},
               {"predicted_ms", true},
               {"low_ms", true},
               {"high_ms", true},
               {"error", true}},
              {}};
  for (const Comparison& c : comparisons)
    table.rows.push_back({c.network, fmt::format("{:.3f}", c.measured_ms),
                          fmt::format("{:.3f}", c.predicted_ms), fmt::format("{:.3f}", c.low_ms),
                          fmt::format("{:.3f}", c.high_ms),
                          fmt::format("{:+.1f} %", 100 * (c.predicted_ms / c.measured_ms - 1))});
  terminal.print(table, format);
  if (format == Format::csv) return;
  Table summary{"Summary", {{"over all networks"}, {"", true}}, {}};
  const auto row = [&](const char* what, const std::string& value) {
    summary.rows.push_back({what, value});
  };
  row("networks", fmt::to_string(a.count));
  row("RMSPE", percent_text(a.rmspe));
  row("MAPE", percent_text(a.mape));
  row("mean error", percent_text(a.bias));
  row("worst error", percent_text(a.worst));
  row("within 5 %", percent_text(a.within_5));
  row("within 10 %", percent_text(a.within_10));
  row("Spearman", fmt::format("{:.4f}", a.spearman));
  row("Kendall", fmt::format("{:.4f}", a.kendall));
  row("90 % interval covers", percent_text(a.covered));
  terminal.print("\n");
  terminal.print(summary, format);
}
#endif

/// What the numbers stand on, with the error on networks that it did not know.
std::string provenance(const Predictor& predictor) {
  std::string text = evidence_text(predictor);
  if (!predictor.created.empty()) text += ", profile of " + predictor.created;
  if (predictor.network.networks > 0)
    text += fmt::format(", mean error {:.1f} % on {} networks left out",
                        100 * predictor.network.test_mape, predictor.network.networks);
  return text;
}

#ifdef CPUBONE_WITH_PROFILER
/// Measures the likely splits of each layer, then the network shared by the fastest of these, as
/// planned, and on the CPU alone.
cli::CoExecutionMeasured measure_co_execution(const cli::Terminal& terminal,
                                              const CoExecutionPredictor& predictor,
                                              const std::shared_ptr<const Coprocessor>& coprocessor,
                                              cli::CoExecuted predicted, double budget_s) {
  constexpr double share_of_layers = 0.7;
  MeasureOptions options;
  options.settings = predictor.cpu.settings;
  options.budget_s = share_of_layers * budget_s;
  options.cancelled = [] { return cli::interrupted().load(); };
  cli::CoExecutionMeasured measured;
  measured.splits =
      confirm_splits(predictor, predicted.network, [&](std::span<const LayerSplit> l) {
        return cli::time_splits(l, coprocessor, options, terminal);
      });
  options.budget_s = budget_s - options.budget_s;
  const std::vector<std::shared_ptr<const CoExecution>> by{
      std::make_shared<const CoExecution>(coprocessor, split_by(measured.splits)),
      std::make_shared<const CoExecution>(coprocessor, split_as_planned(measured.splits)), nullptr};
  std::vector<Timing> timings = measure_shared_network(predicted.network, by, options);
  measured.shared = std::move(timings[0]);
  measured.planned = std::move(timings[1]);
  measured.cpu_alone = std::move(timings[2]);
  measured.predicted = std::move(predicted);
  return measured;
}
#endif

/// What is asked of co-execution beside the networks.
struct CoExecutionAsked {
  std::string device;
  cli::Conditions conditions;
  Format format = Format::table;
  std::string by;
  bool evaluates = false;
  double budget_s = 0;
};

/// Networks on CPU and coprocessor, layers split as planned, or as is fastest where measured.
void predict_co_execution(const cli::Terminal& terminal, const CoExecutionAsked& asked,
                          std::vector<NamedNetwork> networks) {
  const auto& [device, conditions, format, by, evaluates, budget_s] = asked;
  if (evaluates && device != "host")
    throw std::invalid_argument("--evaluate measures this machine: expected --device host, got \"" +
                                device + "\"");
  const CoExecutionPredictor predictor = cli::co_execution_predictor(device, conditions, terminal);
  terminal.note(fmt::format("{} ({}), {} thread{}, {}; {}: {}", predictor.cpu.device.name,
                            predictor.cpu.device.cpu, predictor.cpu.settings.threads,
                            predictor.cpu.settings.threads == 1 ? "" : "s",
                            provenance(predictor.cpu), predictor.coprocessor.device.coprocessor,
                            coprocessor_evidence(predictor)));
  constexpr double much = 0.2;
  if (predictor.shared_mape > much)
    terminal.warn(
        fmt::format("shared layers are predicted with a mean error of {:.0f} %, so that savings "
                    "are uncertain; remedy: run `cpubone-profile --device host+gpu` again with a "
                    "longer budget, on a machine that is idle",
                    100 * predictor.shared_mape));
  std::vector<cli::CoExecuted> predicted;
  for (NamedNetwork& named : networks) {
    CoExecutionPrediction prediction = predict(predictor, named.network);
    predicted.push_back({std::move(named.network), std::move(prediction)});
  }
  const bool by_layer = by == "op" || (by == "auto" && predicted.size() == 1);
#ifdef CPUBONE_WITH_PROFILER
  if (evaluates) {
    const KeepFreedMemory keep;
    const auto coprocessor = cli::host_coprocessor(terminal);
    std::vector<cli::CoExecutionMeasured> measured;
    for (cli::CoExecuted& p : predicted)
      measured.push_back(measure_co_execution(terminal, predictor, coprocessor, std::move(p),
                                              budget_s / static_cast<double>(predicted.size())));
    return cli::print_co_execution(terminal, measured, format, by_layer);
  }
#endif
  cli::print_co_execution(terminal, predictor, predicted, format, by_layer);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Predict the latency of networks on a device, with a 90 % interval and where the time goes.",
      "cpubone-predict");
  std::vector<std::string> names;
  std::string device = "host";
  std::string latencies;
  std::string format_name = "table";
  std::string by = "auto";
  cli::FormOptions form_options;
  cli::Conditions conditions;
  std::string precision;
  std::string budget = "60s";
  bool list = false;
  bool evaluates = false;
  bool explains = false;
  bool quiet = false;
  bool co_executes = false;
  app.add_option("network", names, "names of --list, network files (.json) or ONNX models (.onnx)");
  app.add_option("--device", device,
                 "host, a name such as pi5, or a file with a profile, a predictor or a device")
      ->capture_default_str();
  app.add_option("--latencies", latencies,
                 "a table network,latency_ms, 10 rows or more, measured elsewhere: the device is "
                 "adapted to them");
  app.add_option("--threads", conditions.threads,
                 "of the host's profile, default: 1; elsewhere those of the device")
      ->check(CLI::Range(1, 1024));
  app.add_option("--precision", precision,
                 "of the host's profile: f32, f16 or qs8 (int8), default: f32; elsewhere that of "
                 "the device");
  cli::add_form_options(app, form_options);
  app.add_flag("--list", list, "every network that has a name");
  app.add_option("--by", by, "breakdown of tables: auto, stage, op, both or none")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "stage", "op", "both", "none"}));
  app.add_flag("--explain", explains,
               "also which changes of its operators would save most, and how much");
  app.add_flag(
      "--co-execution", co_executes,
      "share layers with the OpenCL device beside the CPU, split as is predicted to take "
      "least, in f32 or f16, and show the CPU alone beside it; --device is host, or a file, that "
      "cpubone-profile --device host+gpu has measured, or a device, such as pixel4, of "
      "whose GPU latencies were published");
  app.add_flag("--evaluate", evaluates,
               "measure the networks (default: all of --list) on this machine and compare; with "
               "--co-execution: the likely splits of each layer, and the network shared by the "
               "fastest of these, as planned, and on the CPU alone");
  app.add_option("--budget", budget, "longest time that measuring takes, e.g. 60s or 2m")
      ->capture_default_str();
  app.add_option("--format", format_name, "table, json or csv")->capture_default_str();
  app.add_flag("--quiet", quiet, "no notes and no progress, only warnings and errors");
  app.set_version_flag("--version", CPUBONE_VERSION);
  app.footer("Exit status: 0 done, 1 failed, 2 wrong usage.");
  return cli::run_tool(app, argc, argv, [&] {
    const Format format = cli::parse_format(format_name);
    const cli::Terminal terminal(quiet);
    if (list) return list_networks(terminal, format);
    const double budget_s = cli::parse_seconds("--budget", budget);
    if (names.empty() && !evaluates)
      throw std::invalid_argument("name a network (--list shows them), or use --evaluate");
    std::vector<NamedNetwork> networks;
    const NetworkForm form = cli::form_of(form_options);
    for (const std::string& name : names) {
      networks.push_back(cli::named_network(name, form_options.input_shapes, terminal));
      networks.back().network = in_form(std::move(networks.back().network), form);
    }
    if (!precision.empty()) conditions.precision = parse_dtype(precision);
    if (co_executes) {
      if (names.empty() || explains || !latencies.empty() || by == "stage" || by == "both")
        throw std::invalid_argument(
            "--co-execution tells how layers are split: expected a network, no --explain or "
            "--latencies, and --by auto, op or none");
      return predict_co_execution(terminal, {device, conditions, format, by, evaluates, budget_s},
                                  std::move(networks));
    }
    Predictor predictor = cli::device_predictor(device, conditions, terminal);
    if (!latencies.empty()) {
      if (evaluates)
        throw std::invalid_argument("--latencies are of elsewhere, --evaluate measures here");
      predictor =
          cli::adapted_to_latencies(predictor, latencies, form_options.input_shapes, terminal);
    }
    terminal.note(fmt::format("{} ({}), {}, {} thread{}, {}, {}", predictor.device.name,
                              predictor.device.cpu, predictor.device.runtime,
                              predictor.settings.threads,
                              predictor.settings.threads == 1 ? "" : "s",
                              name(predictor.settings.dtype), provenance(predictor)));
    if (evaluates) {
#ifdef CPUBONE_WITH_PROFILER
      if (device != "host")
        throw std::invalid_argument(
            "--evaluate measures this machine: expected --device host, got \"" + device + "\"");
      std::vector<Network> measured;
      for (NamedNetwork& named : networks) measured.push_back(std::move(named.network));
      if (measured.empty()) measured = published_networks(form);
      return evaluate(terminal, predictor, measured, budget_s, format);
#else
      throw Error("--evaluate: built without XNNPACK, so nothing can be measured");
#endif
    }
    std::vector<cli::Predicted> predicted;
    for (NamedNetwork& named : networks) {
      NetworkPrediction prediction = predict(predictor, named.network);
      predicted.push_back(
          {std::move(named.network), std::move(named.sources), std::move(prediction)});
    }
    cli::print_predictions(terminal, predictor, predicted, format, by, explains);
  });
}
