#include "explorer/insight.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

#include "space/blocks.hpp"

namespace cpubone {
namespace {

constexpr int paper_rule = 256;  // channels below which CPUBone fuses
constexpr double noise = 0.02;   // predicted differences below it tell nothing

Network block(int resolution, int channels, int kernel, int groups, bool fused) {
  NetworkBuilder b("block", "block", {1, resolution, resolution, channels});
  b.stage("stage1");
  MbConv conv;
  conv.out_channels = channels;
  conv.hidden_channels = 4 * channels;
  conv.kernel = kernel;
  conv.groups = groups;
  const int out = fused ? fused_mbconv(b, network_input, "block", conv)
                        : mbconv(b, network_input, "block", conv);
  return b.finish(out);
}

double latency_of(const Network& network, const LatencyModel& latency) {
  return latency.combine(latency_terms(network, latency)).ms;
}

nlohmann::json line_chart(const std::vector<std::string>& columns,
                          const std::vector<std::vector<nlohmann::json>>& rows,
                          const std::string& x, const std::string& y, const std::string& color) {
  nlohmann::json values = nlohmann::json::array();
  for (const auto& row : rows) {
    nlohmann::json value;
    for (std::size_t i = 0; i < columns.size(); ++i) value[columns[i]] = row[i];
    values.push_back(value);
  }
  return {
      {"data", {{"values", values}}},
      {"mark", {{"type", "line"}, {"point", true}, {"tooltip", true}}},
      {"encoding",
       {{"x", {{"field", x}, {"type", "quantitative"}, {"scale", {{"type", "log"}, {"base", 2}}}}},
        {"y", {{"field", y}, {"type", "quantitative"}, {"scale", {{"zero", false}}}}},
        {"color", {{"field", color}, {"type", "ordinal"}}}}}};
}

double rounded(double v, double step) {
  return std::round(v / step) * step;
}

}  // namespace

std::vector<Insight> stage_insights(const Result& result) {
  // The best rate that parts of some weight reach: what MACs can run at here.
  double best = 0;
  for (const ResultNetwork& n : result.networks)
    for (const BreakdownRow& row : n.breakdown)
      if (row.latency_ms > 0 && static_cast<double>(row.macs) > 0.05 * static_cast<double>(n.macs))
        best = std::max(best, static_cast<double>(row.macs) / row.latency_ms);
  std::vector<Insight> insights;
  if (best <= 0) return insights;
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
    Insight insight;
    insight.title = fmt::format("Where {} loses time", name);
    insight.sentence = fmt::format(
        "Of {:.2f} ms predicted, {:.2f} ms ({:.0f} %) are beyond what its MACs would take at the "
        "best rate seen, {:.0f} GMACpS. {} loses most, {:.2f} of its {:.2f} ms; of that {:.2f} ms "
        "in {} operators, limited by {}.",
        total.ms, total.lost, 100 * total.lost / total.ms, best / 1e6, worst->first,
        worst->second.lost, worst->second.ms, cause_lost, cause->op_class,
        cpubone::name(cause->bound));
    insights.push_back(std::move(insight));
  }
  return insights;
}

Study sensitivity_study(const Evaluator& evaluator, std::span<const Genome> networks) {
  if (networks.empty())
    throw std::invalid_argument("sensitivity: expected at least one network, got none");
  struct Effect {
    double latency = 0;  ///< logarithm of the ratio
    double top1 = 0;
    int count = 0;
  };
  const SearchSpace& space = evaluator.space();
  const auto counts = choices(space);
  std::map<std::pair<std::string, int>, Effect> effects;
  for (const Genome& genome : networks) {
    const Genome base = canonical(space, genome);
    const Evaluation before = evaluator.evaluate(base);
    for (std::size_t g = 0; g < base.size(); ++g)
      for (const int step : {-1, 1}) {
        const int next = base[g] + step;
        if (next < 0 || next >= counts[g]) continue;
        Genome changed = base;
        changed[g] = static_cast<std::uint8_t>(next);
        changed = canonical(space, changed);
        if (changed == base) continue;
        const Evaluation after = evaluator.evaluate(changed);
        const std::string& name = space.genes[g].name;
        const auto dot = name.find('.');
        Effect& e = effects[{dot == std::string::npos ? name : name.substr(dot + 1), step}];
        e.latency += std::log(after.latency.ms / before.latency.ms);
        e.top1 += after.accuracy.top1 - before.accuracy.top1;
        ++e.count;
      }
  }
  Study study;
  study.name = "sensitivity";
  study.title = "What one step in each choice does to the published networks";
  study.columns = {"choice", "step", "latency change %", "estimated top-1 change", "cases"};
  std::string best;
  double best_gain = 0;
  for (const auto& [key, e] : effects) {
    const double latency = 100 * std::expm1(e.latency / e.count);
    const double top1 = e.top1 / e.count;
    study.rows.push_back({key.first, key.second > 0 ? "up" : "down", rounded(latency, 0.01),
                          rounded(top1, 0.001), e.count});
    // What a step saves beyond moving along the family: B0 to B3 pays 30 % latency for a point.
    const double gain = top1 - latency / 30;
    if (gain > best_gain) {
      best_gain = gain;
      best = fmt::format("{} one step {} ({:+.1f} % latency, {:+.2f} points)", key.first,
                         key.second > 0 ? "up" : "down", latency, top1);
    }
  }
  study.sentence =
      best.empty()
          ? "No single step improves on the trade-off that the published networks already make."
          : fmt::format("The single step that pays most on average is {}; predicted and estimated.",
                        best);
  return study;
}

