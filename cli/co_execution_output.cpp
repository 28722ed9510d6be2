#include "cli/co_execution_output.hpp"

#include <fmt/format.h>

#include <span>

#include "cli/prediction_output.hpp"
#include "reports/tables.hpp"

namespace cpubone::cli {
namespace {

std::string engine(const OpPrediction& op, const ChannelSplit& split) {
  switch (runner_of(split)) {
    case Runner::cpu:
      return op.engine;
    case Runner::coprocessor:
      return "coprocessor";
    default:
      return "co-execution";
  }
}

/// What latencies are, in every row.
std::string source_of(const CoExecutionPredictor& predictor) {
  return predictor.coprocessor.evidence == Evidence::measured
             ? "predicted"
             : "predicted from published latencies";
}

/// 0 where a side has no part: no latency.
std::string part_ms(double ns) {
  return ns > 0 ? short_number(ns * 1e-6) : "";
}

Table layer_table(const CoExecutionPrediction& p) {
  Table table{"How layers are split",
              {{"operator"},
               {"CPU channels", true},
               {"ms", true},
               {"CPU's part ms", true},
               {"coprocessor's part ms", true},
               {"CPU alone ms", true}},
              {}};
  for (std::size_t i = 0; i < p.splits.size(); ++i) {
    const OpPrediction& op = p.cpu_alone.ops[i];
    const ChannelSplit& split = p.splits[i];
    table.rows.push_back({text(op.op),
                          fmt::format("{} of {}", split.cpu_channels, op.op.output().c),
                          short_number(split.ns * 1e-6), part_ms(split.cpu_ns),
                          part_ms(split.coprocessor_ns), short_number(op.latency_ns * 1e-6)});
  }
  return table;
}

nlohmann::json to_contract(const CoExecutionPredictor& predictor, const CoExecuted& p) {
  const LatencyEstimate& latency = p.prediction.latency;
  const LatencyEstimate& alone = p.prediction.cpu_alone.latency;
  nlohmann::json ops = nlohmann::json::array();
  for (std::size_t i = 0; i < p.prediction.splits.size(); ++i) {
    const OpPrediction& op = p.prediction.cpu_alone.ops[i];
    const ChannelSplit& split = p.prediction.splits[i];
    ops.push_back({{"op", text(op.op)},
                   {"node", op.node},
                   {"stage", op.stage},
                   {"engine", engine(op, split)},
                   {"macs", macs(op.op)},
                   {"cpu_channels", split.cpu_channels},
                   {"channels", op.op.output().c},
                   {"latency_ms", split.ns * 1e-6},
                   {"cpu_ms", split.cpu_ns * 1e-6},
                   {"coprocessor_ms", split.coprocessor_ns * 1e-6},
                   {"cpu_alone_ms", op.latency_ns * 1e-6}});
  }
  return {{"name", p.network.name},
          {"params", params(p.network)},
          {"macs", macs(p.network)},
          {"latency_ms", latency.ms},
          {"latency_low_ms", latency.low_ms},
          {"latency_high_ms", latency.high_ms},
          {"gmacps", static_cast<double>(macs(p.network)) * 1e-6 / latency.ms},
          {"cpu_alone_ms", alone.ms},
          {"cpu_alone_low_ms", alone.low_ms},
          {"cpu_alone_high_ms", alone.high_ms},
          {"start_ms", predictor.start_ns * 1e-6},
          {"synchronisation_ms", predictor.synchronisation_ns * 1e-6},
          {"unhidden_share", predictor.unhidden_share},
          {"wait_ms", predictor.wait_ns * 1e-6},
          {"coprocessor_evidence", coprocessor_evidence(predictor)},
          {"source", source_of(predictor)},
          {"ops", std::move(ops)}};
}

Table csv_table(std::span<const SharedNetwork> networks, const std::string& source) {
  Table table{"Predicted latency",
              {{"name"},
               {"latency_ms", true},
               {"latency_low_ms", true},
               {"latency_high_ms", true},
               {"cpu_alone_ms", true},
               {"cpu_alone_low_ms", true},
               {"cpu_alone_high_ms", true},
               {"shared_layers", true},
               {"coprocessor_layers", true},
               {"cpu_layers", true},
               {"source"}},
              {}};
  for (const SharedNetwork& n : networks) {
    std::vector<std::string> row{n.name};
    for (const Interval& t : {n.predicted_ms, n.cpu_alone_ms})
      for (const double ms : {t.value, t.low, t.high}) row.push_back(fmt::format("{:.6g}", ms));
    for (const int layers : {n.shared_layers, n.coprocessor_layers, n.cpu_layers})
      row.push_back(fmt::to_string(layers));
    row.push_back(source);
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::string ms_of(const Timing& timing) {
  return short_number(timing.median_ns * 1e-6);
}

/// Of what was measured; `exact` for machines.
Table measured_table(std::span<const CoExecutionMeasured> measured, bool exact) {
  Table table{"Measured latency",
              {{"network"},
               {"shared ms", true},
               {"as planned ms", true},
               {"CPU alone ms", true},
               {"CPU alone / shared", true},
               {"predicted ms", true}},
              {}};
  if (exact)
    table.columns = {{"name"},
                     {"measured_ms", true},
                     {"measured_as_planned_ms", true},
                     {"measured_cpu_alone_ms", true},
                     {"speedup", true},
                     {"latency_ms", true}};
  for (const CoExecutionMeasured& m : measured) {
    const double ms = m.predicted.prediction.latency.ms;
    const double speedup = m.cpu_alone.median_ns / m.shared.median_ns;
    std::vector<std::string> row{m.predicted.network.name};
    for (const Timing* timing : {&m.shared, &m.planned, &m.cpu_alone})
      row.push_back(exact ? fmt::format("{:.6g}", timing->median_ns * 1e-6) : ms_of(*timing));
    row.push_back(fmt::format("{:.2f}", speedup));
    row.push_back(exact ? fmt::format("{:.6g}", ms) : short_number(ms));
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table measured_layer_table(std::span<const ConfirmedSplit> splits) {
  Table table{"Fastest splits of layers, measured",
              {{"operator"},
               {"CPU channels", true},
               {"ms", true},
               {"planned", true},
               {"planned ms", true},
               {"CPU alone ms", true}},
              {}};
  for (const ConfirmedSplit& split : splits)
    table.rows.push_back({text(split.op),
                          fmt::format("{} of {}", split.cpu_channels, split.op.output().c),
                          ms_of(split.fastest), fmt::to_string(split.planned_cpu_channels),
                          ms_of(split.planned), ms_of(split.cpu_alone)});
  return table;
}

nlohmann::json to_contract(const CoExecutionMeasured& measured) {
  const auto timing = [](const Timing& t) {
    return nlohmann::json{{"median_ms", t.median_ns * 1e-6},
                          {"low_ms", t.low_ns * 1e-6},
                          {"high_ms", t.high_ns * 1e-6},
                          {"samples", t.samples_ns.size()}};
  };
  nlohmann::json ops = nlohmann::json::array();
  for (const ConfirmedSplit& split : measured.splits)
    ops.push_back({{"op", text(split.op)},
                   {"channels", split.op.output().c},
                   {"cpu_channels", split.cpu_channels},
                   {"measured", timing(split.fastest)},
                   {"planned_cpu_channels", split.planned_cpu_channels},
                   {"measured_as_planned", timing(split.planned)},
                   {"measured_cpu_alone", timing(split.cpu_alone)}});
  const LatencyEstimate& latency = measured.predicted.prediction.latency;
  return {{"name", measured.predicted.network.name},
          {"latency_ms", latency.ms},
          {"latency_low_ms", latency.low_ms},
          {"latency_high_ms", latency.high_ms},
          {"measured", timing(measured.shared)},
          {"measured_as_planned", timing(measured.planned)},
          {"measured_cpu_alone", timing(measured.cpu_alone)},
          {"ops", std::move(ops)}};
}

}  // namespace

void print_co_execution(const Terminal& terminal, const std::vector<CoExecutionMeasured>& measured,
                        Format format, bool by_layer) {
  if (format == Format::json) {
    nlohmann::json list = nlohmann::json::array();
    for (const CoExecutionMeasured& m : measured) list.push_back(to_contract(m));
    return print_json(terminal, list);
  }
  terminal.print(measured_table(measured, format == Format::csv), format);
  if (format == Format::csv || !by_layer) return;
  for (const CoExecutionMeasured& m : measured) {
    terminal.print("\n");
    terminal.line(m.predicted.network.name + ": the fastest splits of its layers, each alone");
    terminal.print(measured_layer_table(m.splits), format);
  }
}

void print_co_execution(const Terminal& terminal, const CoExecutionPredictor& predictor,
                        const std::vector<CoExecuted>& predicted, Format format, bool by_layer) {
  if (format == Format::json) {
    nlohmann::json list = nlohmann::json::array();
    for (const CoExecuted& p : predicted) list.push_back(to_contract(predictor, p));
    return print_json(terminal, list);
  }
  std::vector<SharedNetwork> networks;
  for (const CoExecuted& p : predicted) networks.push_back(summarise(p.network.name, p.prediction));
  if (format == Format::csv)
    return terminal.print(csv_table(networks, source_of(predictor)), format);
  Table table = co_execution_table(networks);
  table.caption = "Predicted latency";
  terminal.print(table, format);
  if (predictor.coprocessor.evidence != Evidence::measured)
    terminal.line("predicted from published latencies, none was measured");
  if (!by_layer) return;
  for (const CoExecuted& p : predicted) {
    terminal.print("\n");
    terminal.line(p.network.name + ": how its layers are split");
    terminal.print(layer_table(p.prediction), format);
  }
}

}  // namespace cpubone::cli
