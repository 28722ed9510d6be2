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

#if defined(__x86_64__) || defined(_M_X64)
constexpr bool on_x86_64 = true;
#else
constexpr bool on_x86_64 = false;
#endif

bool clamps(Activation activation) {
  return activation == Activation::relu || activation == Activation::relu6;
}

/// Operators that take a range of outputs.
bool takes_range(const Op& op) {
  switch (op.kind) {
    case OpKind::conv2d:
      return op.dtype() == DType::qs8 || !is_wide_depthwise(op);  // ours, which in f32 takes none
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

auto has_feature(std::span<const std::string> features) {
  return [features](std::string_view feature) {
    return std::find(features.begin(), features.end(), feature) != features.end();
  };
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
  if (is_wide_depthwise(op) && (on_x86_64 || taps_of(op) > unrolled_taps.back())) return false;
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

XnnpackTraits xnnpack_traits(std::string_view architecture, std::span<const std::string> features,
                             std::string_view runtime) {
  const auto has = has_feature(features);
  XnnpackTraits traits;
  if (has("avx512f")) {
    traits.tile_rows = 7;
    traits.vector_channels = 16;
    traits.tile_channels = xnnpack_year(runtime) >= 2024 ? 32 : 16;
  } else if (has("fma") || has("avx")) {
    traits.tile_rows = 5;
    traits.tile_channels = traits.vector_channels = 16;
  } else if (architecture == "aarch64") {
    traits.tile_rows = 6;
  }
  return traits;
}

XnnpackTraits xnnpack_int8_traits(std::string_view architecture,
                                  std::span<const std::string> features) {
  const auto has = has_feature(features);
  if (has("avx512f")) return {4, 16, 32, 8};
  if (has("avx2")) return {3, 8, 16, 8};
  if (architecture == "aarch64") return {4, 16, 16, 4};
  return {3, 4, 8, 8};
}

bool is_wide_depthwise(const Op& op) {
  if (!is_depthwise(op) || op.dtype() == DType::f16) return false;
  const bool by_pixel = op.stride_h == 1 && op.stride_w == 1;
  return taps_of(op) > unrolled_taps.back() ||
         (op.dtype() == DType::qs8 && by_pixel && taps_of(op) > least_int8_taps);
}

bool xnnpack_runs_depthwise(const Op& op) {
  return is_depthwise(op) && !is_wide_depthwise(op) && taps_of(op) <= unrolled_taps.back();
}

int xnnpack_depthwise_taps(const Op& op) {
  const int least = op.dtype() == DType::qs8 ? std::max(least_int8_taps, taps_of(op)) : taps_of(op);
  return *std::find_if(unrolled_taps.begin(), unrolled_taps.end(),
                       [&](int taps) { return taps >= least; });
}

}  // namespace cpubone
