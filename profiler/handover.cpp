#include "profiler/handover.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "profiler/statistics.hpp"
#include "runtime/thread_pool.hpp"

namespace cpubone {
namespace {

constexpr int round_trips = 500;  // 30 to 200 us

/// Threads that share a CPU would otherwise wait for a whole time slice each time.
void wait_for(const std::atomic<int>& line, int value) {
  constexpr int spins = 10'000;
  for (int i = 0; line.load(std::memory_order_acquire) != value; ++i)
    if (i >= spins) std::this_thread::yield();
}

class Handover : public Subject {
 public:
  explicit Handover(const ThreadPool& pool) : pool_(&pool) {}
  void feed(int) override {}
  void run(int) override {
    line_ = 0;
    pool_->share(2, [this](std::size_t side) {
      for (int i = static_cast<int>(side); i < 2 * round_trips; i += 2) {
        wait_for(line_, i);
        line_.store(i + 1, std::memory_order_release);
      }
    });
  }

 private:
  const ThreadPool* pool_;
  alignas(64) std::atomic<int> line_ = 0;
};

}  // namespace

Task handover_task(const ThreadPool& pool) {
  return {0, 1e5, CacheMode::hot, [&pool](int) { return std::make_unique<Handover>(pool); }};
}

double handover_ns(double task_ns) {
  return task_ns / (2 * round_trips);
}

std::optional<Warning> changing_cores(const Timing& handover) {
  constexpr std::size_t fewest = 10;
  constexpr double twofold = 2;
  if (handover.samples_ns.size() < fewest) return std::nullopt;
  const double low = handover_ns(quantile(handover.samples_ns, 0.1));
  const double high = handover_ns(quantile(handover.samples_ns, 0.9));
  if (high < twofold * low) return std::nullopt;
  return Warning{
      fmt::format("one thread had what another wrote after {:.0f} to {:.0f} ns, as if cores that "
                  "they run on changed: latencies of several threads change with it",
                  low, high),
      "pin the virtual machine's CPUs on its host, or measure on one thread"};
}

}  // namespace cpubone
