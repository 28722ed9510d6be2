#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "graph/onnx/importer.hpp"
#include "graph/onnx/shape_rules.hpp"
#include "graph/size.hpp"

// What moves, cuts and joins tensors; where that is only another view of them it costs nothing.
namespace cpubone::onnx {
namespace {

using Ints = std::vector<std::int64_t>;

Value in_dims(const NodeContext& node, const Value& value, const Dims& dims) {
  if (count(dims) != count(value.dims()))
    throw Unsupported(fmt::format("{} as {}", text(value.dims()), text(dims)));
  Value result = value;
  auto layout = reshaped(value.layout, dims);
  if (!layout) {
    result = node.lower.row_major(value);
    layout = reshaped(result.layout, dims);
  }
  if (!layout) throw Unsupported(fmt::format("{} as {}", text(value.dims()), text(dims)));
  result.layout = *layout;
  return result;
}

std::vector<Value> reshape(const NodeContext& node) {
  const Value& x = node.input(0);
  const auto wanted = node.integers("shape", 1);
  if (!wanted) throw Unsupported("a shape that is not known");
  Value result = in_dims(
      node, x, reshaped_dims(x.dims(), *wanted, node.attributes.integer("allowzero", 0) != 0));
  const Dims dims = result.dims();
  if (dims.size() != 4 || dims[0] != 1) return {result};
  // An image: whatever reads it needs its channels together, and its pixels as such.
  const std::vector<int> last = factors_in_order(result.layout, {0, 2, 3, 1});
  if (result.layout.dims[1].size() > 1)
    result = node.lower.in_dim_order(result, {0, 2, 3, 1});
  else if (!std::is_sorted(last.begin(), last.end()))
    return {result};
  result.edge =
      node.lower.view(result.edge, {1, to_int(dims[2]), to_int(dims[3]), to_int(dims[1])}, "");
  return {result};
}

std::vector<Value> flatten(const NodeContext& node) {
  const Dims dims = node.input(0).dims();
  const auto rank = static_cast<std::int64_t>(dims.size());
  std::int64_t axis = node.attributes.integer("axis", 1);
  if (axis < 0) axis += rank;
  if (axis < 0 || axis > rank) throw Unsupported(fmt::format("axis {}", axis));
  Dims flat{1, 1};
  for (std::int64_t d = 0; d < rank; ++d)
    flat[d < axis ? 0 : 1] *= dims[static_cast<std::size_t>(d)];
  return {in_dims(node, node.input(0), flat)};
}

std::vector<Value> squeeze(const NodeContext& node) {
  return {
      in_dims(node, node.input(0), squeezed_dims(node.input(0).dims(), node.integers("axes", 1)))};
}

std::vector<Value> unsqueeze(const NodeContext& node) {
  const auto axes = node.integers("axes", 1);
  if (!axes) throw Unsupported("without axes");
  return {in_dims(node, node.input(0), unsqueezed_dims(node.input(0).dims(), *axes))};
}

std::vector<Value> transpose(const NodeContext& node) {
  Value result = node.input(0);
  result.layout = permuted(result.layout, transpose_order(node.attributes, result.dims().size()));
  return {result};
}

/// A tensor in which one dimension lies together, seen as outer x extent of it x inner.
struct Along {
  Value value;
  int factor;  ///< of the dimension
  std::int64_t outer;
  std::int64_t extent;
  std::int64_t inner;
};

Along along(const NodeContext& node, const Value& value, std::size_t axis) {
  Value v = value;
  if (v.layout.dims[axis].size() > 1) {
    // Its factors where the outermost of them lies.
    std::vector<int> order;
    const std::vector<int>& own = v.layout.dims[axis];
    const int first = *std::min_element(own.begin(), own.end());
    for (int f = 0; f < static_cast<int>(v.layout.factors.size()); ++f) {
      if (f == first) order.insert(order.end(), own.begin(), own.end());
      if (std::find(own.begin(), own.end(), f) == own.end()) order.push_back(f);
    }
    v = node.lower.arranged(v, order);
  }
  const std::vector<std::int64_t>& factors = v.layout.factors;
  const auto product = [&](std::size_t begin, std::size_t end) {
    std::int64_t all = 1;
    for (std::size_t f = begin; f < end; ++f) all *= factors[f];
    return all;
  };
  if (v.layout.dims[axis].empty()) return {v, -1, 1, 1, product(0, factors.size())};
  const int f = v.layout.dims[axis][0];
  return {v, f, product(0, z(f)), factors[z(f)], product(z(f) + 1, factors.size())};
}

/// Begin and number of elements along the axis.
Value part_of(const NodeContext& node, const Along& a, std::int64_t begin, std::int64_t size,
              const std::string& part) {
  if (begin == 0 && size == a.extent) return a.value;
  Lowering& lower = node.lower;
  Op op;
  op.kind = OpKind::slice;
  op.begin = to_int(begin * a.inner);
  const Shape& s = lower.shape(a.value.edge);
  const std::int64_t width = a.extent * a.inner;
  const Shape shape = s.c == width && s.n == 1 ? s : Shape{1, 1, to_int(a.outer), to_int(width)};
  op.outputs[0].shape.c = to_int(size * a.inner);
  Value result = a.value;
  result.edge = lower.append(std::move(op), {lower.view(a.value.edge, shape)}, part);
  result.layout.factors[z(a.factor)] = size;
  if (size == 1) {
    result.layout.factors.erase(result.layout.factors.begin() + a.factor);
    for (std::vector<int>& dim : result.layout.dims) {
      dim.erase(std::remove(dim.begin(), dim.end(), a.factor), dim.end());
      for (int& f : dim)
        if (f > a.factor) --f;
    }
    result.layout = joined(result.layout);
  }
  return result;
}

/// Every `step`-th element from `begin` on.
Value strided(const NodeContext& node, const Value& value, std::size_t axis, std::int64_t begin,
              std::int64_t size, std::int64_t step, const std::string& part) {
  const Along a = along(node, value, axis);
  if (step == 1 || size == 1) return part_of(node, a, begin, size, part);
  const std::int64_t extent = a.extent;
  // The axis as size x step: whole steps that contain what is wanted.
  const std::int64_t first = begin + size * step <= extent ? begin : extent - size * step;
  if (first < 0) throw Unsupported(fmt::format("steps of {} that end before the last", step));
  Dims dims = value.dims();
  const Value whole = part_of(node, a, first, size * step, "whole");
  dims[axis] = size;
  dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(axis) + 1, step);
  const Value cut = in_dims(node, whole, dims);
  const Value one = part_of(node, along(node, cut, axis + 1), begin - first, 1, part);
  dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(axis) + 1);
  return in_dims(node, one, dims);
}

