#include "profiler/host.hpp"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "graph/error.hpp"
#include "runtime/system.hpp"
#include "runtime/xnnpack_backend.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

TEST_CASE("lists of CPUs are numbers and ranges", "[host]") {
  CHECK(parse_cpus("3") == std::vector<int>{3});
  CHECK(parse_cpus("0-3,6") == std::vector<int>{0, 1, 2, 3, 6});
  CHECK(parse_cpus("5,1,1-2") == std::vector<int>{1, 2, 5});
}

TEST_CASE("a list of CPUs that makes no sense is refused by its part", "[host]") {
  for (const std::string text : {"", "a", "1,", "3-1", "-1", "1-", "99999", "1 ", "big2"})
    CHECK_THROWS_AS(parse_cpus(text), std::invalid_argument);
  CHECK_THROWS_WITH(parse_cpus("0,3-1"),
                    "CPUs: got \"3-1\" in \"0,3-1\", expected a list such as 0-3,6");
}

TEST_CASE("all CPUs are those of all clusters", "[host]") {
  std::vector<int> cpus;
  for (const auto& cluster : cpu_clusters())
    cpus.insert(cpus.end(), cluster.begin(), cluster.end());
  std::sort(cpus.begin(), cpus.end());
  CHECK(parse_cpus("all") == cpus);
}

TEST_CASE("a cluster exists only where CPUs differ", "[host]") {
  if (cpu_clusters().size() == 1) {
    CHECK_THROWS_WITH(parse_cpus("big"), ContainsSubstring("all CPUs of this machine are alike"));
  } else {
    CHECK(parse_cpus("big") == cpu_clusters().front());
    CHECK(parse_cpus("little") == cpu_clusters().back());
  }
}

TEST_CASE("pinning to a CPU that does not exist names it", "[host]") {
  CHECK_THROWS_WITH(
      PinnedThread(std::vector{4095}),
      ContainsSubstring(thread_cpus() ? "cannot pin to CPU 4095: this machine has CPUs"
                                      : "cannot pin to CPUs 4095: this system does not let"));
}

TEST_CASE("a thread is pinned until its pin goes", "[host]") {
  const auto before = thread_cpus();
  if (!before) return;  // nobody is pinned there, as the last test tells
  REQUIRE_FALSE(before->empty());
  const std::vector<int> one{before->front()};
  {
    const PinnedThread pinned(one);
    CHECK(thread_cpus() == one);
    const PinnedThread none({});
    CHECK(thread_cpus() == one);
  }
  CHECK(thread_cpus() == before);
}

TEST_CASE("this machine describes itself the same every time", "[host]") {
  const Device device = describe_host();
  CHECK(device.name == "host");
  CHECK_FALSE(device.cpu.empty());
  CHECK_FALSE(device.architecture.empty());
  CHECK(device.cores >= 1);
  CHECK(device.memory_bytes > 0);
  CHECK_THAT(device.runtime, ContainsSubstring("XNNPACK ") && ContainsSubstring(", Eigen "));
  CHECK(device.runtime_hash.size() == 16);
  if (!xnnpack_archives_hash().empty()) CHECK(device.runtime_hash == xnnpack_archives_hash());
  CHECK(fingerprint(device, {}) == fingerprint(describe_host(), {}));
}

TEST_CASE("every warning about this machine comes with a remedy", "[host]") {
  for (const Warning& warning : host_warnings()) {
    CHECK_FALSE(warning.what.empty());
    CHECK_FALSE(warning.remedy.empty());
  }
}

TEST_CASE("the date is that of SOURCE_DATE_EPOCH where it is set", "[host]") {
  ::setenv("SOURCE_DATE_EPOCH", "86400", 1);
  CHECK(utc_now() == "1970-01-02T00:00:00Z");
  ::setenv("SOURCE_DATE_EPOCH", "today", 1);
  CHECK_THROWS_WITH(
      utc_now(), "SOURCE_DATE_EPOCH: expected seconds since 1970 as a whole number, got \"today\"");
  ::unsetenv("SOURCE_DATE_EPOCH");
}

TEST_CASE("boards are known by the model that their firmware tells", "[host]") {
  Device device;
  device.cpu = "Raspberry Pi 5 Model B Rev 1.0 (Cortex-A76)";
  CHECK(known_board(device) == "pi5");
  device.cpu = "Raspberry Pi 400 Rev 1.0 (Cortex-A72)";
  CHECK(known_board(device) == "pi4");
  device.cpu = "Raspberry Pi 3 Model B (Cortex-A53)";
  CHECK(known_board(device).empty());
}
