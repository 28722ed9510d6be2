#include "profiler/host_profile.hpp"

#include "tests/catch.hpp"

using namespace cpubone;

TEST_CASE("a machine measures as many more operators as its time allows", "[host_profile]") {
  const auto count_after = [](double seconds) {
    Profile spread;
    spread.ops.resize(600);
    spread.seconds = seconds;
    return unsure_ops(spread, 100);
  };
  // Of 59.84 s for all of them.
  CHECK(count_after(29.92) == 600);
  CHECK(count_after(20) == 1195);
  CHECK(count_after(5) == 1800);
  CHECK(count_after(34) == 500);
  CHECK(count_after(0) == 500);
  CHECK(unsure_ops({}, 100) == 500);
}

TEST_CASE("what the first operators leave of their time is for the others", "[host_profile]") {
  Profile spread;
  spread.seconds = 20;
  CHECK(rest_s(spread, 100) == Approx(48));
  spread.seconds = 50;  // more than they had
  CHECK(rest_s(spread, 100) == Approx(30));
}