std::vector<Value> slice(const NodeContext& node) {
  Value x = node.input(0);
  const std::vector<SliceRange> ranges = slice_ranges(node, x.dims());
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const SliceRange& r = ranges[i];
    if (r.size < 1 || r.step < 1) throw Unsupported("nothing, or backwards");
    if (r.begin == 0 && r.step == 1 && r.size == x.dims()[r.axis]) continue;
    x = strided(node, x, r.axis, r.begin, r.size, r.step,
                i + 1 < ranges.size() ? fmt::format("axis{}", r.axis) : "");
  }
  return {x};
}

std::vector<Value> split(const NodeContext& node) {
  const Value& x = node.input(0);
  const Dims dims = x.dims();
  const std::size_t axis = axis_of(node.attributes.integer("axis", 0), dims.size());
  const Ints sizes = split_sizes(node, dims[axis]);
  const Along a = along(node, x, axis);
  if (sizes.size() == 1) return {x};
  if (std::any_of(sizes.begin(), sizes.end(), [](auto s) { return s < 1; }))
    throw Unsupported("into nothing");
  Lowering& lower = node.lower;
  const Shape& s = lower.shape(a.value.edge);
  const std::int64_t width = a.extent * a.inner;
  const Shape shape = s.c == width && s.n == 1 ? s : Shape{1, 1, to_int(a.outer), to_int(width)};
  Op op;
  op.kind = OpKind::split;
  op.outputs.clear();
  for (const std::int64_t size : sizes) {
    Shape out = shape;
    out.c = to_int(size * a.inner);
    op.outputs.push_back({out});
  }
  const Edge first = lower.append(std::move(op), {lower.view(a.value.edge, shape)});
  std::vector<Value> results;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    Dims part = dims_of(a.value.layout);
    Layout layout = a.value.layout;
    layout.factors[z(a.factor)] = sizes[i];
    if (sizes[i] == 1) {
      layout.factors.erase(layout.factors.begin() + a.factor);
      for (std::vector<int>& dim : layout.dims) {
        dim.erase(std::remove(dim.begin(), dim.end(), a.factor), dim.end());
        for (int& f : dim)
          if (f > a.factor) --f;
      }
      layout = joined(layout);
    }
    results.push_back({nullptr, Edge(first.node, static_cast<int>(i)), layout});
  }
  return results;
}

