#pragma once
#include <optional>
#include <vector>

#include "graph/onnx/array.hpp"

namespace cpubone::onnx {

/// How a tensor of any rank lies in memory: as factors of its dimensions, the outermost first. A
/// transpose, and mostly a reshape, is the same memory in another layout, so that they cost nothing
/// until an operator needs its tensor otherwise.
struct Layout {
  std::vector<std::int64_t> factors;   ///< extents above 1, as they lie
  std::vector<std::vector<int>> dims;  ///< factors of each dimension, the outer first
  bool operator==(const Layout&) const = default;
};

/// The last dimension changes fastest.
Layout row_major(const Dims& dims);
/// Dimensions lie in another order, e.g. {0, 2, 3, 1} for an image with channels last.
Layout stored(const Dims& dims, const std::vector<int>& order);
Dims dims_of(const Layout& layout);

/// The same memory with dimensions in another order, as Transpose says it.
Layout permuted(const Layout& layout, const std::vector<int>& order);
/// The same memory as other dimensions; nothing where these cut across what lies apart.
std::optional<Layout> reshaped(const Layout& layout, const Dims& dims);
/// The same layout with factors that lie together joined.
Layout joined(const Layout& layout);
/// The same layout with factors of each dimension cut until they are those of `like`, where both
/// have the dimension. Nothing where they do not fit.
std::optional<Layout> cut_like(const Layout& layout, const Layout& like);

/// Factors in the order in which they would lie, were the dimensions stored in that order.
std::vector<int> factors_in_order(const Layout& layout, const std::vector<int>& dim_order);
/// The layout after the memory was rearranged to that order of factors.
Layout rearranged(const Layout& layout, const std::vector<int>& factor_order);

/// Values of a row-major array as they lie in a layout of its dimensions.
std::vector<float> arranged(const std::vector<float>& values, const Layout& layout);

}  // namespace cpubone::onnx
