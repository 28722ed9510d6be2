#include "explorer/next.hpp"

#include <algorithm>
#include <cmath>

#include "explorer/pareto.hpp"
#include "predictor/normal_interval.hpp"

namespace cpubone {
namespace {

constexpr int draws = 64;

}  // namespace

std::vector<TrainingChoice> train_next(const AccuracyPosterior& posterior,
                                       std::span<const TrainingCandidate> candidates,
                                       std::span<const std::pair<double, double>> known,
                                       std::size_t count, std::uint64_t seed) {
  if (candidates.empty() || known.empty()) return {};
  std::vector<Costs> points;
  Costs reference{-1e9, -100};
  for (const auto& [ms, top1] : known) points.push_back({std::log(ms), -top1});
  std::vector<Costs> base;
  for (const std::size_t i : front(points)) base.push_back(points[i]);
  for (const Costs& point : base)
    for (std::size_t k = 0; k < 2; ++k) reference[k] = std::max(reference[k], point[k]);
  std::vector<AccuracyTerms> terms;
  for (const TrainingCandidate& c : candidates) terms.push_back(c.terms);
  const Eigen::MatrixXd top1 = draw(posterior, terms, draws, seed);
  // What is not known of latencies is common to them: a device that is slower is so for all.
  const std::vector<double> common = normal_numbers(draws, seed + 1);
  const auto costs = [&](std::size_t candidate, int d) {
    const LatencyEstimate& ms = candidates[candidate].latency;
    const double sd = std::log(std::max(ms.high_ms / ms.low_ms, 1.0)) / (2 * z90);
    return Costs{std::log(ms.ms) + sd * common[static_cast<std::size_t>(d)],
                 -top1(d, static_cast<Eigen::Index>(candidate))};
  };

  const double now = hypervolume(base, reference);
  std::vector<std::vector<Costs>> fronts(draws, base);
  std::vector<double> volumes(draws, now);
  std::vector<TrainingChoice> chosen;
  std::vector<bool> taken(candidates.size());
  while (chosen.size() < std::min(count, candidates.size())) {
    TrainingChoice best{0, -1};
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (taken[i]) continue;
      double gain = 0;
      for (int d = 0; d < draws; ++d) {
        auto& drawn = fronts[static_cast<std::size_t>(d)];
        drawn.push_back(costs(i, d));
        gain += hypervolume(drawn, reference) - volumes[static_cast<std::size_t>(d)];
        drawn.pop_back();
      }
      gain /= draws * std::max(now, 1e-12);
      if (gain > best.improvement) best = {i, gain};
    }
    taken[best.candidate] = true;
    chosen.push_back(best);
    for (int d = 0; d < draws; ++d) {
      auto& drawn = fronts[static_cast<std::size_t>(d)];
      drawn.push_back(costs(best.candidate, d));
      volumes[static_cast<std::size_t>(d)] = hypervolume(drawn, reference);
    }
  }
  return chosen;
}

}  // namespace cpubone
