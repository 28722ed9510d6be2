#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "graph/onnx/importer.hpp"
#include "graph/onnx/shape_rules.hpp"
#include "graph/size.hpp"

// What moves and cuts tensors; where that is only another view of them it costs nothing.
namespace cpubone::onnx {
namespace {

using Ints = std::vector<std::int64_t>;

std::vector<Value> reshape(const NodeContext& node) {
  const Value& x = node.input(0);
  const auto wanted = node.integers("shape", 1);
  if (!wanted) throw Unsupported("a shape that is not known");
  Value result =
      in_dims(node.lower, x,
              reshaped_dims(x.dims(), *wanted, node.attributes.integer("allowzero", 0) != 0));
  const Dims dims = result.dims();
  if (dims.size() != 4 || dims[0] != 1) return {result};
  // An image: whatever reads it needs its channels together, and its pixels as such. Rows of
  // tokens (windows of an image, say) are none: what lies innermost is not of the second dimension.
  const std::vector<int> last = factors_in_order(result.layout, {0, 2, 3, 1});
  const std::vector<int>& channels = result.layout.dims[1];
  const int innermost = static_cast<int>(result.layout.factors.size()) - 1;
  if (channels.size() > 1 &&
      std::find(channels.begin(), channels.end(), innermost) != channels.end())
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
  return {in_dims(node.lower, node.input(0), flat)};
}

std::vector<Value> squeeze(const NodeContext& node) {
  return {in_dims(node.lower, node.input(0),
                  squeezed_dims(node.input(0).dims(), node.integers("axes", 1)))};
}

std::vector<Value> unsqueeze(const NodeContext& node) {
  const auto axes = node.integers("axes", 1);
  if (!axes) throw Unsupported("without axes");
  return {in_dims(node.lower, node.input(0), unsqueezed_dims(node.input(0).dims(), *axes))};
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

Along along(Lowering& lower, const Value& value, std::size_t axis) {
  const Value v = lower.with_together(value, {axis});
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
Value part_of(Lowering& lower, const Along& a, std::int64_t begin, std::int64_t size,
              const std::string& part) {
  if (begin == 0 && size == a.extent) return a.value;
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
Value strided(Lowering& lower, const Value& value, std::size_t axis, std::int64_t begin,
              std::int64_t size, std::int64_t step, const std::string& part) {
  const Along a = along(lower, value, axis);
  if (step == 1 || size == 1) return part_of(lower, a, begin, size, part);
  const std::int64_t extent = a.extent;
  // The axis as size x step: whole steps that contain what is wanted.
  const std::int64_t first = begin + size * step <= extent ? begin : extent - size * step;
  if (first < 0)  // too few for whole steps: the last element apart
    return concatenated(lower,
                        {strided(lower, value, axis, begin, size - 1, step, part + "steps"),
                         part_of(lower, a, begin + (size - 1) * step, 1, part + "last")},
                        axis, part);
  Dims dims = value.dims();
  const Value whole = part_of(lower, a, first, size * step, "whole");
  dims[axis] = size;
  dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(axis) + 1, step);
  const Value cut = in_dims(lower, whole, dims);
  const Value one = part_of(lower, along(lower, cut, axis + 1), begin - first, 1, part);
  dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(axis) + 1);
  return in_dims(lower, one, dims);
}

std::vector<Value> slice(const NodeContext& node) {
  Value x = node.input(0);
  const std::vector<SliceRange> ranges = slice_ranges(node, x.dims());
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const SliceRange& r = ranges[i];
    if (r.size < 1 || r.step < 1) throw Unsupported("nothing, or backwards");
    if (r.begin == 0 && r.step == 1 && r.size == x.dims()[r.axis]) continue;
    x = strided(node.lower, x, r.axis, r.begin, r.size, r.step,
                i + 1 < ranges.size() ? fmt::format("axis{}", r.axis) : "");
  }
  return {x};
}

std::vector<Value> split(const NodeContext& node) {
  const Value& x = node.input(0);
  const Dims dims = x.dims();
  const std::size_t axis = axis_of(node.attributes.integer("axis", 0), dims.size());
  const Ints sizes = split_sizes(node, dims[axis]);
  const Along a = along(node.lower, x, axis);
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

/// Elements of a dimension, which those of `to` take the place of.
struct Picked {
  std::size_t axis;
  Ints at;
  Dims to;
};

Dims replaced_dims(const Value& x, const Picked& picked) {
  Dims dims = x.dims();
  const auto at = dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(picked.axis));
  dims.insert(at, picked.to.begin(), picked.to.end());
  return dims;
}

/// Elements whose places have a regular step, as they do in the end in everything of one dimension
/// that exporters write.
std::optional<Value> regular(Lowering& lower, const Value& x, const Picked& picked,
                             const std::string& part) {
  const Ints& at = picked.at;
  const std::int64_t step = at.size() > 1 ? at[1] - at[0] : 1;
  for (std::size_t i = 1; i < at.size(); ++i)
    if (at[i] - at[i - 1] != step || step < 1) return std::nullopt;
  const auto size = static_cast<std::int64_t>(at.size());
  return in_dims(lower, strided(lower, x, picked.axis, at[0], size, step, part),
                 replaced_dims(x, picked));
}

/// All elements, every so-manieth together: patches that do not overlap are another view.
std::optional<Value> patches(Lowering& lower, const Value& x, const Picked& picked) {
  if (picked.to.size() != 2 || static_cast<std::int64_t>(picked.at.size()) != x.dims()[picked.axis])
    return std::nullopt;
  const std::int64_t rows = picked.to[0];
  const std::int64_t columns = picked.to[1];
  for (std::size_t i = 0; i < picked.at.size(); ++i) {
    const auto k = static_cast<std::int64_t>(i);
    if (picked.at[i] != k / columns + k % columns * rows) return std::nullopt;
  }
  Value result = in_dims(lower, x, replaced_dims(x, {picked.axis, {}, {columns, rows}}));
  std::vector<int> order(result.layout.dims.size());
  std::iota(order.begin(), order.end(), 0);
  std::swap(order[picked.axis], order[picked.axis + 1]);
  result.layout = permuted(result.layout, order);
  return result;
}

Value pick(Lowering& lower, const Value& x, const Picked& picked, const std::string& part) {
  if (auto found = regular(lower, x, picked, part)) return *found;
  if (auto found = patches(lower, x, picked)) return *found;
  // Row by row where rows are regular, else as long as the step stays the same.
  constexpr std::size_t most_parts = 1024;
  const std::size_t row =
      picked.to.size() > 1 ? picked.at.size() / static_cast<std::size_t>(picked.to[0]) : 0;
  std::vector<Value> parts;
  for (std::size_t i = 0; i < picked.at.size() && parts.size() <= most_parts;) {
    std::size_t n = row > 0 ? row : std::min<std::size_t>(2, picked.at.size() - i);
    const std::int64_t step = n > 1 ? picked.at[i + 1] - picked.at[i] : 1;
    if (row == 0 && step < 1) n = 1;
    while (row == 0 && n > 1 && i + n < picked.at.size() &&
           picked.at[i + n] - picked.at[i + n - 1] == step)
      ++n;
    const auto begin = picked.at.begin() + static_cast<std::ptrdiff_t>(i);
    Picked some{picked.axis, Ints(begin, begin + static_cast<std::ptrdiff_t>(n)), picked.to};
    some.to[0] = row > 0 ? 1 : static_cast<std::int64_t>(n);
    parts.push_back(pick(lower, x, some, fmt::format("{}{}", part, parts.size())));
    i += n;
  }
  if (parts.size() > most_parts) throw Unsupported("indices without a regular step");
  return concatenated(lower, std::move(parts), picked.axis, part);
}

std::vector<Value> gather(const NodeContext& node) {
  const Value& x = node.input(0);
  const Array& indices = node.known(1);
  const std::size_t axis = axis_of(node.attributes.integer("axis", 0), x.dims().size());
  const std::int64_t extent = x.dims()[axis];
  Picked picked{axis, {}, indices.dims};
  for (const std::int64_t i : indices.integers) {
    if (i < -extent || i >= extent) throw Unsupported(fmt::format("index {} of {}", i, extent));
    picked.at.push_back(i < 0 ? i + extent : i);
  }
  if (picked.at.empty()) throw Unsupported("nothing");
  return {pick(node.lower, x, picked, "")};
}

std::vector<Value> depth_to_space(const NodeContext& node) {
  const Value& x = node.input(0);
  const Dims d = x.dims();
  if (d.size() != 4) throw Unsupported("other than an image");
  const std::int64_t b = node.attributes.integer("blocksize", 0);
  if (b < 1 || d[1] % (b * b) != 0) throw Unsupported(fmt::format("blocks of {}", b));
  const bool columns_first = node.attributes.word("mode", "DCR") == "CRD";
  const std::int64_t c = d[1] / (b * b);
  Value cut =
      in_dims(node.lower, x,
              columns_first ? Dims{d[0], c, b, b, d[2], d[3]} : Dims{d[0], b, b, c, d[2], d[3]});
  cut.layout = permuted(cut.layout, columns_first ? std::vector<int>{0, 1, 4, 2, 5, 3}
                                                  : std::vector<int>{0, 3, 4, 1, 5, 2});
  return {in_dims(node.lower, cut, {d[0], c, d[2] * b, d[3] * b})};
}

std::vector<Value> space_to_depth(const NodeContext& node) {
  const Value& x = node.input(0);
  const Dims d = x.dims();
  if (d.size() != 4) throw Unsupported("other than an image");
  const std::int64_t b = node.attributes.integer("blocksize", 0);
  if (b < 1 || d[2] % b != 0 || d[3] % b != 0) throw Unsupported(fmt::format("blocks of {}", b));
  Value cut = in_dims(node.lower, x, {d[0], d[1], d[2] / b, b, d[3] / b, b});
  cut.layout = permuted(cut.layout, {0, 3, 5, 1, 2, 4});
  return {in_dims(node.lower, cut, {d[0], d[1] * b * b, d[2] / b, d[3] / b})};
}

constexpr HandlerRow shape_rows[] = {
    {"DepthToSpace", depth_to_space},
    {"Flatten", flatten},
    {"Gather", gather},
    {"Reshape", reshape},
    {"Slice", slice},
    {"SpaceToDepth", space_to_depth},
    {"Split", split},
    {"Squeeze", squeeze},
    {"Transpose", transpose},
    {"Unsqueeze", unsqueeze},
};

}  // namespace

std::span<const HandlerRow> shape_handlers() {
  return shape_rows;
}

Value in_dims(Lowering& lower, const Value& value, const Dims& dims) {
  if (count(dims) != count(value.dims()))
    throw Unsupported(fmt::format("{} as {}", text(value.dims()), text(dims)));
  Value result = value;
  auto layout = reshaped(value.layout, dims);
  if (!layout) {  // windows come together again; channels stay last
    std::vector<std::size_t> all(value.layout.dims.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    result = lower.with_together(value, all);
    layout = reshaped(result.layout, dims);
  }
  if (!layout) {
    result = lower.row_major(value);
    layout = reshaped(result.layout, dims);
  }
  if (!layout) throw Unsupported(fmt::format("{} as {}", text(value.dims()), text(dims)));
  result.layout = *layout;
  return result;
}

Value part_of(Lowering& lower, const Value& value, std::size_t axis, std::int64_t begin,
              std::int64_t size, const std::string& part) {
  return part_of(lower, along(lower, value, axis), begin, size, part);
}

}  // namespace cpubone::onnx
