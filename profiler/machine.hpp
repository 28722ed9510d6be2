#pragma once
#include <cstdint>
#include <memory>

namespace cpubone {

/// The machine that measures: time, signs of interference, and its caches. Tests use a fake.
class Machine {
 public:
  virtual ~Machine() = default;
  /// Monotonic time from an arbitrary start.
  virtual double now_ns() = 0;
  /// Grows whenever something else ran where we should have: involuntary context switches of this
  /// process and ticks that a hypervisor stole.
  virtual std::uint64_t disturbances() = 0;
  /// Runs a kernel of known work, arithmetic in the first-level cache and a sweep over the
  /// last-level one; returns its duration. It takes longer when the CPU is slower than it can be.
  virtual double calibrate_ns() = 0;
  /// Reads memory until nothing else is left in the caches.
  virtual void evict_caches() = 0;
  /// Bytes that must be read in between for data to have left the caches.
  virtual std::int64_t eviction_bytes() const = 0;
};

/// This machine; the last-level cache's size decides how much evicting takes.
std::unique_ptr<Machine> host_machine(std::int64_t llc_bytes);

}  // namespace cpubone
