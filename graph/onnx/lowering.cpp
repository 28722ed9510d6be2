#include "graph/onnx/lowering.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "graph/schema.hpp"
#include "graph/size.hpp"

namespace cpubone::onnx {
namespace {

bool sorted(const std::vector<int>& order) {
  return std::is_sorted(order.begin(), order.end());
}

/// Order that lets neighbours stay together: groups of factors that move as one.
struct Groups {
  std::vector<std::int64_t> extents;  ///< as they lie
  std::vector<int> order;             ///< of groups
};

Groups groups_of(const std::vector<std::int64_t>& factors, const std::vector<int>& order) {
  std::vector<bool> begins(factors.size(), false);
  for (std::size_t i = 0; i < order.size(); ++i)
    if (i == 0 || order[i] != order[i - 1] + 1) begins[z(order[i])] = true;
  Groups groups;
  std::vector<int> group(factors.size());
  for (std::size_t f = 0; f < factors.size(); ++f) {
    if (begins[f]) groups.extents.push_back(1);
    groups.extents.back() *= factors[f];
    group[f] = static_cast<int>(groups.extents.size()) - 1;
  }
  for (const int f : order)
    if (begins[z(f)]) groups.order.push_back(group[z(f)]);
  return groups;
}

/// The other factors in order, then those.
std::vector<int> with_inner(std::size_t factors, const std::vector<int>& inner) {
  std::vector<int> order;
  for (int f = 0; z(f) < factors; ++f)
    if (std::find(inner.begin(), inner.end(), f) == inner.end()) order.push_back(f);
  order.insert(order.end(), inner.begin(), inner.end());
  return order;
}

}  // namespace

int to_int(std::int64_t value) {
  if (value < 0 || value > max_elements - 1)
    throw Unsupported(fmt::format("a number of {}", value));
  return static_cast<int>(value);
}

Value with_rank(const Value& value, std::size_t rank) {
  Value result = value;
  if (value.known()) {
    Array array = *value.constant;
    while (array.dims.size() < rank) array.dims.insert(array.dims.begin(), 1);
    result.constant = std::make_shared<const Array>(std::move(array));
  } else {
    while (result.layout.dims.size() < rank)
      result.layout.dims.insert(result.layout.dims.begin(), std::vector<int>{});
  }
  return result;
}

Shape Lowering::shape_of(const std::vector<std::int64_t>& extents) {
  count(extents);  // throws where products of dimensions would overflow
  std::vector<std::int64_t> dims = extents;
  while (dims.size() > 3) {
    dims[1] *= dims[0];
    dims.erase(dims.begin());
  }
  dims.insert(dims.begin(), 3 - dims.size(), 1);
  return {1, to_int(dims[0]), to_int(dims[1]), to_int(dims[2])};
}

std::string Lowering::unique(const std::string& part) {
  std::string name = part.empty() ? node_ : node_ + "/" + part;
  if (name.empty() || name == "input") name += "node";
  const int times = names_[name]++;
  if (times == 0) return name;
  const std::string next = fmt::format("{}#{}", name, times + 1);
  ++names_[next];
  return next;
}

Edge Lowering::append(Op op, std::vector<Edge> inputs, const std::string& part,
                      Parameters parameters) {
  op.inputs.clear();
  for (const Edge& edge : inputs) op.inputs.push_back(tensor(model.network, edge));
  op = with_inferred_outputs(std::move(op));
  check(op);
  Node node{unique(part), "", std::move(op), std::move(inputs)};
  if (params(node.op) > 0) {
    check(node, parameters);
    model.parameters.emplace(node.name, std::move(parameters));
  }
  if (node.op.kind != OpKind::constant) sources[node.name] = {source_};
  model.network.nodes.push_back(std::move(node));
  return static_cast<int>(model.network.nodes.size()) - 1;
}

Edge Lowering::view(const Edge& edge, const Shape& wanted, const std::string& part) {
  if (shape(edge) == wanted) return edge;
  if (edge.node != network_input) {
    const Node& node = model.network.nodes[z(edge.node)];
    if (node.op.kind == OpKind::reshape) return view(node.inputs[0], wanted, part);
  }
  std::vector<Edge>& known = views_[{edge.node, edge.output}];
  for (const Edge& other : known)
    if (shape(other) == wanted) return other;
  Op op;
  op.kind = OpKind::reshape;
  op.outputs[0].shape = wanted;
  const Edge reshaped = append(std::move(op), {edge}, part);
  views_[{edge.node, edge.output}].push_back(reshaped);
  return reshaped;
}

Edge Lowering::transpose(const Edge& edge, const std::vector<std::int64_t>& extents,
                         const std::vector<int>& order) {
  const std::size_t missing = 4 - extents.size();
  std::array<int, 4> dims{1, 1, 1, 1};
  Op op;
  op.kind = OpKind::transpose;
  for (std::size_t i = 0; i < extents.size(); ++i) {
    dims.at(missing + i) = to_int(extents[i]);
    op.permutation.at(missing + i) = order[i] + static_cast<int>(missing);
  }
  const Edge from = view(edge, {dims[0], dims[1], dims[2], dims[3]});
  std::vector<Edge>& known = transposes_[{from.node, from.output}];
  for (const Edge& other : known)
    if (model.network.nodes[z(other.node)].op.permutation == op.permutation) return other;
  const Edge turned = append(std::move(op), {from}, "transposed");
  known.push_back(turned);
  return turned;
}

Value Lowering::arranged(const Value& value, const std::vector<int>& factor_order) {
  if (sorted(factor_order)) return value;
  Groups groups = groups_of(value.layout.factors, factor_order);
  Value result = value;
  while (groups.extents.size() > 4) {
    // The first group that is not in its place moves there, past all between.
    std::vector<std::int64_t>& e = groups.extents;
    const auto n = static_cast<int>(e.size());
    int place = 0;
    while (groups.order[z(place)] == place) ++place;
    const int from = groups.order[z(place)];
    const auto product = [&](int begin, int end) {
      return std::accumulate(e.begin() + begin, e.begin() + end, std::int64_t{1},
                             std::multiplies<>());
    };
    result.edge = transpose(
        result.edge, {product(0, place), product(place, from), e[z(from)], product(from + 1, n)},
        {0, 2, 1, 3});
    std::rotate(e.begin() + place, e.begin() + from, e.begin() + from + 1);
    for (int& g : groups.order) {
      if (g == from)
        g = place;
      else if (g >= place && g < from)
        ++g;
    }
    groups = groups_of(e, groups.order);
  }
  if (!sorted(groups.order)) result.edge = transpose(result.edge, groups.extents, groups.order);
  result.layout = joined(rearranged(value.layout, factor_order));
  return result;
}

Value Lowering::in_dim_order(const Value& value, const std::vector<int>& dim_order) {
  return arranged(value, factors_in_order(value.layout, dim_order));
}

Value Lowering::row_major(const Value& value) {
  std::vector<int> order(value.layout.dims.size());
  std::iota(order.begin(), order.end(), 0);
  return in_dim_order(value, order);
}

Value Lowering::with_last(const Value& value, const std::vector<std::size_t>& axes) {
  if (value.known() && !axes.empty()) throw Unsupported("an input that is known");
  std::vector<int> inner;
  for (const std::size_t axis : axes)
    inner.insert(inner.end(), value.layout.dims[axis].begin(), value.layout.dims[axis].end());
  return arranged(value, with_inner(value.layout.factors.size(), inner));
}

Value Lowering::with_somehow_last(const Value& value, const std::vector<std::size_t>& axes) {
  if (value.known() && !axes.empty()) throw Unsupported("an input that is known");
  std::vector<int> inner;
  for (const std::size_t axis : axes)
    inner.insert(inner.end(), value.layout.dims[axis].begin(), value.layout.dims[axis].end());
  std::sort(inner.begin(), inner.end());
  return arranged(value, with_inner(value.layout.factors.size(), inner));
}

Value Lowering::with_together(const Value& value, const std::vector<std::size_t>& axes) {
  std::vector<const std::vector<int>*> dim(value.layout.factors.size(), nullptr);  // of a factor
  for (const std::size_t axis : axes)
    for (const int f : value.layout.dims[axis]) dim[z(f)] = &value.layout.dims[axis];
  std::vector<int> order;
  for (int f = 0; f < static_cast<int>(dim.size()); ++f) {
    if (dim[z(f)] == nullptr)
      order.push_back(f);
    else if (f == *std::min_element(dim[z(f)]->begin(), dim[z(f)]->end()))
      order.insert(order.end(), dim[z(f)]->begin(), dim[z(f)]->end());
  }
  return arranged(value, order);
}

Edge Lowering::constant(const Array& array, const Layout& layout, const Shape& wanted,
                        const std::string& part) {
  std::vector<float> values;
  if (array.integer)
    values.assign(array.integers.begin(), array.integers.end());
  else
    values = array.reals;
  Op op;
  op.kind = OpKind::constant;
  op.outputs[0].shape = wanted;
  return append(std::move(op), {}, part, {onnx::arranged(values, layout), {}, {}, {}});
}

Value Lowering::tensor_of(const Value& value, const std::string& part) {
  if (!value.known()) return value;
  Value result;
  result.layout = onnx::row_major(value.constant->dims);
  result.edge = constant(*value.constant, result.layout, shape_of(result.layout.factors), part);
  return result;
}

}  // namespace cpubone::onnx
