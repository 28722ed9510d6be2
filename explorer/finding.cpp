#include "explorer/finding.hpp"

#include <algorithm>
#include <cmath>
#include <map>

namespace cpubone {

GainFinding find_gain(const Result& result, std::string_view network, double top1) {
  GainFinding gain{std::string(network), top1, {}, {}, false, {}};
  const ResultNetwork* own = find_network(result, network);
  const ResultNetwork* best = nullptr;
  for (const ResultNetwork& n : result.networks) {
    if (n.origin != Origin::proposal || !n.top1 || !latency_ms(n)) continue;
    if (assured(*n.top1) >= top1 && (!best || latency_ms(n)->value < latency_ms(*best)->value))
      best = &n;
  }
  if (!own || !latency_ms(*own) || !best) return gain;
  gain.proposal = best->name;
  gain.probability = probability_of(*best->top1, top1);
  gain.latency_ratio = ratio(*latency_ms(*best), *latency_ms(*own));
  gain.holds.reset();
  if (is_measured(*best) && is_measured(*own)) {
    const Interval& now = best->measured_ms->ms;
    const Interval& old = own->measured_ms->ms;
    const bool apart = now.high < old.low || old.high < now.low;
    if (apart) gain.holds = gain.latency_ratio->value <= 0.9;
  }
  return gain;
}

std::optional<PredictionFinding> find_prediction_error(const Result& result) {
  PredictionFinding finding;
  for (const ResultNetwork& n : result.networks) {
    if (n.origin != Origin::proposal || !is_measured(n) || !n.predicted_ms) continue;
    const double error = std::abs(n.predicted_ms->value / n.measured_ms->ms.value - 1);
    finding.worst_error = std::max(finding.worst_error, error);
    finding.mean_error += error;
    ++finding.networks;
  }
  if (finding.networks == 0) return std::nullopt;
  finding.mean_error /= finding.networks;
  finding.holds = finding.worst_error <= 0.05;
  return finding;
}

std::vector<LostTimeFinding> find_lost_time(const Result& result) {
  // The best rate that parts of some weight reach: what MACs can run at here.
  double best = 0;
  for (const ResultNetwork& n : result.networks)
    for (const BreakdownRow& row : n.breakdown)
      if (row.latency_ms > 0 && static_cast<double>(row.macs) > 0.05 * static_cast<double>(n.macs))
        best = std::max(best, static_cast<double>(row.macs) / row.latency_ms);
  std::vector<LostTimeFinding> findings;
  if (best <= 0) return findings;
  for (const char* name : {"cpubone-b0", "cpubone-b1", "cpubone-b2", "cpubone-b3"}) {
    const ResultNetwork* n = find_network(result, name);
    if (!n || n->breakdown.empty()) continue;
    struct Part {
      double ms = 0;
      double lost = 0;
    };
    std::map<std::string, Part> stages;
    Part total;
    for (const BreakdownRow& row : n->breakdown) {
      const double lost = row.latency_ms - static_cast<double>(row.macs) / best;
      for (Part* part : {&stages[row.stage], &total}) {
        part->ms += row.latency_ms;
        part->lost += lost;
      }
    }
    const auto worst = std::max_element(
        stages.begin(), stages.end(),
        [](const auto& a, const auto& b) { return a.second.lost < b.second.lost; });
    const BreakdownRow* cause = nullptr;
    double cause_lost = 0;
    for (const BreakdownRow& row : n->breakdown) {
      const double lost = row.latency_ms - static_cast<double>(row.macs) / best;
      if (row.stage == worst->first && (!cause || lost > cause_lost)) {
        cause = &row;
        cause_lost = lost;
      }
    }
    findings.push_back({name, best / 1e6, total.ms, total.lost, worst->first, worst->second.ms,
                        worst->second.lost, cause->op_class, cause_lost, cause->bound});
  }
  return findings;
}

}  // namespace cpubone
