#include "runtime/placement.hpp"

#include <random>

#include "tests/catch.hpp"

using namespace cpubone;

TEST_CASE("what lives at different times has the same place", "[runtime]") {
  const std::vector<Lifetime> lives{{64, 0, 1}, {128, 1, 2}, {64, 2, 3}};
  const Placement placement = place(lives);
  CHECK(placement.offsets == std::vector<std::size_t>{128, 0, 128});
  CHECK(placement.bytes == 192);
}

TEST_CASE("a gap between two that live longer is used", "[runtime]") {
  // The one of 256 bytes leaves a gap once it is dead.
  const std::vector<Lifetime> lives{{512, 0, 5}, {256, 0, 2}, {128, 0, 5}, {192, 3, 5}};
  const Placement placement = place(lives);
  CHECK(placement.offsets == std::vector<std::size_t>{0, 512, 768, 512});
  CHECK(placement.bytes == 896);
}

TEST_CASE("nothing that lives at the same time overlaps", "[runtime]") {
  std::mt19937 random(3);
  std::vector<Lifetime> lives;
  for (int i = 0; i < 300; ++i) {
    const int first = static_cast<int>(random() % 200);
    const int length = static_cast<int>(i % 10 == 0 ? random() % 150 : random() % 6);
    lives.push_back({64 * (1 + random() % 40), first, first + length});
  }
  const Placement placement = place(lives);
  std::size_t pairs = 0;
  for (std::size_t a = 0; a < lives.size(); ++a)
    for (std::size_t b = 0; b < a; ++b) {
      if (lives[a].first > lives[b].last || lives[b].first > lives[a].last) continue;
      ++pairs;
      const bool apart = placement.offsets[a] + lives[a].bytes <= placement.offsets[b] ||
                         placement.offsets[b] + lives[b].bytes <= placement.offsets[a];
      CHECK(apart);
    }
  CHECK(placement.compared == pairs);
}

TEST_CASE("what has another colour begins elsewhere in its page", "[runtime]") {
  const std::size_t apart = aliasing_bytes / colours;
  const std::vector<Lifetime> lives{{8192, 0, 1, 2}, {8192, 1, 2, 5}, {64, 1, 1}, {8192, 2, 3, 2}};
  const Placement placement = place(lives);
  CHECK(placement.offsets ==
        std::vector<std::size_t>{2 * apart, 2 * 4096 + 5 * apart, 0, 2 * apart});
  CHECK(placement.bytes == 4 * 4096 + 5 * apart);
}

TEST_CASE("the effort for a chain grows with its length", "[runtime]") {
  const auto effort = [](int length) {
    std::vector<Lifetime> lives{{4096, 0, length}};  // the input lives on
    for (int i = 0; i < length; ++i)
      lives.push_back({static_cast<std::size_t>(64 * (1 + i % 7)), i, i + 1});
    return place(lives).compared;
  };
  CHECK(10 * effort(20'000) < 21 * effort(10'000));
  CHECK(effort(20'000) < 5 * 20'000);
}
