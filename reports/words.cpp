#include "reports/words.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cmath>
#include <map>

#include "reports/summary.hpp"
#include "reports/table.hpp"

namespace cpubone {
namespace {

Verdict verdict_of(const std::optional<bool>& holds) {
  if (!holds) return Verdict::open;
  return *holds ? Verdict::holds : Verdict::fails;
}

struct Share {
  std::string part;
  double share = 0;
};

/// The stage and operator class that most of a network's latency is in.
Share largest_share(const ResultNetwork& network) {
  std::map<std::string, double> parts;
  double total = 0;
  for (const BreakdownRow& row : network.breakdown) {
    parts[fmt::format("{} operators of {}", row.op_class, row.stage)] += row.latency_ms;
    total += row.latency_ms;
  }
  Share largest;
  for (const auto& [part, ms] : parts)
    if (ms / total > largest.share) largest = {part, ms / total};
  return largest;
}

Statement say(const GainFinding& gain, const Result& result) {
  Statement said{fmt::format("Faster at the accuracy of {}", gain.network), "",
                 verdict_of(gain.holds)};
  const ResultNetwork* published = find_network(result, gain.network);
  const ResultNetwork* proposal = find_network(result, gain.proposal);
  if (published == nullptr || proposal == nullptr || !gain.latency_ratio ||
      !latency_ms(*published) || !latency_ms(*proposal) || !proposal->top1) {
    said.sentence = fmt::format(
        "No proposal reaches the {:.1f} % of {} with a probability of {:.0f} % within the "
        "constraints.",
        gain.top1, gain.network, 100 * claim_probability);
    return said;
  }
  const std::string_view source = latency_source(*published) == latency_source(*proposal)
                                      ? latency_source(*proposal)
                                  : proposal->measured_ms && published->measured_ms ? "disturbed"
                                                                                    : "predicted";
  const double saved = 1 - gain.latency_ratio->value;
  const Interval& top1 = proposal->top1->percent;
  said.sentence = fmt::format(
      "{} takes {:.2f} ms where {} takes {:.2f} ms ({}), {:.1f} % {}, at an estimated top-1 of "
      "{:.1f} % ({:.1f} to {:.1f}); it reaches {:.1f} % with a probability of {}, and training "
      "decides.",
      proposal->name, latency_ms(*proposal)->value, published->name, latency_ms(*published)->value,
      source, 100 * std::abs(saved), saved >= 0 ? "less" : "more", top1.value, top1.low, top1.high,
      gain.top1,
      probability_text(gain.probability.value_or(probability_of(*proposal->top1, gain.top1))));
  const Share share = largest_share(*proposal);
  if (saved < 0.1 && share.share > 0)
    said.sentence +=
        fmt::format(" {:.0f} % of {} is in {}.", 100 * share.share, proposal->name, share.part);
  return said;
}

Statement say(const PredictionFinding& prediction, const Result&) {
  return {"Predicted and measured latency of the proposals",
          fmt::format(
              "{} proposals were predicted, before they were measured, {:.1f} % off on "
              "average and {:.1f} % at worst, at the pace of the networks measured beside them.",
              prediction.networks, 100 * prediction.mean_error, 100 * prediction.worst_error),
          verdict_of(prediction.holds)};
}

Statement say(const LostTimeFinding& lost, const Result&) {
  return {fmt::format("Where {} loses time", lost.network),
          fmt::format("Of {:.2f} ms predicted, {:.2f} ms ({:.0f} %) are beyond what its MACs would "
                      "take at the best rate seen, {:.0f} GMACpS. {} loses most, {:.2f} of its "
                      "{:.2f} ms; of that {:.2f} ms in {} operators, limited by {}.",
                      lost.network_ms, lost.network_lost_ms,
                      100 * lost.network_lost_ms / lost.network_ms, lost.best_gmacps, lost.stage,
                      lost.stage_lost_ms, lost.stage_ms, lost.op_class_lost_ms, lost.op_class,
                      lost.bound == Bound::kernel ? "the runtime's kernel" : name(lost.bound)),
          Verdict::none};
}

Statement say(const RobustFinding& robust, const Result&) {
  Statement said{fmt::format("One network for all devices at the accuracy of {}", robust.network),
                 "", Verdict::none};
  if (robust.proposal.empty()) {
    said.sentence = fmt::format(
        "No network reaches the {:.1f} % of {} with a probability of {:.0f} % within the "
        "constraints.",
        robust.top1, robust.network, 100 * claim_probability);
    return said;
  }
  std::vector<std::string> parts;
  for (const LatencyOnDevice& on : robust.devices)
    parts.push_back(fmt::format("{:.2f} ms on {}, where the fastest takes {:.2f} ms", on.latency_ms,
                                on.device, on.best_ms));
  said.sentence = fmt::format(
      "{} reaches {:.1f} % with a probability of {:.0f} % and is predicted to take {}: at most "
      "{:.1f} % more than the best on any.",
      robust.proposal, robust.top1, 100 * claim_probability, fmt::join(parts, "; "),
      100 * (robust.worst_slowdown - 1));
  return said;
}

}  // namespace

std::string_view name(Verdict verdict) {
  constexpr std::array<std::string_view, 4> names{"holds", "does not hold", "within noise", ""};
  return names[static_cast<std::size_t>(verdict)];
}

Statement statement(const Finding& finding, const Result& result) {
  return std::visit([&](const auto& kind) { return say(kind, result); }, finding);
}

std::vector<Statement> statements(const Result& result) {
  std::vector<Statement> all;
  for (const Finding& finding : result.findings) all.push_back(statement(finding, result));
  for (const Study& study : result.studies) all.push_back(statement(study, result.device));
  return all;
}

}  // namespace cpubone
