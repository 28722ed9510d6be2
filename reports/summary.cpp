#include "reports/summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace cpubone {
namespace {

bool comparable(const ResultNetwork& network) {
  return network.top1.has_value() && latency_ms(network).has_value();
}

double ms(const ResultNetwork& network) {
  return latency_ms(network)->value;
}
double top1(const ResultNetwork& network) {
  return network.top1->percent.value;
}

std::string_view source(const ResultNetwork& network) {
  return network.measured_ms ? "measured" : "predicted";
}

const ResultNetwork* fastest(const Result& result, double at_least, bool published_only) {
  const ResultNetwork* best = nullptr;
  for (const ResultNetwork& network : result.networks) {
    if (!comparable(network) || top1(network) < at_least) continue;
    if (published_only && network.origin != Origin::published) continue;
    if (best == nullptr || ms(network) < ms(*best)) best = &network;
  }
  return best;
}

std::string latency_cell(const ResultNetwork& network) {
  const auto latency = latency_ms(network);
  return latency ? with_interval(*latency) : "–";
}

std::string top1_cell(const ResultNetwork& network) {
  if (!network.top1) return "–";
  const Interval& top = network.top1->percent;
  if (!network.top1->estimated) return fmt::format("{:.1f}", top.value);
  return fmt::format("≈ {:.1f} ({:.1f}–{:.1f})", top.value, top.low, top.high);
}

std::string optional_cell(const std::optional<double>& value) {
  return value ? short_number(*value) : "–";
}

std::string bytes_cell(std::int64_t bytes) {
  return bytes == 0 ? "–" : fmt::format("{:.1f} MiB", static_cast<double>(bytes) / 1048576.0);
}

std::vector<const ResultNetwork*> by_latency(const Result& result) {
  std::vector<const ResultNetwork*> networks;
  for (const ResultNetwork& network : result.networks) networks.push_back(&network);
  const auto key = [](const ResultNetwork* network) {
    const auto latency = latency_ms(*network);
    return latency ? latency->value : std::numeric_limits<double>::infinity();
  };
  std::stable_sort(networks.begin(), networks.end(),
                   [&](const auto* a, const auto* b) { return key(a) < key(b); });
  return networks;
}

/// Faster by how much, and whether the intervals allow to say so.
std::string faster_text(const ResultNetwork& network, const ResultNetwork& other) {
  const double saved = 1 - ms(network) / ms(other);
  if (latency_ms(network)->high >= latency_ms(other)->low)
    return fmt::format("{:.0f} % faster (but within the intervals)", saved * 100);
  return fmt::format("{:.0f} % faster", saved * 100);
}

std::string choice_sentence(const Result& result) {
  // The proposal that gains most over the fastest published network of at least its accuracy. A
  // rival that is more than half a point better is another class of network: it counts last.
  constexpr double near_points = 0.5;
  const ResultNetwork* best = nullptr;
  const ResultNetwork* rival = nullptr;
  bool best_is_near = false;
  for (const ResultNetwork* network : front(result)) {
    if (network->origin != Origin::proposal) continue;
    // Published accuracies have one decimal: 83.1 % is no less than an estimate of 83.14 %.
    const ResultNetwork* other = fastest(result, std::floor(10 * top1(*network) + 1e-9) / 10, true);
    if (other == nullptr) continue;
    const bool is_near = top1(*other) - top1(*network) <= near_points;
    const bool gains_more = best == nullptr || ms(*network) / ms(*other) < ms(*best) / ms(*rival);
    if (best != nullptr && (is_near == best_is_near ? !gains_more : !is_near)) continue;
    best = network;
    rival = other;
    best_is_near = is_near;
  }
  if (best != nullptr && ms(*best) < ms(*rival))
    return fmt::format(
        "Use {}: {} ms at {} {:.1f} % top-1, {} than {}, the fastest published network that is at "
        "least as accurate ({} ms, {:.1f} %).",
        best->name, short_number(ms(*best)), best->top1->estimated ? "an estimated" : "a published",
        top1(*best), faster_text(*best, *rival), rival->name, short_number(ms(*rival)),
        top1(*rival));
  const auto choices = fastest_at_each_accuracy(result);
  if (choices.empty())
    return "No network here has both a latency and an accuracy, so none can be recommended.";
  const Choice& middle = choices[choices.size() / 2];
  return fmt::format(
      "Use {}: {} ms at {:.1f} % top-1 is the fastest of these networks that reaches {:.0f} %; no "
      "proposal is faster than the published networks of its accuracy.",
      middle.fastest->name, short_number(ms(*middle.fastest)), top1(*middle.fastest),
      middle.at_least);
}

std::string trust_sentence(const Result& result) {
  const auto measured = std::count_if(result.networks.begin(), result.networks.end(),
                                      [](const auto& n) { return n.measured_ms.has_value(); });
  std::string latency;
  if (result.device.evidence == Evidence::calibrated)
    latency = "Latencies are predicted from a calibration to published ones";
  else if (result.device.evidence == Evidence::adapted)
    latency =
        "Latencies are predicted from another device's, adapted by few operators measured here";
  else if (result.device.evidence == Evidence::description)
    latency = "Latencies are predicted from the device's description alone";
  else
    latency = fmt::format("Latencies of {} of {} networks were measured here", measured,
                          result.networks.size());
  double widest = 0;
  for (const ResultNetwork& network : result.networks)
    if (network.top1 && network.top1->estimated)
      widest = std::max(widest, (network.top1->percent.high - network.top1->percent.low) / 2);
  if (widest == 0) return latency + ", accuracies are the published ones.";
  return fmt::format(
      "{}; accuracies of proposals are estimated (± {:.1f} points), none was trained, so train "
      "before relying on a smaller difference.",
      latency, widest);
}

std::string macps_sentence(const Result& result) {
  const ResultNetwork* low = nullptr;
  const ResultNetwork* high = nullptr;
  double total_ns = 0;
  double total_macs = 0;
  for (const ResultNetwork& network : result.networks) {
    if (!network.gmacps || *network.gmacps <= 0 || !latency_ms(network)) continue;
    if (low == nullptr || *network.gmacps < *low->gmacps) low = &network;
    if (high == nullptr || *network.gmacps > *high->gmacps) high = &network;
    total_ns += ms(network) * 1e6;
    total_macs += static_cast<double>(network.macs);
  }
  if (low == high || total_ns == 0)
    return "Latency is MACs over MACpS: compare networks by both, not by MACs.";
  const double constant = total_macs / total_ns;  // GMACpS that fits all of them together
  std::vector<double> errors;
  for (const ResultNetwork& network : result.networks)
    if (network.gmacps && *network.gmacps > 0 && latency_ms(network))
      errors.push_back(
          std::abs(static_cast<double>(network.macs) / constant / 1e6 / ms(network) - 1));
  const double mean =
      std::accumulate(errors.begin(), errors.end(), 0.0) / static_cast<double>(errors.size());
  return fmt::format(
      "Do not go by MACs: this CPU reaches {} GMACpS on {} and {} on {}, and one MACpS for all of "
      "them would miss their latencies by {:.0f} % on average.",
      short_number(*high->gmacps), high->name, short_number(*low->gmacps), low->name, mean * 100);
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

std::vector<Choice> fastest_at_each_accuracy(const Result& result) {
  double low = 100;
  double high = 0;
  for (const ResultNetwork& network : result.networks) {
    if (!comparable(network)) continue;
    low = std::min(low, top1(network));
    high = std::max(high, top1(network));
  }
  std::vector<Choice> choices;
  for (int at_least = static_cast<int>(std::floor(low)); at_least <= high; ++at_least) {
    const Choice choice{double(at_least), fastest(result, at_least, false),
                        fastest(result, at_least, true)};
    if (choice.fastest == nullptr) continue;
    if (!choices.empty() && choices.back().fastest == choice.fastest)
      choices.back() = choice;  // one row a network: the highest accuracy that it serves
    else
      choices.push_back(choice);
  }
  return choices;
}

std::vector<const ResultNetwork*> front(const Result& result) {
  std::vector<const ResultNetwork*> networks;
  if (!result.front.empty()) {
    for (const std::string& name : result.front) {
      const ResultNetwork* network = find_network(result, name);
      if (network != nullptr && comparable(*network)) networks.push_back(network);
    }
    std::stable_sort(networks.begin(), networks.end(),
                     [](const auto* a, const auto* b) { return ms(*a) < ms(*b); });
    return networks;
  }
  for (const ResultNetwork* network : by_latency(result))
    if (comparable(*network) && (networks.empty() || top1(*network) > top1(*networks.back())))
      networks.push_back(network);
  return networks;
}

std::vector<std::string> summary_sentences(const Result& result) {
  return {choice_sentence(result), trust_sentence(result), macps_sentence(result)};
}

std::vector<std::string> result_names(std::span<const Result> results) {
  std::vector<std::string> names;
  std::map<std::string, int> seen;
  for (const Result& result : results) {
    const int count = ++seen[result.device.name];
    names.push_back(count == 1 ? result.device.name
                               : fmt::format("{} ({})", result.device.name, count));
  }
  return names;
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
         !latency_ms(*network)                                     ? "–"
         : network->measured_ms && network->measured_ms->disturbed ? "measured, disturbed"
                                                                   : std::string(source(*network)),
         top1_cell(*network), millions(network->params), millions(network->macs),
         bytes_cell(network->weight_bytes), bytes_cell(network->peak_activation_bytes),
         network->measured_ms ? fmt::to_string(network->measured_ms->samples) : "–"});
  return table;
}

