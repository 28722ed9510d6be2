#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "profiler/machine.hpp"
#include "records/profile.hpp"
#include "runtime/backend.hpp"

namespace cpubone {

/// This machine, read from the system: /proc, /sys, and the libraries of what measures. Device name
/// `host`.
/// Caches, governor and frequency are those of `cpus`, the ones that measure; none: all that are
/// online.
Device describe_host(std::span<const int> cpus = {}, Backends backends = cpubone::backends());

/// Name in devices/ of the board that a device says it is, e.g. `pi5` for a Raspberry Pi 5; empty
/// where it is none of them.
std::string known_board(const Device& device);

/// Conditions that make measurements worse than they need to be, each with its remedy: governor,
/// throttling, under-voltage, virtual machine, emulation.
std::vector<Warning> host_warnings();

/// Frequency, temperature and throttling as they are now, without competitors.
Conditions read_conditions();

/// CPUs that differ in speed, the fastest cluster first; one cluster where all are alike.
std::vector<std::vector<int>> cpu_clusters();

/// Whether this process runs under an emulator, where timings mean nothing.
bool is_emulated();

/// Pins the calling thread, and the threads that it starts meanwhile, to CPUs; where it may run
/// afterwards is as before. None: changes nothing. To be destroyed by the thread that made it.
class PinnedThread {
 public:
  /// Throws cpubone::Error naming the CPU that does not exist, or where the system pins nothing.
  explicit PinnedThread(std::span<const int> cpus);
  ~PinnedThread();
  PinnedThread(const PinnedThread&) = delete;
  PinnedThread& operator=(const PinnedThread&) = delete;

 private:
  std::optional<std::vector<int>> before_;
};

/// CPUs named like `0-3,6`, or a cluster: `big`, `little`, `all`. Throws std::invalid_argument
/// naming the part that is wrong, or that all CPUs are alike.
std::vector<int> parse_cpus(std::string_view text);

/// Now as ISO 8601 in UTC, to the second; what SOURCE_DATE_EPOCH says where it is set
/// (reproducible-builds.org), so that a run can be repeated to the byte. Throws cpubone::Error
/// where that is not a number.
std::string utc_now();

}  // namespace cpubone
