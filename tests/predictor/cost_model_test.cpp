#include "predictor/cost_model.hpp"

#include "tests/catch.hpp"

using namespace cpubone;

TEST_CASE("intervals of few samples are wider than the same error of many", "[predictor]") {
  Timing timing;
  timing.median_ns = 1000;
  timing.high_ns = 1196;
  CHECK(relative_error(timing) == Approx(0.1));  // 1.96 standard errors
  // Of 100 samples the interval ends at the 61st: 0.27 of their deviation, the median's error
  // 0.125.
  timing.samples_ns.assign(100, 1000);
  CHECK(relative_error(timing) == Approx(0.0925).epsilon(0.01));
  // Of 10 at the last, which is expected at 1.55 deviations; the median's error is 0.396.
  timing.samples_ns.assign(10, 1000);
  CHECK(relative_error(timing) == Approx(0.0502).epsilon(0.01));
  // Of 5 at the last, too: 1.18 deviations, 0.56.
  timing.samples_ns.assign(5, 1000);
  CHECK(relative_error(timing) == Approx(0.093).epsilon(0.01));
}
