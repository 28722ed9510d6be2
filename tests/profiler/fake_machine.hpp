#pragma once
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "profiler/sampler.hpp"

namespace cpubone::test {

/// A machine of virtual time: nothing passes unless something runs.
class FakeMachine : public Machine {
 public:
  double now = 1e9;
  double lost = 0;
  double stolen = 0;
  std::function<double(double)> slowness = [](double) { return 1.0; };  ///< by time
  std::function<Conditions()> state = [] { return Conditions{}; };
  std::int64_t cache_bytes = 1000;  ///< that evicting reads
  std::int64_t last_level_bytes = 500;
  int evictions = 0;
  double calibration_ns = 1000;
  double eviction_ns = 5000;

  double now_ns() override { return now; }
  double lost_ns() override { return lost; }
  double stolen_ns() override { return stolen; }
  double calibrate_ns() override { return work(calibration_ns); }
  Conditions conditions() override { return state(); }
  void evict_caches() override {
    ++evictions;
    work(eviction_ns);
  }
  std::int64_t eviction_bytes() const override { return cache_bytes; }
  std::int64_t llc_bytes() const override { return last_level_bytes; }

  /// Takes that long, or longer where the machine is slow now.
  double work(double ns) {
    const double taken = ns * slowness(now);
    now += taken;
    return taken;
  }
};

/// What happened to the subjects, in order.
struct Event {
  int task;
  int copy;  ///< -1: fed, -2: moved
  bool operator==(const Event&) const = default;
};

struct FakeTask {
  double ns = 10e3;                    ///< duration of a run
  std::int64_t weight_bytes = 0;       ///< of a copy
  std::function<double(int)> noise{};  ///< factor of the i-th run
  /// Called at every run; may take the CPU away.
  std::function<void(FakeMachine&, int)> on_run{};
};

class FakeSubject : public Subject {
 public:
  FakeSubject(int task, FakeTask fake, FakeMachine& machine, std::vector<Event>& events)
      : task_(task), fake_(std::move(fake)), machine_(machine), events_(events) {}
  void move() override { events_.push_back({task_, -2}); }
  void feed(int) override { events_.push_back({task_, -1}); }
  void run(int copy) override {
    events_.push_back({task_, copy});
    machine_.work(fake_.ns * (fake_.noise ? fake_.noise(runs_) : 1.0));
    if (fake_.on_run) fake_.on_run(machine_, runs_);
    ++runs_;
  }

 private:
  int task_;
  FakeTask fake_;
  FakeMachine& machine_;
  std::vector<Event>& events_;
  int runs_ = 0;
};

/// Fake tasks on a fake machine, with everything that happens to them.
struct Bench {
  FakeMachine machine;
  std::vector<Task> tasks;
  std::vector<Event> events;
  std::vector<int> copies;  ///< prepared, by task
  double prepare_ns = 0;

  void add(const FakeTask& fake) {
    const int index = static_cast<int>(tasks.size());
    copies.push_back(0);
    tasks.push_back({fake.weight_bytes, fake.ns, CacheMode::cold, [this, fake, index](int count) {
                       copies[static_cast<std::size_t>(index)] = count;
                       machine.work(prepare_ns);
                       return std::make_unique<FakeSubject>(index, fake, machine, events);
                     }});
  }
  SampleReport run(const SampleOptions& options, const SampleHooks& hooks = {}) {
    return sample(tasks, machine, options, hooks);
  }
};

}  // namespace cpubone::test