Table front_table(const Result& result) {
  Table table{"Networks on the front",
              {{"Network"}, {"Latency ms", true}, {"How"}, {"Top-1 %", true}, {"GMACpS", true}},
              {}};
  for (const ResultNetwork* network : front(result))
    table.rows.push_back({network->name, latency_cell(*network), std::string(source(*network)),
                          top1_cell(*network), optional_cell(network->gmacps)});
  return table;
}

Table macs_table(const Result& result) {
  Table table{"MACs, MACpS and the latency that they make",
              {{"Network"}, {"MACs", true}, {"GMACpS", true}, {"Latency ms", true}},
              {}};
  for (const ResultNetwork* network : by_latency(result))
    if (network->gmacps)
      table.rows.push_back({network->name, millions(network->macs), optional_cell(network->gmacps),
                            latency_cell(*network)});
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
    table.rows.push_back(
        {network->name, with_interval(network->measured_ms->ms), with_interval(predicted),
         fmt::format("{:+.1f} %", (predicted.value / measured - 1) * 100), inside ? "yes" : "no"});
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
  Table table{"Where the time goes",
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
               {"Better than"}},
              {}};
  for (const ResultNetwork* network : by_latency(result)) {
    if (network->origin != Origin::proposal) continue;
    table.rows.push_back({network->name, network->description, latency_cell(*network),
                          top1_cell(*network), network->nearest, network->difference,
                          fmt::format("{}", fmt::join(network->better_than, ", "))});
  }
  return table;
}

