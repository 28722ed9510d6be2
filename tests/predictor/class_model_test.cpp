#include "predictor/class_model.hpp"

#include <cmath>
#include <vector>

#include "tests/catch.hpp"

using namespace cpubone;

namespace {

/// Moves so many bytes through the caches.
MeasuredOp moving(double bytes, double ns) {
  MeasuredOp op;
  op.engine = "eigen";
  op.ns = ns;
  op.relative_error = 0.01;
  op.facts.work.activation_bytes = bytes;
  op.facts.features[0] = std::log2(bytes);
  return op;
}

ClassModel fitted(const std::vector<MeasuredOp>& ops, const CostModel& prior) {
  std::vector<const MeasuredOp*> pointers;
  for (const MeasuredOp& op : ops) pointers.push_back(&op);
  return fit_class("gelu", pointers, 1, &prior);
}

CostModel a_byte_a_ns() {
  CostModel cost;
  cost.ns_per_activation_byte = 1;
  cost.ns_per_dispatch = 100;
  return cost;
}

}  // namespace

TEST_CASE("one operator tells the pace of its class, not what calls cost", "[predictor]") {
  const MeasuredOp slow = moving(1000, 100 + 8 * 1000);
  const ClassModel model = fitted({slow}, a_byte_a_ns());
  CHECK(model.cost.ns_per_activation_byte == Approx(8).epsilon(0.05));
  CHECK(model.cost.ns_per_dispatch == Approx(100).epsilon(0.3));
}

TEST_CASE("an operator that takes hardly longer than a call does not tell the pace of its class",
          "[predictor]") {
  const ClassModel model = fitted({moving(1, 300)}, a_byte_a_ns());
  CHECK(model.cost.ns_per_activation_byte < 4);
}

TEST_CASE("an operator of a small class is as unsure as its class is small", "[predictor]") {
  std::vector<MeasuredOp> ops;
  for (int i = 1; i <= 4; ++i) ops.push_back(moving(1000 * i, 100 + 8 * 1000 * i));
  const OpEstimate e = estimate(fitted(ops, a_byte_a_ns()), ops[1].facts);
  CHECK(e.spread_ns / e.ns > 0.25);
}

TEST_CASE("few operators that do not tell of each other are unsure", "[predictor]") {
  // A term each: what one takes cannot be told by the others.
  std::vector<MeasuredOp> ops{moving(16, 100), moving(1000, 100 + 8 * 1000),
                              moving(1000, 100 + 8 * 1000)};
  ops[2].facts.work.activation_bytes_beyond_l2 = 1000;
  ops[2].ns += 20'000;
  const ClassModel model = fitted(ops, a_byte_a_ns());
  const OpEstimate e = estimate(model, ops[2].facts);
  CHECK(e.ns == Approx(ops[2].ns).epsilon(0.1));
  CHECK(e.spread_ns / e.ns > 0.3);
  CHECK(model.test_mape > 0.2);
}

TEST_CASE("far memory costs in a slow class what it costs in others", "[predictor]") {
  CostModel others = a_byte_a_ns();
  others.ns_per_activation_byte_beyond_l2 = 2;
  const ClassModel model = fitted({moving(1000, 100 + 8 * 1000)}, others);
  CHECK(model.cost.ns_per_activation_byte == Approx(8).epsilon(0.01));
  CHECK(model.cost.ns_per_activation_byte_beyond_l2 == Approx(2).epsilon(0.01));
}

TEST_CASE("a few bytes beyond a cache do not explain what an operator takes longer", "[predictor]") {
  CostModel others = a_byte_a_ns();
  others.ns_per_activation_byte_beyond_l2 = 2;
  std::vector<MeasuredOp> ops;
  for (const double bytes : {200.0, 400.0, 600.0, 800.0}) ops.push_back(moving(bytes, 100 + bytes));
  ops.push_back(moving(1000, 1.2 * (100 + 1000)));
  ops.back().facts.work.activation_bytes_beyond_l2 = 10;
  CHECK(fitted(ops, others).cost.ns_per_activation_byte_beyond_l2 < 6);  // to explain it: 22
}
