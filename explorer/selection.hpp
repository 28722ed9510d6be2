#pragma once
#include <span>
#include <vector>

#include "explorer/confirmation.hpp"
#include "explorer/search.hpp"
#include "space/search_space.hpp"

namespace cpubone {

/// The latency that constraints allow at most; infinite without one.
double latency_limit_ms(std::span<const Constraint> constraints);

/// The front without published networks, which are compared with anyway; all of it where it has no
/// others.
std::vector<Found> unpublished(std::span<const Found> front, const SearchSpace& space);

/// Members of the front to confirm next, at most `count`, none of which was picked before: for each
/// reference the fastest that are no less accurate, unlike each other and all picks; then the front
/// evenly, from what is much faster than B0 and the limit on.
std::vector<Found> choose(std::span<const Found> front, std::span<const Reference> references,
                          std::span<const Pick> picks, std::size_t count, double limit_ms);

/// The picks to propose, at most `count`, fastest first: the front of all that were measured (of
/// all, where none was) and keep the limit with their interval's upper end (if any does), then what
/// is nearest to it. They differ by 2 % of latency or 0.2 points of top-1, but where there would be
/// fewer than five.
std::vector<std::size_t> propose(std::span<const Pick> picks, std::span<const Reference> references,
                                 std::size_t count, double limit_ms);

/// Puts indices of picks in the order of their latencies.
void sort_by_latency(std::vector<std::size_t>& indices, std::span<const Pick> picks);

}  // namespace cpubone
