#include "profiler/sampler.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>

#include "profiler/statistics.hpp"
#include "tests/catch.hpp"
#include "tests/profiler/fake_machine.hpp"

using namespace cpubone;
using cpubone::test::Bench;
using cpubone::test::Event;
using cpubone::test::FakeMachine;
using cpubone::test::FakeTask;

namespace {

/// Samples of one run, each after a run to warm up, alternate around 1: a MAD of `spread`.
std::function<double(int)> alternating(double spread) {
  return [spread](int run) { return run / 2 % 2 ? 1 + spread : 1 - spread; };
}

SampleOptions one_run_a_sample() {
  SampleOptions options;
  options.most_runs_per_sample = 1;
  return options;
}

std::vector<Event> of_task(const std::vector<Event>& events, int task) {
  std::vector<Event> own;
  std::copy_if(events.begin(), events.end(), std::back_inserter(own),
               [&](const Event& e) { return e.task == task; });
  return own;
}

}  // namespace

TEST_CASE("a task without noise is done after the fewest samples, exactly", "[sampler]") {
  Bench bench;
  bench.add({.ns = 20e3});
  const SampleReport report = bench.run({});
  REQUIRE(report.timings.size() == 1);
  CHECK(report.timings[0].samples_ns.size() == 5);
  CHECK(report.timings[0].median_ns == Approx(20e3));
  CHECK_FALSE(report.timings[0].disturbed);
  CHECK(report.good == 5);
  CHECK(report.rejected == 0);
}

TEST_CASE("sampling goes on until the interval is narrow enough", "[sampler]") {
  // Every seventh sample is 10 % slow: the interval is 5 % wide until those are so few that the
  // ranks of the interval leave them out, which two of 12 samples and one of 12 do.
  Bench bench;
  bench.add({.ns = 100e3, .noise = [](int run) { return run / 2 % 7 == 4 ? 1.1 : 1.0; }});
  const auto samples = bench.run(one_run_a_sample()).timings[0].samples_ns;
  CHECK(samples.size() > 5);
  CHECK(samples.size() <= 16);
  CHECK(relative_half_width(samples) < 0.01);
  CHECK(relative_half_width({samples.data(), samples.size() - 1}) >= 0.01);
}

TEST_CASE("sampling ends with the most samples where noise does not", "[sampler]") {
  Bench bench;
  bench.add({.ns = 100e3, .noise = [](int run) { return 1 + 0.04 * (run % 5); }});
  SampleOptions options = one_run_a_sample();
  options.relative_half_width = 1e-4;
  options.most_samples = 17;
  CHECK(bench.run(options).timings[0].samples_ns.size() == 17);
}

TEST_CASE("what is uncertain by more than a tenth is marked", "[sampler]") {
  Bench bench;
  bench.add({.ns = 100e3, .noise = alternating(0.3)});
  SampleOptions options = one_run_a_sample();
  options.most_samples = 20;
  CHECK(bench.run(options).timings[0].disturbed);
}

TEST_CASE("short operators are timed in batches of runs on different copies, each freshly fed",
          "[sampler]") {
  Bench bench;
  bench.add({.ns = 10e3, .weight_bytes = 100});
  bench.run({});  // 50 us a sample
  CHECK(bench.copies[0] == 6);
  const std::vector<Event> visit(bench.events.begin(), bench.events.begin() + 9);
  CHECK(visit == std::vector<Event>{
                     {0, -2}, {0, -1}, {0, 0}, {0, -1}, {0, 1}, {0, -1}, {0, 2}, {0, -1}, {0, 3}});
}

TEST_CASE("hot weights need one copy only", "[sampler]") {
  Bench bench;
  bench.add({.ns = 10e3, .weight_bytes = 100});
  bench.tasks[0].cache = CacheMode::hot;
  const SampleReport report = bench.run({});
  CHECK(bench.copies[0] == 1);
  CHECK(bench.machine.evictions == 0);
  CHECK(report.timings[0].runs_per_sample == 5);
  CHECK(report.timings[0].median_ns == Approx(10e3));
  CHECK(std::all_of(bench.events.begin(), bench.events.end(),
                    [](const Event& e) { return e.copy <= 0; }));
}

