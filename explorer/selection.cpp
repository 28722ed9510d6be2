#include "explorer/selection.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "explorer/pareto.hpp"

namespace cpubone {
namespace {

constexpr double near_best = 1.03;  // of the fastest at an accuracy
// Networks nearer than this in both are one choice to a user.
constexpr double same_latency = 0.02;
constexpr double same_top1 = 0.2;  // points
constexpr std::size_t least_proposals = 5;

int distance(const Genome& a, const Genome& b) {
  int n = 0;
  for (std::size_t i = 0; i < a.size(); ++i) n += a[i] != b[i];
  return n;
}

/// Networks that are picked already, which those that are chosen join.
struct Taken {
  std::vector<Genome> genomes;
  std::vector<double> ms;

  void add(const Genome& genome, double latency_ms) {
    genomes.push_back(genome);
    ms.push_back(latency_ms);
  }
  bool has(const Genome& genome) const {
    return std::find(genomes.begin(), genomes.end(), genome) != genomes.end();
  }
  /// Genes in which the most similar network differs.
  int nearest(const Genome& genome) const {
    int nearest = 1000;
    for (const Genome& other : genomes) nearest = std::min(nearest, distance(other, genome));
    return nearest;
  }
  /// Logarithm of the quotient of the latencies that are nearest.
  double nearest(double latency_ms) const {
    double nearest = 1e9;
    for (const double other : ms)
      nearest = std::min(nearest, std::abs(std::log(other / latency_ms)));
    return nearest;
  }
};

double upper_ms(const Pick& pick) {
  const auto measured = measured_of(pick);
  return measured ? measured->ms.high : pick.evaluation.latency.high_ms;
}

bool are_similar(const Pick& a, const Pick& b) {
  return std::abs(std::log(latency_of(a) / latency_of(b))) < same_latency &&
         std::abs(a.evaluation.accuracy.top1 - b.evaluation.accuracy.top1) < same_top1;
}

}  // namespace

double latency_limit_ms(std::span<const Constraint> constraints) {
  double limit_ms = std::numeric_limits<double>::infinity();
  for (const Constraint& c : constraints)
    if (c.objective == Objective::latency) limit_ms = std::min(limit_ms, c.limit);
  return limit_ms;
}

std::vector<Found> unpublished(std::span<const Found> front, const SearchSpace& space) {
  std::vector<Genome> published;
  for (const Member& member : space.skeleton->members(space))
    if (member.genome) published.push_back(canonical(space, *member.genome));
  const std::vector<Found> all(front.begin(), front.end());
  std::vector<Found> others = all;
  std::erase_if(others, [&](const Found& f) {
    return std::find(published.begin(), published.end(), canonical(space, f.genome)) !=
           published.end();
  });
  return others.empty() ? all : others;
}

std::vector<Found> choose(std::span<const Found> front, std::span<const Reference> references,
                          std::span<const Pick> picks, std::size_t count, double limit_ms) {
  std::vector<Found> chosen;
  Taken taken;
  for (const Pick& p : picks) taken.add(p.genome, p.evaluation.latency.ms);
  const auto take = [&](const Found& f) {
    chosen.push_back(f);
    taken.add(f.genome, f.evaluation.latency.ms);
  };
  const std::size_t each = std::max<std::size_t>(1, count / 5);
  for (const Reference& r : references) {
    const Found* best = nullptr;
    for (const Found& f : front)
      if (f.evaluation.accuracy.assured >= r.top1 &&
          (!best || f.evaluation.latency.ms < best->evaluation.latency.ms))
        best = &f;
    if (!best) continue;
    const double limit = best->evaluation.latency.ms * near_best;
    for (std::size_t k = 0; k < each && chosen.size() < count; ++k) {
      const Found* next = nullptr;
      int farthest = -1;
      for (const Found& f : front) {
        if (f.evaluation.accuracy.assured < r.top1 || f.evaluation.latency.ms > limit ||
            taken.has(f.genome))
          continue;
        const int nearest = k == 0 && &f == best ? 2000 : taken.nearest(f.genome);
        if (nearest > farthest) {
          farthest = nearest;
          next = &f;
        }
      }
      if (next) take(*next);
    }
  }
  // Between the fastest and the slowest network that is asked for.
  const double low = std::min(0.6 * references.front().predicted_ms, 0.4 * limit_ms);
  const double high = 1.1 * references.back().predicted_ms;
  std::vector<const Found*> range;
  for (const Found& f : front)
    if (f.evaluation.latency.ms >= low && f.evaluation.latency.ms <= high) range.push_back(&f);
  if (range.empty())
    for (const Found& f : front) range.push_back(&f);
  while (chosen.size() < count) {
    // The front's member that is farthest in latency from all that were picked.
    const Found* next = nullptr;
    double farthest = 0;
    for (const Found* f : range) {
      if (taken.has(f->genome)) continue;
      const double nearest = taken.nearest(f->evaluation.latency.ms);
      if (nearest > farthest) {
        farthest = nearest;
        next = f;
      }
    }
    if (!next) break;
    take(*next);
  }
  return chosen;
}

std::vector<std::size_t> propose(std::span<const Pick> picks, std::span<const Reference> references,
                                 std::size_t count, double limit_ms) {
  const bool any_measured =
      std::any_of(picks.begin(), picks.end(), [](const Pick& p) { return !p.measured.empty(); });
  std::vector<std::size_t> pool;
  for (std::size_t i = 0; i < picks.size(); ++i)
    if (!any_measured || !picks[i].measured.empty()) pool.push_back(i);
  const auto keeps_limit = [&](std::size_t i) { return upper_ms(picks[i]) <= limit_ms; };
  if (std::any_of(pool.begin(), pool.end(), keeps_limit))
    std::erase_if(pool, [&](std::size_t i) { return !keeps_limit(i); });
  std::vector<std::size_t> chosen;
  std::vector<std::size_t> similar;  // to one that was chosen
  const auto take = [&](std::size_t i) {
    const auto is = [&](std::size_t other) { return other == i; };
    if (chosen.size() >= count || std::any_of(chosen.begin(), chosen.end(), is)) return;
    if (std::any_of(chosen.begin(), chosen.end(),
                    [&](std::size_t other) { return are_similar(picks[i], picks[other]); }))
      similar.push_back(i);
    else
      chosen.push_back(i);
  };
  const auto cost = [&](std::size_t i) {  // of equally fast ones the most accurate is best
    return Costs{latency_of(picks[i]), -picks[i].evaluation.accuracy.assured};
  };
  // The fastest at the accuracy of each of B0..B3 come first.
  for (const Reference& r : references) {
    const std::size_t* best = nullptr;
    for (const std::size_t& i : pool)
      if (picks[i].evaluation.accuracy.assured >= r.top1 && (!best || cost(i) < cost(*best)))
        best = &i;
    if (best) take(*best);
  }
  while (chosen.size() < count && !pool.empty()) {
    std::vector<Costs> points;
    for (const std::size_t i : pool) points.push_back(cost(i));
    std::vector<std::size_t> layer = front(points);
    for (const std::size_t k : layer) take(pool[k]);
    std::sort(layer.rbegin(), layer.rend());
    for (const std::size_t k : layer) pool.erase(pool.begin() + static_cast<std::ptrdiff_t>(k));
    // Whole layers until there are five: dominated and similar ones only to make up the number.
    if (chosen.size() >= least_proposals) break;
  }
  for (const std::size_t i : similar)
    if (chosen.size() < least_proposals &&
        std::find(chosen.begin(), chosen.end(), i) == chosen.end())
      chosen.push_back(i);
  sort_by_latency(chosen, picks);
  return chosen;
}

void sort_by_latency(std::vector<std::size_t>& indices, std::span<const Pick> picks) {
  std::sort(indices.begin(), indices.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(latency_of(picks[a]), a) < std::pair(latency_of(picks[b]), b);
  });
}

}  // namespace cpubone
