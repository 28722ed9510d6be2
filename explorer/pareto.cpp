#include "explorer/pareto.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <pagmo/utils/hypervolume.hpp>
#include <stdexcept>

namespace cpubone {
namespace {

void check_sizes(std::span<const Costs> points, std::size_t expected) {
  for (const Costs& point : points)
    if (point.size() != expected)
      throw std::invalid_argument(
          fmt::format("front: a point has {} costs, expected {}", point.size(), expected));
}

}  // namespace

bool dominates(const Costs& a, const Costs& b) {
  bool better = false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] > b[i]) return false;
    better |= a[i] < b[i];
  }
  return better;
}

std::vector<std::size_t> front(std::span<const Costs> points) {
  if (points.empty()) return {};
  check_sizes(points, points[0].size());
  std::vector<std::size_t> order(points.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (points[a] != points[b]) return points[a] < points[b];
    return a < b;
  });
  // In lexicographic order a point is dominated only by points before it.
  std::vector<std::size_t> kept;
  if (points[0].size() == 2) {
    double best = std::numeric_limits<double>::infinity();
    for (const std::size_t i : order)
      if (points[i][1] < best || kept.empty()) {
        best = points[i][1];
        kept.push_back(i);
      }
    return kept;
  }
  for (const std::size_t i : order) {
    const bool covered = std::any_of(kept.begin(), kept.end(), [&](std::size_t k) {
      return points[k] == points[i] || dominates(points[k], points[i]);
    });
    if (!covered) kept.push_back(i);
  }
  return kept;
}

double hypervolume(std::span<const Costs> points, const Costs& reference) {
  check_sizes(points, reference.size());
  std::vector<Costs> inside;
  for (const Costs& point : points) {
    bool below = true;
    for (std::size_t i = 0; i < point.size(); ++i) below &= point[i] < reference[i];
    if (below) inside.push_back(point);
  }
  if (inside.empty()) return 0;
  if (reference.size() == 1) {
    double least = reference[0];
    for (const Costs& point : inside) least = std::min(least, point[0]);
    return reference[0] - least;
  }
  return pagmo::hypervolume(inside, true).compute(reference);
}

}  // namespace cpubone
