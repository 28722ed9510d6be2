#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>

#include "graph/onnx/known.hpp"
#include "graph/onnx/shape_rules.hpp"

// Operators of known tensors: shapes, masks and positions that exporters leave as computations.
namespace cpubone::onnx {
namespace {

using Results = std::vector<Constant>;

Constant with_dims(const Array& array, Dims dims) {
  if (count(dims) != static_cast<std::int64_t>(array.size()))
    throw Unsupported(fmt::format("{} as {}", text(array.dims), text(dims)));
  Array result = array;
  result.dims = std::move(dims);
  return std::make_shared<const Array>(std::move(result));
}

Constant transposed(const Array& x, const std::vector<int>& order) {
  const Ints own = strides(x.dims);
  Dims dims;
  Ints steps;
  for (const int d : order) {
    dims.push_back(x.dims[static_cast<std::size_t>(d)]);
    steps.push_back(own[static_cast<std::size_t>(d)]);
  }
  return picked(x, dims, places(dims, steps));
}

Constant sliced(const NodeContext& node, const Array& x) {
  const Ints own = strides(x.dims);
  Dims dims = x.dims;
  Ints steps = own;
  std::int64_t start = 0;
  for (const SliceRange& r : slice_ranges(node, x.dims)) {
    dims[r.axis] = r.size;
    steps[r.axis] = own[r.axis] * r.step;
    start += own[r.axis] * r.begin;
  }
  return picked(x, dims, places(dims, steps, start));
}

Constant gathered(const NodeContext& node) {
  const Array& x = node.known(0);
  const Array& indices = node.known(1);
  const std::size_t axis = axis_of(node.attributes.integer("axis", 0), x.dims.size());
  const std::int64_t extent = x.dims[axis];
  std::size_t outer = 1;
  std::size_t inner = 1;
  for (std::size_t d = 0; d < x.dims.size(); ++d)
    if (d != axis) (d < axis ? outer : inner) *= static_cast<std::size_t>(x.dims[d]);
  Dims dims(x.dims.begin(), x.dims.begin() + static_cast<std::ptrdiff_t>(axis));
  dims.insert(dims.end(), indices.dims.begin(), indices.dims.end());
  dims.insert(dims.end(), x.dims.begin() + static_cast<std::ptrdiff_t>(axis) + 1, x.dims.end());
  std::vector<std::size_t> at;
  at.reserve(size_of(dims));
  for (std::size_t o = 0; o < outer; ++o)
    for (std::size_t k = 0; k < indices.size(); ++k) {
      auto index = static_cast<std::int64_t>(indices.at(k));
      if (index < -extent || index >= extent)
        throw Unsupported(fmt::format("index {} of {}", index, extent));
      if (index < 0) index += extent;
      for (std::size_t i = 0; i < inner; ++i)
        at.push_back(
            (o * static_cast<std::size_t>(extent) + static_cast<std::size_t>(index)) * inner + i);
    }
  return picked(x, dims, at);
}

Constant concatenated(const NodeContext& node) {
  const Array& first = node.known(0);
  const std::size_t axis = axis_of(node.attributes.integer("axis", 0), first.dims.size());
  Dims dims = first.dims;
  dims[axis] = 0;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const Array& part = node.known(i);
    Dims same = part.dims;
    if (same.size() != dims.size()) throw Unsupported("tensors of different ranks");
    dims[axis] += same[axis];
    same[axis] = dims[axis];
    if (same != dims) throw Unsupported("tensors of different dimensions");
  }
  const std::size_t all = size_of(dims);
  std::size_t outer = 1;
  for (std::size_t d = 0; d < axis; ++d) outer *= static_cast<std::size_t>(dims[d]);
  Doubles values;
  values.reserve(all);
  for (std::size_t o = 0; o < outer; ++o)
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const Array& part = node.known(i);
      const std::size_t width = part.size() / std::max<std::size_t>(outer, 1);
      for (std::size_t k = 0; k < width; ++k) values.push_back(part.at(o * width + k));
    }
  return of_kind(first, dims, values);
}

Results split_parts(const NodeContext& node) {
  const Array& x = node.known(0);
  const std::size_t axis = axis_of(node.attributes.integer("axis", 0), x.dims.size());
  const Ints own = strides(x.dims);
  Results results;
  std::int64_t begin = 0;
  for (const std::int64_t size : split_sizes(node, x.dims[axis])) {
    Dims dims = x.dims;
    dims[axis] = size;
    results.push_back(picked(x, dims, places(dims, own, begin * own[axis])));
    begin += size;
  }
  return results;
}

