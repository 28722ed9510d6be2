#pragma once
#include <xnnpack.h>

#include <cstddef>
#include <cstdint>

#include "graph/op.hpp"

namespace cpubone {

// Operators that XNNPACK got after 2022-02, where they are not slower than the Eigen kernels
// (matrix products, slices and joined channels are). Whether a version has one is asked of its
// header, operator by operator, or of the library that is loaded.

/// The functions of such operators; null in versions that lack them.
struct NewerXnnpack {
  using Unary = xnn_status(xnn_subgraph_t subgraph, std::uint32_t input, std::uint32_t output,
                           std::uint32_t flags);
  using Transpose = xnn_status(xnn_subgraph_t subgraph, std::size_t dims,
                               const std::size_t* permutation, std::uint32_t input,
                               std::uint32_t output, std::uint32_t flags);
  /// Data types are numbers, since the header of 2022-02 lacks that of such tensors.
  using DynamicTensor = xnn_status(xnn_subgraph_t subgraph, std::uint32_t datatype,
                                   std::size_t dims, std::size_t dims_of_a_row,
                                   const std::size_t* extents, std::uint32_t external_id,
                                   std::uint32_t flags, std::uint32_t* id);
  Unary* define_gelu = nullptr;
  Unary* define_tanh = nullptr;
  Unary* define_exp = nullptr;
  Unary* define_log = nullptr;
  Transpose* define_static_transpose = nullptr;
  DynamicTensor* define_dynamically_quantized_tensor_value = nullptr;
  /// Pooling drops the reduced dimensions since then, unless it is told to keep them.
  bool since_2024_11 = false;
};

NewerXnnpack newer_of_linked_xnnpack();

/// Whether a version runs the operator, which 2022-02 lacks.
bool newer_xnnpack_runs(const NewerXnnpack& newer, const Op& op);
/// Whether a version calculates in f16 what XNNPACK runs in f32. 2022-02 does so with what
/// convolves, adds, multiplies, pools and clamps; sigmoid makes it refuse a whole subgraph, and
/// HardSwish ends the process by an assertion.
bool runs_in_f16(const NewerXnnpack& newer, const Op& op);
/// Adds such an operator to a subgraph. What the version lacks is an unsupported parameter.
xnn_status define_newer(const NewerXnnpack& newer, xnn_subgraph_t subgraph, const Op& op,
                        std::uint32_t input, std::uint32_t output);

}  // namespace cpubone
