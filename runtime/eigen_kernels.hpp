#pragma once
#include <cstddef>

#include "graph/op.hpp"

namespace cpubone {

/// What the installed XNNPACK lacks, on Eigen, in f32 and NHWC. Inputs and outputs may be the same
/// tensor only where said. Compiled once per instruction set level; `eigen_kernels` picks one.
struct EigenKernels {
  /// Elementwise, in place allowed: silu, hardsigmoid, gelu, gelu_tanh, and those XNNPACK has.
  void (*activate)(Activation activation, const float* in, float* out, std::size_t count);
  /// Normalises each of `rows` rows of `width` to mean 0 and variance 1 (eps 1e-5), then scales and
  /// shifts with gamma and beta that repeat every `channels`. In place allowed.
  void (*normalise)(const float* in, const float* gamma, const float* beta, float* out,
                    std::size_t rows, std::size_t width, std::size_t channels);
  /// in * scale + shift, a scale and a shift a channel. In place allowed.
  void (*affine)(const float* in, const float* scale, const float* shift, float* out,
                 std::size_t pixels, std::size_t channels);
  /// softmax(Q K^T / sqrt(d)) V; `qkv` is tokens x (heads x 3 x d), `out` tokens x (heads x d),
  /// `scores` room for tokens x tokens.
  void (*attention)(const float* qkv, float* out, float* scores, std::size_t tokens,
                    std::size_t heads, std::size_t head_dim);
  /// Copies `channels` of each pixel between tensors of other widths.
  void (*copy_channels)(const float* in, std::size_t in_width, float* out, std::size_t out_width,
                        std::size_t pixels, std::size_t channels);
  const char* isa;  ///< instruction set level, e.g. `x86-64-v4`
};

/// Kernels for the CPU that this runs on.
const EigenKernels& eigen_kernels();

/// Repeats each pixel `factor` times in both directions; `out` is (h factor) x (w factor) x c.
void upsample_nearest(const float* in, float* out, std::size_t h, std::size_t w, std::size_t c,
                      std::size_t factor);
/// out[p][j][i] = in[p][i][j] for i < groups, j < channels / groups.
void channel_shuffle(const float* in, float* out, std::size_t pixels, std::size_t channels,
                     std::size_t groups);

}  // namespace cpubone