Constant multiplied(const NodeContext& node) {
  const Array& a = node.known(0);
  const Array& b = node.known(1);
  if (a.dims.size() < 2 || b.dims.size() != 2) throw Unsupported("known matrices of other ranks");
  const std::size_t inner = static_cast<std::size_t>(b.dims[0]);
  const std::size_t columns = static_cast<std::size_t>(b.dims[1]);
  if (a.dims.back() != b.dims[0]) throw Unsupported("matrices that do not fit");
  Dims dims = a.dims;
  dims.back() = b.dims[1];
  Doubles values(size_of(dims), 0.0);
  if (inner > 0 && static_cast<std::int64_t>(values.size()) >
                       (std::int64_t{1} << 31) / static_cast<std::int64_t>(inner))
    throw Unsupported("a product of known matrices that is too large");
  for (std::size_t r = 0; columns > 0 && r < values.size() / columns; ++r)
    for (std::size_t k = 0; k < inner; ++k) {
      const double left = a.at(r * inner + k);
      for (std::size_t c = 0; c < columns; ++c)
        values[r * columns + c] += left * b.at(k * columns + c);
    }
  return of_kind(a, dims, values);
}

Constant range(const NodeContext& node) {
  const Array& like = node.known(0);
  const double start = like.at(0);
  const double step = node.known(2).at(0);
  const double n = std::ceil((node.known(1).at(0) - start) / step);
  if (!(n >= 0)) return of_kind(like, {0}, {});
  Doubles values(size_of({static_cast<std::int64_t>(std::min(n, 1e12))}));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = start + static_cast<double>(i) * step;
  return of_kind(like, {static_cast<std::int64_t>(values.size())}, values);
}

Constant diagonal(const NodeContext& node) {
  const Array& like = node.known(0);
  if (like.dims.size() != 2) throw Unsupported("other than a matrix");
  const std::int64_t offset = node.attributes.integer("k", 0);
  Doubles values(size_of(like.dims), 0.0);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    if (at % like.dims[1] - at / like.dims[1] == offset) values[i] = 1;
  }
  const bool real_type = node.attributes.integer("dtype", like.integer ? 7 : 1) == 1;
  return of_kind(Array{{}, {}, {}, !real_type, false}, like.dims, values);
}

Constant where(const NodeContext& node) {
  const Array& condition = node.known(0);
  const Array& yes = node.known(1);
  const Array& no = node.known(2);
  const Dims dims = joint_dims({&condition, &yes, &no});
  const auto c = repeated(condition, dims);
  const auto y = repeated(yes, dims);
  const auto n = repeated(no, dims);
  Doubles values(c.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = condition.at(c[i]) != 0 ? yes.at(y[i]) : no.at(n[i]);
  return of_kind(yes, dims, values);
}

Constant tiled(const NodeContext& node) {
  const Array& x = node.known(0);
  const Array& times = node.known(1);
  if (times.size() != x.dims.size()) throw Unsupported("repeats of another rank");
  Dims dims = x.dims;
  for (std::size_t d = 0; d < dims.size(); ++d) dims[d] = count({dims[d], times.integers[d]});
  const Ints own = strides(x.dims);
  const Ints all = strides(dims);
  std::vector<std::size_t> at(size_of(dims), 0);
  for (std::size_t i = 0; i < at.size(); ++i)
    for (std::size_t d = 0; d < dims.size(); ++d)
      at[i] += static_cast<std::size_t>(static_cast<std::int64_t>(i) / all[d] % dims[d] %
                                        x.dims[d] * own[d]);
  return picked(x, dims, at);
}

/// Where the data that a row of indices names begins; `own` are its strides.
std::size_t begin_of(const Array& x, const Ints& own, const Array& indices, std::size_t row,
                     std::size_t depth) {
  std::int64_t begin = 0;
  for (std::size_t d = 0; d < depth; ++d)
    begin += own[d] * element_of(static_cast<std::int64_t>(indices.at(row * depth + d)), x.dims[d]);
  return static_cast<std::size_t>(begin);
}

/// Rows of the data.
Constant gathered_rows(const NodeContext& node) {
  const Array& x = node.known(0);
  const Array& indices = node.known(1);
  if (node.attributes.integer("batch_dims", 0) != 0) throw Unsupported("batches");
  if (indices.dims.empty()) throw Unsupported("indices of rank 0");
  const auto depth = static_cast<std::size_t>(indices.dims.back());
  if (depth == 0 || depth > x.dims.size()) throw Unsupported("indices of another rank");
  const Ints strides_of_x = strides(x.dims);
  Dims dims(indices.dims.begin(), indices.dims.end() - 1);
  std::size_t width = 1;
  for (std::size_t d = depth; d < x.dims.size(); ++d) {
    dims.push_back(x.dims[d]);
    width *= static_cast<std::size_t>(x.dims[d]);
  }
  std::vector<std::size_t> at;
  at.reserve(size_of(dims));
  for (std::size_t row = 0; row < indices.size() / depth; ++row) {
    const std::size_t begin = begin_of(x, strides_of_x, indices, row, depth);
    for (std::size_t i = 0; i < width; ++i) at.push_back(begin + i);
  }
  return picked(x, dims, at);
}

/// Rows of updates replace rows of the data.
Constant scattered(const NodeContext& node) {
  const Array& x = node.known(0);
  const Array& indices = node.known(1);
  const Array& updates = node.known(2);
  if (node.attributes.word("reduction", "none") != "none") throw Unsupported("a reduction");
  if (indices.dims.empty()) throw Unsupported("indices of rank 0");
  const auto depth = static_cast<std::size_t>(indices.dims.back());
  if (depth > x.dims.size()) throw Unsupported("indices of another rank");
  const Ints strides_of_x = strides(x.dims);
  std::size_t width = 1;
  for (std::size_t d = depth; d < x.dims.size(); ++d) width *= static_cast<std::size_t>(x.dims[d]);
  Doubles values = doubles(x);
  const std::size_t rows = depth == 0 ? 0 : indices.size() / depth;
  if (updates.size() != rows * width) throw Unsupported("updates of another size");
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t begin = begin_of(x, strides_of_x, indices, r, depth);
    for (std::size_t i = 0; i < width; ++i) values[begin + i] = updates.at(r * width + i);
  }
  return of_kind(x, x.dims, values);
}

