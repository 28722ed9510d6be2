#include "runtime/co_execution.hpp"

#include <atomic>

#include "benchmarks/simulated_coprocessor.hpp"
#include "graph/builder.hpp"
#include "graph/error.hpp"
#include "graph/passes.hpp"
#include "runtime/xnnpack_channels.hpp"
#include "tests/catch.hpp"
#include "tests/runtime/co_execution.hpp"

using namespace cpubone;
using cpubone::test::error_of;
using cpubone::test::relative_error;

namespace {

Split cut_at(int channels) {
  return [channels](const Op&) { return channels; };
}

Split half() {
  return [](const Op& op) {
    const int step = channel_step(op);
    return op.output().c / step / 2 * step;
  };
}

/// Layers that read what both processors wrote, and a residual.
Network chain() {
  NetworkBuilder b("chain", "test", {1, 12, 12, 3});
  int x = b.conv2d(network_input, "stem", {.out_channels = 16, .kernel = 3, .stride = 2});
  b.stage(1);
  int y = b.conv2d(x, "expand", {.out_channels = 40, .activation = Activation::relu});
  y = b.depthwise(y, "dw", {.kernel = 3, .activation = Activation::hardswish});
  y = b.conv2d(y, "project", {.out_channels = 16});
  x = b.add(x, y, "add");
  b.head();
  x = b.global_avg_pool(x, "pool");
  return b.finish(b.linear(x, "fc", 10));
}

std::vector<float> outputs(Executor& executor, unsigned seed) {
  test::fill(executor.input(), seed);
  executor.run();
  return {executor.output().begin(), executor.output().end()};
}

}  // namespace

TEST_CASE("every cut of every kind of layer computes what the reference computes", "[runtime]") {
  for (const Op& op : test::layers())
    for (const int channels : test::splits(op)) {
      CAPTURE(text(op), channels);
      const CoExecution co(simulated_coprocessor(), cut_at(channels));
      CHECK(error_of(op, co) < 2e-6);
    }
}

TEST_CASE("a network whose layers are shared computes what the CPU alone computes", "[runtime]") {
  const Network net = chain();
  Executor alone(net, random_parameters(), nullptr);
  const CoExecution co(simulated_coprocessor(), half());
  Executor shared = co_executor(net, co, random_parameters(), nullptr);
  CHECK(text(shared.plan()).find("co-execution") != std::string::npos);
  for (unsigned seed = 0; seed < 3; ++seed)
    CHECK(relative_error(outputs(shared, seed), outputs(alone, seed)) < 1e-5);
}

TEST_CASE("a network in f16 whose layers are shared computes what it computes in f32",
          "[runtime]") {
  if (!channels_run_in_f16()) {
    WARN("XNNPACK has no f16 on this CPU");
    return;
  }
  Executor exact(chain(), random_parameters(), nullptr);
  SimulatedCoprocessor failing;
  failing.fails = [](int start) { return start == 2; };
  for (const auto& coprocessor : {simulated_coprocessor(), simulated_coprocessor(failing)}) {
    const CoExecution co(coprocessor, half(), {.falls_back = true});
    Executor shared =
        co_executor(with_dtype(chain(), DType::f16), co, random_parameters(), nullptr);
    for (unsigned seed = 0; seed < 3; ++seed) {
      const double error = relative_error(outputs(shared, seed), outputs(exact, seed));
      CHECK(error < 5e-3);
      CHECK(error > 1e-5);  // else it was f32
    }
  }
}

TEST_CASE("layers are left to the CPU where it computes all channels", "[runtime]") {
  const CoExecution co(simulated_coprocessor(), [](const Op& op) { return op.output().c; });
  Executor executor = co_executor(chain(), co, random_parameters(), nullptr);
  for (const PlanStep& step : executor.steps()) CHECK(step.backend->name() != "co-execution");
}

TEST_CASE("a coprocessor that is late at random is waited for", "[runtime]") {
  std::mt19937 random(1);
  SimulatedCoprocessor late;
  late.duration_ns = [&](const Op&) { return static_cast<double>(random() % 100'000); };
  const Op op = parse_op("conv2d 1x4x4x8->1x4x4x16 k1x1 s1 p0,0,0,0 g1 f32");
  const CoExecution co(simulated_coprocessor(late), cut_at(8));
  Executor executor = co_executor(network_of(op), co, random_parameters(), nullptr);
  Executor alone(network_of(op), random_parameters(), nullptr);
  int wrong = 0;
  for (unsigned run = 0; run < 300; ++run)
    wrong += relative_error(outputs(executor, run), outputs(alone, run)) < 1e-5 ? 0 : 1;
  CHECK(wrong == 0);
}

TEST_CASE("a coprocessor that fails in the middle ends the run with its error", "[runtime]") {
  SimulatedCoprocessor failing;
  failing.fails = [](int start) { return start == 2; };
  const CoExecution co(simulated_coprocessor(failing), half());
  Executor executor = co_executor(chain(), co, random_parameters(), nullptr);
  CHECK_THROWS_WITH(executor.run(), "the simulated coprocessor failed");
  CHECK_THROWS_AS(executor.run(), Error);
  CHECK_FALSE(co.failure());
}

TEST_CASE("a coprocessor that fails in the middle may leave the rest to the CPU", "[runtime]") {
  const Network net = chain();
  SimulatedCoprocessor failing;
  std::atomic<int> starts = 0;
  failing.fails = [&](int start) { return ++starts, start == 2; };
  const CoExecution co(simulated_coprocessor(failing), half(), {.falls_back = true});
  Executor executor = co_executor(net, co, random_parameters(), nullptr);
  Executor alone(net, random_parameters(), nullptr);
  for (unsigned seed = 0; seed < 3; ++seed)
    CHECK(relative_error(outputs(executor, seed), outputs(alone, seed)) < 1e-5);
  CHECK(co.failure() == "the simulated coprocessor failed");
  CHECK(starts == 3);  // none is tried after the one that failed
}

TEST_CASE("a coprocessor that never answers ends the run, also where the CPU could go on",
          "[runtime]") {
  SimulatedCoprocessor slow;
  slow.duration_ns = [](const Op&) { return 0.5e9; };
  const Op op = parse_op("linear 1x1x1x8->1x1x1x16 f32");
  const CoExecution co(simulated_coprocessor(slow), cut_at(8),
                       {.falls_back = true, .timeout_s = 0.001});
  Executor executor = co_executor(network_of(op), co, random_parameters(), nullptr);
  CHECK_THROWS_WITH(executor.run(), ContainsSubstring("was not done with simulated linear") &&
                                        ContainsSubstring("within 0.001 s"));
}

TEST_CASE("a split that is no multiple of a group is refused with the operator", "[runtime]") {
  const Op op = parse_op("conv2d 1x8x8x16->1x8x8x32 k2x2 s1 p1,0,1,0 g8 nobias f32");
  const CoExecution co(simulated_coprocessor(), cut_at(3));
  CHECK_THROWS_WITH(co_executor(network_of(op), co, random_parameters(), nullptr),
                    ContainsSubstring("expected multiples of 4"));
}
