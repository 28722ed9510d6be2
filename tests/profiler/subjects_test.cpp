#include "profiler/subjects.hpp"

#include <string>

#include "tests/catch.hpp"

using namespace cpubone;

TEST_CASE("an operator is measured behind a slice of each input, whatever their shapes",
          "[subjects]") {
  const Network same = network_around(parse_op("add 1x5x5x8,1x5x5x8->1x5x5x8 f32"));
  CHECK(same.inputs.size() == 1);
  const Network other = network_around(parse_op("mul 1x5x1x8,1x1x7x1->1x5x7x8 f32"));
  CHECK(other.inputs.size() == 2);
  for (const Network& network : {same, other}) {
    CHECK_NOTHROW(check(network));
    REQUIRE(network.nodes.size() == 3);
    CHECK(network.nodes[0].op.kind == OpKind::slice);
  }
}

TEST_CASE("operators of several data types, inputs and outputs run as subjects", "[subjects]") {
  const cpubone::Bench bench(1, 1 << 20);
  for (const std::string line :
       {"mul 1x5x1x8,1x1x7x1->1x5x7x8 f32", "split 1x4x4x10->1x4x4x4,1x4x4x6 f32",
        "concat 1x4x4x10,1x4x4x3->1x4x4x13 f32", "quantise 1x6x6x16->1x6x6x16:qs8/0.05/-3",
        "dequantise 1x6x6x16:qs8/0.05/-3->1x6x6x16", "cast 1x6x6x16->1x6x6x16:f16",
        "reshape 1x4x6x10->1x3x8x10 f32"}) {
    INFO(line);
    const auto subject = bench.subject(parse_op(line), 2, false);
    subject->move();
    subject->feed(1);
    CHECK_NOTHROW(subject->run(1));
  }
}
