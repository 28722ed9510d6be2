#pragma once
#include <span>
#include <vector>

#include "explorer/confirmation.hpp"
#include "explorer/search.hpp"

namespace cpubone {

/// Members of the front to confirm next, at most `count`, none of which was picked before: for each
/// reference the fastest that are no less accurate, unlike each other and all picks; then the front
/// evenly.
std::vector<Found> choose(std::span<const Found> front, std::span<const Reference> references,
                          std::span<const Pick> picks, std::size_t count);

/// The picks to propose, at most `count`, fastest first: the front of all that were measured (of
/// all, where none was), then what is nearest to it.
std::vector<std::size_t> propose(std::span<const Pick> picks, std::span<const Reference> references,
                                 std::size_t count);

/// Puts indices of picks in the order of their latencies.
void sort_by_latency(std::vector<std::size_t>& indices, std::span<const Pick> picks);

}  // namespace cpubone
