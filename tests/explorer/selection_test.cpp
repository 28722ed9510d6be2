#include "explorer/selection.hpp"

#include <cmath>
#include <limits>

#include "space/cpubone_space.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

constexpr double no_limit = std::numeric_limits<double>::infinity();

Pick measured(double ms, double top1, double half = 0.1) {
  Pick pick;
  pick.evaluation.accuracy.top1 = pick.evaluation.accuracy.assured = top1;
  pick.evaluation.latency = {ms, ms, ms};
  pick.measured = {{{ms, ms - half, ms + half}, 20, false}};
  return pick;
}

std::vector<Reference> references() {
  std::vector<Reference> all(2);
  all[0].predicted_ms = 10;
  all[0].top1 = 77;
  all[1].predicted_ms = 40;
  all[1].top1 = 83;
  return all;
}

/// Of a front on which every network is a gene apart from the next.
std::vector<Found> front(double fastest_ms, double slowest_ms) {
  std::vector<Found> found(50);
  for (std::size_t i = 0; i < found.size(); ++i) {
    const double share = static_cast<double>(i) / 49;
    found[i].genome = {static_cast<std::uint8_t>(i)};
    found[i].evaluation.latency.ms = fastest_ms * std::pow(slowest_ms / fastest_ms, share);
    found[i].evaluation.accuracy.assured = 60 + 10 * share;
  }
  return found;
}

}  // namespace

TEST_CASE("proposals differ by enough to matter", "[explorer]") {
  std::vector<Pick> picks;
  for (int i = 0; i < 6; ++i) picks.push_back(measured(10 + i, 70 + i));
  picks.push_back(measured(12.1, 72.1));  // as good as the third
  picks.push_back(measured(12.1, 72.3));  // better by more than 0.2 points
  CHECK(propose(picks, references(), 10, no_limit) ==
        std::vector<std::size_t>{0, 1, 2, 7, 3, 4, 5});
  // Where there is nothing else, similar ones make up five.
  std::vector<Pick> alike;
  for (int i = 0; i < 8; ++i) alike.push_back(measured(10 + 0.01 * i, 70 + 0.01 * i));
  CHECK(propose(alike, references(), 8, no_limit).size() == 5);
}

TEST_CASE("of equally fast networks the more accurate is proposed", "[explorer]") {
  const std::vector<Pick> picks{measured(10, 70), measured(12, 78), measured(12, 79)};
  CHECK(propose(picks, references(), 1, no_limit) == std::vector<std::size_t>{2});
}

TEST_CASE("proposals keep the limit with the upper end of what was measured", "[explorer]") {
  std::vector<Pick> picks;
  for (int i = 0; i < 8; ++i) picks.push_back(measured(8 + i, 70 + i));
  const std::vector<std::size_t> kept = propose(picks, references(), 10, 13.05);
  CHECK(kept == std::vector<std::size_t>{0, 1, 2, 3, 4});  // 13 +- 0.1 ms is not below 13.05
  CHECK(propose(picks, references(), 10, 1).size() == 8);  // none does: said elsewhere
  CHECK(latency_limit_ms(std::vector<Constraint>{{Objective::latency, 9}, {Objective::macs, 3}}) ==
        9);
  CHECK(latency_limit_ms({}) == no_limit);
}

TEST_CASE("a published network is no proposal, unless there are no others", "[explorer]") {
  const SearchSpace space = default_search_space();
  Rng random(1);
  std::vector<Found> found(3);
  found[0].genome = sample(space, random);
  found[1].genome = encode(space, cpubone_family()[3]);
  found[2].genome = sample(space, random);
  const std::vector<Found> left = unpublished(found, space);
  REQUIRE(left.size() == 2);
  CHECK(left[0].genome == found[0].genome);
  CHECK(left[1].genome == found[2].genome);
  CHECK(unpublished(std::span(found).subspan(1, 1), space).size() == 1);
}

TEST_CASE("under a limit below what B0 takes, faster networks are confirmed too", "[explorer]") {
  const std::vector<Found> found = front(2, 6.5);
  const auto fastest = [&](double limit_ms) {
    double ms = 100;
    for (const Found& f : choose(found, references(), {}, 8, limit_ms))
      ms = std::min(ms, f.evaluation.latency.ms);
    return ms;
  };
  CHECK(fastest(no_limit) >= 6);  // 0.6 times B0
  CHECK(fastest(6.5) == Approx(2.6).epsilon(0.05));
}
