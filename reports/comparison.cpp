#include "reports/comparison.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "reports/summary.hpp"
#include "reports/tables.hpp"

namespace cpubone {
namespace {

/// What makes a network the same in another result: proposals are numbered anew in each.
std::string configuration(const ResultNetwork& network) {
  return fmt::format("{} {} {} {}",
                     network.origin == Origin::published ? network.name : network.description,
                     network.resolution, network.macs, network.params);
}

const ResultNetwork* find_same(const Result& result, const ResultNetwork& network) {
  const std::string key = configuration(network);
  const auto same = std::find_if(result.networks.begin(), result.networks.end(),
                                 [&](const auto& n) { return configuration(n) == key; });
  return same == result.networks.end() ? nullptr : &*same;
}

void add_new(std::vector<std::string>& texts, std::string text) {
  if (std::find(texts.begin(), texts.end(), text) == texts.end()) texts.push_back(std::move(text));
}

std::string both(std::string a, std::string b) {
  return a == b ? std::move(a) : fmt::format("{} / {}", a, b);
}

std::string networks_text(std::size_t count) {
  return fmt::format("{} network{}", count, count == 1 ? "" : "s");
}

std::string change_text(const LatencyChange& change) {
  if (change.verdict == Verdict::none) return "not comparable";
  if (change.verdict == Verdict::open) return "within noise";
  return change.ratio.value > 1 ? "slower" : "faster";
}

/// How far a ratio is from one for sure, as a logarithm: 0 where it is not.
double sure_log(const LatencyChange& change) {
  if (change.verdict != Verdict::holds) return 0;
  return change.ratio.value > 1 ? std::log(change.ratio.low) : -std::log(change.ratio.high);
}

std::string latency_sentence(const std::vector<LatencyChange>& all) {
  std::vector<double> ratios;
  std::size_t slower = 0;
  std::size_t faster = 0;
  for (const LatencyChange& change : all) {
    if (change.verdict == Verdict::none) continue;
    ratios.push_back(change.ratio.value);
    if (change.verdict == Verdict::holds) ++(change.ratio.value > 1 ? slower : faster);
  }
  if (ratios.empty()) return "No network was measured, or predicted, in both.";
  std::sort(ratios.begin(), ratios.end());
  const std::size_t half = ratios.size() / 2;
  const double median =
      ratios.size() % 2 == 1 ? ratios[half] : 0.5 * (ratios[half - 1] + ratios[half]);
  std::string text = fmt::format("Latencies of {} are comparable; ", networks_text(ratios.size()));
  text += slower + faster == 0
              ? std::string("none changed by more than noise")
              : fmt::format("{} slower and {} faster by more than noise",
                            slower == 1 ? "1 is" : fmt::format("{} are", slower), faster);
  text += fmt::format(", and the median of all is × {:.2f}.", median);
  // One network alone shows no common cause.
  if (ratios.size() >= 3 && 2 * std::max(slower, faster) > ratios.size())
    text +=
        " Most changed alike: look for the cause in the machine's pace, the runtime or a setting "
        "before you look for it in a network.";
  return text;
}

/// Empty where neither the accuracy model nor any accuracy differs.
std::string accuracy_sentence(const Result& before, const Result& after,
                              const std::vector<LatencyChange>& all) {
  std::size_t changed = 0;
  double most = 0;
  for (const LatencyChange& change : all) {
    if (!change.before->top1 || !change.after->top1) continue;
    const double points =
        std::abs(change.after->top1->percent.value - change.before->top1->percent.value);
    changed += points > 0 ? 1 : 0;
    most = std::max(most, points);
  }
  const bool same_model = before.accuracy_model == after.accuracy_model;
  if (changed == 0 && same_model) return "";
  return fmt::format("Accuracies {}: those of {} that both have differ{}.",
                     same_model ? "rest on the same" : "rest on something else",
                     networks_text(changed),
                     changed == 0 ? "" : fmt::format(", by up to {:.1f} points", most));
}

/// Of the networks that are neither slower nor less accurate beyond both intervals, the one nearest
/// in latency; or null.
const ResultNetwork* counterpart(const Result& result, const ResultNetwork& network) {
  if (!comparable(network)) return nullptr;
  const Interval ms = *latency_ms(network);
  const auto distance = [&](const ResultNetwork& other) {
    return std::abs(std::log(latency_ms(other)->value / ms.value));
  };
  const ResultNetwork* nearest = nullptr;
  for (const ResultNetwork& other : result.networks) {
    if (!comparable(other) || latency_ms(other)->low > ms.high ||
        other.top1->percent.high < network.top1->percent.low)
      continue;
    if (nearest == nullptr || distance(other) < distance(*nearest)) nearest = &other;
  }
  return nearest;
}

std::string proposal_sentence(std::size_t common, std::size_t alone, std::size_t without) {
  if (alone == 0) return fmt::format("Both propose the same {}.", networks_text(common));
  return fmt::format(
      "{} proposed by both and {} by one alone; {} of the latter {} in the other that is neither "
      "slower nor less accurate beyond both intervals.",
      common == 0 ? "No network is"
                  : fmt::format("{} {}", networks_text(common), common == 1 ? "is" : "are"),
      alone, without == 0 ? "each" : fmt::to_string(without),
      without == 0   ? "has one"
      : without == 1 ? "has none"
                     : "have none");
}

Table latency_change_table(std::vector<LatencyChange> all, const std::vector<std::string>& names) {
  Table table{"Latency of the networks that both have",
              {{"Network"},
               {"Latency"},
               {names[0] + " ms", true},
               {names[1] + " ms", true},
               {"Ratio", true},
               {"Change"}},
              {}};
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return sure_log(a) > sure_log(b); });
  for (const LatencyChange& change : all)
    table.rows.push_back({both(change.before->name, change.after->name),
                          both(std::string(latency_source(*change.before)),
                               std::string(latency_source(*change.after))),
                          latency_cell(*change.before), latency_cell(*change.after),
                          "× " + with_interval(change.ratio), change_text(change)});
  return table;
}

