#include "runtime/xnnpack_versions.hpp"

#include <array>

namespace cpubone {
namespace {

// A function that a version lacks may be named where it is looked up by the types of its arguments:
// in templates.
template <typename Subgraph>
NewerXnnpack declared() {
  NewerXnnpack newer;
  if constexpr (requires(Subgraph s) { xnn_define_gelu(s, 0U, 0U, 0U); })
    newer.define_gelu = [](Subgraph s, std::uint32_t in, std::uint32_t out, std::uint32_t flags) {
      return xnn_define_gelu(s, in, out, flags);
    };
  if constexpr (requires(Subgraph s) { xnn_define_tanh(s, 0U, 0U, 0U); })
    newer.define_tanh = [](Subgraph s, std::uint32_t in, std::uint32_t out, std::uint32_t flags) {
      return xnn_define_tanh(s, in, out, flags);
    };
  if constexpr (requires(Subgraph s) { xnn_define_exp(s, 0U, 0U, 0U); })
    newer.define_exp = [](Subgraph s, std::uint32_t in, std::uint32_t out, std::uint32_t flags) {
      return xnn_define_exp(s, in, out, flags);
    };
  if constexpr (requires(Subgraph s) { xnn_define_log(s, 0U, 0U, 0U); })
    newer.define_log = [](Subgraph s, std::uint32_t in, std::uint32_t out, std::uint32_t flags) {
      return xnn_define_log(s, in, out, flags);
    };
  if constexpr (requires(Subgraph s, const std::size_t* permutation) {
                  xnn_define_static_transpose(s, std::size_t{4}, permutation, 0U, 0U, 0U);
                })
    newer.define_static_transpose = [](Subgraph s, std::size_t dims, const std::size_t* permutation,
                                       std::uint32_t in, std::uint32_t out, std::uint32_t flags) {
      return xnn_define_static_transpose(s, dims, permutation, in, out, flags);
    };
#ifdef XNN_FLAG_KEEP_DIMS
  newer.since_2024_11 = true;
#endif
  return newer;
}

NewerXnnpack::Unary* unary_of(const NewerXnnpack& newer, Activation activation) {
  switch (activation) {
    case Activation::gelu:
      return newer.define_gelu;
    case Activation::tanh:
      return newer.define_tanh;
    case Activation::exp:
      return newer.define_exp;
    case Activation::log:
      return newer.define_log;
    default:
      return nullptr;
  }
}

}  // namespace

NewerXnnpack newer_of_linked_xnnpack() {
  return declared<xnn_subgraph_t>();
}

bool newer_xnnpack_runs(const NewerXnnpack& newer, const Op& op) {
  if (op.dtype() != DType::f32) return false;
  if (op.kind == OpKind::transpose)
    return newer.define_static_transpose && op.activation == Activation::none;
  return op.kind == OpKind::activation && unary_of(newer, op.activation);
}

bool runs_in_f16(const NewerXnnpack& newer, const Op& op) {
  return newer.since_2024_11 || op.kind != OpKind::activation ||
         op.activation == Activation::relu || op.activation == Activation::relu6;
}

xnn_status define_newer(const NewerXnnpack& newer, xnn_subgraph_t subgraph, const Op& op,
                        std::uint32_t input, std::uint32_t output) {
  if (!newer_xnnpack_runs(newer, op)) return xnn_status_unsupported_parameter;
  if (op.kind != OpKind::transpose)
    return unary_of(newer, op.activation)(subgraph, input, output, 0U);
  std::array<std::size_t, 4> permutation{};
  for (std::size_t i = 0; i < permutation.size(); ++i)
    permutation[i] = static_cast<std::size_t>(op.permutation[i]);
  return newer.define_static_transpose(subgraph, permutation.size(), permutation.data(), input,
                                       output, 0U);
}

}  // namespace cpubone
