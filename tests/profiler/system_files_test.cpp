#include "profiler/system_files.hpp"

#include "tests/catch.hpp"
#include "tests/temporary_folder.hpp"

using namespace cpubone;

namespace {

void write_cache(const std::filesystem::path& cpu, int index, const std::string& level,
                 const std::string& type, const std::string& size) {
  const auto folder = cpu / "cache" / ("index" + std::to_string(index));
  write_bytes(folder / "level", level + "\n");
  write_bytes(folder / "type", type + "\n");
  write_bytes(folder / "size", size + "\n");
}

}  // namespace

TEST_CASE("caches are those of the CPUs that measure", "[host]") {
  const TemporaryFolder system;
  for (const auto& [cpu, l1, l2] :
       {std::tuple{"cpu0", "32K", "128K"}, std::tuple{"cpu4", "64K", "1M"}}) {
    write_cache(system / cpu, 0, "1", "Data", l1);
    write_cache(system / cpu, 1, "1", "Instruction", "16K");
    write_cache(system / cpu, 2, "2", "Unified", l2);
    write_cache(system / cpu, 3, "3", "Unified", "4096K");
  }
  const auto sizes = [&](std::vector<int> cpus) { return read_cache_sizes(cpus, system.path()); };
  const CacheSizes little{32 << 10, 128 << 10, 4 << 20};
  const CacheSizes big{64 << 10, 1 << 20, 4 << 20};
  CHECK(sizes({0}) == little);
  CHECK(sizes({4}) == big);
  CHECK(sizes({0, 4}) == little);
  CHECK(sizes({4, 0}) == little);
}

TEST_CASE("the last level is the highest that there is", "[host]") {
  const TemporaryFolder system;
  write_cache(system / "cpu1", 0, "1", "Data", "48K");
  write_cache(system / "cpu1", 1, "2", "Unified", "2048K");
  CHECK(read_cache_sizes(std::vector{1}, system.path()).l1d_bytes == 48 << 10);
  CHECK(read_cache_sizes(std::vector{1}, system.path()).llc_bytes == 2 << 20);
}

TEST_CASE("files of the system are read as far as they are there", "[host]") {
  const TemporaryFolder system;
  write_bytes(system / "name", "rpi_volt \nmore\n");
  write_bytes(system / "mhz", "1800000\n");
  CHECK(read_line(system / "name") == "rpi_volt");
  CHECK(read_number(system / "mhz") == 1.8e6);
  CHECK(read_line(system / "none").empty());
  CHECK(read_number(system / "name") == 0);
}
