#include "explorer/confirmation.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "explorer/correction.hpp"
#include "explorer/pareto.hpp"

namespace cpubone {
namespace {

constexpr double known_spread = 0.01;  // an operator this well known need not be measured

template <typename T>
std::optional<MeasuredLatency> told(const T& network) {
  if (network.final_measurement) return network.final_measurement;
  if (network.measured.empty()) return std::nullopt;
  return merged(network.measured);
}

}  // namespace

MeasuredLatency merged(std::span<const MeasuredLatency> all) {
  MeasuredLatency m;
  const auto n = static_cast<double>(all.size());
  for (const MeasuredLatency& one : all) {
    m.ms.value += one.ms.value / n;
    m.ms.low += one.ms.low / n;
    m.ms.high += one.ms.high / n;
    m.samples += one.samples;
    m.disturbed |= one.disturbed;
  }
  return m;
}

std::optional<MeasuredLatency> measured_of(const Reference& reference) {
  return told(reference);
}

std::optional<MeasuredLatency> measured_of(const Pick& pick) {
  return told(pick);
}

double latency_of(const Pick& pick) {
  const auto measured = measured_of(pick);
  return measured ? measured->ms.value : pick.evaluation.latency.ms;
}

double geometric_mean(std::span<const double> values) {
  double log_sum = 0;
  for (const double value : values) log_sum += std::log(value);
  return values.empty() ? 1 : std::exp(log_sum / static_cast<double>(values.size()));
}

void rescale(Pick& pick, std::span<const MeasuredLatency> references) {
  std::vector<double> ms;
  for (const MeasuredLatency& r : references) ms.push_back(r.ms.value);
  const double pace = geometric_mean(ms) / pick.references_ms;
  pick.evaluation.latency = {pace * pick.predicted.ms, pace * pick.predicted.low_ms,
                             pace * pick.predicted.high_ms};
}

LatencyModel corrected(const LatencyModel& model, std::span<const Reference> references,
                       std::span<const Pick> picks) {
  std::vector<Confirmed> confirmed;
  const auto add = [&](const LatencyTerms& terms, double predicted,
                       const std::vector<MeasuredLatency>& measured) {
    if (!measured.empty()) confirmed.push_back({terms, predicted, merged(measured).ms.value});
  };
  for (const Reference& r : references) add(r.terms, r.predicted_ms, r.measured);
  for (const Pick& p : picks) add(p.terms, p.uncorrected_ms, p.measured);
  return corrected(model, confirmed);
}

std::vector<Op> unsure_ops(std::span<const Network> networks, const LatencyModel& model,
                           std::size_t most) {
  std::map<std::string, std::pair<double, Op>> unsure;  // spread in ns, over all networks
  for (const Network& network : networks)
    for (const Node& node : lowered(network, model).nodes) {
      const LatencyTerms t = model.op_terms(node.op);
      const double spread_ns = std::sqrt(t.independent_ns2 + t.shared_ns * t.shared_ns);
      if (spread_ns <= known_spread * t.ops_ns) continue;
      Op measured = without_quantisation(node.op);
      auto& [sum_ns, op] = unsure[text(measured)];
      sum_ns += spread_ns;
      op = std::move(measured);
    }
  std::vector<std::pair<double, Op>> ranked;
  for (auto& [name, entry] : unsure) ranked.push_back(std::move(entry));
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<Op> ops;
  for (auto& [spread_ns, op] : ranked)
    if (ops.size() < most) ops.push_back(std::move(op));
  return ops;
}

double confirmed_volume(std::span<const Reference> references, std::span<const Pick> picks) {
  std::vector<Costs> points;
  Costs worst{0, -100};
  for (const Reference& r : references) {
    points.push_back({merged(r.measured).ms.value, -r.top1});
    worst[0] = std::max(worst[0], 1.2 * points.back()[0]);
    worst[1] = std::max(worst[1], points.back()[1] + 5);
  }
  for (const Pick& p : picks)
    if (!p.measured.empty())
      points.push_back({merged(p.measured).ms.value, -p.evaluation.accuracy.assured});
  return hypervolume(points, worst);
}

}  // namespace cpubone
