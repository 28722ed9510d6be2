#include "profiler/system_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>

#include "runtime/system.hpp"

namespace cpubone {
namespace {

namespace fs = std::filesystem;

std::int64_t parse_size(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{}) return 0;
  if (*end == 'K') value *= 1024;
  if (*end == 'M') value *= 1024 * 1024;
  return value;
}

CacheSizes caches_of(const fs::path& folder) {
  CacheSizes caches;
  std::int64_t last_level = 0;
  for (int i = 0; i < 8; ++i) {
    const fs::path index = folder / fmt::format("cache/index{}", i);
    const auto level = static_cast<std::int64_t>(read_number(index / "level"));
    if (level == 0 || read_line(index / "type") == "Instruction") continue;
    const std::int64_t size = parse_size(read_line(index / "size"));
    if (level == 1) caches.l1d_bytes = size;
    if (level == 2) caches.l2_bytes = size;
    if (level >= last_level) {
      last_level = level;
      caches.llc_bytes = size;
    }
  }
  return caches;
}

/// The smaller of two sizes that are known.
std::int64_t both(std::int64_t a, std::int64_t b) {
  return a > 0 && b > 0 ? std::min(a, b) : std::max(a, b);
}

}  // namespace

std::string read_line(const std::filesystem::path& path) {
  std::ifstream stream(path);
  std::string line;
  std::getline(stream, line);
  while (!line.empty() && (line.back() == '\0' || line.back() == ' ')) line.pop_back();
  return line;
}

double read_number(const std::filesystem::path& path) {
  const std::string line = read_line(path);
  double value = 0;
  std::from_chars(line.data(), line.data() + line.size(), value);
  return value;
}

fs::path cpu_folder(const fs::path& cpus, int cpu) {
  return cpus / fmt::format("cpu{}", cpu);
}

CacheSizes read_cache_sizes(std::span<const int> cpus, const fs::path& system) {
  CacheSizes caches;
  for (const int cpu : cpus) {
    const CacheSizes one = caches_of(cpu_folder(system, cpu));
    caches.l1d_bytes = both(caches.l1d_bytes, one.l1d_bytes);
    caches.l2_bytes = both(caches.l2_bytes, one.l2_bytes);
    caches.llc_bytes = both(caches.llc_bytes, one.llc_bytes);
  }
  const auto ask = [](std::int64_t& bytes, int level) {
    if (bytes == 0) bytes = cache_bytes(level);
  };
  // Some Arm kernels leave sizes out of /sys.
  ask(caches.l1d_bytes, 1);
  ask(caches.l2_bytes, 2);
  ask(caches.llc_bytes, 3);
  if (caches.llc_bytes == 0) caches.llc_bytes = caches.l2_bytes;
  return caches;
}

}  // namespace cpubone
