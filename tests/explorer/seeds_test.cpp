#include "explorer/seeds.hpp"

#include <algorithm>
#include <limits>

#include "tests/catch.hpp"
#include "tests/explorer/models.hpp"

using namespace cpubone;

namespace {

std::vector<Found> some_front(const SearchSpace& space, int count) {
  Rng rng(1);
  std::vector<Found> front;
  for (int i = 0; i < count; ++i) front.push_back({sample(space, rng), {}});
  return front;
}

std::vector<Member> members(const SearchSpace& space) {
  return space.skeleton->members(space);
}

}  // namespace

TEST_CASE("seeds are all members and then the front evenly from end to end", "[explorer]") {
  const SearchSpace space = default_search_space();
  const std::vector<Found> front = some_front(space, 41);
  const std::vector<Genome> seeds = search_seeds(members(space), front, 12);
  REQUIRE(seeds.size() == 12);
  for (std::size_t i = 0; i < cpubone_family().size(); ++i)
    CHECK(seeds[i] == encode(space, cpubone_family()[i]));
  for (std::size_t i = 0; i < 5; ++i) CHECK(seeds[7 + i] == front[10 * i].genome);
}

TEST_CASE("little room is no hindrance to seeds", "[explorer]") {
  const SearchSpace space = default_search_space();
  const std::vector<Found> front = some_front(space, 3);
  for (const std::size_t room : {0U, 1U, 2U, 3U}) {
    CHECK(search_seeds(members(space), front, room).size() == room);
    CHECK(search_seeds({}, front, room).size() == room);
  }
  CHECK(search_seeds({}, {}, 9).empty());
  CHECK(search_seeds({}, front, 9).size() == 3);
  CHECK(search_seeds({}, front, 1).front() == front.front().genome);
}

TEST_CASE("members that the space lacks are no seeds", "[explorer]") {
  const SearchSpace space = tiny_space();
  const std::vector<Genome> seeds = search_seeds(members(space), {}, 50);
  const auto held = std::count_if(cpubone_family().begin(), cpubone_family().end(),
                                  [&](const CpuboneConfig& c) { return contains(space, c); });
  CHECK(static_cast<std::ptrdiff_t>(seeds.size()) == held);
  CHECK(held < 7);
}
