#include "runtime/xnnpack_versions.hpp"

#include <array>
#include <type_traits>

#include "runtime/xnnpack_traits.hpp"

namespace cpubone {
namespace {

/// A call as a function, or null where this version lacks what it calls: a function may be named
/// that is not declared where it is looked up by the types of its arguments, as in a generic
/// lambda.
template <typename Function, typename Call>
Function* if_declared(Call call) {
  if constexpr (std::is_convertible_v<Call, Function*>)
    return call;
  else
    return nullptr;
}
#define CPUBONE_IF_DECLARED(Function, name) \
  if_declared<Function>([](auto... of) -> decltype(name(of...)) { return name(of...); })

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
  NewerXnnpack newer;
  newer.define_gelu = CPUBONE_IF_DECLARED(NewerXnnpack::Unary, xnn_define_gelu);
  newer.define_tanh = CPUBONE_IF_DECLARED(NewerXnnpack::Unary, xnn_define_tanh);
  newer.define_exp = CPUBONE_IF_DECLARED(NewerXnnpack::Unary, xnn_define_exp);
  newer.define_log = CPUBONE_IF_DECLARED(NewerXnnpack::Unary, xnn_define_log);
  newer.define_static_transpose =
      CPUBONE_IF_DECLARED(NewerXnnpack::Transpose, xnn_define_static_transpose);
#undef CPUBONE_IF_DECLARED
  newer.define_dynamically_quantized_tensor_value = if_declared<NewerXnnpack::DynamicTensor>(
      [](auto subgraph, auto type, auto... of)
          -> decltype(xnn_define_dynamically_quantized_tensor_value(
              subgraph, static_cast<xnn_datatype>(type), of...)) {
        return xnn_define_dynamically_quantized_tensor_value(
            subgraph, static_cast<xnn_datatype>(type), of...);
      });
#ifdef XNN_FLAG_KEEP_DIMS
  newer.since_2024_11 = true;
#endif
  return newer;
}

bool newer_xnnpack_runs(const NewerXnnpack& newer, const Op& op) {
  if (op.dtype() != DType::f32) return false;
  if (op.dynamic)
    return newer.define_dynamically_quantized_tensor_value &&
           (op.activation == Activation::none || xnnpack_fuses(op));
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
