#include "profiler/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <unordered_set>

#include "graph/schema.hpp"
#include "profiler/operator_families.hpp"
#include "runtime/precision.hpp"

namespace cpubone {
namespace {

constexpr int most_operators = 100'000;
// What one operator may take at most: about 12 ms on a small core, and its copies fit in memory.
constexpr std::int64_t most_macs = 450'000'000;
constexpr std::int64_t most_elements = 1'300'000;
constexpr std::int64_t most_weight_bytes = 24 << 20;

bool acceptable(const Op& op) {
  const auto fits = [](const Shape& shape) {
    return shape.c <= 4 * most_channels && elements(shape) <= most_elements;
  };
  const Shape& in = op.input();
  const bool window_fits = in.h + op.padding.top + op.padding.bottom >= op.kernel_h;
  return window_fits &&
         std::all_of(op.inputs.begin(), op.inputs.end(),
                     [&](const Tensor& input) { return fits(input.shape); }) &&
         fits(infer_outputs(op)[0]) && macs(op) <= most_macs &&
         weight_bytes(op) <= most_weight_bytes;
}

/// Most operators of a network are at least some microseconds long; of shorter ones a share shows
/// what a call costs.
bool tiny(const Op& op) {
  constexpr double macs_of_bytes = 4;  // that take about as long
  constexpr double least_work = 150e3;
  return static_cast<double>(macs(op)) +
             macs_of_bytes *
                 static_cast<double>(input_bytes(op) + output_bytes(op) + weight_bytes(op)) <
         least_work;
}
constexpr int tiny_one_in = 4;

/// Of what does not multiply, a share reads what only exists in f32, and so stays f32 itself.
constexpr int float_one_in = 4;

/// The `drawn`-th operator of its family as a network of a data type has it.
Op in_dtype(Op op, DType dtype, int drawn) {
  if (schema(op.kind).converts || op.dynamic) return op;
  Op converted = with_dtype(op, dtype);
  if (dtype != DType::qs8) return converted;
  const bool beside_f32 = macs(op) == 0 && drawn % float_one_in == 0;
  return beside_f32 || !runs_in_int8(converted) ? op : converted;
}

/// Families in the order that keeps every beginning of it in proportion.
class Rotation {
 public:
  Rotation(DType dtype, bool dynamic) : owed_(operator_families().size(), 0) {
    const bool int8 = dtype == DType::qs8;
    for (const Family& family : operator_families()) {
      const bool has = family.in == Family::In::all || (family.in == Family::In::int8 && int8) ||
                       (family.in == Family::In::dynamic_int8 && int8 && dynamic);
      weights_.push_back(has ? family.weight : 0);
      sum_ += weights_.back();
    }
  }
  std::size_t next() {
    for (std::size_t i = 0; i < owed_.size(); ++i) owed_[i] += weights_[i];
    const auto most = std::max_element(owed_.begin(), owed_.end());
    *most -= sum_;
    return static_cast<std::size_t>(most - owed_.begin());
  }

 private:
  std::vector<double> weights_;
  std::vector<double> owed_;
  double sum_ = 0;
};

void check_count(int count) {
  if (count < 1 || count > most_operators)
    throw std::invalid_argument(
        fmt::format("a plan has 1..{} operators, got {}", most_operators, count));
}

/// Where an operator is among those of its kind; 1 is a factor of two in a dimension.
using Place = std::array<double, 8>;

Place place(const Op& op) {
  const auto log = [](int value) { return std::log2(std::max(1, value)); };
  const double window = 2 * log(op.kernel_h) + (is_depthwise(op) ? 16 : 0);
  return {log(op.input().h),          log(op.input().c),
          log(op.output().c),         window,
          2 * log(op.stride_h),       is_depthwise(op) ? 0 : 2 * log(op.groups),
          log(op.heads * op.windows), static_cast<double>(op.activation)};
}

double squared_distance(const Place& a, const Place& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

}  // namespace

std::vector<Op> sampling_plan(std::uint64_t seed, int count, DType dtype, bool dynamic) {
  check_count(count);
  const std::span<const Family> families = operator_families();
  std::vector<Points> points;
  for (std::size_t i = 0; i < families.size(); ++i) points.emplace_back(seed * 1000 + i);
  Rotation rotation(dtype, dynamic);
  std::unordered_set<std::string> seen;
  std::vector<Op> plan;
  std::vector<int> tiny_ones(families.size(), 0);
  std::vector<int> drawn(families.size(), 0);
  // Bounded: small families can run out of distinct operators long before the count is reached.
  for (int attempt = 0; static_cast<int>(plan.size()) < count && attempt < 100 * count + 10'000;) {
    const std::size_t family = rotation.next();
    for (int redraw = 0; redraw < 100; ++redraw, ++attempt) {
      points[family].advance();
      Op op = in_dtype(families[family].draw(points[family]), dtype, ++drawn[family]);
      if (!acceptable(op)) continue;
      if (tiny(op) && ++tiny_ones[family] % tiny_one_in != 0) continue;
      op = with_inferred_outputs(std::move(op));
      check(op);
      if (!seen.insert(text(op)).second) continue;
      plan.push_back(std::move(op));
      break;
    }
  }
  return plan;
}

std::vector<Op> next_operators(std::span<const Op> known, const Spread& spread, int count,
                               std::uint64_t seed, DType dtype, bool dynamic) {
  check_count(count);
  constexpr int candidates_per_operator = 8;
  constexpr int fewest_candidates = 1000;
  std::unordered_set<std::string> taken;
  for (const Op& op : known) taken.insert(text(op));
  struct Candidate {
    Op op;
    Place place;
    double spread;
    double nearest = std::numeric_limits<double>::infinity();  ///< squared, of those chosen
  };
  std::vector<Candidate> candidates;
  // Another seed than the known operators' plan had, or its beginning would be drawn again.
  for (Op& op :
       sampling_plan(seed + 0x5EED, std::max(fewest_candidates, candidates_per_operator * count),
                     dtype, dynamic)) {
    if (taken.count(text(op)) != 0) continue;
    const double value = spread(op);
    if (!(value >= 0) || !std::isfinite(value))
      throw std::invalid_argument(
          fmt::format("op \"{}\": spread must be finite and at least 0, got {}", text(op), value));
    const Place where = place(op);
    candidates.push_back({std::move(op), where, value});
  }
  std::vector<Op> chosen;
  while (static_cast<int>(chosen.size()) < count && !candidates.empty()) {
    const auto gain = [](const Candidate& c) { return c.spread * -std::expm1(-c.nearest / 2); };
    const auto best =
        std::max_element(candidates.begin(), candidates.end(),
                         [&](const Candidate& a, const Candidate& b) { return gain(a) < gain(b); });
    const Candidate winner = std::move(*best);
    candidates.erase(best);
    for (Candidate& c : candidates)
      if (c.op.kind == winner.op.kind)
        c.nearest = std::min(c.nearest, squared_distance(c.place, winner.place));
    chosen.push_back(winner.op);
  }
  return chosen;
}

}  // namespace cpubone
