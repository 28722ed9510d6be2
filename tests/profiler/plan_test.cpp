#include "profiler/plan.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "predictor/features.hpp"
#include "runtime/executor.hpp"
#include "runtime/precision.hpp"
#include "space/random_network.hpp"
#include "space/zoo.hpp"
#include "tests/approved.hpp"
#include "tests/catch.hpp"

using namespace cpubone;
using Matchers::Message;

namespace {

std::set<std::string> texts(const std::vector<Op>& ops) {
  std::set<std::string> lines;
  for (const Op& op : ops) lines.insert(text(op));
  return lines;
}

}  // namespace

TEST_CASE("a plan has as many distinct operators as asked for, and an engine runs each", "[plan]") {
  const std::vector<Op> plan = sampling_plan(1, 1000);
  CHECK(plan.size() == 1000);
  CHECK(texts(plan).size() == 1000);
  for (const Op& op : plan) {
    CHECK_NOTHROW(check(op));
    CHECK_NOTHROW(engine_of(op));
    CHECK(macs(op) <= 450'000'000);
  }
}

TEST_CASE("a plan covers every kind and the attributes of CPUBone's blocks", "[plan]") {
  std::map<OpKind, int> kinds;
  std::set<int> groups;
  std::set<int> kernels;
  std::set<int> sizes;
  int depthwise = 0;
  int odd_channels = 0;
  for (const Op& op : sampling_plan(1, 600)) {
    ++kinds[op.kind];
    sizes.insert(op.input().h);
    odd_channels += op.input().c % 8 != 0;
    if (op.kind != OpKind::conv2d) continue;
    if (is_depthwise(op)) {
      ++depthwise;
    } else {
      groups.insert(op.groups);
    }
    kernels.insert(op.kernel_h);
  }
  CHECK(kinds.size() == 26);
  CHECK(kinds[OpKind::conv2d] > 300);
  CHECK(depthwise > 40);
  CHECK(odd_channels > 60);
  for (const int g : {1, 2, 4, 8}) CHECK(groups.count(g) == 1);
  for (const int k : {1, 2, 3, 5, 7}) CHECK(kernels.count(k) == 1);
  for (const int size : {1, 7, 14, 28, 56, 112}) CHECK(sizes.count(size) == 1);
}

TEST_CASE("a plan has convolutions of late stages, whose weights no cache holds", "[plan]") {
  int late = 0;
  for (const Op& op : sampling_plan(1, 600))
    late += op.kind == OpKind::conv2d && op.groups == 1 && op.kernel_h > 1 &&
            weight_bytes(op) > 8 << 20;
  CHECK(late >= 3);
}

TEST_CASE("a plan is the same for a seed and another for another", "[plan]") {
  CHECK(sampling_plan(3, 50) == sampling_plan(3, 50));
  CHECK(sampling_plan(3, 50) != sampling_plan(4, 50));
}

TEST_CASE("a shorter plan is the beginning of a longer one", "[plan]") {
  const std::vector<Op> longer = sampling_plan(1, 200);
  CHECK(sampling_plan(1, 40) == std::vector<Op>(longer.begin(), longer.begin() + 40));
}

TEST_CASE("a plan for int8 has operators of every class that networks in int8 have", "[plan]") {
  const std::vector<Op> plan = sampling_plan(1, 600, DType::qs8);
  CHECK(plan.size() == 600);
  std::map<std::string, int> classes;
  int int8 = 0;
  for (const Op& op : plan) {
    CHECK_NOTHROW(check(op));
    CHECK_NOTHROW(engine_of(op));
    CHECK(parse_op(text(op)) == op);
    ++classes[op_class(op)];
    int8 += op.dtype() == DType::qs8;
  }
  CHECK(int8 > 450);
  std::vector<Network> networks = calibration_networks();
  for (const ZooEntry& entry : zoo()) networks.push_back(entry.build());
  for (const Network& network : networks)
    for (const Node& node : lowered(network, DType::qs8).nodes) {
      INFO(text(node.op));
      if (node.op.kind != OpKind::constant) CHECK(classes[op_class(node.op)] > 0);
    }
  CHECK(classes["quantise"] > 4);
  CHECK(classes["int8 depthwise"] > 30);
  CHECK(classes["int8 depthwise of many taps"] > 10);
  CHECK(classes["int8 wide depthwise"] > 5);
}

