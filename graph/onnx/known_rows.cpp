#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "graph/onnx/known.hpp"

// Known tensors whose elements count along some of their dimensions: reductions, running sums and
// norms, which exporters leave of masks, positions and standardised weights.
namespace cpubone::onnx {
namespace {

/// The place of each element of a tensor in the same one with some dimensions being 1.
std::vector<std::size_t> places_within(const Dims& dims, const std::vector<bool>& gone,
                                       Dims& kept) {
  kept = dims;
  for (std::size_t d = 0; d < kept.size(); ++d)
    if (gone[d]) kept[d] = 1;
  const Ints own = strides(kept);
  Ints steps(kept.size(), 0);
  for (std::size_t d = 0; d < kept.size(); ++d)
    if (!gone[d]) steps[d] = own[d];
  return places(dims, steps);
}

Constant reduced(const NodeContext& node) {
  const std::string_view type = node.proto.op_type();
  const Array& x = node.known(0);
  const auto axes = node.integers("axes", 1);
  std::vector<bool> gone(x.dims.size(), !axes || axes->empty());
  if (axes)
    for (const std::int64_t axis : *axes) gone[axis_of(axis, x.dims.size())] = true;
  Dims kept;
  const auto to = places_within(x.dims, gone, kept);
  const double first = type == "ReduceMax"    ? -INFINITY
                       : type == "ReduceMin"  ? INFINITY
                       : type == "ReduceProd" ? 1.0
                                              : 0.0;
  Doubles values(size_of(kept), first);
  for (std::size_t i = 0; i < to.size(); ++i) {
    double& value = values[to[i]];
    const double v = x.at(i);
    if (type == "ReduceMax")
      value = std::max(value, v);
    else if (type == "ReduceMin")
      value = std::min(value, v);
    else if (type == "ReduceProd")
      value *= v;
    else
      value += type == "ReduceL2" ? v * v : v;
  }
  const double width = static_cast<double>(x.size()) / std::max<double>(1, double(values.size()));
  for (double& value : values) {
    if (type == "ReduceMean") value /= width;
    if (type == "ReduceL2") value = std::sqrt(value);
  }
  Dims dims;
  for (std::size_t d = 0; d < kept.size(); ++d)
    if (!gone[d] || node.attributes.integer("keepdims", 1) != 0) dims.push_back(kept[d]);
  return of_kind(x, dims, values);
}

/// Exponentials over their sum, of one dimension or, before opset 13, of all from it on.
Constant softmax_of_known(const NodeContext& node) {
  const Array& x = node.known(0);
  const bool old = node.opset < 13;
  const std::size_t rank = x.dims.size();
  const std::size_t axis = axis_of(node.attributes.integer("axis", old ? 1 : -1), rank);
  std::vector<bool> gone(rank, false);
  for (std::size_t d = axis; d < (old ? rank : axis + 1); ++d) gone[d] = true;
  Dims kept;
  const auto row = places_within(x.dims, gone, kept);
  Doubles largest(size_of(kept), -INFINITY);
  Doubles sum(largest.size(), 0.0);
  Doubles values = doubles(x);
  for (std::size_t i = 0; i < values.size(); ++i)
    largest[row[i]] = std::max(largest[row[i]], values[i]);
  for (std::size_t i = 0; i < values.size(); ++i)
    sum[row[i]] += values[i] = std::exp(values[i] - largest[row[i]]);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] /= sum[row[i]];
  return of_kind(x, x.dims, values);
}

Constant cumulated(const NodeContext& node) {
  const Array& x = node.known(0);
  const Array& at = node.known(1);
  if (at.size() != 1) throw Unsupported("more than one axis");
  const std::size_t axis = axis_of(static_cast<std::int64_t>(at.at(0)), x.dims.size());
  const bool exclusive = node.attributes.integer("exclusive", 0) != 0;
  const bool backwards = node.attributes.integer("reverse", 0) != 0;
  std::vector<bool> gone(x.dims.size(), false);
  gone[axis] = true;
  Dims kept;
  const auto row = places_within(x.dims, gone, kept);
  Doubles sum(size_of(kept), 0.0);
  Doubles values = doubles(x);
  for (std::size_t k = 0; k < values.size(); ++k) {
    const std::size_t i = backwards ? values.size() - 1 - k : k;
    const double before = sum[row[i]];
    sum[row[i]] += values[i];
    values[i] = exclusive ? before : sum[row[i]];
  }
  return of_kind(x, x.dims, values);
}

/// By given statistics, or in training mode by those of the tensor itself: weights are standardised
/// so.
Constant batch_normed(const NodeContext& node) {
  const Array& x = node.known(0);
  const std::vector<float>& from = reals_of(x);
  if (x.dims.size() < 2 || from.empty()) throw Unsupported("a tensor without channels");
  const auto batch = static_cast<std::size_t>(x.dims[0]);
  const auto channels = static_cast<std::size_t>(x.dims[1]);
  const std::size_t inner = from.size() / batch / channels;
  const auto by_channel = [&](std::size_t input) {
    Doubles values = doubles(node.known(input));
    if (values.size() != channels) throw Unsupported("numbers that are not one a channel");
    return values;
  };
  const Doubles scale = by_channel(1);
  const Doubles shift = by_channel(2);
  Doubles mean = by_channel(3);
  Doubles variance = by_channel(4);
  const auto each = [&](std::size_t c, const auto& visit) {
    for (std::size_t n = 0; n < batch; ++n)
      for (std::size_t i = 0; i < inner; ++i) visit((n * channels + c) * inner + i);
  };
  const double width = static_cast<double>(batch * inner);
  const bool own = node.attributes.integer("training_mode", 0) != 0;
  const double epsilon = node.attributes.decimal("epsilon", 1e-5);
  std::vector<float> values(from.size());
  for (std::size_t c = 0; c < channels; ++c) {
    if (own) {
      mean[c] = variance[c] = 0;
      each(c, [&](std::size_t i) { mean[c] += double{from[i]} / width; });
      each(c, [&](std::size_t i) { variance[c] += std::pow(from[i] - mean[c], 2) / width; });
    }
    const double gain = scale[c] / std::sqrt(variance[c] + epsilon);
    each(c, [&](std::size_t i) {
      values[i] = static_cast<float>((from[i] - mean[c]) * gain + shift[c]);
    });
  }
  return real(x.dims, std::move(values));
}

}  // namespace

Constant along_dimensions(const NodeContext& node, std::string_view type) {
  if (type == "ReduceProd" || type == "ReduceSum" || type == "ReduceMax" || type == "ReduceMin" ||
      type == "ReduceMean" || type == "ReduceL2")
    return reduced(node);
  if (type == "Softmax") return softmax_of_known(node);
  if (type == "CumSum") return cumulated(node);
  if (type == "BatchNormalization") return batch_normed(node);
  return nullptr;
}

}  // namespace cpubone::onnx
