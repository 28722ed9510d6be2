#include "profiler/machine.hpp"

#include "tests/catch.hpp"

using namespace cpubone;

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