TEST_CASE("a plan for a runtime with dynamic layers has such, and is else the same", "[plan]") {
  const std::vector<Op> plan = sampling_plan(1, 600, DType::qs8, true);
  int dynamic = 0;
  for (const Op& op : plan) {
    CHECK_NOTHROW(check(op));
    CHECK(parse_op(text(op)) == op);
    if (!op.dynamic) continue;
    ++dynamic;
    CHECK(op_class(op) == dynamic_class);
    // As `quantise` makes them: the first layer of a network, whose output is its own.
    Network network;
    Op f32 = op;
    f32.dynamic = false;
    network.inputs = op.inputs;
    network.nodes = {{"op", "", f32, {network_input}}};
    network.outputs = {0};
    CHECK(in_precision(network, DType::qs8, true).nodes[0].op == op);
  }
  CHECK(dynamic > 10);
  const auto any_dynamic = [](const std::vector<Op>& ops) {
    return std::any_of(ops.begin(), ops.end(), [](const Op& op) { return op.dynamic; });
  };
  CHECK_FALSE(any_dynamic(sampling_plan(1, 600, DType::qs8, false)));
  CHECK_FALSE(any_dynamic(sampling_plan(1, 600, DType::f32, true)));
  CHECK(any_dynamic(next_operators(
      {}, [](const Op&) { return 1.0; }, 300, 1, DType::qs8, true)));
}

TEST_CASE("a plan refuses counts out of range", "[plan]") {
  CHECK_THROWS_MATCHES(sampling_plan(1, 0), std::invalid_argument,
                       Message("a plan has 1..100000 operators, got 0"));
}

TEST_CASE("the next operators are those of the largest spread and not among the known", "[plan]") {
  const std::vector<Op> known = sampling_plan(1, 300);
  const auto spread = [](const Op& op) { return op.kind == OpKind::attention ? 0.5 : 0.01; };
  const std::vector<Op> next = next_operators(known, spread, 20, 1);
  REQUIRE(next.size() == 20);
  CHECK(texts(next).size() == 20);
  CHECK(std::all_of(next.begin(), next.end(),
                    [](const Op& op) { return op.kind == OpKind::attention; }));
  const std::set<std::string> before = texts(known);
  for (const Op& op : next) CHECK(before.count(text(op)) == 0);
}

TEST_CASE("the next operators leave known ones out even where they are of the same plan",
          "[plan]") {
  const auto spread = [](const Op&) { return 1.0; };
  const std::vector<Op> first = next_operators({}, spread, 30, 1);
  const std::vector<Op> second = next_operators(first, spread, 30, 1);
  const std::set<std::string> before = texts(first);
  for (const Op& op : second) CHECK(before.count(text(op)) == 0);
}

TEST_CASE("the next operators are kept apart", "[plan]") {
  // All of one spread: without keeping apart, the first of the candidates would be taken in order.
  const std::vector<Op> next = next_operators(
      {}, [](const Op&) { return 1.0; }, 40, 1);
  std::set<OpKind> kinds;
  for (const Op& op : next) kinds.insert(op.kind);
  CHECK(kinds.size() == 26);
}

TEST_CASE("a spread that is no number is refused with the operator's name", "[plan]") {
  CHECK_THROWS_WITH(next_operators(
                        {}, [](const Op&) { return -1.0; }, 5, 1),
                    ContainsSubstring("spread must be finite and at least 0, got -1"));
}

TEST_CASE("the operators and networks of a profile are those that were approved", "[plan]") {
  // Interrupted profiles go on, and kept ones are known, by what they measured.
  std::string lines;
  const std::vector<Op> plan = sampling_plan(1, 600);
  for (std::size_t i = 0; i < plan.size(); i += 3) lines += text(plan[i]) + "\n";
  for (const Network& network : calibration_networks())
    lines += fmt::format("{} {} {} {} {}\n", network.name, network.nodes.size(), params(network),
                         macs(network), text(network.nodes[network.nodes.size() / 2].op));
  check_approved("plan.txt", lines);
}
