#include <fmt/format.h>

#include <algorithm>

#include "graph/onnx/importer.hpp"
#include "graph/size.hpp"

// What makes tensors larger: joined, padded, repeated.
namespace cpubone::onnx {
namespace {

std::vector<Value> concat(const NodeContext& node) {
  std::vector<Value> parts;
  for (std::size_t i = 0; i < node.inputs.size(); ++i)
    if (count(node.input(i).dims()) > 0) parts.push_back(node.input(i));
  const std::size_t rank = node.input(0).dims().size();
  return {concatenated(node.lower, std::move(parts),
                       axis_of(node.attributes.integer("axis", 1), rank), "")};
}

/// Repeated along dimensions of 1.
Value expanded(Lowering& lower, const Value& x, const Dims& dims, const std::string& part) {
  if (x.dims() == dims) return x;
  if (count(dims) == 0) throw Unsupported("nothing");
  Dims added = dims;
  for (std::size_t d = 0; d < dims.size(); ++d)
    if (x.dims()[d] == dims[d]) added[d] = 1;
  std::vector<float> zeros(static_cast<std::size_t>(count(added)), 0.0F);
  return elementwise(lower, OpKind::add, x, {real(added, std::move(zeros)), {}, {}}, part);
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
  return {expanded(node.lower, from, dims, "")};
}

std::vector<Value> tile(const NodeContext& node) {
  Value x = node.input(0);
  const Array& times = node.known(1);
  if (times.size() != x.dims().size()) throw Unsupported("repeats of another rank");
  for (std::size_t d = 0; d < times.size(); ++d) {
    const std::int64_t n = times.integers[d];
    if (n == 1) continue;
    if (n < 1) throw Unsupported("nothing");
    // A dimension of the copies before the one that is repeated.
    Dims dims = x.dims();
    Dims apart = dims;
    apart.insert(apart.begin() + static_cast<std::ptrdiff_t>(d), 1);
    x = in_dims(node.lower, x, apart);
    apart[d] = n;
    dims[d] = count({dims[d], n});
    x = in_dims(node.lower, expanded(node.lower, x, apart, fmt::format("axis{}", d)), dims);
  }
  return {x};
}

/// How many elements are added before and after each dimension; fewer than none are cut off.
struct Margins {
  Dims before;
  Dims after;
};

Margins margins(const NodeContext& node, std::size_t rank) {
  const auto pads = node.integers("pads", 1);
  if (!pads) throw Unsupported("without pads");
  std::vector<std::size_t> axes;
  if (node.has(3))
    for (std::size_t i = 0; i < node.known(3).size(); ++i)
      axes.push_back(axis_of(static_cast<std::int64_t>(node.known(3).at(i)), rank));
  else
    for (std::size_t d = 0; d < rank; ++d) axes.push_back(d);
  if (pads->size() != 2 * axes.size()) throw Unsupported("pads of another rank");
  Margins m{Dims(rank, 0), Dims(rank, 0)};
  for (std::size_t i = 0; i < axes.size(); ++i) {
    m.before[axes[i]] = (*pads)[i];
    m.after[axes[i]] = (*pads)[i + axes.size()];
  }
  return m;
}

// Far more than images are padded by; a file may ask for anything.
constexpr std::int64_t most_fill = 1 << 24;
constexpr std::int64_t most_copies = 1 << 10;

/// Along a dimension, by copies of a number or of its own elements.
Value padded(const NodeContext& node, const Value& x, std::size_t axis, std::int64_t before,
             std::int64_t after, float value) {
  Lowering& lower = node.lower;
  const std::string mode = node.attributes.word("mode", "constant");
  const std::int64_t extent = x.dims()[axis];
  const std::string name = fmt::format("axis{}", axis);
  std::vector<Value> parts;
  const auto fill = [&](std::int64_t n) {
    if (n < 1) return;
    Dims dims = x.dims();
    dims[axis] = n;
    const std::int64_t size = count(dims);
    if (size > most_fill) throw Unsupported(fmt::format("padding of {} values", size));
    std::vector<float> values(static_cast<std::size_t>(size), value);
    parts.push_back({real(dims, std::move(values)), {}, {}});
  };
  const auto copy = [&](std::int64_t i) {  // of the element that stands for place i
    std::int64_t from = std::clamp<std::int64_t>(i, 0, extent - 1);
    if (mode == "reflect") from = i < 0 ? -i : 2 * (extent - 1) - i;
    if (mode == "wrap") from = (i + extent) % extent;
    if (from < 0 || from >= extent) throw Unsupported("padding wider than what it copies");
    parts.push_back(part_of(lower, x, axis, from, 1, fmt::format("{}copy", name)));
  };
  const bool copies = mode != "constant";
  if (copies && (before > most_copies || after > most_copies))
    throw Unsupported(fmt::format("padding by {} copies", std::max(before, after)));
  if (copies)
    for (std::int64_t i = -before; i < 0; ++i) copy(i);
  else
    fill(before);
  const std::int64_t begin = std::max<std::int64_t>(0, -before);
  const std::int64_t end = extent - std::max<std::int64_t>(0, -after);
  if (end <= begin) throw Unsupported("nothing");
  parts.push_back(part_of(lower, x, axis, begin, end - begin, fmt::format("{}kept", name)));
  if (copies)
    for (std::int64_t i = extent; i < extent + after; ++i) copy(i);
  else
    fill(after);
  return concatenated(lower, std::move(parts), axis, name);
}

std::vector<Value> pad(const NodeContext& node) {
  const std::string mode = node.attributes.word("mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "wrap")
    throw Unsupported(fmt::format("padding by {}", mode));
  constexpr std::int64_t most = 65536;
  const float value =
      node.has(2) ? static_cast<float>(node.known(2).at(0)) : node.attributes.real("value", 0);
  Value x = node.lower.tensor_of(node.input(0), "known");
  const std::size_t rank = x.dims().size();
  Margins m = margins(node, rank);
  for (std::size_t d = 0; d < rank; ++d)
    if (std::abs(m.before[d]) > most || std::abs(m.after[d]) > most)
      throw Unsupported("padding that is too wide");
  if (mode == "constant" && value == 0) x = zeros_around(node, x, m.before, m.after);
  for (std::size_t d = 0; d < rank; ++d)
    if (m.before[d] != 0 || m.after[d] != 0) x = padded(node, x, d, m.before[d], m.after[d], value);
  return {x};
}

/// The first and last place of a box along each of the dimensions that indices count.
struct Box {
  Dims begin;
  Dims end;  ///< behind the last
};

/// The box whose places the indices are, in order. Throws Unsupported where they are none.
Box box_of(const Array& indices, const Dims& dims) {
  if (indices.dims.empty() || indices.integers.empty()) throw Unsupported("no indices");
  const auto depth = static_cast<std::size_t>(indices.dims.back());
  if (depth == 0 || depth > dims.size()) throw Unsupported("indices of another rank");
  const std::size_t rows = indices.integers.size() / depth;
  const auto at = [&](std::size_t row, std::size_t d) {
    return element_of(indices.integers.at(row * depth + d), dims[d]);
  };
  Box box;
  Dims extent;
  for (std::size_t d = 0; d < depth; ++d) {
    box.begin.push_back(at(0, d));
    box.end.push_back(at(rows - 1, d) + 1);
    extent.push_back(std::max<std::int64_t>(0, box.end[d] - box.begin[d]));
  }
  bool regular = count(extent) == static_cast<std::int64_t>(rows);
  for (std::size_t row = 0; row < rows && regular; ++row) {
    auto rest = static_cast<std::int64_t>(row);
    for (std::size_t d = depth; d-- > 0;) {
      regular = regular && at(row, d) == box.begin[d] + rest % extent[d];
      rest /= extent[d];
    }
  }
  if (!regular) throw Unsupported("places that are no box");
  return box;
}

/// The data with a box of it replaced, from dimension `d` on.
Value with_box(Lowering& lower, const Value& data, const Value& updates, const Box& box,
               std::size_t d) {
  if (d == box.begin.size()) return updates;
  const std::string name = fmt::format("axis{}", d);
  const std::int64_t extent = data.dims()[d];
  const std::int64_t begin = box.begin[d];
  const std::int64_t end = box.end[d];
  const auto part = [&](std::int64_t from, std::int64_t to) {
    return part_of(lower, data, d, from, to - from, name + "kept");
  };
  std::vector<Value> parts;
  if (begin > 0) parts.push_back(part(0, begin));
  parts.push_back(with_box(lower, part(begin, end), updates, box, d + 1));
  if (end < extent) parts.push_back(part(end, extent));
  return concatenated(lower, std::move(parts), d, name);
}

std::vector<Value> scatter_nd(const NodeContext& node) {
  if (node.attributes.word("reduction", "none") != "none") throw Unsupported("a reduction");
  Lowering& lower = node.lower;
  const Value data = lower.tensor_of(node.input(0), "data");
  const Box box = box_of(node.known(1), data.dims());
  Dims dims;
  for (std::size_t d = 0; d < data.dims().size(); ++d)
    dims.push_back(d < box.begin.size() ? box.end[d] - box.begin[d] : data.dims()[d]);
  const Value updates = in_dims(lower, lower.tensor_of(node.input(2), "updates"), dims);
  return {with_box(lower, data, updates, box, 0)};
}

constexpr HandlerRow join_rows[] = {
    {"Concat", concat}, {"Expand", expand}, {"Pad", pad}, {"ScatterND", scatter_nd}, {"Tile", tile},
};

}  // namespace

std::span<const HandlerRow> join_handlers() {
  return join_rows;
}

Value concatenated(Lowering& lower, std::vector<Value> parts, std::size_t axis,
                   const std::string& name) {
  if (parts.empty()) throw Unsupported("of nothing");
  if (parts.size() == 1) return parts[0];
  const std::size_t rank = parts[0].dims().size();
  for (std::size_t i = 0; i < parts.size(); ++i)
    parts[i] = lower.tensor_of(parts[i], fmt::format("{}known{}", name, i));
  // All as the largest lies, which then does not move.
  std::size_t like = 0;
  for (std::size_t i = 1; i < parts.size(); ++i)
    if (count(parts[i].dims()) > count(parts[like].dims())) like = i;
  const Value main = lower.with_together(parts[like], {axis});
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
    part = align(lower, part, like_there);
    const int width = to_int(dims[axis] * inner);
    const Shape shape =
        stays ? Shape{1, first_shape.h, first_shape.w, width} : Shape{1, 1, to_int(outer), width};
    edges.push_back(lower.view(part.edge, shape));
    total += dims[axis];
  }
  Op op;
  op.kind = OpKind::concat;
  wanted.factors[z(factor)] = total;
  return {nullptr, lower.append(std::move(op), edges, name), joined(wanted)};
}

}  // namespace cpubone::onnx
