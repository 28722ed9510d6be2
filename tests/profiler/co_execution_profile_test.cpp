#include "profiler/co_execution_profile.hpp"

#include <set>
#include <vector>

#include "benchmarks/simulated_coprocessor.hpp"
#include "graph/error.hpp"
#include "predictor/split_planner.hpp"
#include "runtime/channel_part.hpp"
#include "runtime/xnnpack_channels.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

MeasureOptions within_seconds(double seconds) {
  MeasureOptions options;
  options.budget_s = seconds;
  options.settings.cache = CacheMode::hot;  // few copies
  return options;
}

double no_spread(const Op&) {
  return 0;
}

/// On a busy machine the budget may not reach to the shared layers, which are measured last.
CoExecutionProfile measure_all_parts(MeasureOptions options) {
  for (;; options.budget_s *= 2) {
    CoExecutionProfile profile = measure_co_execution_profile(
        options, simulated_coprocessor(), [](const Profile&) { return no_spread; });
    if (!profile.shared.empty() || options.budget_s > 60) return profile;
  }
}

}  // namespace

TEST_CASE("the progress of all parts goes forward", "[co_execution_profile]") {
  double last = 0;
  bool forward = true;
  MeasureOptions options = within_seconds(1);
  options.on_progress = [&](const SampleProgress& p) {
    forward = forward && p.fraction >= last;
    last = p.fraction;
  };
  measure_co_execution_profile(options, simulated_coprocessor(),
                               [](const Profile&) { return no_spread; });
  CHECK(forward);
  CHECK(last > 0);
  CHECK(last <= 1);
}

TEST_CASE("CPU, coprocessor and layers that both share are measured", "[co_execution_profile]") {
  const CoExecutionProfile profile = measure_all_parts(within_seconds(4));
  CHECK_FALSE(profile.cpu.ops.empty());
  CHECK(profile.cpu.device.coprocessor.empty());
  CHECK(profile.coprocessor.device.coprocessor == "simulated");
  CHECK(profile.coprocessor.settings == profile.cpu.settings);
  CHECK(profile.start_ns > 0);
  REQUIRE_FALSE(profile.coprocessor.ops.empty());
  for (const OpRecord& record : profile.coprocessor.ops) CHECK(record.engine == "co-execution");
  REQUIRE_FALSE(profile.shared.empty());
  for (const SharedLayerRecord& layer : profile.shared) {
    CHECK(layer.cpu_channels % channel_step(layer.op) == 0);
    CHECK(layer.cpu_channels > 0);
    CHECK(layer.cpu_channels < layer.op.output().c);
    CHECK(layer.timing.median_ns > 0);
    for (const OpRecord& alone : profile.coprocessor.ops) CHECK(alone.op != layer.op);
  }
}

TEST_CASE("CPU, coprocessor and shared layers are measured in f16 where the CPU calculates in it",
          "[co_execution_profile]") {
  MeasureOptions options = within_seconds(3);
  options.settings.dtype = DType::f16;
  const auto measured = [&] { return measure_all_parts(options); };
  if (channels_run_in_f16()) {
    const CoExecutionProfile profile = measured();
    REQUIRE_FALSE(profile.coprocessor.ops.empty());
    for (const OpRecord& record : profile.coprocessor.ops) CHECK(record.op.dtype() == DType::f16);
    REQUIRE_FALSE(profile.shared.empty());
    for (const SharedLayerRecord& layer : profile.shared) CHECK(layer.op.dtype() == DType::f16);
  } else {
    CHECK_THROWS_WITH(measured(), ContainsSubstring("measure in f32"));
  }
  options.settings.dtype = DType::qs8;
  CHECK_THROWS_WITH(measured(), ContainsSubstring("got qs8, but layers are shared"));
}

TEST_CASE("every kernel has run before the coprocessor is measured, for its driver to compile it",
          "[co_execution_profile]") {
  std::vector<OpKind> runs;
  SimulatedCoprocessor coprocessor;  // a kernel a kind of operator
  coprocessor.duration_ns = [&](const Op& op) {
    runs.push_back(op.kind);
    return 0.0;
  };
  measure_co_execution_profile(within_seconds(1), simulated_coprocessor(coprocessor),
                               [](const Profile&) { return no_spread; });
  REQUIRE(runs.size() >= 2);
  CHECK(std::set{runs[0], runs[1]} == std::set{OpKind::conv2d, OpKind::linear});
}

TEST_CASE("who stops before the coprocessor is measured gets the CPU's profile so far",
          "[co_execution_profile]") {
  MeasureOptions options = within_seconds(1);
  options.cancelled = [] { return true; };
  const CoExecutionProfile profile = measure_co_execution_profile(
      options, simulated_coprocessor(), [](const Profile&) { return no_spread; });
  CHECK(profile.coprocessor.device.coprocessor == "simulated");
  CHECK(profile.coprocessor.ops.empty());
  CHECK(profile.shared.empty());
}

TEST_CASE("a coprocessor that fails while it is measured ends it with its error",
          "[co_execution_profile]") {
  SimulatedCoprocessor broken;
  broken.fails = [](int) { return true; };
  CHECK_THROWS_AS(measure_co_execution_profile(within_seconds(1), simulated_coprocessor(broken),
                                               [](const Profile&) { return no_spread; }),
                  Error);
}
