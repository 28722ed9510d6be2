#include "graph/onnx/shape_rules.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <numeric>

namespace cpubone::onnx {
namespace {

using Ints = std::vector<std::int64_t>;
constexpr std::size_t most_dims = 16;
constexpr std::int64_t max_step = 1 << 20;

}  // namespace

Dims reshaped_dims(const Dims& dims, const Ints& wanted, bool zero_is_zero) {
  if (wanted.size() > most_dims) throw Unsupported(fmt::format("a rank of {}", wanted.size()));
  Dims result;
  std::int64_t known = 1;
  std::optional<std::size_t> open;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    std::int64_t d = wanted[i];
    if (d == 0 && !zero_is_zero) {
      if (i >= dims.size()) throw Unsupported("a dimension kept that is not there");
      d = dims[i];
    }
    if (d == -1 && !open)
      open = i;
    else if (d < 0)
      throw Unsupported(fmt::format("{} as {}", text(dims), fmt::join(wanted, "x")));
    result.push_back(d);
    if (d != -1) known = count({known, d});
  }
  if (open) {
    if (known == 0 || count(dims) % known != 0)
      throw Unsupported(fmt::format("{} as {}", text(dims), fmt::join(wanted, "x")));
    result[*open] = count(dims) / known;
  }
  return result;
}

Dims squeezed_dims(const Dims& dims, const std::optional<Ints>& axes) {
  std::vector<bool> gone(dims.size(), false);
  if (axes)
    for (const std::int64_t axis : *axes) gone[axis_of(axis, dims.size())] = true;
  else
    for (std::size_t d = 0; d < dims.size(); ++d) gone[d] = dims[d] == 1;
  Dims result;
  for (std::size_t d = 0; d < dims.size(); ++d) {
    if (gone[d] && dims[d] != 1)
      throw Unsupported(fmt::format("dimension {} of {} is not 1", d, text(dims)));
    if (!gone[d]) result.push_back(dims[d]);
  }
  return result;
}

Dims unsqueezed_dims(const Dims& dims, const Ints& axes) {
  const std::size_t rank = dims.size() + axes.size();
  if (rank > most_dims) throw Unsupported(fmt::format("a rank of {}", rank));
  std::vector<bool> added(rank, false);
  for (const std::int64_t axis : axes) {
    const std::size_t at = axis_of(axis, rank);
    if (added[at]) throw Unsupported("an axis twice");
    added[at] = true;
  }
  Dims result;
  std::size_t next = 0;
  for (std::size_t d = 0; d < rank; ++d) result.push_back(added[d] ? 1 : dims[next++]);
  return result;
}

std::vector<int> transpose_order(const NodeAttributes& attributes, std::size_t rank) {
  std::vector<int> order;
  if (const auto perm = attributes.integers("perm")) {
    for (const std::int64_t d : *perm) order.push_back(static_cast<int>(axis_of(d, rank)));
  } else {
    for (std::size_t d = rank; d-- > 0;) order.push_back(static_cast<int>(d));
  }
  std::vector<int> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t d = 0; d < sorted.size(); ++d)
    if (sorted.size() != rank || sorted[d] != static_cast<int>(d))
      throw Unsupported(
          fmt::format("{} as an order of {} dimensions", fmt::join(order, ","), rank));
  return order;
}

std::vector<SliceRange> slice_ranges(const NodeContext& node, const Dims& dims) {
  const auto required = [&](const char* name, std::size_t input) {
    auto values = node.integers(name, input);
    if (!values) throw Unsupported(fmt::format("{} that are not known", name));
    return *values;
  };
  const Ints starts = required("starts", 1);
  const Ints ends = required("ends", 2);
  Ints axes(starts.size());
  std::iota(axes.begin(), axes.end(), 0);
  if (const auto given = node.integers("axes", 3)) axes = *given;
  Ints steps(starts.size(), 1);
  if (const auto given = node.integers("steps", 4)) steps = *given;
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    throw Unsupported("starts, ends, axes and steps of different lengths");
  std::vector<SliceRange> ranges;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    SliceRange r{};
    r.axis = axis_of(axes[i], dims.size());
    r.step = steps[i];
    const std::int64_t extent = dims[r.axis];
    if (r.step == 0 || r.step < -max_step || r.step > max_step)
      throw Unsupported(fmt::format("steps of {}", r.step));
    const bool forward = r.step > 0;
    const auto within = [&](std::int64_t value) {
      if (value < 0) value = value < -extent ? -1 : value + extent;
      return forward ? std::clamp<std::int64_t>(value, 0, extent)
                     : std::clamp<std::int64_t>(value, -1, extent - 1);
    };
    r.begin = within(starts[i]);
    // Far below zero is before the first.
    const std::int64_t end = !forward && ends[i] < -extent ? -1 : within(ends[i]);
    const std::int64_t span = forward ? end - r.begin : r.begin - end;
    const std::int64_t step = forward ? r.step : -r.step;
    r.size = span <= 0 ? 0 : (span + step - 1) / step;
    ranges.push_back(r);
  }
  return ranges;
}

Ints split_sizes(const NodeContext& node, std::int64_t extent) {
  if (node.outputs == 0) throw Unsupported("into nothing");
  Ints sizes;
  if (const auto given = node.integers("split", 1)) {
    sizes = *given;
  } else {
    const auto parts = static_cast<std::int64_t>(node.outputs);
    const std::int64_t most = (extent + parts - 1) / parts;
    for (std::int64_t i = 0; i < parts; ++i)
      sizes.push_back(std::clamp<std::int64_t>(extent - i * most, 0, most));
  }
  std::int64_t total = 0;
  for (const std::int64_t size : sizes) {
    if (size < 0 || size > extent) throw Unsupported(fmt::format("parts of {}", size));
    total += size;
  }
  if (sizes.size() != node.outputs || total != extent)
    throw Unsupported(fmt::format("{} into {}", extent, fmt::join(sizes, "+")));
  return sizes;
}

}  // namespace cpubone::onnx
