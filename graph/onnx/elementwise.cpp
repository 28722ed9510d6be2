#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "graph/onnx/importer.hpp"

#include "graph/size.hpp"

namespace cpubone::onnx {
namespace {

Dims broadcast_dims(const Dims& a, const Dims& b) {
  Dims dims;
  for (std::size_t d = 0; d < a.size(); ++d) {
    if (a[d] != b[d] && a[d] != 1 && b[d] != 1)
      throw Unsupported(
          fmt::format("tensors of {} and {} are neither equal nor repeated", text(a), text(b)));
    dims.push_back(a[d] == 1 ? b[d] : a[d]);
  }
  return dims;
}

/// Which factors of the result a tensor has; along the others it is repeated.
std::vector<bool> factors_had(const Dims& operand, const Layout& result) {
  std::vector<bool> has(result.factors.size(), false);
  for (std::size_t d = 0; d < result.dims.size(); ++d)
    if (operand[d] > 1)
      for (const int f : result.dims[d]) has[z(f)] = true;
  return has;
}

/// A layout of the result: that of an operand which is as large, else dimensions in order.
Layout result_layout(const Value& a, const Value& b, const Dims& dims) {
  const Layout* best = nullptr;
  for (const Value* v : {&a, &b}) {
    if (v->known() || v->dims() != dims) continue;
    // Windows come together again. What is no longer in order of dimensions is channels last:
    // better to stay so.
    if (best == nullptr || v->layout.factors.size() < best->factors.size() ||
        (v->layout.factors.size() == best->factors.size() && *best == row_major(dims)))
      best = &v->layout;
  }
  return best != nullptr ? *best : row_major(dims);
}

/// Splits the factors of one layout where the other's dimensions are cut.
Layout refined(Layout layout, const Value& other) {
  if (other.known()) return layout;
  if (auto cut = cut_like(layout, other.layout)) return *cut;
  return layout;
}

Shape operand_shape(const std::vector<std::vector<int>>& groups, const std::vector<bool>& has,
                    const Layout& layout) {
  std::vector<std::int64_t> extents;
  for (const std::vector<int>& group : groups) {
    extents.push_back(1);
    for (const int f : group)
      if (has[z(f)]) extents.back() *= layout.factors[z(f)];
  }
  return Lowering::shape_of(extents);
}

/// The factors within each dimension of a shape, where it cuts none.
std::optional<std::vector<std::vector<int>>> groups_of(const Shape& shape, const Layout& layout) {
  std::vector<std::vector<int>> groups(3);
  std::size_t next = 0;
  std::size_t d = 0;
  for (const std::int64_t extent : {shape.h, shape.w, shape.c}) {
    std::int64_t product = 1;
    while (product < extent && next < layout.factors.size()) {
      product *= layout.factors[next];
      groups[d].push_back(static_cast<int>(next++));
    }
    if (product != extent) return std::nullopt;
    ++d;
  }
  return groups;
}

bool uniform(const std::vector<std::vector<int>>& groups, const std::vector<bool>& has) {
  return std::all_of(groups.begin(), groups.end(), [&](const std::vector<int>& group) {
    return std::all_of(group.begin(), group.end(),
                       [&](int f) { return has[z(f)] == has[z(group[0])]; });
  });
}

/// Factors that lie together and that each tensor has all or none of.
std::vector<std::vector<int>> groups_of(const std::vector<bool>& a, const std::vector<bool>& b) {
  std::vector<std::vector<int>> groups;
  for (std::size_t f = 0; f < a.size(); ++f) {
    if (f == 0 || a[f] != a[f - 1] || b[f] != b[f - 1]) groups.emplace_back();
    groups.back().push_back(static_cast<int>(f));
  }
  return groups;
}

/// What both have first, then what one has alone: at most three runs.
Layout in_three_runs(const Layout& layout, const std::vector<bool>& a, const std::vector<bool>& b) {
  std::vector<int> order(layout.factors.size());
  std::iota(order.begin(), order.end(), 0);
  const auto run = [&](int f) { return a[z(f)] && b[z(f)] ? 0 : a[z(f)] ? 1 : 2; };
  std::stable_sort(order.begin(), order.end(), [&](int f, int g) { return run(f) < run(g); });
  return rearranged(layout, order);
}

Edge operand_edge(Lowering& lower, const Value& value, const Layout& layout, const Shape& shape,
                  const std::string& part) {
  if (!value.known()) return lower.view(value.edge, shape);
  // The constant in the order of the result, without the dimensions along which it is repeated.
  Layout own;
  own.dims.resize(layout.dims.size());
  std::vector<int> moved(layout.factors.size(), -1);
  for (std::size_t f = 0; f < layout.factors.size(); ++f)
    for (std::size_t d = 0; d < layout.dims.size(); ++d)
      if (value.constant->dims[d] > 1 && std::find(layout.dims[d].begin(), layout.dims[d].end(),
                                                   static_cast<int>(f)) != layout.dims[d].end()) {
        moved[f] = static_cast<int>(own.factors.size());
        own.factors.push_back(layout.factors[f]);
      }
  for (std::size_t d = 0; d < layout.dims.size(); ++d)
    if (value.constant->dims[d] > 1)
      for (const int f : layout.dims[d]) own.dims[d].push_back(moved[z(f)]);
  return lower.constant(*value.constant, own, shape, part);
}

template <Activation activation>
std::vector<Value> apply(const NodeContext& node) {
  return {function(node.lower, activation, node.input(0))};
}

template <OpKind kind>
std::vector<Value> of_two(const NodeContext& node) {
  return {elementwise(node.lower, kind, node.input(0), node.input(1))};
}

template <OpKind kind>
std::vector<Value> of_many(const NodeContext& node) {
  Value result = node.input(0);
  for (std::size_t i = 1; i < node.inputs.size(); ++i)
    result = elementwise(node.lower, kind, result, node.input(i),
                         i + 1 < node.inputs.size() ? fmt::format("{}", i) : "");
  return {result};
}

std::vector<Value> mean(const NodeContext& node) {
  Value sum = node.input(0);
  for (std::size_t i = 1; i < node.inputs.size(); ++i)
    sum = elementwise(node.lower, OpKind::add, sum, node.input(i), fmt::format("{}", i));
  const auto n = static_cast<float>(node.inputs.size());
  return {elementwise(node.lower, OpKind::mul, sum, scalar(1 / n))};
}

std::vector<Value> clip(const NodeContext& node) {
  const auto bound = [&](std::size_t input, const char* name) -> std::optional<float> {
    if (node.opset < 11)
      return node.attributes.has(name) ? std::optional(node.attributes.real(name, 0))
                                       : std::nullopt;
    if (!node.has(input)) return std::nullopt;
    return static_cast<float>(node.known(input).at(0));
  };
  const std::optional<float> low = bound(1, "min");
  const std::optional<float> high = bound(2, "max");
  const Value& x = node.input(0);
  const bool unbounded = !high || *high > 1e38F;
  if (low == 0.0F && high == 6.0F) return {function(node.lower, Activation::relu6, x)};
  if (low == 0.0F && unbounded) return {function(node.lower, Activation::relu, x)};
  Value result = x;
  if (low && *low > -1e38F)
    result = elementwise(node.lower, OpKind::maximum, result, scalar(*low), unbounded ? "" : "low");
  if (!unbounded) result = elementwise(node.lower, OpKind::minimum, result, scalar(*high));
  return {result};
}

/// x where it is above 0, else slope times x.
std::vector<Value> leaky(const NodeContext& node, const Value& slope) {
  const Value& x = node.input(0);
  const Value above = function(node.lower, Activation::relu, x, "above");
  const Value below = elementwise(node.lower, OpKind::minimum, x, scalar(0), "below");
  return {elementwise(node.lower, OpKind::add, above,
                      elementwise(node.lower, OpKind::mul, below, slope, "scaled"))};
}

std::vector<Value> leaky_relu(const NodeContext& node) {
  return leaky(node, scalar(node.attributes.real("alpha", 0.01F)));
}

std::vector<Value> prelu(const NodeContext& node) {
  Value slope = node.input(1);
  // One slope a channel is written as C, or as C x 1 x 1.
  return leaky(node, slope);
}

std::vector<Value> elu(const NodeContext& node) {
  if (node.attributes.real("alpha", 1) != 1) throw Unsupported("alpha other than 1");
  return apply<Activation::elu>(node);
}

std::vector<Value> gelu(const NodeContext& node) {
  const bool tanh = node.attributes.word("approximate", "none") == "tanh";
  return {function(node.lower, tanh ? Activation::gelu_tanh : Activation::gelu, node.input(0))};
}

std::vector<Value> hard_sigmoid(const NodeContext& node) {
  const float alpha = node.attributes.real("alpha", 0.2F);
  const float beta = node.attributes.real("beta", 0.5F);
  Lowering& lower = node.lower;
  if (std::abs(alpha - 1.0F / 6) < 1e-5F && beta == 0.5F)
    return {function(lower, Activation::hardsigmoid, node.input(0))};
  const Value scaled = elementwise(lower, OpKind::mul, node.input(0), scalar(alpha), "scaled");
  const Value moved = elementwise(lower, OpKind::add, scaled, scalar(beta), "moved");
  const Value above = function(lower, Activation::relu, moved, "above");
  return {elementwise(lower, OpKind::minimum, above, scalar(1))};
}

std::vector<Value> power(const NodeContext& node) {
  const Array& exponent = node.known(1);
  if (exponent.size() != 1) throw Unsupported("an exponent of each element");
  const Value& x = node.input(0);
  Lowering& lower = node.lower;
  const double e = exponent.at(0);
  if (e == 0.5) return {function(lower, Activation::sqrt, x)};
  if (e == -0.5)
    return {function(lower, Activation::reciprocal, function(lower, Activation::sqrt, x, "root"))};
  if (e == -1) return {function(lower, Activation::reciprocal, x)};
  if (e == 1) return {x};
  if (e == 2) return {elementwise(lower, OpKind::mul, x, x)};
  if (e == 3)
    return {elementwise(lower, OpKind::mul, elementwise(lower, OpKind::mul, x, x, "square"), x)};
  throw Unsupported(fmt::format("an exponent of {}", e));
}

std::vector<Value> same(const NodeContext& node) {
  return {node.input(0)};
}

std::vector<Value> cast(const NodeContext& node) {
  using proto::TensorProto;
  const auto to = node.attributes.integer("to", TensorProto::FLOAT);
  if (to == TensorProto::FLOAT16 && node.half) return {node.input(0)};
  if (to != TensorProto::FLOAT && to != TensorProto::DOUBLE)
    throw Unsupported("to another type than float");
  return {node.input(0)};
}

std::vector<Value> dropout(const NodeContext& node) {
  const bool drops = !node.has(1) || node.known(1).at(0) != 0;
  if (drops && node.has(2) && node.known(2).at(0) != 0) throw Unsupported("in training mode");
  return {node.input(0)};  // the mask is nowhere
}

constexpr HandlerRow elementwise_rows[] = {
    {"Abs", apply<Activation::abs>},
    {"Add", of_two<OpKind::add>},
    {"Cast", cast},
    {"Clip", clip},
    {"Div", of_two<OpKind::div>},
    {"Dropout", dropout},
    {"Elu", elu},
    {"Erf", apply<Activation::erf>},
    {"Exp", apply<Activation::exp>},
    {"Gelu", gelu},
    {"HardSigmoid", hard_sigmoid},
    {"HardSwish", apply<Activation::hardswish>},
    {"Identity", same},
    {"LeakyRelu", leaky_relu},
    {"Log", apply<Activation::log>},
    {"Max", of_many<OpKind::maximum>},
    {"Mean", mean},
    {"Min", of_many<OpKind::minimum>},
    {"Mish", apply<Activation::mish>},
    {"Mul", of_two<OpKind::mul>},
    {"Neg", apply<Activation::neg>},
    {"PRelu", prelu},
    {"Pow", power},
    {"Reciprocal", apply<Activation::reciprocal>},
    {"Relu", apply<Activation::relu>},
    {"Sigmoid", apply<Activation::sigmoid>},
    {"Softplus", apply<Activation::softplus>},
    {"Sqrt", apply<Activation::sqrt>},
    {"Sub", of_two<OpKind::sub>},
    {"Sum", of_many<OpKind::add>},
    {"Tanh", apply<Activation::tanh>},
};

}  // namespace

Value align(Lowering& lower, const Value& value, const Layout& result) {
  Value v = value;
  auto cut = cut_like(v.layout, result);
  if (!cut) {
    v = lower.row_major(v);
    cut = cut_like(v.layout, result);
  }
  if (!cut) throw Unsupported("tensors whose dimensions are composed differently");
  v.layout = *cut;
  std::vector<std::pair<int, int>> places;  // in the result, in the operand
  for (std::size_t d = 0; d < result.dims.size(); ++d)
    for (std::size_t i = 0; i < v.layout.dims[d].size(); ++i)
      places.emplace_back(result.dims[d][i], v.layout.dims[d][i]);
  std::sort(places.begin(), places.end());
  std::vector<int> order;
  for (const auto& [place, factor] : places) order.push_back(factor);
  return lower.arranged(v, order);
}

std::span<const HandlerRow> elementwise_handlers() {
  return elementwise_rows;
}

Value scalar(float value) {
  return {real({}, {value}), {}, {}};
}

Value function(Lowering& lower, Activation activation, const Value& x, const std::string& part) {
  Value result = lower.tensor_of(x, part + "known");
  Op op;
  op.kind = OpKind::activation;
  op.activation = activation;
  result.edge = lower.append(std::move(op), {result.edge}, part);
  return result;
}

Value elementwise(Lowering& lower, OpKind kind, const Value& first, const Value& second,
                  const std::string& part) {
  const std::size_t rank = std::max(first.dims().size(), second.dims().size());
  Value a = with_rank(first, rank);
  Value b = with_rank(second, rank);
  if (a.known() && b.known()) a = lower.tensor_of(a, part + "known");
  const Dims dims = broadcast_dims(a.dims(), b.dims());
  Layout layout = refined(refined(result_layout(a, b, dims), a), b);
  constexpr std::size_t most_runs = 3;  // height, width and channels
  if (groups_of(factors_had(a.dims(), layout), factors_had(b.dims(), layout)).size() > most_runs)
    layout = in_three_runs(layout, factors_had(a.dims(), layout), factors_had(b.dims(), layout));
  for (Value* v : {&a, &b})
    if (!v->known()) *v = align(lower, *v, layout);
  const std::vector<bool> a_has = factors_had(a.dims(), layout);
  const std::vector<bool> b_has = factors_had(b.dims(), layout);
  // As one of them already is, where the other can be repeated along the dimensions of its shape.
  std::optional<std::vector<std::vector<int>>> groups;
  for (const auto& [v, has] : {std::pair{&a, &a_has}, std::pair{&b, &b_has}}) {
    if (v->known() || std::find(has->begin(), has->end(), false) != has->end()) continue;
    groups = groups_of(lower.shape(v->edge), layout);
    if (groups && uniform(*groups, a_has) && uniform(*groups, b_has)) break;
    groups.reset();
  }
  if (!groups) groups = groups_of(a_has, b_has);
  Op op;
  op.kind = kind;
  const Edge left =
      operand_edge(lower, a, layout, operand_shape(*groups, a_has, layout), part + "constant");
  const Edge right =
      operand_edge(lower, b, layout, operand_shape(*groups, b_has, layout), part + "constant");
  return {nullptr, lower.append(std::move(op), {left, right}, part), joined(layout)};
}

}  // namespace cpubone::onnx
