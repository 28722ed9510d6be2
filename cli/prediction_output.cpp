#include "cli/prediction_output.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "predictor/suggestions.hpp"

namespace cpubone::cli {
namespace {

double gmacps(std::int64_t macs, double ms) {
  return ms > 0 ? static_cast<double>(macs) * 1e-6 / ms : 0;
}

/// Operators of a prediction that are shown as one.
struct Part {
  std::string name;
  std::int64_t macs = 0;
  LatencyTerms terms;
  std::array<double, bound_count> bound_ns{};
};

std::string interval_text(const LatencyEstimate& e) {
  return with_interval({e.ms, e.low_ms, e.high_ms});
}

Table breakdown(const Predictor& predictor, const Predicted& p, bool by_operator) {
  std::vector<Part> parts;
  for (const OpPrediction& op : p.prediction.ops) {
    const std::string name = by_operator ? text(op.op) : op.stage;
    auto part = std::find_if(parts.begin(), parts.end(),
                             [&](const Part& known) { return known.name == name; });
    if (part == parts.end()) part = parts.insert(parts.end(), Part{name, 0, {}, {}});
    part->macs += macs(op.op);
    part->terms += terms(predictor, op.op);
    part->bound_ns.at(static_cast<std::size_t>(op.bound)) += op.latency_ns;
  }
  if (by_operator)
    std::stable_sort(parts.begin(), parts.end(),
                     [](const Part& a, const Part& b) { return a.terms.ops_ns > b.terms.ops_ns; });
  const double best = predictor.best_macps;
  Table table{"Where the time goes",
              {{by_operator ? "operator" : "stage"},
               {"MACs M", true},
               {"ms (90 % interval)", true},
               {"share", true},
               {"GMACpS", true},
               {"bound"},
               {"ms at best MACpS", true}},
              {}};
  // Of devices that were not measured the peak is not known.
  const bool known_peak = predictor.roofline.f32_macps > 0;
  if (known_peak) table.columns.push_back({"of peak", true});
  for (const Part& part : parts) {
    const LatencyEstimate latency = combine_part(part.terms);
    const auto most = std::max_element(part.bound_ns.begin(), part.bound_ns.end());
    table.rows.push_back({part.name, fmt::format("{:.2f}", static_cast<double>(part.macs) * 1e-6),
                          interval_text(latency),
                          percent_text(latency.ms / p.prediction.latency.ms),
                          short_number(gmacps(part.macs, latency.ms)),
                          std::string(name(static_cast<Bound>(most - part.bound_ns.begin()))),
                          short_number(static_cast<double>(part.macs) / best * 1e3)});
    if (known_peak)
      table.rows.back().push_back(percent_text(static_cast<double>(part.macs) /
                                               (latency.ms * 1e-3 * predictor.roofline.f32_macps)));
  }
  return table;
}

Table suggestion_table(const Predicted& p, const std::vector<Suggestion>& found) {
  Table table{"Changes that would save time",
              {{"change"},
               {"operators", true},
               {"ms saved", true},
               {"share", true},
               {"MACs M saved", true}},
              {}};
  for (const Suggestion& s : found)
    table.rows.push_back({s.change, fmt::to_string(s.operators), short_number(s.saved_ms),
                          percent_text(s.saved_ms / p.prediction.latency.ms),
                          fmt::format("{:.1f}", static_cast<double>(s.saved_macs) * 1e-6)});
  return table;
}

/// Nodes of the model that an operator does the work of.
std::vector<std::string> made_of(const Predicted& p, const OpPrediction& op) {
  const auto sources = p.sources.find(op.node);
  return sources == p.sources.end() ? std::vector{op.node} : sources->second;
}

/// What became of the nodes of a model, and what runs it.
Table provenance_table(const Predicted& p) {
  Table table{"What runs",
              {{"operator"}, {"made of"}, {"engine"}, {"ms", true}, {"share", true}, {"bound"}},
              {}};
  const double all_ns = p.prediction.latency.ms * 1e6;
  for (const OpPrediction& op : p.prediction.ops) {
    table.rows.push_back({text(op.op), fmt::format("{}", fmt::join(made_of(p, op), ", ")),
                          op.engine, short_number(op.latency_ns * 1e-6),
                          percent_text(op.latency_ns / all_ns), std::string(name(op.bound))});
  }
  return table;
}

nlohmann::json prediction_json(const Predictor& predictor, const Predicted& p) {
  const LatencyEstimate& latency = p.prediction.latency;
  const double best = predictor.best_macps;
  const bool known_peak = predictor.roofline.f32_macps > 0;
  nlohmann::json ops = nlohmann::json::array();
  for (const OpPrediction& op : p.prediction.ops)
    ops.push_back({{"op", text(op.op)},
                   {"made_of", made_of(p, op)},
                   {"node", op.node},
                   {"stage", op.stage},
                   {"engine", op.engine},
                   {"macs", macs(op.op)},
                   {"latency_ms", op.latency_ns * 1e-6},
                   {"spread_ms", op.spread_ns * 1e-6},
                   {"share", op.latency_ns * 1e-6 / latency.ms},
                   {"gmacps", gmacps(macs(op.op), op.latency_ns * 1e-6)},
                   {"bound", name(op.bound)},
                   {"beyond_measured", op.beyond_measured},
                   {"share_of_peak", known_peak ? nlohmann::json(share_of_peak(
                                                      predictor.roofline, op.op, op.latency_ns))
                                                : nlohmann::json()},
                   {"at_best_macps_ms", static_cast<double>(macs(op.op)) / best * 1e3}});
  nlohmann::json changes = nlohmann::json::array();
  for (const Suggestion& s : suggestions(predictor, p.network))
    changes.push_back({{"change", s.change},
                       {"operators", s.operators},
                       {"saved_ms", s.saved_ms},
                       {"saved_macs", s.saved_macs}});
  return {{"name", p.network.name},
          {"params", params(p.network)},
          {"macs", macs(p.network)},
          {"latency_ms", latency.ms},
          {"latency_low_ms", latency.low_ms},
          {"latency_high_ms", latency.high_ms},
          {"gmacps", gmacps(macs(p.network), latency.ms)},
          {"at_best_macps_ms", p.prediction.at_best_macps_ms},
          {"source", "predicted"},
          {"ops", std::move(ops)},
          {"changes", std::move(changes)}};
}

/// Warns of a network that leaves the range of what the device's profile has.
void warn_beyond_measured(const Terminal& terminal, const Predicted& p) {
  const OpPrediction* largest = nullptr;
  double ns = 0;
  for (const OpPrediction& op : p.prediction.ops) {
    if (!op.beyond_measured) continue;
    ns += op.latency_ns;
    if (largest == nullptr || op.latency_ns > largest->latency_ns) largest = &op;
  }
  constexpr double worth_telling = 0.05;
  const double share = ns * 1e-6 / p.prediction.latency.ms;
  if (share < worth_telling) return;
  terminal.warn(fmt::format(
      "{}: {} of its latency is of operators of other kinds or sizes than any that was measured on "
      "the device, {} most of all; there the prediction is extrapolated",
      p.network.name, percent_text(share), text(largest->op)));
}

}  // namespace

void print_json(const Terminal& terminal, const nlohmann::json& json) {
  terminal.print(json.dump(1) + "\n");
}

void print_predictions(const Terminal& terminal, const Predictor& predictor,
                       const std::vector<Predicted>& predicted, Format format,
                       const std::string& by, bool explains) {
  for (const Predicted& p : predicted) warn_beyond_measured(terminal, p);
  if (format == Format::json) {
    nlohmann::json list = nlohmann::json::array();
    for (const Predicted& p : predicted) list.push_back(prediction_json(predictor, p));
    return print_json(terminal, list);
  }
  const bool csv = format == Format::csv;
  Table table{"Predicted latency", {}, {}};
  if (csv)
    table.columns = {{"name"},
                     {"params", true},
                     {"macs", true},
                     {"latency_ms", true},
                     {"latency_low_ms", true},
                     {"latency_high_ms", true},
                     {"gmacps", true},
                     {"at_best_macps_ms", true},
                     {"source"}};
  else
    table.columns = {{"network"},      {"params M", true},
                     {"MACs M", true}, {"ms (90 % interval)", true},
                     {"GMACpS", true}, {"ms at best MACpS", true}};
  for (const Predicted& p : predicted) {
    const LatencyEstimate& t = p.prediction.latency;
    const double speed = gmacps(macs(p.network), t.ms);
    if (csv)
      table.rows.push_back({p.network.name, fmt::to_string(params(p.network)),
                            fmt::to_string(macs(p.network)), fmt::format("{:.6g}", t.ms),
                            fmt::format("{:.6g}", t.low_ms), fmt::format("{:.6g}", t.high_ms),
                            fmt::format("{:.6g}", speed),
                            fmt::format("{:.6g}", p.prediction.at_best_macps_ms), "predicted"});
    else
      table.rows.push_back(
          {p.network.name, fmt::format("{:.2f}", static_cast<double>(params(p.network)) * 1e-6),
           fmt::format("{:.1f}", static_cast<double>(macs(p.network)) * 1e-6), interval_text(t),
           short_number(speed), short_number(p.prediction.at_best_macps_ms)});
  }
  terminal.print(table, format);
  if (csv) return;
  const bool breaks_down = by != "none" && (by != "auto" || predicted.size() == 1 || explains);
  for (const Predicted& p : predicted) {
    if (breaks_down && by != "op") {
      terminal.print("\n");
      terminal.line(p.network.name + " by stage");
      terminal.print(breakdown(predictor, p, false), format);
    }
    if (breaks_down && by != "stage") {
      terminal.print("\n");
      terminal.line(p.network.name + " by operator");
      terminal.print(breakdown(predictor, p, true), format);
    }
    if (explains) {
      terminal.print("\n");
      terminal.line(p.network.name + ": what runs, in order");
      terminal.print(provenance_table(p), format);
      const std::vector<Suggestion> found = suggestions(predictor, p.network);
      terminal.print("\n");
      terminal.line(found.empty() ? "No change of its operators alone is predicted to make " +
                                        p.network.name + " a hundredth faster."
                                  : "Changes that would make " + p.network.name +
                                        " faster, as predicted; their accuracy is not known");
      if (!found.empty()) terminal.print(suggestion_table(p, found), format);
    }
  }
}

}  // namespace cpubone::cli
