#include "explorer/pareto.hpp"

#include <random>

#include "tests/catch.hpp"

using namespace cpubone;

TEST_CASE("a front keeps what nothing dominates, the first of equals", "[explorer]") {
  const std::vector<Costs> points{{3, 1}, {1, 3}, {2, 2}, {2, 2}, {3, 3}, {1, 4}, {4, 1}};
  CHECK(front(points) == std::vector<std::size_t>{1, 2, 0});
  CHECK(front(std::vector<Costs>{}).empty());
  CHECK(front(std::vector<Costs>{{5}, {2}, {2}}) == std::vector<std::size_t>{1});
}

TEST_CASE("a front of three costs, solved by hand", "[explorer]") {
  const std::vector<Costs> points{{1, 2, 3}, {3, 2, 1}, {2, 2, 2}, {2, 3, 3}, {1, 2, 4}};
  CHECK(front(points) == std::vector<std::size_t>{0, 2, 1});
}

TEST_CASE("hypervolume of hand-solved fronts", "[explorer]") {
  CHECK(hypervolume(std::vector<Costs>{{1, 3}, {2, 2}, {3, 1}}, {4, 4}) == Approx(6));
  CHECK(hypervolume(std::vector<Costs>{{1, 3}, {5, 0}}, {4, 4}) == Approx(3));
  CHECK(hypervolume(std::vector<Costs>{}, {4, 4}) == 0);
  CHECK(hypervolume(std::vector<Costs>{{1}, {3}}, {4}) == 3);
  // Two boxes of 2 x 2 x 1 and 1 x 1 x 2 that share 1.
  CHECK(hypervolume(std::vector<Costs>{{0, 0, 1}, {1, 1, 0}}, {2, 2, 2}) == Approx(5));
}

TEST_CASE("members of a random front do not dominate each other and cover the rest", "[explorer]") {
  std::mt19937 rng(2);
  for (const std::size_t n : {std::size_t{2}, std::size_t{3}}) {
    std::vector<Costs> points(300, Costs(n));
    for (Costs& p : points)
      for (double& c : p) c = static_cast<double>(rng() % 50);
    const auto kept = front(points);
    for (const std::size_t a : kept)
      for (const std::size_t b : kept) CHECK_FALSE(dominates(points[a], points[b]));
    for (const Costs& p : points)
      CHECK(std::any_of(kept.begin(), kept.end(),
                        [&](std::size_t k) { return points[k] == p || dominates(points[k], p); }));
  }
}

TEST_CASE("points of different sizes are refused", "[explorer]") {
  CHECK_THROWS_WITH(front(std::vector<Costs>{{1, 2}, {1}}),
                    "front: a point has 1 costs, expected 2");
}
