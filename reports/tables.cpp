#include "reports/tables.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "reports/summary.hpp"
#include "reports/words.hpp"

namespace cpubone {
std::string latency_cell(const ResultNetwork& network) {
  const auto latency = latency_ms(network);
  if (!latency) return "–";
  if (latency_source(network) == "disturbed")
    return fmt::format("{} (disturbed)", short_number(latency->value));
  return with_interval(*latency);
}

std::string top1_cell(const ResultNetwork& network) {
  if (!network.top1) return "–";
  const Interval& top = network.top1->percent;
  if (!network.top1->estimated) return fmt::format("{:.1f}", top.value);
  return fmt::format("≈ {:.1f} ({:.1f}–{:.1f})", top.value, top.low, top.high);
}

namespace {

/// The networks that a proposal is better than, with the probability that it is as accurate.
std::string better_cell(const ResultNetwork& network, const Result& result) {
  std::vector<std::string> cells;
  for (const std::string& other : network.better_than) {
    const ResultNetwork* n = find_network(result, other);
    cells.push_back(
        n != nullptr && n->top1 && network.top1
            ? fmt::format("{} ({})", other,
                          probability_text(probability_of(*network.top1, n->top1->percent.value)))
            : other);
  }
  return fmt::format("{}", fmt::join(cells, ", "));
}

/// The most accurate published network that is as fast as a proposal, with the probability that
/// the proposal is as accurate.
std::string rival_cell(const ResultNetwork& network, const Result& result) {
  if (network.origin != Origin::proposal) return "–";
  const ResultNetwork* rival = nullptr;
  for (const ResultNetwork& n : result.networks)
    if (n.origin == Origin::published && comparable(n) &&
        latency_ms(n)->value <= latency_ms(network)->value &&
        (rival == nullptr || n.top1->percent.value > rival->top1->percent.value))
      rival = &n;
  if (rival == nullptr) return "none is";
  return fmt::format("{} ({})", rival->name,
                     probability_text(probability_of(*network.top1, rival->top1->percent.value)));
}

std::string optional_cell(const std::optional<double>& value) {
  return value ? short_number(*value) : "–";
}

/// Whether it stands among the published that are worth comparing with: CPUBone's, a user's own,
/// and those that no published network beats in latency and top-1.
bool is_competitor(const ResultNetwork& network, const Result& result) {
  if (network.family == "CPUBone" || network.family == "own") return true;
  if (!comparable(network)) return false;
  return std::none_of(result.networks.begin(), result.networks.end(),
                      [&](const ResultNetwork& other) {
                        return other.origin == Origin::published && comparable(other) &&
                               latency_ms(other)->value < latency_ms(network)->value &&
                               other.top1->percent.value >= network.top1->percent.value;
                      });
}

std::string limit_text(const SearchLimit& limit) {
  return fmt::format("{} at {} {:g} {}", limit.objective,
                     limit.objective == "top1" ? "least" : "most", limit.limit, limit.unit);
}

std::string bytes_cell(std::int64_t bytes) {
  return bytes == 0 ? "–" : fmt::format("{:.1f} MiB", static_cast<double>(bytes) / 1048576.0);
}

std::string plain(double value) {
  return fmt::format("{:.6g}", value);
}

std::string cell_text(const nlohmann::json& cell) {
  if (cell.is_null()) return "–";
  if (cell.is_string()) return cell.get<std::string>();
  if (cell.is_boolean()) return cell.get<bool>() ? "yes" : "no";
  if (cell.is_number_float()) return short_number(cell.get<double>());
  return cell.dump();
}

}  // namespace

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
               {"faster than (probability)"}},
              {}};
  const auto measured = [](const ResultNetwork& n) {
    if (!n.measured_ms) return std::string();
    const Interval& ms = n.measured_ms->ms;
    return is_measured(n) ? fmt::format("{:.2f} ± {:.2f}", ms.value, 0.5 * (ms.high - ms.low))
                          : fmt::format("{:.2f} (disturbed)", ms.value);
  };
  for (const ResultNetwork* n : by_latency(result)) {
    if (n->origin != Origin::proposal && !is_competitor(*n, result)) continue;
    table.rows.push_back(
        {n->name, n->description,
         n->top1 ? fmt::format("{}{:.1f}", n->top1->estimated ? "~" : "", n->top1->percent.value)
                 : "",
         fmt::format("{:.1f}", static_cast<double>(n->params) * 1e-6),
         fmt::format("{:.0f}", static_cast<double>(n->macs) * 1e-6),
         n->predicted_ms ? fmt::format("{:.2f}", n->predicted_ms->value) : "", measured(*n),
         n->gmacps ? fmt::format("{:.1f}", *n->gmacps) : "", better_cell(*n, result)});
  }
  return table;
}

