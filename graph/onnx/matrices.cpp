#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "graph/onnx/dynamic.hpp"
#include "graph/onnx/importer.hpp"

// Products of matrices, softmax and layer norms: what works along a last dimension.
namespace cpubone::onnx {
namespace {

/// Of some dimensions; a tensor of no elements may be of any size along the others.
std::int64_t product(const Dims& dims, std::size_t begin, std::size_t end) {
  return count(Dims(dims.begin() + static_cast<std::ptrdiff_t>(begin),
                    dims.begin() + static_cast<std::ptrdiff_t>(end)));
}

/// The tensor as rows whose last dimension is `width`: as it lies where it can stay so.
Edge rows_of(Lowering& lower, const Edge& edge, std::int64_t width) {
  const Shape& s = lower.shape(edge);
  if (s.c == width && s.n == 1) return edge;
  const std::int64_t rows = elements(s) / width;
  // In two dimensions where one would be larger than it may be.
  constexpr std::int64_t most = 65536;
  std::int64_t height = 1;
  while (height < most && (rows / height > most || rows % height != 0)) ++height;
  return lower.view(edge, {1, to_int(height), to_int(rows / height), to_int(width)});
}

/// Replaces the factors of the last dimension, which lie innermost, by one of another extent.
Layout with_last_extent(const Layout& layout, std::int64_t extent) {
  Layout result = layout;
  const std::size_t inner = result.dims.back().size();
  result.factors.resize(result.factors.size() - inner);
  result.dims.back().clear();
  if (extent > 1) {
    result.dims.back() = {static_cast<int>(result.factors.size())};
    result.factors.push_back(extent);
  }
  return result;
}

/// Rows times a known matrix, `weight` given by outputs, and a bias.
Value linear(const NodeContext& node, const Value& x, std::vector<float> weight,
             std::int64_t outputs, std::vector<float> bias) {
  Lowering& lower = node.lower;
  const std::size_t last = x.dims().size() - 1;
  const std::int64_t inputs = x.dims()[last];
  // The last dimension innermost, its factors as they lie: the weights follow them.
  std::vector<int> inner = x.layout.dims[last];
  std::sort(inner.begin(), inner.end());
  std::vector<int> order;
  for (int f = 0; f < static_cast<int>(x.layout.factors.size()); ++f)
    if (!std::binary_search(inner.begin(), inner.end(), f)) order.push_back(f);
  order.insert(order.end(), inner.begin(), inner.end());
  Value rows = x;
  if (inner != x.layout.dims[last]) {
    Layout columns;
    columns.dims = {{0}, {}};
    columns.factors = {outputs};
    for (const int f : inner)
      columns.factors.push_back(x.layout.factors[static_cast<std::size_t>(f)]);
    for (const int f : x.layout.dims[last])
      columns.dims[1].push_back(
          1 + static_cast<int>(std::lower_bound(inner.begin(), inner.end(), f) - inner.begin()));
    weight = arranged(weight, columns);
    // From now on the order in which they lie is the one that counts.
    Layout renamed = x.layout;
    renamed.dims[last] = inner;
    rows.layout = renamed;
  }
  rows = lower.arranged(rows, order);
  Op op;
  op.kind = OpKind::linear;
  op.outputs[0].shape.c = to_int(outputs);
  op.bias = !bias.empty();
  const Edge edge = lower.append(std::move(op), {rows_of(lower, rows.edge, inputs)}, "",
                                 {std::move(weight), std::move(bias), {}, {}});
  return {nullptr, edge, with_last_extent(rows.layout, outputs)};
}

/// Rows and columns swapped.
std::vector<float> swapped(const std::vector<float>& values, std::size_t rows,
                           std::size_t columns) {
  std::vector<float> result(values.size());
  constexpr std::size_t block = 32;
  for (std::size_t r0 = 0; r0 < rows; r0 += block)
    for (std::size_t c = 0; c < columns; ++c)
      for (std::size_t r = r0; r < std::min(rows, r0 + block); ++r)
        result[c * rows + r] = values[r * columns + c];
  return result;
}

/// Batches of matrices: dimensions before the last two, which are repeated where they are 1.
struct Matrices {
  Edge edge;  ///< h x rows x columns
  Dims batch;
};

Matrices matrices(const NodeContext& node, const Value& value, bool by_columns) {
  Lowering& lower = node.lower;
  const std::size_t rank = value.layout.dims.size();
  std::vector<int> order(rank);
  std::iota(order.begin(), order.end(), 0);
  if (by_columns) std::swap(order[rank - 1], order[rank - 2]);
  const Value ordered = lower.in_dim_order(value, order);
  const Dims dims = value.dims();
  const std::int64_t rows = dims[rank - (by_columns ? 1 : 2)];
  const std::int64_t columns = dims[rank - (by_columns ? 2 : 1)];
  const Shape shape{1, to_int(product(dims, 0, rank - 2)), to_int(rows), to_int(columns)};
  return {lower.view(ordered.edge, shape), Dims(dims.begin(), dims.end() - 2)};
}

/// Whether of the last two dimensions the first lies innermost.
bool lies_by_columns(const Layout& layout) {
  const std::vector<int>& rows = layout.dims[layout.dims.size() - 2];
  return !rows.empty() && rows.back() + 1 == static_cast<int>(layout.factors.size());
}

Value multiply(const NodeContext& node, const Value& first, const Value& second) {
  Lowering& lower = node.lower;
  const std::size_t rank = std::max(first.dims().size(), second.dims().size());
  Value a = with_rank(lower.tensor_of(first, "left"), rank);
  Value b = with_rank(lower.tensor_of(second, "right"), rank);
  const Dims left = a.dims();
  const Dims right = b.dims();
  if (left[rank - 1] != right[rank - 2])
    throw Unsupported(fmt::format("matrices of {} and {}", text(left), text(right)));
  const bool by_columns = lies_by_columns(b.layout) || right[rank - 2] == 1;
  const Matrices x = matrices(node, a, false);
  const Matrices y = matrices(node, b, by_columns);
  const std::int64_t of_x = product(x.batch, 0, x.batch.size());
  const std::int64_t of_y = product(y.batch, 0, y.batch.size());
  if (x.batch != y.batch && of_x != 1 && of_y != 1)
    throw Unsupported(
        fmt::format("matrices of {} and {}, repeated in part", text(left), text(right)));
  Op op;
  op.kind = OpKind::matmul;
  op.transposed = by_columns;
  Dims dims = of_x == 1 ? y.batch : x.batch;
  dims.push_back(left[rank - 2]);
  dims.push_back(right[rank - 1]);
  return {nullptr, lower.append(std::move(op), {x.edge, y.edge}), row_major(dims)};
}

std::vector<Value> matmul(const NodeContext& node) {
  const Value& a = node.input(0);
  const Value& b = node.input(1);
  if (a.dims().empty() || b.dims().empty()) throw Unsupported("a scalar");
  // Vectors are matrices of one row or column, which the result then lacks.
  Value left = a.dims().size() == 1 ? with_rank(a, 2) : a;
  Value right = b;
  if (b.dims().size() == 1) {
    if (b.known()) {
      Array column = *b.constant;
      column.dims.push_back(1);
      right.constant = std::make_shared<const Array>(std::move(column));
    } else {
      right.layout.dims.emplace_back();
    }
  }
  const bool shared =
      right.known() &&
      count(right.dims()) == product(right.dims(), right.dims().size() - 2, right.dims().size());
  Value result;
  if (shared && !left.known()) {
    const Dims dims = right.dims();
    const std::int64_t inner = dims[dims.size() - 2];
    if (left.dims().back() != inner)
      throw Unsupported(fmt::format("matrices of {} and {}", text(left.dims()), text(dims)));
    result = linear(node, left,
                    swapped(reals_of(*right.constant), static_cast<std::size_t>(inner),
                            static_cast<std::size_t>(dims.back())),
                    dims.back(), {});
    if (dims.size() > result.layout.dims.size()) result = with_rank(result, dims.size());
  } else {
    result = multiply(node, left, right);
  }
  if (b.dims().size() == 1) result.layout.dims.pop_back();
  if (a.dims().size() == 1)
    result.layout.dims.erase(result.layout.dims.end() - (b.dims().size() == 1 ? 1 : 2));
  return {result};
}

std::vector<Value> gemm(const NodeContext& node) {
  const float alpha = node.attributes.real("alpha", 1);
  const float beta = node.attributes.real("beta", 1);
  const auto turned = [](const Value& value, bool turn) {
    Value result = value;
    if (turn) result.layout = permuted(value.layout, {1, 0});
    return result;
  };
  const bool turns_b = node.attributes.integer("transB", 0) != 0;
  Value a = node.lower.tensor_of(node.input(0), "left");
  if (a.dims().size() != 2 || node.input(1).dims().size() != 2)
    throw Unsupported("other than matrices");
  a = turned(a, node.attributes.integer("transA", 0) != 0);
  const Value& b = node.input(1);
  const bool has_c = node.has(2) && beta != 0;
  if (b.known()) {
    const auto rows = static_cast<std::size_t>(b.dims()[0]);
    const auto columns = static_cast<std::size_t>(b.dims()[1]);
    std::vector<float> weight =
        turns_b ? reals_of(*b.constant) : swapped(reals_of(*b.constant), rows, columns);
    for (float& w : weight) w *= alpha;
    const std::int64_t outputs = b.dims()[turns_b ? 0 : 1];
    if (b.dims()[turns_b ? 1 : 0] != a.dims()[1])
      throw Unsupported(fmt::format("matrices of {} and {}", text(a.dims()), text(b.dims())));
    const auto bias_of = [&]() -> std::vector<float> {
      if (!has_c || !node.input(2).known()) return {};
      const Array& c = *node.input(2).constant;
      if (c.dims.empty() || c.dims.back() != outputs || count(c.dims) != outputs) return {};
      std::vector<float> bias = reals_of(c);
      for (float& value : bias) value *= beta;
      return bias;
    };
    std::vector<float> bias = bias_of();
    const bool biased = !bias.empty();
    const Value result = linear(node, a, std::move(weight), outputs, std::move(bias));
    if (biased || !has_c) return {result};
    Value c = node.input(2);
    if (beta != 1) c = elementwise(node.lower, OpKind::mul, c, scalar(beta), "scaled");
    return {elementwise(node.lower, OpKind::add, result, c)};
  }
  Value result = multiply(node, a, turned(b, turns_b));
  if (alpha != 1) result = elementwise(node.lower, OpKind::mul, result, scalar(alpha), "times");
  if (!has_c) return {result};
  Value c = node.input(2);
  if (beta != 1) c = elementwise(node.lower, OpKind::mul, c, scalar(beta), "scaled");
  return {elementwise(node.lower, OpKind::add, result, c)};
}

/// Two tensors whose dimensions have letters.
std::vector<Value> einsum(const NodeContext& node) {
  std::string equation = node.attributes.word("equation", "");
  equation.erase(std::remove(equation.begin(), equation.end(), ' '), equation.end());
  const std::size_t comma = equation.find(',');
  const std::size_t arrow = equation.find("->");
  if (node.inputs.size() != 2 || comma == std::string::npos || arrow == std::string::npos ||
      comma > arrow || equation.find('.') != std::string::npos)
    throw Unsupported(fmt::format("equation {}", equation));
  const std::string a = equation.substr(0, comma);
  const std::string b = equation.substr(comma + 1, arrow - comma - 1);
  const std::string out = equation.substr(arrow + 2);
  const Value x = node.lower.tensor_of(node.input(0), "left");
  const Value y = node.lower.tensor_of(node.input(1), "right");
  if (a.size() != x.dims().size() || b.size() != y.dims().size())
    throw Unsupported(fmt::format("equation {}", equation));
  const auto within = [](const std::string& letters, char c) {
    return letters.find(c) != std::string::npos;
  };
  std::string batch;
  std::string rows;
  std::string columns;
  std::string inner;
  for (const char c : a) {
    if (std::count(a.begin(), a.end(), c) != 1) throw Unsupported("a diagonal");
    if (within(b, c))
      (within(out, c) ? batch : inner) += c;
    else if (within(out, c))
      rows += c;
    else
      throw Unsupported("a sum of one tensor alone");
  }
  for (const char c : b) {
    if (std::count(b.begin(), b.end(), c) != 1) throw Unsupported("a diagonal");
    if (within(a, c)) continue;
    if (!within(out, c)) throw Unsupported("a sum of one tensor alone");
    columns += c;
  }
  // As batches of matrices, whose dimensions are then named again.
  const auto matrix = [&](const Value& value, const std::string& letters, const std::string& r,
                          const std::string& c) {
    std::vector<int> order;
    for (const std::string* group : {&std::as_const(batch), &r, &c})
      for (const char letter : *group) order.push_back(static_cast<int>(letters.find(letter)));
    Value result = value;
    result.layout = permuted(value.layout, order);
    const Dims dims = result.dims();
    const auto reshaped_to = [&](const Value& v) {
      return reshaped(v.layout, {product(dims, 0, batch.size()),
                                 product(dims, batch.size(), batch.size() + r.size()),
                                 product(dims, batch.size() + r.size(), dims.size())});
    };
    auto layout = reshaped_to(result);
    if (!layout) {
      result = node.lower.row_major(result);
      layout = reshaped_to(result);
    }
    result.layout = *layout;
    return result;
  };
  const Value product_of = multiply(node, matrix(x, a, rows, inner), matrix(y, b, inner, columns));
  const std::string letters = batch + rows + columns;
  Dims dims;
  for (const char c : letters)
    dims.push_back(within(a, c) ? x.dims()[a.find(c)] : y.dims()[b.find(c)]);
  if (out.size() != letters.size()) throw Unsupported(fmt::format("equation {}", equation));
  std::vector<int> order;
  for (const char c : out) order.push_back(static_cast<int>(letters.find(c)));
  return {{nullptr, product_of.edge, permuted(row_major(dims), order)}};
}

std::vector<Value> softmax(const NodeContext& node) {
  const bool old = node.opset < 13;
  const Value& x = node.input(0);
  const Dims dims = x.dims();
  if (dims.empty()) throw Unsupported("a scalar");
  const std::size_t axis = axis_of(node.attributes.integer("axis", old ? 1 : -1), dims.size());
  std::vector<std::size_t> axes{axis};
  if (old)  // over all dimensions from the axis on
    for (std::size_t d = axis + 1; d < dims.size(); ++d) axes.push_back(d);
  const Value last = node.lower.with_somehow_last(x, axes);
  std::int64_t width = 1;
  for (const std::size_t a : axes) width *= dims[a];
  Op op;
  op.kind = OpKind::softmax;
  const bool logarithm = node.proto.op_type() == "LogSoftmax";
  Value result = last;
  result.edge = node.lower.append(std::move(op), {rows_of(node.lower, last.edge, width)},
                                  logarithm ? "softmax" : "");
  if (logarithm) result = function(node.lower, Activation::log, result);
  return {result};
}

/// Normalises what the dimensions from `axis` on hold, by parameters of `width` values.
std::vector<Value> norm(const NodeContext& node, OpKind kind,
                        const std::function<Parameters(std::int64_t width)>& parameters) {
  const Value& x = node.input(0);
  const Dims dims = x.dims();
  const std::size_t axis = axis_of(node.attributes.integer("axis", -1), dims.size());
  std::vector<std::size_t> axes(dims.size() - axis);
  std::iota(axes.begin(), axes.end(), axis);
  const Value last = node.lower.with_last(x, axes);
  const std::int64_t width = product(dims, axis, dims.size());
  Op op;
  op.kind = kind;
  op.epsilon = node.attributes.decimal("epsilon", 1e-5);
  Value result = last;
  result.edge = node.lower.append(std::move(op), {rows_of(node.lower, last.edge, width)}, "",
                                  parameters(width));
  return {result};
}

std::vector<Value> layer_norm(const NodeContext& node) {
  if (node.outputs > 1) throw Unsupported("with mean and deviation");
  return norm(node, OpKind::layer_norm, [&](std::int64_t width) {
    Parameters p{reals_of(node.known(1)), {}, {}, {}};
    if (node.has(2))
      p.bias = reals_of(node.known(2));
    else
      p.bias.assign(static_cast<std::size_t>(width), 0.0F);
    return p;
  });
}

std::vector<Value> rms_norm(const NodeContext& node) {
  return norm(node, OpKind::rms_norm, [&](std::int64_t width) {
    Parameters p{reals_of(node.known(1)), {}, {}, {}};
    if (p.weight.size() == 1) p.weight.resize(static_cast<std::size_t>(width), p.weight[0]);
    if (p.weight.size() != static_cast<std::size_t>(width))
      throw Unsupported("a scale of some dimensions");
    return p;
  });
}

/// Weights are given in steps, by outputs.
std::vector<Value> dynamic_matmul(const NodeContext& node) {
  const Array& steps = node.known(1);
  const std::vector<float>& scales = reals_of(node.known(2));
  const Value& rows = node.input(0);
  if (rows.known() || rows.dims().empty()) throw Unsupported("rows that are known");
  const std::int64_t inputs = rows.dims().back();
  if (!steps.integer || steps.dims.size() != 2 || steps.dims[1] != inputs ||
      steps.dims[0] != static_cast<std::int64_t>(scales.size()) || scales.empty() || inputs == 0)
    throw Unsupported("weights that are not a scale and as many steps as a row for each output");
  std::vector<float> weight(steps.size());
  for (std::size_t i = 0; i < weight.size(); ++i)
    weight[i] = static_cast<float>(steps.at(i)) * scales[i / static_cast<std::size_t>(inputs)];
  Value result = linear(node, rows, std::move(weight), steps.dims[0], {});
  node.lower.model.network.nodes[static_cast<std::size_t>(result.edge.node)].op.dynamic = true;
  return {result};
}

constexpr HandlerRow matrix_rows[] = {
    {dynamic_product, dynamic_matmul},  {"Einsum", einsum},      {"Gemm", gemm},
    {"LayerNormalization", layer_norm}, {"LogSoftmax", softmax}, {"MatMul", matmul},
    {"RMSNormalization", rms_norm},     {"Softmax", softmax},
};

}  // namespace

std::span<const HandlerRow> matrix_handlers() {
  return matrix_rows;
}

}  // namespace cpubone::onnx