Table search_table(const Result& result) {
  Table table{"Hypervolume over the search", {{"Evaluations", true}, {"Hypervolume", true}}, {}};
  if (result.search)
    for (const HypervolumePoint& point : result.search->hypervolume)
      table.rows.push_back({fmt::to_string(point.evaluations), plain(point.value)});
  return table;
}

Table study_table(const Study& study) {
  Table table{study.title, {}, {}};
  for (std::size_t i = 0; i < study.columns.size(); ++i) {
    const auto is_number = [&](const auto& row) { return row[i].is_number() || row[i].is_null(); };
    table.columns.push_back(
        {study.columns[i], std::all_of(study.rows.begin(), study.rows.end(), is_number)});
  }
  for (const auto& row : study.rows) {
    table.rows.emplace_back();
    for (const auto& cell : row) table.rows.back().push_back(cell_text(cell));
  }
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
                {"precision", device.precision.empty() ? "–" : device.precision}};
  for (const Labelled& line : device.conditions) table.rows.push_back({line.label, line.text});
  if (result.predictor) {
    table.rows.push_back(
        {"operators measured", fmt::format("{} in {:.0f} s", result.predictor->operators_measured,
                                           result.predictor->profile_seconds)});
  }
  if (result.search)
    table.rows.push_back(
        {"search", fmt::format("{}: {} evaluations, {} distinct networks", result.search->algorithm,
                               result.search->evaluations, result.search->distinct)});
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