TEST_CASE("hot weights are read once before a sample where the caches hold them", "[sampler]") {
  const auto first_visit = [](std::int64_t weight_bytes) {
    Bench bench;
    bench.machine.cache_bytes = 800;
    bench.add({.ns = 10e3, .weight_bytes = weight_bytes});
    bench.tasks[0].cache = CacheMode::hot;
    bench.run({});
    return std::vector<Event>(bench.events.begin(), bench.events.begin() + 3);
  };
  CHECK(first_visit(500) == std::vector<Event>{{0, -2}, {0, -1}, {0, 0}});
  CHECK(first_visit(501) == std::vector<Event>{{0, -2}, {0, 0}, {0, 0}});
}

TEST_CASE("what takes long is warmed up once, and what is read before every sample never",
          "[sampler]") {
  const auto runs = [](double ns, CacheMode cache) {
    Bench bench;
    bench.add({.ns = ns, .weight_bytes = 500});  // which the caches can just hold
    bench.tasks[0].cache = cache;
    bench.run(one_run_a_sample());
    return std::count_if(bench.events.begin(), bench.events.end(),
                         [](const Event& e) { return e.copy >= 0; });
  };
  // Five samples, each after the one run that warms its code where it is short.
  CHECK(runs(150e3, CacheMode::cold) == 2 * (2 + 5));
  CHECK(runs(900e3, CacheMode::cold) == 2 + 5);
  CHECK(runs(1.1e6, CacheMode::cold) == 1 + 5);
  CHECK(runs(1.1e6, CacheMode::hot) == 2 * 5);
}

TEST_CASE("what still gets faster is warmed up three times", "[sampler]") {
  Bench bench;
  bench.add({.ns = 500e3, .noise = [](int run) { return run < 3 ? 1.6 - 0.2 * run : 1.0; }});
  CHECK(bench.run(one_run_a_sample()).timings[0].samples_ns == std::vector<double>(5, 500e3));
  CHECK(of_task(bench.events, 0).size() == 3 * (3 + 5));  // moved, fed and run
}

TEST_CASE("caches are evicted before a copy comes round again, unless others have done so",
          "[sampler]") {
  SECTION("a task alone: before every visit but the first") {
    Bench bench;
    bench.add({.ns = 50e3, .weight_bytes = 100});
    bench.run({});
    const auto visits = std::count(bench.events.begin(), bench.events.end(), Event{0, 0});
    CHECK(bench.machine.evictions == visits - 1);
  }
  SECTION("many tasks, whose weights exceed the caches together: never") {
    Bench bench;
    for (int i = 0; i < 100; ++i) bench.add({.ns = 50e3, .weight_bytes = 100});
    SampleOptions options;
    options.seed = 7;
    bench.run(options);
    // Random order puts the same task last in one round and first in the next now and then.
    CHECK(bench.machine.evictions <= 40);
  }
  SECTION("operators without weights have nothing to evict") {
    Bench bench;
    bench.add({.ns = 50e3, .weight_bytes = 0});
    bench.run({});
    CHECK(bench.machine.evictions == 0);
  }
}

