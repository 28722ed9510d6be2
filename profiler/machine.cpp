#include "profiler/machine.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "profiler/steady_clock.hpp"

namespace cpubone {
namespace {

constexpr std::size_t line_bytes = 64;
constexpr std::int64_t smallest_eviction = 8 << 20;  // where the cache's size is not known

/// Sum of one float a cache line: reads everything, computes next to nothing.
float sweep(const std::vector<float>& data, std::size_t count) {
  float sums[4] = {};
  constexpr std::size_t step = line_bytes / sizeof(float);
  for (std::size_t i = 0; i + 4 * step <= count; i += 4 * step)
    for (std::size_t k = 0; k < 4; ++k) sums[k] += data[i + k * step];
  return sums[0] + sums[1] + sums[2] + sums[3];
}

class HostMachine : public Machine {
 public:
  explicit HostMachine(std::int64_t llc_bytes)
      : memory_(
            static_cast<std::size_t>(std::max(2 * llc_bytes, smallest_eviction)) / sizeof(float),
            1.0F),
        sweep_count_(
            static_cast<std::size_t>(std::clamp<std::int64_t>(llc_bytes / 4, 256 << 10, 2 << 20)) /
            sizeof(float)) {
    sink_ = sweep(memory_, memory_.size());
  }

  double now_ns() override { return steady_now_ns(); }

  std::uint64_t disturbances() override {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return static_cast<std::uint64_t>(usage.ru_nivcsw) + stolen_ticks();
  }

  double calibrate_ns() override {
    sink_ = sweep(memory_, sweep_count_);  // into the cache, where earlier work may have put it out
    const double begin = now_ns();
    float sums[64] = {};
    const float factor = 0.999F + 1e-9F * sink_;
    for (int repeat = 0; repeat < 600; ++repeat)
      for (std::size_t i = 0; i < 64; ++i) sums[i] = sums[i] * factor + 1.0F;
    sink_ = sums[0] * 1e-9F + sweep(memory_, sweep_count_) * 1e-9F;
    return now_ns() - begin;
  }

  void evict_caches() override { sink_ = sweep(memory_, memory_.size()); }
  std::int64_t eviction_bytes() const override {
    return static_cast<std::int64_t>(memory_.size() * sizeof(float));
  }

 private:
  /// Eighth number of the first line of /proc/stat; 0 outside of virtual machines.
  std::uint64_t stolen_ticks() {
    std::ifstream stat("/proc/stat");
    std::string label;
    std::uint64_t ticks = 0;
    stat >> label;
    for (int field = 0; field < 8; ++field) stat >> ticks;
    return stat ? ticks : 0;
  }

  std::vector<float> memory_;
  std::size_t sweep_count_;
  volatile float sink_ = 0;
};

}  // namespace

std::unique_ptr<Machine> host_machine(std::int64_t llc_bytes) {
  return std::make_unique<HostMachine>(llc_bytes);
}

}  // namespace cpubone
