#pragma once
#include <span>
#include <vector>

#include "explorer/search.hpp"
#include "space/search_space.hpp"

namespace cpubone {

/// Networks that a search starts from, at most `room`: first the members that the space has, then
/// those of an earlier front, evenly from end to end.
std::vector<Genome> search_seeds(std::span<const Member> members, std::span<const Found> front,
                                 std::size_t room);

}  // namespace cpubone