Study crossover_study(const LatencyModel& latency) {
  Study study;
  study.name = "crossover";
  study.title = "Where fused blocks stop beating unfused ones";
  study.columns = {"resolution", "channels", "fused ms", "unfused ms", "fused / unfused"};
  std::vector<std::string> parts;
  int agree = 0;
  int cases = 0;
  for (const int resolution : {56, 28, 14, 7}) {
    int last_fused = 0;
    int first_unfused = 0;
    for (const int channels : {16, 32, 64, 96, 128, 192, 256, 384, 512}) {
      if (channels * resolution > 128 * 56) continue;  // beyond what backbones contain
      const double fused = latency_of(block(resolution, channels, 3, 2, true), latency);
      const double unfused = latency_of(block(resolution, channels, 3, 2, false), latency);
      const double ratio = fused / unfused;
      study.rows.push_back({resolution, channels, rounded(fused, 1e-4), rounded(unfused, 1e-4),
                            rounded(ratio, 1e-3)});
      if (ratio <= 1 + noise) last_fused = channels;
      if (ratio > 1 + noise && first_unfused == 0) first_unfused = channels;
      if (std::abs(ratio - 1) > noise) {
        ++cases;
        agree += (ratio < 1) == (channels < paper_rule);
      }
    }
    if (first_unfused == 0)
      parts.push_back(fmt::format("at {0}x{0} never up to {1} channels", resolution, last_fused));
    else
      parts.push_back(fmt::format("at {0}x{0} from {1}", resolution, first_unfused));
  }
  study.sentence = fmt::format(
      "Predicted for 3x3 blocks of expansion 4 and groups 2, a fused block is slower than an "
      "unfused "
      "one {} channels; the rule to fuse below {} channels picks the faster of the two in {} of {} "
      "cases that differ.",
      fmt::join(parts, ", "), paper_rule, agree, cases);
  if (cases > 0) study.holds = agree >= 0.9 * cases;
  study.chart = line_chart(study.columns, study.rows, "channels", "fused / unfused", "resolution");
  return study;
}

Study groups_and_kernels_study(const LatencyModel& latency) {
  Study study;
  study.name = "groups-and-kernels";
  study.title = "What groups and kernel sizes save in MACs and cost in MACpS";
  study.columns = {"resolution", "channels",       "kernel",         "groups", "MACs M",
                   "ms",         "MACs of 3x3 g2", "time of 3x3 g2", "GMACpS"};
  double macs_ratio = 0;
  double time_ratio = 0;
  int cases = 0;
  for (const auto& [resolution, channels] :
       {std::pair{56, 32}, std::pair{28, 64}, std::pair{14, 128}, std::pair{7, 256}}) {
    const Network usual = block(resolution, channels, 3, 2, true);
    const double usual_ms = latency_of(usual, latency);
    const auto usual_macs = static_cast<double>(macs(usual));
    for (const int kernel : {2, 3, 5})
      for (const int groups : {1, 2, 4, 8}) {
        const Network b = block(resolution, channels, kernel, groups, true);
        const double ms = latency_of(b, latency);
        const auto m = static_cast<double>(macs(b));
        study.rows.push_back({resolution, channels, kernel, groups, rounded(m / 1e6, 1e-3),
                              rounded(ms, 1e-4), rounded(m / usual_macs, 1e-3),
                              rounded(ms / usual_ms, 1e-3), rounded(m / ms / 1e6, 0.01)});
        if (kernel == 2 && groups == 2) {
          macs_ratio += std::log(m / usual_macs);
          time_ratio += std::log(ms / usual_ms);
          ++cases;
        }
      }
  }
  macs_ratio = std::exp(macs_ratio / cases);
  time_ratio = std::exp(time_ratio / cases);
  study.sentence = fmt::format(
      "Predicted for fused blocks of expansion 4: a 2x2 kernel in place of 3x3 leaves {:.0f} % of "
      "the "
      "MACs and {:.0f} % of the time, so {:.0f} % of the MACpS.",
      100 * macs_ratio, 100 * time_ratio, 100 * macs_ratio / time_ratio);
  study.holds = time_ratio < 1 - noise;
  return study;
}

}  // namespace cpubone
