#include "profiler/machine.hpp"

#include <unistd.h>

#include <fstream>
#include <string>

#include "tests/catch.hpp"

using namespace cpubone;

namespace {

/// As Linux tells it: `cpu user nice system idle iowait irq softirq steal`, in ticks.
double stolen_ticks() {
  std::ifstream stat("/proc/stat");
  std::string word;
  double ticks = 0;
  stat >> word;
  for (int i = 0; i < 8; ++i) stat >> ticks;
  return ticks;
}

}  // namespace

TEST_CASE("weights get as cold as in a network, where the last-level cache may hold all of it",
          "[machine]") {
  const auto eviction_mib = [](std::int64_t llc_mib) {
    return host_machine(llc_mib << 20)->eviction_bytes() >> 20;
  };
  CHECK(eviction_mib(0) == 8);  // not known
  CHECK(eviction_mib(2) == 8);
  CHECK(eviction_mib(12) == 24);
  CHECK(eviction_mib(32) == 64);
  CHECK(eviction_mib(480) == 64);
}

TEST_CASE("a last-level cache that is not known is taken for a small one", "[machine]") {
  CHECK(host_machine(0)->llc_bytes() == 4 << 20);
  CHECK(host_machine(480 << 20)->llc_bytes() == 480 << 20);
}

TEST_CASE("time that a hypervisor took is told in nanoseconds", "[machine]") {
  const auto machine = host_machine(0);
  const double ns_per_tick = 1e9 / static_cast<double>(::sysconf(_SC_CLK_TCK));
  const double before = stolen_ticks() * ns_per_tick;
  const double stolen = machine->stolen_ns();
  CHECK(stolen >= before);
  CHECK(stolen <= stolen_ticks() * ns_per_tick);
}