Table choice_table(const Result& result) {
  Table table{"Fastest network at each accuracy",
              {{"At least"},
               {"Use"},
               {"Latency ms", true},
               {"Top-1 %", true},
               {"Parameters", true},
               {"MACs", true},
               {"GMACpS", true},
               {"Fastest published"},
               {"Its latency ms", true}},
              {}};
  for (const Choice& choice : fastest_at_each_accuracy(result)) {
    const ResultNetwork& network = *choice.fastest;
    const bool same = choice.published == choice.fastest;
    table.rows.push_back(
        {fmt::format("{:.0f} %", choice.at_least), network.name, latency_cell(network),
         top1_cell(network), millions(network.params), millions(network.macs),
         optional_cell(network.gmacps),
         choice.published == nullptr ? "none"
         : same                      ? "the same"
                                     : choice.published->name,
         choice.published == nullptr || same ? "–" : latency_cell(*choice.published)});
  }
  return table;
}

Table network_table(const Result& result) {
  Table table{"All networks",
              {{"Network"},
               {"Family"},
               {"Origin"},
               {"Latency ms", true},
               {"How"},
               {"Top-1 %", true},
               {"Parameters", true},
               {"MACs", true},
               {"Weights", true},
               {"Activations", true},
               {"Samples", true}},
              {}};
  for (const ResultNetwork* network : by_latency(result))
    table.rows.push_back(
        {network->name, network->family, std::string(name(network->origin)), latency_cell(*network),
         latency_ms(*network) ? std::string(latency_source(*network)) : "–", top1_cell(*network),
         millions(network->params), millions(network->macs), bytes_cell(network->weight_bytes),
         bytes_cell(network->peak_activation_bytes),
         network->measured_ms ? fmt::to_string(network->measured_ms->samples) : "–"});
  return table;
}

Table front_table(const Result& result) {
  Table table{"Networks on the front",
              {{"Network"},
               {"Latency ms", true},
               {"How"},
               {"Top-1 %", true},
               {"GMACpS", true},
               {"As accurate as the best published one that is as fast (probability)"}},
              {}};
  for (const ResultNetwork* network : front(result))
    table.rows.push_back({network->name, latency_cell(*network),
                          std::string(latency_source(*network)), top1_cell(*network),
                          optional_cell(network->gmacps), rival_cell(*network, result)});
  return table;
}

Table macs_table(const Result& result) {
  Table table{"MACs, MACpS and the latency that they make",
              {{"Network"}, {"MACs", true}, {"GMACpS", true}, {"Latency ms", true}},
              {}};
  const std::optional<double> peak = peak_gmacps(result);
  if (peak) table.columns.push_back({"Of the CPU's peak", true});
  for (const ResultNetwork* network : by_latency(result)) {
    if (!network->gmacps) continue;
    table.rows.push_back({network->name, millions(network->macs), optional_cell(network->gmacps),
                          latency_cell(*network)});
    if (peak) table.rows.back().push_back(fmt::format("{:.0f} %", 100 * *network->gmacps / *peak));
  }
  return table;
}

Table prediction_table(const Result& result) {
  Table table{"Predicted and measured latency",
              {{"Network"},
               {"Measured ms", true},
               {"Predicted ms", true},
               {"Error", true},
               {"In the interval"}},
              {}};
  for (const ResultNetwork* network : by_latency(result)) {
    if (!network->measured_ms || !network->predicted_ms) continue;
    const double measured = network->measured_ms->ms.value;
    const Interval& predicted = *network->predicted_ms;
    const bool inside = measured >= predicted.low && measured <= predicted.high;
    table.rows.push_back({network->name, latency_cell(*network), with_interval(predicted),
                          fmt::format("{:+.1f} %", (predicted.value / measured - 1) * 100),
                          inside ? "yes" : "no"});
  }
  return table;
}

