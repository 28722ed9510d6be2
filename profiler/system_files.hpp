#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

/// What the kernel tells in files of /proc and /sys.
namespace cpubone {

inline constexpr const char* system_cpus = "/sys/devices/system/cpu";

/// First line of a file, empty where there is none.
std::string read_line(const std::filesystem::path& path);
/// The number that it begins with, 0 where there is none.
double read_number(const std::filesystem::path& path);

/// A CPU's folder in `system_cpus`.
std::filesystem::path cpu_folder(const std::filesystem::path& cpus, int cpu);

/// Bytes; 0 where unknown.
struct CacheSizes {
  std::int64_t l1d_bytes = 0;  ///< of one core, as below
  std::int64_t l2_bytes = 0;
  std::int64_t llc_bytes = 0;  ///< of the last level
  bool operator==(const CacheSizes&) const = default;
};

/// The caches that each of these CPUs has: the smallest where they differ. What `system` does not
/// say is asked of the C library.
CacheSizes read_cache_sizes(std::span<const int> cpus,
                            const std::filesystem::path& system = system_cpus);

}  // namespace cpubone