/// What the tables of the device tell differently; the first result's rows first.
Table condition_table(const Result& before, const Result& after,
                      const std::vector<std::string>& names) {
  Table table{"What was set or found differently", {{"What"}, {names[0]}, {names[1]}}, {}};
  const auto rows = [](const Result& result) {
    auto all = device_table(result).rows;
    for (const Warning& warning : result.warnings) all.push_back({warning.what, "warned"});
    all.push_back({"command", result.command});
    return all;
  };
  const auto first = rows(before);
  const auto second = rows(after);
  const auto find = [](const auto& all, const std::string& what) {
    const auto row =
        std::find_if(all.begin(), all.end(), [&](const auto& r) { return r[0] == what; });
    return row == all.end() ? std::string("–") : (*row)[1];
  };
  std::vector<std::string> labels;
  for (const auto& all : {first, second})
    for (const auto& row : all) add_new(labels, row[0]);
  for (const std::string& label : labels) {
    std::string a = find(first, label);
    std::string b = find(second, label);
    if (a != b) table.rows.push_back({label, std::move(a), std::move(b)});
  }
  return table;
}

}  // namespace

Table comparison_table(std::span<const Result> results) {
  Table table{"The same networks on each device", {{"Network"}, {"Top-1 %", true}}, {}};
  for (const std::string& name : result_names(results)) {
    table.columns.push_back({name + " ms", true});
    table.columns.push_back({"GMACpS", true});
  }
  std::vector<std::string> seen;
  for (const Result& result : results) {
    for (const ResultNetwork* network : by_latency(result)) {
      const std::string key = configuration(*network);
      if (std::find(seen.begin(), seen.end(), key) != seen.end()) continue;
      seen.push_back(key);
      std::vector<std::string> names;
      std::vector<std::string> accuracies;
      std::vector<std::string> cells;
      int present = 0;
      for (const Result& other : results) {
        const ResultNetwork* same = find_same(other, *network);
        present += same != nullptr ? 1 : 0;
        cells.push_back(same != nullptr ? latency_cell(*same) : "–");
        cells.push_back(same != nullptr && same->gmacps ? short_number(*same->gmacps) : "–");
        if (same == nullptr) continue;
        add_new(names, same->name);
        add_new(accuracies, top1_cell(*same));
      }
      if (present < 2) continue;
      std::vector<std::string> row{fmt::format("{}", fmt::join(names, " / ")),
                                   fmt::format("{}", fmt::join(accuracies, " / "))};
      row.insert(row.end(), cells.begin(), cells.end());
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

std::vector<LatencyChange> latency_changes(const Result& before, const Result& after) {
  std::vector<LatencyChange> all;
  for (const ResultNetwork* network : by_latency(before)) {
    const ResultNetwork* same = find_same(after, *network);
    if (same == nullptr || !latency_ms(*network) || !latency_ms(*same)) continue;
    const Interval a = *latency_ms(*network);
    const Interval b = *latency_ms(*same);
    LatencyChange change{
        network, same, {b.value / a.value, b.low / a.high, b.high / a.low}, Verdict::none};
    const std::string_view source = latency_source(*network);
    if (source != "disturbed" && source == latency_source(*same))
      change.verdict =
          change.ratio.low > 1 || change.ratio.high < 1 ? Verdict::holds : Verdict::open;
    all.push_back(change);
  }
  return all;
}

std::optional<Changes> changes(std::span<const Result> results) {
  if (results.size() != 2 || results[0].device.name != results[1].device.name) return {};
  const Result& before = results[0];
  const Result& after = results[1];
  const std::vector<std::string> names = result_names(results);
  const std::vector<LatencyChange> all = latency_changes(before, after);
  Changes found;
  found.latencies = latency_change_table(all, names);
  found.latencies_changed = static_cast<std::size_t>(std::count_if(
      all.begin(), all.end(), [](const auto& change) { return change.verdict == Verdict::holds; }));
  found.conditions = condition_table(before, after, names);
  found.proposals = {"Proposals that one result alone has",
                     {{"Result"},
                      {"Network"},
                      {"Configuration"},
                      {"Latency ms", true},
                      {"Top-1 %", true},
                      {"As good in the other, within the intervals"}},
                     {}};
  std::size_t common = 0;
  std::size_t without = 0;
  for (const std::size_t i : {0U, 1U}) {
    for (const ResultNetwork* network : by_latency(results[i])) {
      if (network->origin != Origin::proposal) continue;
      if (find_same(results[1 - i], *network) != nullptr) {
        common += i == 0 ? 1 : 0;
        continue;
      }
      const ResultNetwork* other = counterpart(results[1 - i], *network);
      without += other == nullptr ? 1 : 0;
      found.proposals.rows.push_back({names[i], network->name, network->description,
                                      latency_cell(*network), top1_cell(*network),
                                      other == nullptr
                                          ? "–"
                                          : fmt::format("{}: {} ms, {} %", other->name,
                                                        latency_cell(*other), top1_cell(*other))});
    }
  }
  found.sentences.push_back(latency_sentence(all));
  if (std::string accuracy = accuracy_sentence(before, after, all); !accuracy.empty())
    found.sentences.push_back(std::move(accuracy));
  if (const std::size_t alone = found.proposals.rows.size(); common + alone > 0)
    found.sentences.push_back(proposal_sentence(common, alone, without));
  return found;
}

std::string_view change_introduction() {
  return "Two results of one device, the first as before and the second as after. Changes by more "
         "than noise are those beyond both intervals; of predictions, those beyond what "
         "predictions are off by.";
}

}  // namespace cpubone
