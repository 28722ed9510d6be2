#include "runtime/xnnpack_versions.hpp"

#include <array>

namespace cpubone {
namespace {

// A function that a version lacks may be named where it is looked up by the types of its arguments:
// in templates.
template <typename Subgraph>
constexpr bool has_gelu = requires(Subgraph s) {
  xnn_define_gelu(s, 0U, 0U, 0U);
};
template <typename Subgraph>
constexpr bool has_tanh = requires(Subgraph s) {
  xnn_define_tanh(s, 0U, 0U, 0U);
};
template <typename Subgraph>
constexpr bool has_exp = requires(Subgraph s) {
  xnn_define_exp(s, 0U, 0U, 0U);
};
template <typename Subgraph>
constexpr bool has_log = requires(Subgraph s) {
  xnn_define_log(s, 0U, 0U, 0U);
};
template <typename Subgraph>
constexpr bool has_transpose = requires(Subgraph s, const std::size_t* permutation) {
  xnn_define_static_transpose(s, std::size_t{4}, permutation, 0U, 0U, 0U);
};

template <typename Subgraph>
xnn_status define(Subgraph subgraph, const Op& op, std::uint32_t in, std::uint32_t out) {
  if constexpr (has_gelu<Subgraph>)
    if (op.activation == Activation::gelu) return xnn_define_gelu(subgraph, in, out, 0U);
  if constexpr (has_tanh<Subgraph>)
    if (op.activation == Activation::tanh) return xnn_define_tanh(subgraph, in, out, 0U);
  if constexpr (has_exp<Subgraph>)
    if (op.activation == Activation::exp) return xnn_define_exp(subgraph, in, out, 0U);
  if constexpr (has_log<Subgraph>)
    if (op.activation == Activation::log) return xnn_define_log(subgraph, in, out, 0U);
  if constexpr (has_transpose<Subgraph>)
    if (op.kind == OpKind::transpose) {
      std::array<std::size_t, 4> permutation{};
      for (std::size_t i = 0; i < permutation.size(); ++i)
        permutation[i] = static_cast<std::size_t>(op.permutation[i]);
      return xnn_define_static_transpose(subgraph, permutation.size(), permutation.data(), in, out,
                                         0U);
    }
  return xnn_status_unsupported_parameter;
}

}  // namespace

bool newer_xnnpack_runs(const Op& op) {
  if (op.dtype() != DType::f32) return false;
  if (op.kind == OpKind::transpose)
    return has_transpose<xnn_subgraph_t> && op.activation == Activation::none;
  if (op.kind != OpKind::activation) return false;
  switch (op.activation) {
    case Activation::gelu:
      return has_gelu<xnn_subgraph_t>;
    case Activation::tanh:
      return has_tanh<xnn_subgraph_t>;
    case Activation::exp:
      return has_exp<xnn_subgraph_t>;
    case Activation::log:
      return has_log<xnn_subgraph_t>;
    default:
      return false;
  }
}

xnn_status define_newer(xnn_subgraph_t subgraph, const Op& op, std::uint32_t input,
                        std::uint32_t output) {
  return define(subgraph, op, input, output);
}

}  // namespace cpubone
