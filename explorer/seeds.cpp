#include "explorer/seeds.hpp"

#include <algorithm>

namespace cpubone {

std::vector<Genome> search_seeds(std::span<const Member> members, std::span<const Found> front,
                                 std::size_t room) {
  std::vector<Genome> seeds;
  for (const Member& member : members)
    if (seeds.size() < room && member.genome) seeds.push_back(*member.genome);
  const std::size_t count = std::min(room - seeds.size(), front.size());
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = count == 1 ? 0 : i * (front.size() - 1) / (count - 1);
    seeds.push_back(front[at].genome);
  }
  return seeds;
}

}  // namespace cpubone