Constant cast_to(const NodeContext& node) {
  using proto::TensorProto;
  const Array& x = node.known(0);
  Doubles values = doubles(x);
  switch (node.attributes.integer("to", TensorProto::FLOAT)) {
    case TensorProto::FLOAT:
    case TensorProto::DOUBLE:
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
      return real(x.dims, std::vector<float>(values.begin(), values.end()));
    case TensorProto::BOOL:
      for (double& value : values) value = value != 0;
      break;
    default:
      break;
  }
  return of_kind(Array{{}, {}, {}, true, false}, x.dims, values);
}

}  // namespace

std::optional<Results> evaluate(const NodeContext& node) {
  const std::string_view type = node.proto.op_type();
  if (type == "Constant") return std::nullopt;  // has no inputs: see the importer
  if (type == "Cast") return Results{cast_to(node)};
  for (const auto known : {by_element, along_dimensions})
    if (Constant result = known(node, type)) return Results{result};
  const auto one = [](Constant result) { return Results{std::move(result)}; };
  if (type == "Reshape")
    return one(
        with_dims(node.known(0), reshaped_dims(node.known(0).dims, node.known(1).integers,
                                               node.attributes.integer("allowzero", 0) != 0)));
  if (type == "Squeeze")
    return one(
        with_dims(node.known(0), squeezed_dims(node.known(0).dims, node.integers("axes", 1))));
  if (type == "Unsqueeze")
    return one(
        with_dims(node.known(0),
                  unsqueezed_dims(node.known(0).dims, node.integers("axes", 1).value_or(Ints{}))));
  if (type == "Transpose")
    return one(
        transposed(node.known(0), transpose_order(node.attributes, node.known(0).dims.size())));
  if (type == "Slice") return one(sliced(node, node.known(0)));
  if (type == "Gather") return one(gathered(node));
  if (type == "Concat") return one(concatenated(node));
  if (type == "Split") return split_parts(node);
  if (type == "MatMul") return one(multiplied(node));
  if (type == "Range") return one(range(node));
  if (type == "Where") return one(where(node));
  if (type == "EyeLike") return one(diagonal(node));
  if (type == "Tile") return one(tiled(node));
  if (type == "ScatterND") return one(scattered(node));
  if (type == "GatherND") return one(gathered_rows(node));
  if (type == "Identity") return one(node.input(0).constant);
  if (type == "Expand") {
    const Array& x = node.known(0);
    const Array shape{node.known(1).integers, {}, {}, true, false};
    const Dims dims = joint_dims({&x, &shape});
    return one(picked(x, dims, repeated(x, dims)));
  }
  if (type == "ConstantOfShape") {
    Constant value = real({1}, {0.0F});
    if (const auto* tensor = node.attributes.tensor("value")) value = decode(*tensor, std::nullopt);
    if (value->size() != 1) throw Unsupported("a value of several elements");
    const Dims dims = node.known(0).integers;
    // May be large: the weights of a network without its weights.
    const auto n = static_cast<std::size_t>(count(dims));
    if (value->integer) return one(integral(dims, Ints(n, value->integers[0])));
    return one(real(dims, std::vector<float>(n, value->reals[0])));
  }
  return std::nullopt;
}

}  // namespace cpubone::onnx
