#pragma once
#include <cmath>
#include <cstdint>

/// Closed-form values of the golden forward passes (tests/fixtures/golden/README.md).
namespace cpubone::golden {

/// Tensor index of the input image.
inline constexpr std::uint32_t input_t = 1000003;

/// A hash whose every output bit depends on every input bit.
constexpr std::uint32_t lowbias32(std::uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x *= 0x846ca68bU;
  x ^= x >> 16;
  return x;
}

/// Value in [-1, 1) of element `i` (row-major in PyTorch's layout) of tensor `t`.
constexpr double s(std::uint32_t t, std::uint32_t i) {
  return (lowbias32(i + 0x9E3779B9U * (t + 1)) >> 8) * 0x1p-23 - 1.0;
}

/// Weight of a convolution (O, I/groups, h, w), transposed convolution (I, O, h, w) or linear layer
/// (O, I); `fan_in` is the product of all but the first extent.
inline float weight(std::uint32_t t, std::uint32_t i, double gain, double fan_in) {
  return static_cast<float>(s(t, i) * std::sqrt(gain / fan_in));
}
constexpr float bias(std::uint32_t t, std::uint32_t i) {
  return static_cast<float>(0.1 * s(t, i));
}
/// Scale of a normalisation.
constexpr float gamma(std::uint32_t t, std::uint32_t i) {
  return static_cast<float>(1 + 0.25 * s(t, i));
}
/// Running mean and variance of a batch norm (train form).
constexpr float mean(std::uint32_t t, std::uint32_t i) {
  return bias(t, i);
}
constexpr float variance(std::uint32_t t, std::uint32_t i) {
  return static_cast<float>(1 + 0.5 * s(t, i));
}
/// Pixel `i` of the input image, in NCHW order.
constexpr float input(std::uint32_t i) {
  return static_cast<float>(s(input_t, i));
}

}  // namespace cpubone::golden
