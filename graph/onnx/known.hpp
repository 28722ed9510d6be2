#pragma once
#include <string_view>
#include <vector>

#include "graph/onnx/importer.hpp"

// Arithmetic of known tensors.
namespace cpubone::onnx {

using Ints = std::vector<std::int64_t>;
using Doubles = std::vector<double>;

/// Number of elements. Throws Unsupported for more than 2^24: what is computed here is small.
std::size_t size_of(const Dims& dims);
Doubles doubles(const Array& array);
/// Elements between neighbours of each dimension of a row-major tensor.
Ints strides(const Dims& dims);
/// For each element of `dims` in order: the sum of its coordinates times `steps`, from `start` on.
std::vector<std::size_t> places(const Dims& dims, const Ints& steps, std::int64_t start = 0);
/// A tensor of the elements at those places of another.
Constant picked(const Array& from, Dims dims, const std::vector<std::size_t>& at);
/// Dimensions of all, as numpy broadcasts. Throws Unsupported where they do not fit.
Dims joint_dims(const std::vector<const Array*>& arrays);
/// The place of each element of `dims` in a tensor that is repeated to them.
std::vector<std::size_t> repeated(const Array& a, const Dims& dims);

/// The result of an operator that works on each element; null where it is none.
Constant by_element(const NodeContext& node, std::string_view type);
/// The result of a reduction, running sum, softmax or batch norm; null where it is none.
Constant along_dimensions(const NodeContext& node, std::string_view type);

}  // namespace cpubone::onnx
