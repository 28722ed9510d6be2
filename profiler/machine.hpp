#pragma once
#include <cstdint>
#include <functional>
#include <memory>

namespace cpubone {

/// State of the machine while it measures.
struct Conditions {
  int competitors = 0;       ///< other threads of any process that want a CPU now
  double frequency_mhz = 0;  ///< of the slowest CPU now; 0 where unknown
  double celsius = 0;        ///< of the hottest sensor; 0 where unknown
  bool throttled = false;    ///< the firmware says that it slows the CPU down
};

/// The machine that measures: time, signs of interference, and its caches. Tests use a fake.
class Machine {
 public:
  virtual ~Machine() = default;
  /// Monotonic time from an arbitrary start.
  virtual double now_ns() = 0;
  /// Grows by the time that threads of this process could have run but had no CPU, summed over the
  /// threads. Cheap enough to ask around every sample.
  virtual double lost_ns() = 0;
  /// Grows by the time that a hypervisor took from this machine, in ticks of some ms.
  virtual double stolen_ns() = 0;
  /// Runs a kernel of known work, a matrix product in the first cache, on all threads that measure;
  /// returns its duration. It takes longer when a CPU is slower than it can be, or shares a core
  /// with other work.
  virtual double calibrate_ns() = 0;
  virtual Conditions conditions() = 0;
  /// Reads as much memory as a network does in one inference.
  virtual void evict_caches() = 0;
  /// Bytes that must be read in between for weights to be as cold as in a network: no more than it
  /// takes for them to have left the caches.
  virtual std::int64_t eviction_bytes() const = 0;
  virtual std::int64_t llc_bytes() const = 0;
};

/// What asking a machine for the time twice takes.
double clock_cost_ns(Machine& machine);

/// Runs something on all threads that measure at once.
using OnAllThreads = std::function<void(const std::function<void()>&)>;

/// This machine; the last-level cache's size decides how much evicting takes. Make it after the
/// threads that measure: it watches those that exist.
std::unique_ptr<Machine> host_machine(
    std::int64_t llc_bytes,
    OnAllThreads on_all_threads = [](const std::function<void()>& work) { work(); });

}  // namespace cpubone
