#include "runtime/xnnpack_channels.hpp"

#include <fmt/format.h>
#include <xnnpack.h>

#include <tuple>
#include <type_traits>

#include "graph/error.hpp"
#include "graph/size.hpp"
#include "runtime/arena.hpp"
#include "runtime/thread_pool.hpp"
#include "runtime/xnnpack_subgraph.hpp"
#include "runtime/xnnpack_traits.hpp"
#include "runtime/xnnpack_weights.hpp"

namespace cpubone {
namespace {

template <typename Function>
constexpr std::size_t arity = 0;
template <typename... Arguments>
constexpr std::size_t arity<xnn_status (*)(Arguments...)> = sizeof...(Arguments);

// Versions take no cache before the operator (2022-02), one of weights (since 2025), or one of code
// too (between).
template <typename Create, typename Shared>
xnn_status create(Create function, const Shared& shared, xnn_operator_t* made) {
  const auto call = [&](auto... rest) {
    return std::apply(function, std::tuple_cat(shared, std::tuple(rest...)));
  };
  constexpr std::size_t caches = arity<Create> - std::tuple_size_v<Shared> - 1;
  if constexpr (caches == 0)
    return call(made);
  else if constexpr (caches == 1)
    return call(nullptr, made);
  else
    return call(nullptr, nullptr, made);
}

// Matrix kernels of SME pack pixels themselves, by functions of their own that newer versions have;
// XNNPACK's graphs choose them wherever the CPU has them.
template <typename... Arguments>
xnn_status create_packed(bool half, Arguments... of) {
  if constexpr (requires { xnn_create_convolution2d_nhwc_pf16(of...); })
    return half ? xnn_create_convolution2d_nhwc_pf16(of...)
                : xnn_create_convolution2d_nhwc_pf32(of...);
  else
    return xnn_status_unsupported_hardware;
}

/// Whose functions an operator is called by.
struct Kernels {
  bool half = false;
  bool packed = false;
};

struct Size {
  std::size_t n;
  std::size_t h;
  std::size_t w;
};

// Newer versions make known the size first, and work in memory of the caller. Templates, as a
// version may lack a function; f16 has the functions of f32.
template <typename Operator>
xnn_status reshape(Operator op, Kernels kernels, Size size, std::size_t& workspace_bytes,
                   pthreadpool* pool) {
  if constexpr (requires {
                  xnn_reshape_convolution2d_nhwc_pf16(op, size.n, size.h, size.w, &workspace_bytes,
                                                      nullptr, nullptr, pool);
                })
    if (kernels.packed)
      return kernels.half
                 ? xnn_reshape_convolution2d_nhwc_pf16(op, size.n, size.h, size.w, &workspace_bytes,
                                                       nullptr, nullptr, pool)
                 : xnn_reshape_convolution2d_nhwc_pf32(op, size.n, size.h, size.w, &workspace_bytes,
                                                       nullptr, nullptr, pool);
  const bool half = kernels.half;
  std::size_t alignment = 0;
  if constexpr (requires {
                  xnn_reshape_convolution2d_nhwc_f32(op, size.n, size.h, size.w, &workspace_bytes,
                                                     &alignment, nullptr, nullptr, pool);
                })
    return half ? xnn_reshape_convolution2d_nhwc_f16(op, size.n, size.h, size.w, &workspace_bytes,
                                                     &alignment, nullptr, nullptr, pool)
                : xnn_reshape_convolution2d_nhwc_f32(op, size.n, size.h, size.w, &workspace_bytes,
                                                     &alignment, nullptr, nullptr, pool);
  else if constexpr (requires {
                       xnn_reshape_convolution2d_nhwc_f32(op, size.n, size.h, size.w,
                                                          &workspace_bytes, nullptr, nullptr, pool);
                     })
    return half ? xnn_reshape_convolution2d_nhwc_f16(op, size.n, size.h, size.w, &workspace_bytes,
                                                     nullptr, nullptr, pool)
                : xnn_reshape_convolution2d_nhwc_f32(op, size.n, size.h, size.w, &workspace_bytes,
                                                     nullptr, nullptr, pool);
  else
    return xnn_status_success;
}
template <typename Operator>
xnn_status setup(Operator op, Kernels kernels, Size size, void* workspace, const void* input,
                 void* output, pthreadpool* pool) {
  const bool half = kernels.half;
  const auto* const in = static_cast<const float*>(input);
  auto* const out = static_cast<float*>(output);
  if constexpr (requires { xnn_setup_convolution2d_nhwc_pf16(op, workspace, input, output); })
    if (kernels.packed)
      return half ? xnn_setup_convolution2d_nhwc_pf16(op, workspace, input, output)
                  : xnn_setup_convolution2d_nhwc_pf32(op, workspace, in, out);
  if constexpr (requires { xnn_setup_convolution2d_nhwc_f32(op, workspace, in, out); })
    return half ? xnn_setup_convolution2d_nhwc_f16(op, workspace, input, output)
                : xnn_setup_convolution2d_nhwc_f32(op, workspace, in, out);
  else
    return half ? xnn_setup_convolution2d_nhwc_f16(op, size.n, size.h, size.w, input, output, pool)
                : xnn_setup_convolution2d_nhwc_f32(op, size.n, size.h, size.w, in, out, pool);
}

}  // namespace

struct XnnpackChannels::State {
  explicit State(const ThreadPool* threads)
      : pool(threads ? threads->get() : nullptr), op(nullptr, xnn_delete_operator) {}
  pthreadpool* pool;
  std::unique_ptr<xnn_operator, xnn_status (*)(xnn_operator_t)> op;
  std::unique_ptr<Arena> workspace;
  Size size{};
  Kernels kernels;
  std::size_t input_begin = 0;
  std::size_t output_begin = 0;
};

XnnpackChannels::XnnpackChannels(ChannelPart part, const ThreadPool* pool)
    : state_(std::make_unique<State>(pool)) {
  initialise(linked_xnnpack());
  // A linear layer is a convolution of 1x1 pixel: the same micro-kernels run it.
  const Op& op = part.op;
  const Shape& in = op.input();
  const auto u = [](int value) { return static_cast<std::uint32_t>(value); };
  const std::size_t group_in = z(in.c / op.groups);
  const std::vector<float> weight = with_room(channels_last(
      std::move(part.parameters.weight), z(op.output().c), group_in, z(op.kernel_h * op.kernel_w)));
  const std::vector<float> bias = with_room(std::move(part.parameters.bias));
  const OutputRange range = output_range(op.activation);
  const Padding& p = op.padding;
  xnn_operator_t made = nullptr;
  const bool half = op.dtype() == DType::f16;
  const std::uint32_t flags = half ? XNN_FLAG_FP32_STATIC_WEIGHTS : 0U;
  const std::tuple arguments(u(p.top), u(p.right), u(p.bottom), u(p.left), u(op.kernel_h),
                             u(op.kernel_w), u(op.stride_h), u(op.stride_w), u(op.dilation_h),
                             u(op.dilation_w), u(op.groups), group_in, z(op.output().c / op.groups),
                             part.input_stride, part.output_stride, weight.data(),
                             op.bias ? bias.data() : nullptr, range.low, range.high, flags);
  xnn_status status =
      std::apply([&](auto... of) { return create_packed(half, of..., nullptr, &made); }, arguments);
  state_->kernels = {half, status == xnn_status_success};
  if (!state_->kernels.packed)
    status = half ? create(&xnn_create_convolution2d_nhwc_f16, arguments, &made)
                  : create(&xnn_create_convolution2d_nhwc_f32, arguments, &made);
  require(status, fmt::format("channels of \"{}\"", text(op)));
  state_->op.reset(made);
  state_->size = {z(in.n), z(in.h), z(in.w)};
  state_->input_begin = part.input_begin;
  state_->output_begin = part.output_begin;
  std::size_t workspace_bytes = 0;
  require(reshape(made, state_->kernels, state_->size, workspace_bytes, state_->pool), "reshape");
  state_->workspace = std::make_unique<Arena>(workspace_bytes);
}

XnnpackChannels::~XnnpackChannels() = default;
XnnpackChannels::XnnpackChannels(XnnpackChannels&&) noexcept = default;
XnnpackChannels& XnnpackChannels::operator=(XnnpackChannels&&) noexcept = default;

void XnnpackChannels::bind(const void* input, void* output) {
  State& s = *state_;
  const std::size_t bytes = s.kernels.half ? 2 : sizeof(float);
  require(setup(s.op.get(), s.kernels, s.size, s.workspace->data(),
                static_cast<const std::byte*>(input) + s.input_begin * bytes,
                static_cast<std::byte*>(output) + s.output_begin * bytes, s.pool),
          "setup");
}

void XnnpackChannels::run() {
  require(xnn_run_operator(state_->op.get(), state_->pool), "run");
}

bool channels_run_in_f16() {
  static const bool runs = [] {
    try {
      const Op op = parse_op("linear 1x1x1x8->1x1x1x8 nobias f16");
      Parameters parameters;
      parameters.weight.resize(64);
      XnnpackChannels(channel_part(op, parameters, 0, 8), nullptr);
      return true;
    } catch (const Error&) {
      return false;
    }
  }();
  return runs;
}

}  // namespace cpubone
