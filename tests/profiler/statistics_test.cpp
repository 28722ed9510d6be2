#include "profiler/statistics.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "tests/catch.hpp"

using namespace cpubone;

TEST_CASE("the median of an odd count is the middle value, of an even one the mean of two",
          "[statistics]") {
  CHECK(median(std::vector<double>{3, 1, 2}) == 2);
  CHECK(median(std::vector<double>{4, 1, 3, 2}) == 2.5);
  CHECK(median(std::vector<double>{7}) == 7);
}

TEST_CASE("one slow run does not move the median", "[statistics]") {
  CHECK(median(std::vector<double>{10, 10, 11, 900, 10}) == 10);
}

TEST_CASE("quantiles interpolate between values", "[statistics]") {
  const std::vector<double> values{40, 10, 30, 20};  // sorted at positions 0, 1/3, 2/3, 1
  CHECK(quantile(values, 0) == 10);
  CHECK(quantile(values, 1) == 40);
  CHECK(quantile(values, 0.5) == 25);
  CHECK(quantile(values, 0.25) == Approx(17.5));
  CHECK(sorted_quantile(std::vector<double>{10, 20, 30, 40}, 0.25) == Approx(17.5));
}

TEST_CASE("no values have no quantile", "[statistics]") {
  CHECK_THROWS_WITH(median({}), "a quantile needs at least one value, got none");
}

TEST_CASE("a summary has median, interval and MdAPE, worked by hand", "[statistics]") {
  // Deviations from 100: 10, 0, 10, 20, 0 -> MAD 10. Ranks of 5 samples: the outermost.
  const std::vector<double> samples{90, 100, 110, 120, 100};
  const Timing timing = summarise(samples, 4);
  CHECK(timing.median_ns == 100);
  CHECK(timing.mdape == Approx(0.1));
  CHECK(timing.low_ns == 90);
  CHECK(timing.high_ns == 120);
  CHECK(timing.samples_ns == samples);
  CHECK(timing.runs_per_sample == 4);
  CHECK_FALSE(timing.disturbed);
}

TEST_CASE("the interval leaves outliers out as soon as there are enough samples", "[statistics]") {
  // 16 samples: ranks floor((16 - 7.84) / 2) = 4 and ceil(1 + (16 + 7.84) / 2) = 13.
  std::vector<double> samples;
  for (int i = 1; i <= 15; ++i) samples.push_back(100 + i);
  samples.push_back(9000);
  const Timing timing = summarise(samples, 1);
  CHECK(timing.median_ns == 108.5);
  CHECK(timing.low_ns == 104);
  CHECK(timing.high_ns == 113);
}

TEST_CASE("an operator with two speeds has an interval that says so", "[statistics]") {
  const Timing timing = summarise(std::vector<double>{10, 20, 10, 20, 10}, 1);
  CHECK(timing.median_ns == 10);
  CHECK(timing.mdape == 0);
  CHECK(timing.high_ns == 20);
}

TEST_CASE("fewer than five samples have no interval to trust", "[statistics]") {
  CHECK(std::isinf(relative_half_width(std::vector<double>{1, 1, 1, 1})));
  CHECK(relative_half_width(std::vector<double>{1, 1, 1, 1, 1}) == 0);
  CHECK(relative_half_width(std::vector<double>{90, 100, 110, 120, 100}) == Approx(0.15));
}

TEST_CASE("no samples have no summary", "[statistics]") {
  CHECK_THROWS_AS(summarise({}, 1), std::invalid_argument);
}
