#pragma once
#include <span>
#include <vector>

#include "explorer/search.hpp"
#include "space/cpubone_space.hpp"

namespace cpubone {

/// Networks that a search starts from, at most `room`: first the members that the space has, then
/// those of an earlier front, evenly from end to end.
std::vector<Genome> search_seeds(const SearchSpace& space, std::span<const CpuboneConfig> members,
                                 std::span<const Found> front, std::size_t room);

}  // namespace cpubone
