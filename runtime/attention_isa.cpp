// Compiled once per instruction set level with CPUBONE_ISA set to its name (see CMakeLists.txt).
#include <cmath>

#include "runtime/eigen_isa.hpp"
#include "runtime/eigen_kernels.hpp"

namespace cpubone {
namespace {

/// exp((x - largest) * scale) over their sum; in place allowed.
template <typename In, typename Out>
void softmax_row(const In& x, Out&& y, float scale) {
  const float largest = x.maxCoeff();
  y = ((x - largest) * scale).exp();
  y *= 1.0F / y.sum();
}

}  // namespace

void CPUBONE_NAME(softmax_, CPUBONE_ISA)(const float* in, float* out, std::size_t rows,
                                         std::size_t width) {
  for (std::size_t r = 0; r < rows; ++r)
    softmax_row(Array(in + r * width, index(width)), ArrayOut(out + r * width, index(width)), 1.0F);
}

void CPUBONE_NAME(attention_, CPUBONE_ISA)(const float* qkv, const AttentionBias& bias, float* out,
                                           float* scores, const AttentionSize& size, Range heads) {
  const Index t = index(size.tokens);
  const Index d = index(size.head_dim);
  const std::size_t channels = size.heads * size.head_dim;
  const Eigen::OuterStride<> in_stride(index(3 * channels));
  const Eigen::OuterStride<> out_stride(index(channels));
  const float scale = 1.0F / std::sqrt(static_cast<float>(size.head_dim));
  Eigen::Map<Matrix> s(scores, t, t);
  for (std::size_t i = heads.begin; i < heads.end; ++i) {
    const std::size_t window = i / size.heads;
    const std::size_t head = i % size.heads;
    const float* q = qkv + 3 * (window * size.tokens * channels + head * size.head_dim);
    s.noalias() = Strided(q, t, d, in_stride) * Strided(q + d, t, d, in_stride).transpose();
    float factor = scale;
    if (bias.values != nullptr) {
      const float* b = bias.values + window * bias.window_step + head * bias.head_step;
      s = s * scale + Eigen::Map<const Matrix>(b, t, t);
      factor = 1;
    }
    for (Index row = 0; row < t; ++row) softmax_row(s.row(row).array(), s.row(row).array(), factor);
    float* const to = out + window * size.tokens * channels + head * size.head_dim;
    StridedOut(to, t, d, out_stride).noalias() = s * Strided(q + 2 * d, t, d, in_stride);
  }
}

}  // namespace cpubone
