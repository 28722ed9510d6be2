#include "explorer/predicted_studies.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

#include "explorer/studies.hpp"
#include "space/blocks.hpp"

namespace cpubone {
namespace {

constexpr int paper_rule = 256;            // channels below which CPUBone fuses
constexpr double least_difference = 0.02;  // predicted differences below it tell nothing

Network block(int resolution, int channels, int kernel, int groups, bool fused) {
  NetworkBuilder b("block", "block", {1, resolution, resolution, channels});
  b.stage(1);
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

}  // namespace

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
  study.predicted = true;
  study.columns = {{"choice", ""},
                   {"step", ""},
                   {"latency change", "%"},
                   {"estimated top-1 change", "points"},
                   {"cases", ""}};
  std::optional<std::size_t> best;
  double best_gain = 0;
  for (const auto& [key, e] : effects) {
    const double latency = 100 * std::expm1(e.latency / e.count);
    const double top1 = e.top1 / e.count;
    // What a step saves beyond moving along the family: B0 to B3 pays 30 % latency for a point.
    const double gain = top1 - latency / 30;
    if (gain > best_gain) {
      best_gain = gain;
      best = study.rows.size();
    }
    study.rows.push_back({key.first, key.second > 0 ? "up" : "down", rounded(latency, 0.01),
                          rounded(top1, 0.001), e.count});
  }
  if (best) add(study, "best_row", static_cast<double>(*best));
  return study;
}

Study crossover_study(const LatencyModel& latency) {
  Study study;
  study.name = "crossover";
  study.predicted = true;
  study.columns = {{"resolution", ""},
                   {"channels", ""},
                   {"fused", "ms"},
                   {"unfused", "ms"},
                   {"fused / unfused", ""}};
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
      if (ratio <= 1 + least_difference) last_fused = channels;
      if (ratio > 1 + least_difference && first_unfused == 0) first_unfused = channels;
      if (std::abs(ratio - 1) > least_difference) {
        ++cases;
        agree += (ratio < 1) == (channels < paper_rule);
      }
    }
    add_crossover(study, resolution, last_fused, first_unfused);
  }
  add(study, "agreeing_cases", agree);
  add(study, "cases", cases);
  if (cases > 0) study.holds = agree >= 0.9 * cases;
  return study;
}

Study groups_and_kernels_study(const LatencyModel& latency) {
  Study study;
  study.name = "groups-and-kernels";
  study.predicted = true;
  study.columns = {{"resolution", ""},      {"channels", ""},        {"kernel", ""},
                   {"groups", ""},          {"MACs", "M"},           {"latency", "ms"},
                   {"MACs of 3x3 g2", "×"}, {"time of 3x3 g2", "×"}, {"rate", "GMACpS"}};
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
  add(study, "macs_ratio", macs_ratio);
  add(study, "latency_ratio", time_ratio);
  study.holds = time_ratio < 1 - least_difference;
  return study;
}

}  // namespace cpubone
