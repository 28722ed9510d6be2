#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "graph/onnx/importer.hpp"

namespace cpubone::onnx {
namespace {

/// What remains of a layout without some of its dimensions' factors; all of them lie innermost, or
/// all outermost.
Layout without(const Layout& layout, const std::vector<bool>& reduced) {
  std::vector<bool> gone(layout.factors.size(), false);
  for (std::size_t d = 0; d < reduced.size(); ++d)
    if (reduced[d])
      for (const int f : layout.dims[d]) gone[static_cast<std::size_t>(f)] = true;
  Layout result;
  std::vector<int> moved(gone.size(), -1);
  for (std::size_t f = 0; f < gone.size(); ++f)
    if (!gone[f]) {
      moved[f] = static_cast<int>(result.factors.size());
      result.factors.push_back(layout.factors[f]);
    }
  for (std::size_t d = 0; d < reduced.size(); ++d) {
    result.dims.emplace_back();
    if (!reduced[d])
      for (const int f : layout.dims[d])
        result.dims.back().push_back(moved[static_cast<std::size_t>(f)]);
  }
  return joined(result);
}

/// Whether the reduced factors all lie before others: pixels of an image with channels last.
bool lie_first(const Layout& layout, const std::vector<bool>& reduced) {
  int last_reduced = -1;
  int first_kept = static_cast<int>(layout.factors.size());
  for (std::size_t d = 0; d < reduced.size(); ++d)
    for (const int f : layout.dims[d])
      (reduced[d] ? last_reduced : first_kept) =
          reduced[d] ? std::max(last_reduced, f) : std::min(first_kept, f);
  return last_reduced < first_kept && first_kept < static_cast<int>(layout.factors.size());
}

Value reduced_value(Lowering& lower, const Value& x, Reduction reduction,
                    const std::vector<bool>& reduced, const std::string& part) {
  const Dims dims = x.dims();
  std::int64_t width = 1;
  std::vector<std::size_t> axes;
  for (std::size_t d = 0; d < dims.size(); ++d)
    if (reduced[d]) {
      width *= dims[d];
      axes.push_back(d);
    }
  Op op;
  if (reduction == Reduction::mean && lie_first(x.layout, reduced)) {
    op.kind = OpKind::global_avg_pool;
    const int kept = to_int(count(dims) / width);
    const Shape& s = lower.shape(x.edge);
    const Shape shape = s.c == kept && s.n == 1 ? s : Shape{1, 1, to_int(width), kept};
    return {nullptr, lower.append(std::move(op), {lower.view(x.edge, shape)}, part),
            without(x.layout, reduced)};
  }
  const Value last = lower.with_somehow_last(x, axes);
  op.kind = OpKind::reduce;
  op.reduction = reduction;
  const Shape& s = lower.shape(last.edge);
  const Shape shape =
      s.c == width && s.n == 1 ? s : Shape{1, 1, to_int(count(dims) / width), to_int(width)};
  return {nullptr, lower.append(std::move(op), {lower.view(last.edge, shape)}, part),
          without(last.layout, reduced)};
}

enum class Around { nothing, magnitude, square, root_of_squares, logarithm };

template <Reduction reduction, Around around>
std::vector<Value> reduce(const NodeContext& node) {
  Lowering& lower = node.lower;
  Value x = lower.tensor_of(node.input(0), "known");
  const Dims dims = x.dims();
  const auto axes = node.integers("axes", 1);
  std::vector<bool> reduced(dims.size(), false);
  if (!axes || axes->empty()) {
    if (node.attributes.integer("noop_with_empty_axes", 0) != 0) return {x};
    reduced.assign(dims.size(), true);
  } else {
    for (const std::int64_t axis : *axes) reduced[axis_of(axis, dims.size())] = true;
  }
  if (around == Around::magnitude) x = function(lower, Activation::abs, x, "magnitudes");
  if (around == Around::square || around == Around::root_of_squares)
    x = elementwise(lower, OpKind::mul, x, x, "squares");
  const bool ends = around != Around::root_of_squares && around != Around::logarithm;
  Value result = reduced_value(lower, x, reduction, reduced, ends ? "" : "sum");
  if (around == Around::root_of_squares) result = function(lower, Activation::sqrt, result);
  if (around == Around::logarithm) result = function(lower, Activation::log, result);
  if (node.attributes.integer("keepdims", 1) == 0) {
    std::vector<std::vector<int>> kept;
    for (std::size_t d = 0; d < dims.size(); ++d)
      if (!reduced[d]) kept.push_back(result.layout.dims[d]);
    result.layout.dims = kept;
  }
  return {result};
}

constexpr HandlerRow reduction_rows[] = {
    {"ReduceL1", reduce<Reduction::sum, Around::magnitude>},
    {"ReduceL2", reduce<Reduction::sum, Around::root_of_squares>},
    {"ReduceLogSum", reduce<Reduction::sum, Around::logarithm>},
    {"ReduceMax", reduce<Reduction::max, Around::nothing>},
    {"ReduceMean", reduce<Reduction::mean, Around::nothing>},
    {"ReduceMin", reduce<Reduction::min, Around::nothing>},
    {"ReduceSum", reduce<Reduction::sum, Around::nothing>},
    {"ReduceSumSquare", reduce<Reduction::sum, Around::square>},
};

}  // namespace

std::span<const HandlerRow> reduction_handlers() {
  return reduction_rows;
}

}  // namespace cpubone::onnx
