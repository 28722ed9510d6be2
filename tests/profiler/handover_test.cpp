#include "profiler/handover.hpp"

#include "runtime/thread_pool.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

/// Samples of which some were taken while the cores were far from each other.
Timing handovers(int near, int far) {
  Timing timing;
  timing.samples_ns.assign(static_cast<std::size_t>(near), 26'000);
  timing.samples_ns.insert(timing.samples_ns.end(), static_cast<std::size_t>(far), 165'000);
  return timing;
}

}  // namespace

TEST_CASE("two threads hand a line over a thousand times", "[handover]") {
  const ThreadPool pool(2);
  const std::unique_ptr<Subject> subject = handover_task(pool).prepare(1);
  for (int i = 0; i < 3; ++i) subject->run(0);  // ends
  CHECK(handover_ns(26'000) == 26);
}

TEST_CASE("a profile says that cores changed where handing over differs twofold", "[handover]") {
  const auto warning = changing_cores(handovers(8, 4));
  REQUIRE(warning);
  CHECK(warning->what ==
        "one thread had what another wrote after 26 to 165 ns, as if cores that they run on "
        "changed: latencies of several threads change with it");
  CHECK(warning->remedy == "pin the virtual machine's CPUs on its host, or measure on one thread");
  CHECK_FALSE(changing_cores(handovers(12, 0)));
  CHECK_FALSE(changing_cores(handovers(0, 12)));
  CHECK_FALSE(changing_cores(handovers(20, 1)));  // rare
  CHECK_FALSE(changing_cores(handovers(4, 4)));   // too few to tell
}