Table predictor_class_table(const Result& result) {
  Table table{"Prediction error by class of operator",
              {{"Class"}, {"Operators", true}, {"Error, fitted", true}, {"Error, held out", true}},
              {}};
  if (!result.predictor) return table;
  const auto cell = [](const std::optional<double>& e) { return e ? percent_text(*e) : "–"; };
  for (const ClassError& row : result.predictor->classes)
    table.rows.push_back(
        {row.op_class, fmt::to_string(row.operators), cell(row.train_mape), cell(row.test_mape)});
  return table;
}

Table rebuilt_table(const Result& result) {
  Table table{"Rebuilt networks and their published figures",
              {{"Network"},
               {"Parameters M", true},
               {"published", true},
               {"MACs M", true},
               {"published", true},
               {"Latency ms", true},
               {"Top-1 % published", true}},
              {}};
  for (const ResultNetwork* network : by_latency(result)) {
    if (!network->published) continue;
    table.rows.push_back({network->name,
                          fmt::format("{:.2f}", static_cast<double>(network->params) / 1e6),
                          optional_cell(network->published->params_m),
                          fmt::format("{:.1f}", static_cast<double>(network->macs) / 1e6),
                          optional_cell(network->published->macs_m), latency_cell(*network),
                          optional_cell(network->published->top1)});
  }
  return table;
}

Table published_latency_table(const Result& result) {
  Table table{"Latencies as published",
              {{"Network"},
               {"Device"},
               {"Runtime"},
               {"Threads", true},
               {"Latency ms", true},
               {"Here ms", true},
               {"Source"}},
              {}};
  for (const ResultNetwork* network : by_latency(result)) {
    if (!network->published) continue;
    for (const PublishedLatency& row : network->published->latency)
      table.rows.push_back({network->name, row.device, row.runtime.empty() ? "–" : row.runtime,
                            row.threads.empty() ? "–" : row.threads, short_number(row.latency_ms),
                            latency_cell(*network), row.source});
  }
  return table;
}

Table breakdown_table(const Result& result) {
  Table table{"Time by stage and class",
              {{"Network"},
               {"Stage"},
               {"Class"},
               {"MACs", true},
               {"Latency ms", true},
               {"Share", true},
               {"Bound by"}},
              {}};
  for (const ResultNetwork* network : by_latency(result)) {
    double total = 0;
    for (const BreakdownRow& row : network->breakdown) total += row.latency_ms;
    const auto add = [&](const BreakdownRow& row, const std::string& bound) {
      table.rows.push_back({network->name, row.stage, row.op_class, millions(row.macs),
                            short_number(row.latency_ms),
                            total > 0 ? percent_text(row.latency_ms / total) : "–", bound});
    };
    // Most of hundreds of parts matter to nobody; together they are a row.
    constexpr double small_share = 0.02;
    int small = 0;
    BreakdownRow rest{"all", "", 0, 0, Bound::compute};
    for (const BreakdownRow& row : network->breakdown) {
      if (row.latency_ms >= small_share * total) {
        add(row, std::string(name(row.bound)));
        continue;
      }
      ++small;
      rest.macs += row.macs;
      rest.latency_ms += row.latency_ms;
    }
    rest.op_class = fmt::format("{} below {:.0f} % each", small, 100 * small_share);
    if (small > 0) add(rest, "–");
  }
  return table;
}

Table proposal_table(const Result& result) {
  Table table{"Proposals",
              {{"Network"},
               {"Configuration"},
               {"Latency ms", true},
               {"Top-1 %", true},
               {"Nearest"},
               {"What differs"},
               {"Better than (probability)"}},
              {}};
  for (const ResultNetwork* network : by_latency(result)) {
    if (network->origin != Origin::proposal) continue;
    table.rows.push_back({network->name, network->description, latency_cell(*network),
                          top1_cell(*network), network->nearest, network->difference,
                          better_cell(*network, result)});
  }
  return table;
}

Table study_table(const Study& study) {
  Table table{statement(study, {}).title, {}, {}};
  for (std::size_t i = 0; i < study.columns.size(); ++i) {
    const auto is_number = [&](const auto& row) { return row[i].is_number() || row[i].is_null(); };
    table.columns.push_back(
        {title(study.columns[i]), std::all_of(study.rows.begin(), study.rows.end(), is_number)});
  }
  for (const auto& row : study.rows) {
    table.rows.emplace_back();
    for (const auto& cell : row) table.rows.back().push_back(cell_text(cell));
  }
  return table;
}