std::vector<Value> concat(const NodeContext& node) {
  Lowering& lower = node.lower;
  std::vector<Value> parts;
  for (std::size_t i = 0; i < node.inputs.size(); ++i)
    if (count(node.input(i).dims()) > 0)
      parts.push_back(lower.tensor_of(node.input(i), fmt::format("known{}", i)));
  if (parts.empty()) throw Unsupported("of nothing");
  if (parts.size() == 1) return {parts[0]};
  const std::size_t rank = parts[0].dims().size();
  const std::size_t axis = axis_of(node.attributes.integer("axis", 1), rank);
  // All as the largest lies, which then does not move.
  std::size_t like = 0;
  for (std::size_t i = 1; i < parts.size(); ++i)
    if (count(parts[i].dims()) > count(parts[like].dims())) like = i;
  Value main = along(node, parts[like], axis).value;
  // A place for the axis where it has only one element there: outermost.
  Layout wanted = main.layout;
  if (wanted.dims[axis].empty()) {
    for (std::vector<int>& dim : wanted.dims)
      for (int& f : dim) ++f;
    wanted.factors.insert(wanted.factors.begin(), 1);
    wanted.dims[axis] = {0};
  }
  const int factor = wanted.dims[axis][0];
  std::int64_t outer = 1;
  std::int64_t inner = 1;
  for (int f = 0; f < static_cast<int>(wanted.factors.size()); ++f)
    if (f != factor) (f < factor ? outer : inner) *= wanted.factors[z(f)];
  std::vector<Edge> edges;
  std::int64_t total = 0;
  const Shape& first_shape = lower.shape(main.edge);
  const bool stays = first_shape.n == 1 && first_shape.c == wanted.factors[z(factor)] * inner;
  for (Value& part : parts) {
    const Dims dims = part.dims();
    for (std::size_t d = 0; d < rank; ++d)
      if (d != axis && dims[d] != main.dims()[d])
        throw Unsupported(fmt::format("{} beside {}", text(dims), text(main.dims())));
    // The other dimensions cut and ordered as there; the axis at its place.
    Layout like_there = wanted;
    like_there.factors[z(factor)] = dims[axis];
    auto cut = cut_like(part.layout, like_there);
    if (!cut) {
      part = lower.row_major(part);
      cut = cut_like(part.layout, like_there);
    }
    if (!cut) throw Unsupported("tensors whose dimensions are composed differently");
    part.layout = *cut;
    std::vector<std::pair<int, int>> places;
    for (std::size_t d = 0; d < rank; ++d)
      for (std::size_t i = 0; i < part.layout.dims[d].size(); ++i)
        places.emplace_back(wanted.dims[d][i], part.layout.dims[d][i]);
    std::sort(places.begin(), places.end());
    std::vector<int> order;
    for (const auto& [place, own] : places) order.push_back(own);
    part = lower.arranged(part, order);
    const int width = to_int(dims[axis] * inner);
    const Shape shape =
        stays ? Shape{1, first_shape.h, first_shape.w, width} : Shape{1, 1, to_int(outer), width};
    edges.push_back(lower.view(part.edge, shape));
    total += dims[axis];
  }
  Op op;
  op.kind = OpKind::concat;
  wanted.factors[z(factor)] = total;
  return {{nullptr, lower.append(std::move(op), edges), joined(wanted)}};
}

