#include "benchmarks/recordings.hpp"
#include <algorithm>

#include "tests/catch.hpp"

using namespace cpubone;

TEST_CASE("predictors of recorded machines err no more than they did", "[predictor]") {
  struct Bounds {
    const char* recording;
    double rmspe;
    double covered;
  };
  const std::vector<Recording> recordings =
      load_recordings(std::filesystem::path(CPUBONE_FIXTURES) / "machines");
  const auto bounds = GENERATE(
      Bounds{"zen3-busy/profile", 0.075, 0.75}, Bounds{"zen3-huge-pages/profile", 0.03, 0.85},
      Bounds{"zen3-busy-upstream/profile", 0.13, 0.5}, Bounds{"zen4/profile", 0.03, 0.85},
      Bounds{"zen4-two-threads/profile", 0.09, 0.75}, Bounds{"zen4-quiet/profile", 0.035, 0.75},
      Bounds{"zen4-f16/profile", 0.03, 0.7}, Bounds{"zen3-neighbours/profile", 0.035, 0.85});
  INFO(bounds.recording);
  const auto found = std::find_if(recordings.begin(), recordings.end(),
                                  [&](const Recording& r) { return r.name == bounds.recording; });
  REQUIRE(found != recordings.end());
  CHECK(found->networks.size() >= 46);
  CHECK(found->profile.networks.size() == 40);
  const PredictionQuality quality = prediction_quality(judge(*found).networks);
  CHECK(quality.rmspe < bounds.rmspe);
  CHECK(quality.covered > bounds.covered);
  CHECK(quality.spearman > 0.98);
}

TEST_CASE("a folder without recordings is named", "[predictor]") {
  const std::filesystem::path folder = std::filesystem::path(CPUBONE_FIXTURES) / "golden";
  CHECK_THROWS_WITH(load_recordings(folder),
                    folder.string() + ": no *profile.json in it or in its folders");
}
