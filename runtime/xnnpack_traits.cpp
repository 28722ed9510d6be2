#include "runtime/xnnpack_traits.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "graph/passes.hpp"

namespace cpubone {
namespace {

/// Taps that the depthwise kernels of one pass are unrolled for; in int8 9 at least.
constexpr std::array<int, 4> unrolled_taps{3, 4, 9, 25};
constexpr int least_int8_taps = 9;

int taps_of(const Op& op) {
  return op.kernel_h * op.kernel_w;
}

/// Of the CPUs that this is built for, as far as traits below depend on it.
#if defined(__x86_64__) || defined(_M_X64)
constexpr std::string_view built_for = "x86_64";
#else
constexpr std::string_view built_for;
#endif

bool clamps(Activation activation) {
  return activation == Activation::relu || activation == Activation::relu6;
}

/// Operators that take a range of outputs.
bool takes_range(const Op& op) {
  switch (op.kind) {
    case OpKind::conv2d:
      return op.dtype() == DType::qs8 || !our_depthwise_takes(op);  // ours takes none in f32
    case OpKind::linear:
    case OpKind::conv_transpose2d:
    case OpKind::add:
    case OpKind::mul:
    case OpKind::global_avg_pool:
      return true;
    case OpKind::sub:
      return op.dtype() != DType::f16;
    case OpKind::div:
      return op.dtype() == DType::f32;
    case OpKind::max_pool2d:
      return taps_of(op) > 1;  // refuses windows of one pixel
    case OpKind::avg_pool2d:
      return op.dtype() == DType::f32 && taps_of(op) > 1;
    default:
      return false;
  }
}

/// Of the version in a text as profiles have it, e.g. 2024 of `XNNPACK 0.0~git20241108.4ea82e5`;
/// 2022, the oldest that is supported, where it has none.
int xnnpack_year(std::string_view runtime) {
  constexpr std::string_view before = "git";
  constexpr std::size_t digits = 4;
  int year = 0;
  const std::size_t at = runtime.find(before);
  if (at != std::string_view::npos) {
    const std::string_view text = runtime.substr(at + before.size(), digits);
    std::from_chars(text.data(), text.data() + text.size(), year);
  }
  return std::max(year, 2022);
}

/// Whether our kernel runs it on a CPU as this is built for.
bool runs_our_depthwise_here(const Op& op) {
  static const XnnpackTraits f32;
  static const XnnpackTraits int8 =
      xnnpack_int8_traits(built_for, [](std::string_view) { return false; });
  return runs_our_depthwise(op, op.dtype() == DType::qs8 ? int8 : f32);
}

}  // namespace

bool xnnpack_fuses(const Op& op) {
  return takes_range(op) && clamps(op.activation);
}

bool eigen_fuses(const Op& op) {
  return op.kind == OpKind::batch_norm && clamps(op.activation);
}

OutputRange output_range(Activation activation) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  if (activation == Activation::relu) return {0.0F, infinity};
  if (activation == Activation::relu6) return {0.0F, 6.0F};
  return {-infinity, infinity};
}

bool xnnpack_runs(const Op& op) {
  if (op.dynamic) return false;  // newer versions do
  if (runs_our_depthwise_here(op)) return false;
  if (op.kind == OpKind::softmax) return op.dtype() == DType::f32;
  if (op.kind == OpKind::resize)
    return op.dtype() == DType::qs8 && op.resize_mode != ResizeMode::nearest;
  if (op.kind == OpKind::activation)
    return op.dtype() != DType::qs8 &&
           (clamps(op.activation) || op.activation == Activation::hardswish ||
            op.activation == Activation::sigmoid);
  if (op.kind == OpKind::maximum || op.kind == OpKind::minimum)
    return op.dtype() == DType::f32 && op.activation == Activation::none;
  return takes_range(op) && (op.activation == Activation::none || clamps(op.activation));
}

Network lowered(const Network& network) {
  return split_activations(network,
                           [](const Op& op) { return xnnpack_fuses(op) || eigen_fuses(op); });
}

XnnpackTraits xnnpack_traits(std::string_view architecture, const HasFeature& has,
                             std::string_view runtime) {
  XnnpackTraits traits;
  const bool since_2024 = xnnpack_year(runtime) >= 2024;
  traits.narrow_convolutions = since_2024;
  const bool x86 = has("avx512f") || has("fma") || has("avx");
  if (has("avx512f")) {
    traits.tile = {7, since_2024 ? 32.0 : 16.0, 1};
    traits.vector_channels = 16;
  } else if (x86) {
    traits.tile = {5, 16, 1};
    traits.vector_channels = 16;
  } else if (architecture == "aarch64") {
    traits.tile.rows = 6;
  }
  if (x86) {
    traits.narrow_tile.depth = 4;
    if (since_2024) traits.narrow_tile = {traits.tile.rows, traits.tile.channels / 2, 1};
  }
  return traits;
}

XnnpackTraits xnnpack_int8_traits(std::string_view architecture, const HasFeature& has) {
  XnnpackTraits traits;
  traits.tile = {3, 4, 8};
  if (has("avx512f")) {
    traits.tile = {4, 16, 8};
    traits.vector_channels = 32;
  } else if (has("avx2")) {
    traits.tile = {3, 8, 8};
    traits.vector_channels = 16;
  } else if (architecture == "aarch64") {
    traits.tile = {4, 16, 4};
    traits.vector_channels = 16;
  }
  if (architecture == "x86_64") traits.stride_1_taps = least_int8_taps;
  return traits;
}

MatrixTile matrix_tile(const Op& op, double group_out, const XnnpackTraits& traits) {
  const bool transposed = op.kind == OpKind::conv_transpose2d;
  const bool convolves =
      op.kind == OpKind::conv2d || op.kind == OpKind::linear || op.kind == OpKind::partial_conv2d;
  const bool narrow = op.dtype() == DType::f32 && group_out < traits.tile.channels &&
                      (transposed || (convolves && traits.narrow_convolutions));
  return narrow ? traits.narrow_tile : traits.tile;
}

bool runs_our_depthwise(const Op& op, const XnnpackTraits& traits) {
  if (!is_depthwise(op) || op.dtype() == DType::f16) return false;
  const bool by_pixel = op.stride_h == 1 && op.stride_w == 1;
  return taps_of(op) > (by_pixel ? traits.stride_1_taps : unrolled_taps.back());
}

bool our_depthwise_takes(const Op& op) {
  XnnpackTraits traits;
  if (op.dtype() == DType::qs8) traits.stride_1_taps = least_int8_taps;
  return runs_our_depthwise(op, traits);
}

bool runs_xnnpack_depthwise(const Op& op, const XnnpackTraits& traits) {
  return is_depthwise(op) && !runs_our_depthwise(op, traits) && taps_of(op) <= unrolled_taps.back();
}

bool gathers_windows(const Op& op) {
  constexpr int most_channels = 3;  // 4 are what kernels of Arm take at once
  return op.kind == OpKind::conv2d && op.dtype() == DType::qs8 && op.groups == 1 &&
         op.input().n == 1 && op.input().c <= most_channels && taps_of(op) > 1 &&
         op.dilation_h == 1 && op.dilation_w == 1;
}

int xnnpack_depthwise_taps(const Op& op) {
  const int least = op.dtype() == DType::qs8 ? std::max(least_int8_taps, taps_of(op)) : taps_of(op);
  return *std::find_if(unrolled_taps.begin(), unrolled_taps.end(),
                       [&](int taps) { return taps >= least; });
}

}  // namespace cpubone