TEST_CASE("no copy is read again before as much as the caches hold was read", "[sampler]") {
  // The rule itself, checked on everything that happened: bytes between two uses of a timed copy.
  // Short tasks have one more, which only warms up; long ones of large weights a single copy.
  struct Case {
    double ns;
    std::int64_t unit_bytes;
    int first_timed;
  };
  const auto [ns, unit_bytes, first_timed] = GENERATE(Case{20e3, 1, 1}, Case{1e6, 250'000, 0});
  Bench bench;
  std::vector<std::int64_t> weights;
  for (int i = 0; i < 12; ++i) {
    weights.push_back(unit_bytes * (40 + 30 * i));
    bench.add({.ns = ns, .weight_bytes = weights.back(), .noise = alternating(0.02)});
  }
  // Evictions must show among the events.
  struct Logging : FakeMachine {
    std::vector<Event>* events = nullptr;
    void evict_caches() override {
      FakeMachine::evict_caches();
      events->push_back({-1, 0});
    }
  } machine;
  machine.cache_bytes = 2000 * unit_bytes;
  machine.events = &bench.events;
  sample(bench.tasks, machine, {});
  std::map<std::pair<int, int>, std::int64_t> last;
  std::int64_t read = 0;
  std::int64_t closest = std::numeric_limits<std::int64_t>::max();
  for (const Event& e : bench.events) {
    if (e.task < 0) read += machine.cache_bytes;
    if (e.task < 0 || e.copy < 0) continue;
    if (e.copy >= first_timed) {
      const auto known = last.find({e.task, e.copy});
      if (known != last.end()) closest = std::min(closest, read - known->second);
      last[{e.task, e.copy}] = read;
    }
    read += weights[static_cast<std::size_t>(e.task)];
  }
  CHECK(closest >= machine.cache_bytes);
  CHECK(closest < 3 * machine.cache_bytes);
}

TEST_CASE("tasks take turns in an order that the seed decides", "[sampler]") {
  const auto order = [](std::uint64_t seed) {
    Bench bench;
    for (int i = 0; i < 8; ++i) bench.add({.ns = 60e3});
    SampleOptions options;
    options.seed = seed;
    bench.run(options);
    std::vector<int> fed;
    for (const Event& e : bench.events)
      if (e.copy == 0) fed.push_back(e.task);
    // Every round visits each task once.
    for (std::size_t begin = 0; begin < fed.size(); begin += 8)
      CHECK(std::set<int>(fed.begin() + static_cast<std::ptrdiff_t>(begin),
                          fed.begin() + static_cast<std::ptrdiff_t>(begin) + 8)
                .size() == 8);
    return fed;
  };
  CHECK(order(1) == order(1));
  CHECK(order(1) != order(2));
}

TEST_CASE("a sample that lost its CPU is re-measured", "[sampler]") {
  Bench bench;
  bench.add({.ns = 100e3, .on_run = [](FakeMachine& machine, int run) {
               if (run % 7 != 3) return;
               machine.now += 3e6;  // another process ran for 3 ms
               machine.lost += 3e6;
             }});
  const SampleReport report = bench.run({});
  CHECK(report.rejected > 0);
  CHECK(report.timings[0].median_ns == Approx(100e3));
  CHECK(report.timings[0].mdape == Approx(0).margin(1e-9));
  CHECK(report.timings[0].samples_ns.size() == 5);
  CHECK_FALSE(report.timings[0].disturbed);
}

TEST_CASE("losing less than a fiftieth of a sample is no interference", "[sampler]") {
  Bench bench;
  bench.add({.ns = 1e6, .on_run = [](FakeMachine& machine, int) { machine.lost += 9e3; }});
  const SampleReport report = bench.run({});
  CHECK(report.rejected == 0);
}

TEST_CASE("what never has the CPU for itself is kept, marked, after ten times the samples wanted",
          "[sampler]") {
  Bench bench;
  bench.add({.ns = 100e3, .on_run = [](FakeMachine& machine, int) {
               machine.now += 50e3;
               machine.lost += 50e3;
             }});
  for (int i = 0; i < 30; ++i)
    bench.add({.ns = 30e3, .noise = [](int run) { return 1 + 0.3 * (run % 5); }});
  SampleOptions options;
  options.most_samples = 300;
  options.relative_half_width = 1e-4;
  const SampleReport report = bench.run(options);
  CHECK(report.timings[0].disturbed);
  CHECK(report.timings[0].samples_ns.size() >= 1000);
  CHECK(report.timings[0].median_ns == Approx(150e3).epsilon(0.01));
  CHECK_FALSE(report.timings[1].disturbed);
}

TEST_CASE("where the CPU is always shared, that is what is measured", "[sampler]") {
  Bench bench;
  for (int i = 0; i < 10; ++i)
    bench.add({.ns = 100e3, .on_run = [](FakeMachine& machine, int) {
                 machine.now += 50e3;
                 machine.lost += 50e3;
               }});
  const SampleReport report = bench.run({});
  CHECK(report.rejected == 0);
  for (const Timing& timing : report.timings) {
    CHECK_FALSE(timing.disturbed);
    CHECK(timing.median_ns == Approx(150e3));
    CHECK(timing.samples_ns.size() < 12);
  }
}

TEST_CASE("samples are rejected while the calibration kernel is slow, and re-measured",
          "[sampler]") {
  Bench bench;
  const double start = bench.machine.now;
  bench.machine.slowness = [&](double now) {
    return now > start + 200e6 && now < start + 240e6 ? 1.5 : 1.0;
  };
  for (int i = 0; i < 400; ++i) bench.add({.ns = 100e3});
  const SampleReport report = bench.run({});
  CHECK(report.rejected > 20);
  CHECK(report.calibration_ns == Approx(1000));
  int wrong = 0;
  for (const Timing& timing : report.timings) {
    CHECK_FALSE(timing.disturbed);
    CHECK(timing.median_ns == Approx(100e3));
    for (const double ns : timing.samples_ns) wrong += ns > 101e3;
  }
  // Blocks across the edges are the only ones that may have escaped.
  CHECK(wrong <= 2);
}

TEST_CASE("one slow calibration gets a second opinion", "[sampler]") {
  Bench bench;
  bench.add({.ns = 100e3});
  struct Hiccup : FakeMachine {
    int calls = 0;
    double calibrate_ns() override {
      const double ns = FakeMachine::calibrate_ns();
      return ++calls == 22 ? 3 * ns : ns;
    }
  } machine;
  const SampleReport report = sample(bench.tasks, machine, {});
  CHECK(report.rejected == 0);
}

TEST_CASE("samples of a slow beginning are rejected in hindsight, where it was short",
          "[sampler]") {
  // As while something else finishes: it was typical at the time.
  Bench bench;
  const double start = bench.machine.now;
  bench.machine.slowness = [&](double now) { return now < start + 0.5e9 ? 1.3 : 1.0; };
  for (int i = 0; i < 100; ++i)
    bench.add({.ns = 1e6, .noise = [i](int run) { return 1 + 0.02 * ((run + i) % 3 - 1); }});
  const SampleReport report = bench.run({});
  CHECK(report.rejected > 100);
  for (const Timing& timing : report.timings) CHECK(timing.median_ns < 1.03e6);
}

TEST_CASE("a machine that is slow throughout is measured at that pace, which is told",
          "[sampler]") {
  Bench bench;
  const double start = bench.machine.now;
  bench.machine.slowness = [&](double now) {  // at its best for a tenth of the time
    return static_cast<int>((now - start) / 1e6) % 10 == 0 ? 1.0 : 1.3;
  };
  for (int i = 0; i < 20; ++i) bench.add({.ns = 100e3});
  const SampleReport report = bench.run({});
  CHECK(report.rejected == 0);
  CHECK(report.typical_calibration_ns == Approx(1300));
  for (const Timing& timing : report.timings) {
    CHECK_FALSE(timing.disturbed);
    CHECK(timing.median_ns == Approx(128e3).epsilon(0.035));  // 100 for a tenth, else 130
  }
}

TEST_CASE("a task that was done is taken up again when what it has turns out to be no good",
          "[sampler]") {
  // Without noise five samples do, and the first task has them before the machine is at its best.
  Bench bench;
  const double start = bench.machine.now;
  bench.machine.slowness = [&](double now) { return now < start + 0.4e9 ? 1.3 : 1.0; };
  bench.add({.ns = 1e6});
  for (int i = 0; i < 40; ++i)
    bench.add({.ns = 1e6, .noise = [i](int run) { return 1 + 0.02 * ((run + i) % 3 - 1); }});
  const SampleReport report = bench.run({});
  CHECK_FALSE(report.timings[0].disturbed);
  CHECK(report.timings[0].median_ns == Approx(1e6).epsilon(0.015));
}

TEST_CASE("small copies take turns, and what they calculate on moves before every sample",
          "[sampler]") {
  Bench bench;
  bench.add({.ns = 100e3, .weight_bytes = 100});
  bench.run(one_run_a_sample());
  CHECK(bench.copies[0] == 5);
  // A sample: it moves, the first copy is fed and runs untimed, the next in turn is fed and timed.
  const std::vector<Event> two{{0, -2}, {0, -1}, {0, 0}, {0, -1}, {0, 1},
                               {0, -2}, {0, -1}, {0, 0}, {0, -1}, {0, 2}};
  CHECK(std::vector<Event>(bench.events.begin(), bench.events.begin() + 10) == two);
  Bench large;
  large.add({.ns = 100e3, .weight_bytes = 5 << 20});
  large.run(one_run_a_sample());
  CHECK(large.copies[0] == 2);
}

TEST_CASE("time that a hypervisor took spoils the samples since the last calibration",
          "[sampler]") {
  Bench bench;
  bench.add({.ns = 1e6, .on_run = [](FakeMachine& machine, int run) {
               if (run == 5) machine.stolen += 10e6;
             }});
  const SampleReport report = bench.run({});
  CHECK(report.rejected >= 1);
  CHECK(report.timings[0].samples_ns.size() == 5);
  CHECK_FALSE(report.timings[0].disturbed);
}

TEST_CASE("sampling keeps to its budget", "[sampler]") {
  Bench bench;
  for (int i = 0; i < 50; ++i) bench.add({.ns = 1e6, .noise = alternating(0.2)});
  SampleOptions options;
  options.budget_s = 1;
  const double start = bench.machine.now;
  const SampleReport report = bench.run(options);
  CHECK(report.seconds == Approx(1).margin(0.005));
  CHECK((bench.machine.now - start) * 1e-9 == Approx(report.seconds).margin(0.005));
  for (const Timing& timing : report.timings) CHECK(timing.samples_ns.size() >= 3);
}

TEST_CASE("preparing counts towards the budget and leaves time to measure", "[sampler]") {
  Bench bench;
  bench.prepare_ns = 10e6;
  for (int i = 0; i < 400; ++i) bench.add({.ns = 100e3});
  SampleOptions options;
  options.budget_s = 1;
  const SampleReport report = bench.run(options);
  CHECK(report.seconds == Approx(1).margin(0.02));
  const auto measured = std::count_if(report.timings.begin(), report.timings.end(),
                                      [](const Timing& t) { return t.samples_ns.size() >= 5; });
  CHECK(measured >= 40);
  // The first tasks, in their order: a plan's beginning is as well spread as the whole.
  for (std::ptrdiff_t i = 0; i < measured; ++i)
    CHECK_FALSE(report.timings[static_cast<std::size_t>(i)].samples_ns.empty());
}

TEST_CASE("copies that do not fit in memory together are measured in groups", "[sampler]") {
  Bench bench;
  for (int i = 0; i < 6; ++i) bench.add({.ns = 100e3, .weight_bytes = 100});  // 2 copies each
  SampleOptions options;
  options.memory_bytes = 450;  // two tasks
  bench.run(options);
  std::vector<int> first_seen;
  for (const Event& e : bench.events)
    if (std::find(first_seen.begin(), first_seen.end(), e.task) == first_seen.end())
      first_seen.push_back(e.task);
  CHECK(first_seen == std::vector<int>{0, 1, 2, 3, 4, 5});
  const auto last_of_0 = std::find(bench.events.rbegin(), bench.events.rend(), Event{0, 1});
  const auto first_of_2 = std::find(bench.events.begin(), bench.events.end(), Event{2, -1});
  CHECK(last_of_0.base() <= first_of_2);
}

TEST_CASE("a task larger than the memory for copies is measured alone", "[sampler]") {
  Bench bench;
  bench.add({.ns = 100e3, .weight_bytes = 10'000});
  bench.add({.ns = 100e3, .weight_bytes = 10'000});
  SampleOptions options;
  options.memory_bytes = 50;
  const SampleReport report = bench.run(options);
  CHECK(report.timings[0].samples_ns.size() == 5);
  CHECK(report.timings[1].samples_ns.size() == 5);
}

TEST_CASE("known samples are not re-measured", "[sampler]") {
  Bench bench;
  bench.add({.ns = 10e3});
  bench.add({.ns = 10e3});
  SampleHooks hooks;
  for (int i = 0; i < 5; ++i) hooks.known.push_back({0, 9e3, 1000, false});
  const SampleReport report = bench.run({}, hooks);
  CHECK(of_task(bench.events, 0).empty());
  CHECK_FALSE(of_task(bench.events, 1).empty());
  CHECK(report.timings[0].median_ns == 9e3);
  CHECK(report.timings[0].runs_per_sample == 5);
}

TEST_CASE("seconds of an interrupted run count towards the budget", "[sampler]") {
  Bench bench;
  for (int i = 0; i < 50; ++i) bench.add({.ns = 1e6, .noise = alternating(0.2)});
  SampleOptions options;
  options.budget_s = 1;
  SampleHooks hooks;
  hooks.known_s = 0.75;
  CHECK(bench.run(options, hooks).seconds == Approx(1).margin(0.005));
}

TEST_CASE("a known sample of no task is refused", "[sampler]") {
  Bench bench;
  bench.add({});
  SampleHooks hooks;
  hooks.known = {{1, 9e3, 1000, false}};
  CHECK_THROWS_WITH(bench.run({}, hooks), "known sample of task 1, but there are 1 tasks");
}

TEST_CASE("an interrupted run that goes on ends with the same tasks measured", "[sampler]") {
  const auto add_tasks = [](Bench& bench) {
    for (int i = 0; i < 10; ++i) bench.add({.ns = 1e5 + 1e4 * i, .noise = alternating(0.0099)});
  };
  for (int rounds = 0; rounds < 6; ++rounds) {
    Bench first;
    add_tasks(first);
    SampleHooks interrupted;
    std::vector<Sample> journal;
    int seen = 0;
    interrupted.on_round = [&](std::span<const Sample> round) {
      journal.insert(journal.end(), round.begin(), round.end());
      ++seen;
    };
    interrupted.cancelled = [&] { return seen > rounds; };
    first.run({}, interrupted);
    Bench second;
    add_tasks(second);
    SampleHooks resumed;
    resumed.known = journal;
    const SampleReport report = second.run({}, resumed);
    for (int i = 0; i < 10; ++i) {
      const Timing& timing = report.timings[static_cast<std::size_t>(i)];
      CHECK(timing.median_ns == Approx(1e5 + 1e4 * i).epsilon(0.011));
      CHECK(relative_half_width(timing.samples_ns) < 0.01);
    }
  }
}

TEST_CASE("every sample reaches the rounds that the journal sees", "[sampler]") {
  Bench bench;
  for (int i = 0; i < 5; ++i)
    bench.add({.ns = 1e5, .on_run = [](FakeMachine& machine, int run) {
                 machine.lost += run % 13 == 4 ? 1e6 : 0;
               }});
  std::vector<Sample> seen;
  SampleHooks hooks;
  hooks.on_round = [&](std::span<const Sample> round) {
    seen.insert(seen.end(), round.begin(), round.end());
  };
  const SampleReport report = bench.run({}, hooks);
  CHECK(static_cast<int>(seen.size()) == report.good + report.rejected);
  CHECK(std::count_if(seen.begin(), seen.end(), [](const Sample& s) { return s.interrupted; }) ==
        report.rejected);
  for (const Sample& sample : seen) CHECK(sample.calibration_ns == 1000);
}

TEST_CASE("cancelling stops at once and keeps what there is", "[sampler]") {
  Bench bench;
  for (int i = 0; i < 100; ++i) bench.add({.ns = 1e6, .noise = alternating(0.2)});
  SampleHooks hooks;
  const double start = bench.machine.now;
  hooks.cancelled = [&] { return bench.machine.now > start + 1e9; };
  const SampleReport report = bench.run({}, hooks);
  CHECK(report.seconds == Approx(1).margin(0.005));
  CHECK_FALSE(report.timings[0].samples_ns.empty());
}

TEST_CASE("progress rises to all of the work and never promises more than the budget",
          "[sampler]") {
  Bench bench;
  for (int i = 0; i < 60; ++i) bench.add({.ns = 1e6, .noise = alternating(0.005 * (i % 5))});
  SampleOptions options;
  options.budget_s = 3;
  std::vector<SampleProgress> seen;
  SampleHooks hooks;
  hooks.on_progress = [&](const SampleProgress& p) { seen.push_back(p); };
  bench.run(options, hooks);
  REQUIRE(seen.size() > 5);
  for (std::size_t i = 1; i < seen.size(); ++i) {
    CHECK(seen[i].fraction >= seen[i - 1].fraction);
    CHECK(seen[i].remaining_s <= 3);
    CHECK(seen[i].tasks == 60);
  }
  CHECK(seen.back().fraction == 1);
  CHECK(seen.back().remaining_s == 0);
}

TEST_CASE("the report says how many others wanted a CPU and what the clock did", "[sampler]") {
  Bench bench;
  bench.add({.ns = 200e6, .noise = alternating(0.02)});
  int looks = 0;
  bench.machine.state = [&] {
    ++looks;
    return Conditions{looks % 2 ? 2 : 0, looks == 3 ? 1500.0 : 2400.0, 50.0 + looks, looks == 4};
  };
  const SampleReport report = bench.run({});
  REQUIRE(looks >= 4);
  CHECK(report.mean_competitors == Approx(1).margin(0.3));
  CHECK(report.worst.competitors == 2);
  CHECK(report.worst.frequency_mhz == 1500);
  CHECK(report.highest_mhz == 2400);
  CHECK(report.worst.celsius == 50.0 + looks);
  CHECK(report.worst.throttled);
}

TEST_CASE("what asking for the time takes is no part of an operator's", "[sampler]") {
  struct SlowClock : FakeMachine {
    double now_ns() override { return now += 200; }
  } machine;
  std::vector<Task> tasks;
  std::vector<Event> events;
  tasks.push_back({0, 10e3, CacheMode::cold, [&](int) {
                     return std::make_unique<cpubone::test::FakeSubject>(0, FakeTask{.ns = 10e3},
                                                                         machine, events);
                   }});
  CHECK(sample(tasks, machine, {}).timings[0].median_ns == Approx(10e3));
}