std::vector<Value> gather(const NodeContext& node) {
  const Value& x = node.input(0);
  const Array& indices = node.known(1);
  const std::size_t axis = axis_of(node.attributes.integer("axis", 0), x.dims().size());
  const std::int64_t extent = x.dims()[axis];
  Ints at;
  for (const std::int64_t i : indices.integers) {
    if (i < -extent || i >= extent) throw Unsupported(fmt::format("index {} of {}", i, extent));
    at.push_back(i < 0 ? i + extent : i);
  }
  if (at.empty()) throw Unsupported("nothing");
  const std::int64_t step = at.size() > 1 ? at[1] - at[0] : 1;
  for (std::size_t i = 1; i < at.size(); ++i)
    if (at[i] - at[i - 1] != step || step < 1) throw Unsupported("indices without a regular step");
  Dims dims = x.dims();
  dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(axis));
  dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(axis), indices.dims.begin(),
              indices.dims.end());
  const Value part = strided(node, x, axis, at[0], static_cast<std::int64_t>(at.size()), step, "");
  return {in_dims(node, part, dims)};
}

std::vector<Value> depth_to_space(const NodeContext& node) {
  const Value& x = node.input(0);
  const Dims d = x.dims();
  if (d.size() != 4) throw Unsupported("other than an image");
  const std::int64_t b = node.attributes.integer("blocksize", 0);
  if (b < 1 || d[1] % (b * b) != 0) throw Unsupported(fmt::format("blocks of {}", b));
  const bool columns_first = node.attributes.word("mode", "DCR") == "CRD";
  const std::int64_t c = d[1] / (b * b);
  Value cut = in_dims(
      node, x, columns_first ? Dims{d[0], c, b, b, d[2], d[3]} : Dims{d[0], b, b, c, d[2], d[3]});
  cut.layout = permuted(cut.layout, columns_first ? std::vector<int>{0, 1, 4, 2, 5, 3}
                                                  : std::vector<int>{0, 3, 4, 1, 5, 2});
  return {in_dims(node, cut, {d[0], c, d[2] * b, d[3] * b})};
}

std::vector<Value> space_to_depth(const NodeContext& node) {
  const Value& x = node.input(0);
  const Dims d = x.dims();
  if (d.size() != 4) throw Unsupported("other than an image");
  const std::int64_t b = node.attributes.integer("blocksize", 0);
  if (b < 1 || d[2] % b != 0 || d[3] % b != 0) throw Unsupported(fmt::format("blocks of {}", b));
  Value cut = in_dims(node, x, {d[0], d[1], d[2] / b, b, d[3] / b, b});
  cut.layout = permuted(cut.layout, {0, 3, 5, 1, 2, 4});
  return {in_dims(node, cut, {d[0], d[1] * b * b, d[2] / b, d[3] / b})};
}

std::vector<Value> expand(const NodeContext& node) {
  const Value& x = node.input(0);
  const Array& wanted = node.known(1);
  const std::size_t rank = std::max(x.dims().size(), wanted.size());
  const Value from = with_rank(x, rank);
  Dims dims = from.dims();
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    std::int64_t& d = dims[rank - wanted.size() + i];
    if (d == 1) d = wanted.integers[i];
  }
  if (dims == from.dims()) return {from};
  if (count(dims) == 0) throw Unsupported("nothing");
  return {elementwise(
      node.lower, OpKind::add, from,
      {real(dims, std::vector<float>(static_cast<std::size_t>(count(dims)), 0.0F)), {}, {}})};
}

constexpr HandlerRow shape_rows[] = {
    {"Concat", concat},       {"DepthToSpace", depth_to_space},
    {"Expand", expand},       {"Flatten", flatten},
    {"Gather", gather},       {"Reshape", reshape},
    {"Slice", slice},         {"SpaceToDepth", space_to_depth},
    {"Split", split},         {"Squeeze", squeeze},
    {"Transpose", transpose}, {"Unsqueeze", unsqueeze},
};

}  // namespace

std::span<const HandlerRow> shape_handlers() {
  return shape_rows;
}

}  // namespace cpubone::onnx