Table co_execution_table(std::span<const SharedNetwork> networks) {
  Table table{"Predicted latency with shared layers, and on the CPU alone",
              {{"network"},
               {"ms (90 % interval)", true},
               {"CPU alone ms (90 % interval)", true},
               {"CPU alone / shared", true},
               {"layers shared", true},
               {"on the coprocessor", true},
               {"on the CPU", true}},
              {}};
  for (const SharedNetwork& n : networks)
    table.rows.push_back({n.name, with_interval(n.predicted_ms), with_interval(n.cpu_alone_ms),
                          fmt::format("{:.2f}", n.cpu_alone_ms.value / n.predicted_ms.value),
                          fmt::to_string(n.shared_layers), fmt::to_string(n.coprocessor_layers),
                          fmt::to_string(n.cpu_layers)});
  return table;
}

Table device_table(const Result& result) {
  const ResultDevice& device = result.device;
  Table table{"Device and measuring conditions", {{"What"}, {"Value"}}, {}};
  table.rows = {{"device", device.name},
                {"model", device.model.empty() ? "–" : device.model},
                {"latencies", std::string(name(device.evidence))},
                {"runtime", device.runtime.empty() ? "–" : device.runtime},
                {"threads", fmt::to_string(device.threads)},
                {"precision", device.precision.empty() ? "–" : precision_text(device)}};
  for (const Labelled& line : device.conditions) table.rows.push_back({line.label, line.text});
  if (result.predictor) {
    table.rows.push_back(
        {"operators measured", fmt::format("{} in {:.0f} s", result.predictor->operators_measured,
                                           result.predictor->profile_seconds)});
  }
  if (result.search) {
    table.rows.push_back(
        {"search", fmt::format("{}: {} evaluations, {} distinct networks", result.search->algorithm,
                               result.search->evaluations, result.search->distinct)});
    for (const SearchLimit& limit : result.search->limits)
      table.rows.push_back({"limit", limit_text(limit)});
  }
  if (const auto& accuracy = result.accuracy_model) {
    std::string text = fmt::format("{}; {} points", accuracy->description, accuracy->points);
    if (accuracy->loo_mae)
      text += fmt::format("; off by {:.2f} points leaving one network out", *accuracy->loo_mae);
    if (accuracy->family_mae)
      text += fmt::format("; {:.2f} leaving one family out", *accuracy->family_mae);
    if (!accuracy->note.empty()) text += "; " + accuracy->note;
    table.rows.push_back({"accuracy model", text});
  }
  table.rows.push_back({"made", result.created});
  table.rows.push_back({"cpubone", result.tool_version});
  table.rows.push_back({"seed", fmt::to_string(result.seed)});
  return table;
}

Table pareto_table(std::span<const Result> results) {
  Table table{"Fronts", {}, {}};
  for (const char* title :
       {"device", "network", "family", "origin", "latency_ms", "latency_low_ms", "latency_high_ms",
        "latency_kind", "top1_percent", "top1_low_percent", "top1_high_percent",
        "top1_assured_percent", "top1_kind", "params", "macs", "gmacps", "description"})
    table.columns.push_back({title});
  const std::vector<std::string> names = result_names(results);
  for (std::size_t i = 0; i < results.size(); ++i) {
    for (const ResultNetwork* network : front(results[i])) {
      const Interval latency = *latency_ms(*network);
      // A single sample has no interval.
      const auto bound = [&](double end) { return latency.low < latency.high ? plain(end) : ""; };
      const Interval& accuracy = network->top1->percent;
      table.rows.push_back(
          {names[i], network->name, network->family, std::string(name(network->origin)),
           plain(latency.value), bound(latency.low), bound(latency.high),
           std::string(latency_source(*network)), plain(accuracy.value), plain(accuracy.low),
           plain(accuracy.high), plain(assured(*network->top1)),
           network->top1->estimated ? "estimated" : "published", fmt::to_string(network->params),
           fmt::to_string(network->macs), network->gmacps ? plain(*network->gmacps) : "",
           network->description});
    }
  }
  return table;
}

}  // namespace cpubone