Table comparison_table(std::span<const Result> results) {
  Table table{"The same networks on each device", {{"Network"}}, {}};
  for (const std::string& name : result_names(results)) {
    table.columns.push_back({name + " ms", true});
    table.columns.push_back({"GMACpS", true});
  }
  std::vector<std::string> seen;
  for (const Result& result : results) {
    for (const ResultNetwork* network : by_latency(result)) {
      if (std::find(seen.begin(), seen.end(), network->name) != seen.end()) continue;
      seen.push_back(network->name);
      std::vector<std::string> row{network->name};
      int present = 0;
      for (const Result& other : results) {
        const ResultNetwork* same = find_network(other, network->name);
        present += same != nullptr ? 1 : 0;
        row.push_back(same != nullptr ? latency_cell(*same) : "–");
        row.push_back(same != nullptr ? optional_cell(same->gmacps) : "–");
      }
      if (present > 1) table.rows.push_back(row);
    }
  }
  return table;
}

Table pareto_table(std::span<const Result> results) {
  Table table{"Fronts", {}, {}};
  for (const char* title :
       {"device", "network", "family", "origin", "latency_ms", "latency_low_ms", "latency_high_ms",
        "latency_kind", "top1_percent", "top1_low_percent", "top1_high_percent", "top1_kind",
        "params", "macs", "gmacps", "description"})
    table.columns.push_back({title});
  const std::vector<std::string> names = result_names(results);
  for (std::size_t i = 0; i < results.size(); ++i) {
    for (const ResultNetwork* network : front(results[i])) {
      const Interval latency = *latency_ms(*network);
      const Interval& accuracy = network->top1->percent;
      table.rows.push_back({names[i], network->name, network->family,
                            std::string(name(network->origin)), plain(latency.value),
                            plain(latency.low), plain(latency.high), std::string(source(*network)),
                            plain(accuracy.value), plain(accuracy.low), plain(accuracy.high),
                            network->top1->estimated ? "estimated" : "published",
                            fmt::to_string(network->params), fmt::to_string(network->macs),
                            network->gmacps ? plain(*network->gmacps) : "", network->description});
    }
  }
  return table;
}

std::string verdict(const std::optional<bool>& holds) {
  if (!holds) return "within noise";
  return *holds ? "holds" : "does not hold";
}

std::string prediction_sentence(const Result& result) {
  if (result.predictor && result.predictor->networks) {
    const NetworkError& error = *result.predictor->networks;
    return fmt::format(
        "On {} networks that were never used to fit, predictions are off by {} on average; {} are "
        "within 5 % and {} within 10 %.",
        error.count, percent_text(error.mape), percent_text(error.within_5),
        percent_text(error.within_10));
  }
  double sum = 0;
  int count = 0;
  for (const ResultNetwork& network : result.networks) {
    if (!network.measured_ms || !network.predicted_ms) continue;
    sum += std::abs(network.predicted_ms->value / network.measured_ms->ms.value - 1);
    ++count;
  }
  if (count == 0) return "";
  return fmt::format("Predictions of these {} networks are off by {} on average.", count,
                     percent_text(sum / count));
}

}  // namespace cpubone
