#pragma once
#include <vector>

#include "graph/onnx/importer.hpp"

// Dimensions that operators which only move elements give, for known tensors and others alike.
namespace cpubone::onnx {

/// As Reshape says them: 0 keeps a dimension unless `zero_is_zero`, -1 is what remains.
Dims reshaped_dims(const Dims& dims, const std::vector<std::int64_t>& wanted, bool zero_is_zero);
Dims squeezed_dims(const Dims& dims, const std::optional<std::vector<std::int64_t>>& axes);
Dims unsqueezed_dims(const Dims& dims, const std::vector<std::int64_t>& axes);
/// The order that Transpose asks for; without one dimensions are reversed.
std::vector<int> transpose_order(const NodeAttributes& attributes, std::size_t rank);

struct SliceRange {
  std::size_t axis;
  std::int64_t begin;  ///< within the dimension
  std::int64_t size;
  std::int64_t step;
};
std::vector<SliceRange> slice_ranges(const NodeContext& node, const Dims& dims);
std::vector<std::int64_t> split_sizes(const NodeContext& node, std::int64_t extent);

}  // namespace cpubone::onnx
