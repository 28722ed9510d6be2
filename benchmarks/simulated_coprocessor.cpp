#include "benchmarks/simulated_coprocessor.hpp"

#include <fmt/format.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "graph/error.hpp"
#include "runtime/steady_clock.hpp"
#include "runtime/xnnpack_channels.hpp"

namespace cpubone {
namespace {

/// A queue of work and the thread that does it. `told` is to the caller what a flag in shared
/// memory is to one of a device.
class Worker {
 public:
  explicit Worker(SimulatedCoprocessor behaviour) : behaviour_(std::move(behaviour)) {}
  ~Worker() {
    {
      const std::lock_guard lock(mutex_);
      ends_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  int start(XnnpackChannels& channels, const Op& op) {
    const std::lock_guard lock(mutex_);
    failed_ = failed_ || behaviour_.fails(number_);
    if (failed_) throw Error("the simulated coprocessor failed");
    queue_.push_back({&channels, steady_now_ns() + behaviour_.duration_ns(op), ++number_});
    changed_.notify_one();
    return number_;
  }
  bool done(int number) const { return told_.load(std::memory_order_acquire) >= number; }

 private:
  struct Work {
    XnnpackChannels* channels;
    double ready_ns;
    int number;
  };

  void serve() {
    while (const std::optional<Work> work = next()) {
      work->channels->run();
      while (steady_now_ns() < work->ready_ns) std::this_thread::yield();
      told_.store(work->number, std::memory_order_release);
    }
  }
  std::optional<Work> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ends_ || !queue_.empty(); });
    if (queue_.empty()) return {};
    const Work work = queue_.front();
    queue_.pop_front();
    return work;
  }

  SimulatedCoprocessor behaviour_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Work> queue_;
  bool ends_ = false;
  bool failed_ = false;
  int number_ = 0;
  std::atomic<int> told_ = 0;
  std::thread thread_{[this] { serve(); }};
};

class SimulatedTask : public CoprocessorTask {
 public:
  SimulatedTask(std::shared_ptr<Worker> worker, const ChannelPart& part)
      : worker_(std::move(worker)), op_(part.op), channels_(part, nullptr) {}
  ~SimulatedTask() override {
    while (!worker_->done(number_)) std::this_thread::yield();
  }
  void bind(std::span<const void* const> inputs, void* output) override {
    channels_.bind(inputs[0], output);
  }
  void start() override { number_ = worker_->start(channels_, op_); }
  bool done() override { return worker_->done(number_); }
  std::string kernel() const override { return fmt::format("simulated {}", name(op_.kind)); }

 private:
  std::shared_ptr<Worker> worker_;
  Op op_;
  XnnpackChannels channels_;
  int number_ = 0;
};

class Simulated : public Coprocessor {
 public:
  explicit Simulated(SimulatedCoprocessor behaviour)
      : worker_(std::make_shared<Worker>(std::move(behaviour))) {}
  std::string identity() const override { return "simulated"; }
  KernelTile tile() const override { return {}; }
  bool supports(const Op& op) const override { return has_channel_parts(op); }
  std::shared_ptr<const Arena> memory(std::size_t bytes) const override {
    return std::make_shared<const Arena>(bytes + Arena::alignment);
  }
  std::unique_ptr<CoprocessorTask> compile(const ChannelPart& part) const override {
    return std::make_unique<SimulatedTask>(worker_, part);
  }

 private:
  std::shared_ptr<Worker> worker_;
};

}  // namespace

std::shared_ptr<const Coprocessor> simulated_coprocessor(SimulatedCoprocessor behaviour) {
  return std::make_shared<Simulated>(std::move(behaviour));
}

}  // namespace cpubone
