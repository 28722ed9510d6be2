// Compiled once per instruction set level with CPUBONE_ISA set to its name (see CMakeLists.txt).
// Eigen's namespace is renamed with it: otherwise the linker would keep one of several copies of
// the same inline function, and a CPU could meet instructions that it lacks.
#define CPUBONE_JOIN(a, b) a##b
#define CPUBONE_NAME(a, b) CPUBONE_JOIN(a, b)
#define Eigen CPUBONE_NAME(Eigen_, CPUBONE_ISA)
#define EIGEN_STACK_ALLOCATION_LIMIT (1 << 20)
#include <Eigen/Core>
#include <cmath>

#include "runtime/eigen_kernels.hpp"

namespace cpubone {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Strided = Eigen::Map<const Matrix, 0, Eigen::OuterStride<>>;
using StridedOut = Eigen::Map<Matrix, 0, Eigen::OuterStride<>>;
using Array = Eigen::Map<const Eigen::ArrayXf>;
using ArrayOut = Eigen::Map<Eigen::ArrayXf>;

using Index = Eigen::Index;

Index index(std::size_t value) {
  return static_cast<Index>(value);
}

/// erf on [-4, 4] as t P(t^2) / Q(t^2); largest error of the rational function 2.2e-8.
inline float erf_rational(float t) {
  const float u = t * t;
  float p = 1.974723318198812e-06F;
  p = p * u + 0.00028802911401726305F;
  p = p * u + 0.004003533162176609F;
  p = p * u + 0.053467147052288055F;
  p = p * u + 0.19624777138233185F;
  p = p * u + 1.128378987312317F;
  float q = 3.747907976503484e-05F;
  q = q * u + 0.0012163132196292281F;
  q = q * u + 0.015444221906363964F;
  q = q * u + 0.11647576838731766F;
  q = q * u + 0.5072512030601501F;
  q = q * u + 1.0F;
  return t * p / q;
}

void gelu(const float* in, float* out, std::size_t count) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) {
    const float x = in[i];
    float t = x * 0.70710678F;
    t = t < -4.0F ? -4.0F : t;
    t = t > 4.0F ? 4.0F : t;
    out[i] = 0.5F * x * (1.0F + erf_rational(t));
  }
}

void activate(Activation activation, const float* in, float* out, std::size_t count) {
  const Array x(in, index(count));
  ArrayOut y(out, index(count));
  switch (activation) {
    case Activation::none:
      if (in != out) y = x;
      break;
    case Activation::relu:
      y = x.max(0.0F);
      break;
    case Activation::relu6:
      y = x.max(0.0F).min(6.0F);
      break;
    case Activation::hardswish:
      y = x * (x + 3.0F).max(0.0F).min(6.0F) * (1.0F / 6.0F);
      break;
    case Activation::hardsigmoid:
      y = (x + 3.0F).max(0.0F).min(6.0F) * (1.0F / 6.0F);
      break;
    case Activation::sigmoid:
      y = ((-x).exp() + 1.0F).inverse();
      break;
    case Activation::silu:
      y = x / ((-x).exp() + 1.0F);
      break;
    case Activation::gelu:
      gelu(in, out, count);
      break;
    case Activation::gelu_tanh:
      y = 0.5F * x * (1.0F + (0.79788456F * (x + 0.044715F * x.cube())).tanh());
      break;
  }
}

/// Sum in blocks: the error of one long float sum grows with its length.
template <typename Expression>
double block_sum(const Expression& x) {
  constexpr Index block = 4096;
  double total = 0;
  for (Index begin = 0; begin < x.size(); begin += block)
    total += x.segment(begin, std::min(block, x.size() - begin)).sum();
  return total;
}

void normalise(const float* in, const float* gamma, const float* beta, float* out, std::size_t rows,
               std::size_t width, std::size_t channels) {
  const Array g(gamma, index(channels));
  const Array b(beta, index(channels));
  for (std::size_t r = 0; r < rows; ++r) {
    const Array x(in + r * width, index(width));
    const auto size = static_cast<double>(width);
    const auto mean = static_cast<float>(block_sum(x) / size);
    const double variance = block_sum((x - mean).square()) / size;
    const auto scale = static_cast<float>(1.0 / std::sqrt(variance + 1e-5));
    for (std::size_t begin = 0; begin < width; begin += channels) {
      ArrayOut y(out + r * width + begin, index(channels));
      y = (Array(in + r * width + begin, index(channels)) - mean) * scale * g + b;
    }
  }
}

void affine(const float* in, const float* scale, const float* shift, float* out, std::size_t pixels,
            std::size_t channels) {
  const Array a(scale, index(channels));
  const Array b(shift, index(channels));
  for (std::size_t begin = 0; begin < pixels * channels; begin += channels) {
    ArrayOut y(out + begin, index(channels));
    y = Array(in + begin, index(channels)) * a + b;
  }
}

void attention(const float* qkv, float* out, float* scores, std::size_t tokens, std::size_t heads,
               std::size_t head_dim) {
  const Index t = index(tokens);
  const Index d = index(head_dim);
  const Eigen::OuterStride<> in_stride(index(3 * heads * head_dim));
  const Eigen::OuterStride<> out_stride(index(heads * head_dim));
  const float scale = 1.0F / std::sqrt(static_cast<float>(head_dim));
  Eigen::Map<Matrix> s(scores, t, t);
  for (std::size_t head = 0; head < heads; ++head) {
    const float* q = qkv + 3 * head * head_dim;
    s.noalias() = Strided(q, t, d, in_stride) * Strided(q + d, t, d, in_stride).transpose();
    for (Index row = 0; row < t; ++row) {
      auto line = s.row(row).array();
      const float largest = line.maxCoeff();
      line = ((line - largest) * scale).exp();
      line *= 1.0F / line.sum();
    }
    StridedOut(out + head * head_dim, t, d, out_stride).noalias() =
        s * Strided(q + 2 * d, t, d, in_stride);
  }
}

void copy_channels(const float* in, std::size_t in_width, float* out, std::size_t out_width,
                   std::size_t pixels, std::size_t channels) {
  for (std::size_t p = 0; p < pixels; ++p)
    ArrayOut(out + p * out_width, index(channels)) = Array(in + p * in_width, index(channels));
}

}  // namespace

#define CPUBONE_STRING(a) #a
#define CPUBONE_TEXT(a) CPUBONE_STRING(a)
extern const EigenKernels CPUBONE_NAME(eigen_kernels_, CPUBONE_ISA);
const EigenKernels CPUBONE_NAME(eigen_kernels_, CPUBONE_ISA){
    activate, normalise, affine, attention, copy_channels, CPUBONE_TEXT(CPUBONE_ISA)};

}  // namespace cpubone
