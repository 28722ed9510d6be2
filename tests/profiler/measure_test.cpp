#include "profiler/measure.hpp"

#include <algorithm>
#include <atomic>
#include <stdexcept>

#include "benchmarks/simulated_coprocessor.hpp"
#include "runtime/co_execution.hpp"
#include "runtime/system.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

Network layer(int channels) {
  Network network;
  network.name = "layer";
  network.inputs = {{{1, 1, 1, channels}}};
  Op op;
  op.kind = OpKind::linear;
  op.inputs = network.inputs;
  op.outputs = {{{1, 1, 1, 8}}};
  network.nodes = {{"a", "", op, {network_input}}};
  network.outputs = {0};
  return network;
}

MeasureOptions quick() {
  MeasureOptions options;
  options.budget_s = 0.05;
  options.details = false;
  return options;
}

}  // namespace

TEST_CASE("networks that are equal or named alike have a timing each", "[measure]") {
  const std::vector<Network> networks{layer(16), layer(32), layer(16)};
  const std::vector<Timing> timings = measure_timings(networks, quick());
  REQUIRE(timings.size() == 3);
  for (const Timing& timing : timings) CHECK_FALSE(timing.samples_ns.empty());
  CHECK(measure_timings({}, quick()).empty());
}

TEST_CASE("one name at two sizes is two records", "[measure]") {
  Profile profile = host_profile({});
  MeasureOptions options = quick();
  options.budget_s = 5;  // time for both, where sanitizers and others slow it down
  measure_networks(std::vector{layer(16), layer(32)}, options, profile);
  REQUIRE(profile.networks.size() == 2);
  REQUIRE(find_record(profile, layer(32)) != nullptr);
  CHECK(find_record(profile, layer(32))->params == 32 * 8);
}

TEST_CASE("operators that are as certain as is asked for are done", "[measure]") {
  Profile profile = host_profile({});
  MeasureOptions options = quick();
  options.relative_half_width = 1e9;
  options.budget_s = 60;  // is never used
  measure_ops(std::vector{layer(16).nodes[0].op}, options, profile);
  REQUIRE(profile.ops.size() == 1);
  CHECK(profile.ops[0].timing.samples_ns.size() <= 10);
}

TEST_CASE("where several threads run is watched, however few operators there are", "[measure]") {
  MeasureOptions options = quick();
  options.relative_half_width = 1e9;
  options.budget_s = 60;  // is never used
  int tasks = 0;
  options.on_progress = [&](const SampleProgress& progress) { tasks = progress.tasks; };
  for (const int threads : {1, 2}) {
    options.settings.threads = threads;
    Profile profile = host_profile(options.settings);
    measure_ops(std::vector{layer(16).nodes[0].op}, options, profile);
    CHECK(profile.ops.size() == 1);
    CHECK(tasks == threads);  // the operator, and what two threads hand over
  }
}

TEST_CASE("a budget of nothing is refused, not waited for", "[measure]") {
  MeasureOptions options = quick();
  options.budget_s = 0;
  const std::string message = "budget_s: expected seconds above 0, got 0";
  CHECK_THROWS_WITH(measure_timings(std::vector{layer(16)}, options), message);
  Profile profile = host_profile({});
  CHECK_THROWS_WITH(measure_networks(std::vector{layer(16)}, options, profile), message);
  CHECK_THROWS_WITH(measure_ops(std::vector{layer(16).nodes[0].op}, options, profile), message);
}

TEST_CASE("what the budget had no time for is told with a budget that has", "[measure]") {
  Profile profile = host_profile({});
  MeasureOptions options = quick();
  options.budget_s = 1e-9;
  measure_networks(std::vector{layer(16), layer(32)}, options, profile);
  CHECK(profile.networks.empty());
  const auto told = std::find_if(profile.warnings.begin(), profile.warnings.end(),
                                 [](const Warning& w) { return w.what.starts_with("the budget"); });
  REQUIRE(told != profile.warnings.end());
  CHECK(told->what == "the budget ended before 2 of 2 could be measured");
  CHECK_THAT(told->remedy,
             Catch::Matchers::Matches("measure again with a budget of [1-9][0-9]* s or more"));
}

TEST_CASE("where a thread may run is as before when it has measured", "[measure]") {
  const auto before = thread_cpus();
  MeasureOptions options = quick();
  if (before) options.settings.cpus = {before->front()};
  measure_timings(std::vector{layer(16)}, options);
  Profile profile = host_profile(options.settings);
  measure_ops(std::vector{layer(16).nodes[0].op}, options, profile);
  CHECK(thread_cpus() == before);
}

TEST_CASE("an operator is measured shared with a coprocessor, in a profile of its own",
          "[measure]") {
  std::atomic<int> starts = 0;
  SimulatedCoprocessor counting;
  counting.duration_ns = [&](const Op& part) {
    CHECK(part.output().c == 6);
    ++starts;
    return 0.0;
  };
  MeasureOptions options = quick();
  options.budget_s = 5;
  options.co_execution =
      std::make_shared<CoExecution>(simulated_coprocessor(counting), [](const Op&) { return 2; });
  Profile profile = host_profile({}, *options.co_execution);
  CHECK(profile.device.coprocessor == "simulated");
  measure_ops(std::vector{layer(16).nodes[0].op}, options, profile);
  REQUIRE(profile.ops.size() == 1);
  CHECK(profile.ops[0].engine == "co-execution");
  CHECK(profile.ops[0].timing.median_ns > 0);
  CHECK(starts > 0);
}

TEST_CASE("a network is measured shared in several ways, and on the CPU alone", "[measure]") {
  std::atomic<int> starts = 0;
  SimulatedCoprocessor counting;
  counting.duration_ns = [&](const Op&) {
    ++starts;
    return 0.0;
  };
  const auto coprocessor = simulated_coprocessor(counting);
  MeasureOptions options = quick();
  options.budget_s = 1;
  const auto timings = [&](std::vector<std::shared_ptr<const CoExecution>> by) {
    return measure_shared_network(layer(16), by, options);
  };
  const auto half =
      std::make_shared<CoExecution>(coprocessor, [](const Op& op) { return op.output().c / 2; });
  const std::vector<Timing> both = timings({half, nullptr});
  REQUIRE(both.size() == 2);
  for (const Timing& timing : both) CHECK(timing.median_ns > 0);
  CHECK(starts > 0);
  starts = 0;
  const auto none =
      std::make_shared<CoExecution>(coprocessor, [](const Op& op) { return op.output().c; });
  timings({none});
  CHECK(starts == 0);
  CHECK_THROWS_AS(timings({nullptr}), std::invalid_argument);
}
