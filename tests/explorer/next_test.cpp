#include "explorer/next.hpp"

#include <algorithm>

#include "explorer/known_accuracies.hpp"
#include "space/cpubone.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

TrainingCandidate candidate(const char* member, double ms, double factor = 1.01) {
  return {accuracy_terms(build(cpubone_config(member))), {ms, ms / factor, ms * factor}};
}

}  // namespace

TEST_CASE("what would improve the front most is trained first", "[explorer]") {
  const AccuracyPosterior& posterior = published_accuracy_model().posterior;
  // About 75.8, 78.6 and 80.4 %.
  const std::vector<TrainingCandidate> candidates{candidate("s0", 30), candidate("b1", 12),
                                                  candidate("b2", 38)};
  const std::vector<std::pair<double, double>> known{{10, 73}, {20, 77}, {40, 80}};
  const auto chosen = train_next(posterior, candidates, known, 3, 1);
  REQUIRE(chosen.size() == 3);
  CHECK(chosen[0].candidate == 1);
  CHECK(chosen[1].candidate == 2);
  CHECK(chosen[2].candidate == 0);  // slower than what is more accurate
  CHECK(chosen[0].improvement > chosen[1].improvement);
  CHECK(chosen[2].improvement < 0.01);
  CHECK(train_next(posterior, candidates, known, 1, 1)[0].improvement == chosen[0].improvement);
  CHECK(train_next(posterior, candidates, {}, 1, 1).empty());
}

TEST_CASE("a twin of what is to be trained teaches little more", "[explorer]") {
  const AccuracyPosterior& posterior = published_accuracy_model().posterior;
  const std::vector<TrainingCandidate> candidates{candidate("b1", 12), candidate("b1", 12),
                                                  candidate("s0", 9)};
  const std::vector<std::pair<double, double>> known{{10, 73}, {20, 77}, {40, 80}};
  const auto chosen = train_next(posterior, candidates, known, 2, 1);
  CHECK(chosen[0].candidate != chosen[1].candidate);
  CHECK(chosen[1].candidate == 2);
  // Where latency is not known well, a slow network may yet be fast.
  const std::vector<TrainingCandidate> slow{candidate("s0", 25)};
  const std::vector<TrainingCandidate> perhaps_slow{candidate("s0", 25, 3)};
  CHECK(train_next(posterior, perhaps_slow, known, 1, 1)[0].improvement >
        train_next(posterior, slow, known, 1, 1)[0].improvement);
}
