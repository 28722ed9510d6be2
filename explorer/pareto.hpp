#pragma once
#include <cstddef>
#include <span>
#include <vector>

namespace cpubone {

/// Costs of a candidate, all minimised.
using Costs = std::vector<double>;

/// Whether `a` is nowhere worse than `b` and somewhere better.
bool dominates(const Costs& a, const Costs& b);

/// Indices of the points that no other dominates, by ascending first cost; of equal points the
/// first. Throws std::invalid_argument where points differ in their number of costs.
std::vector<std::size_t> front(std::span<const Costs> points);

/// Exact volume that the points dominate below `reference`; points outside of it add nothing. With
/// two costs an area. Throws std::invalid_argument where the number of costs differs.
double hypervolume(std::span<const Costs> points, const Costs& reference);

}  // namespace cpubone
