#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "graph/op.hpp"

namespace cpubone {

/// Of a tensor in NHWC order.
struct Extent {
  std::size_t h;
  std::size_t w;
  std::size_t c;
  std::size_t pixels() const { return h * w; }
};

/// Of a pooling or a depthwise convolution; `top` and `left` pixels of padding.
struct SlidingWindow {
  std::size_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, top, left;
};

struct AttentionSize {
  std::size_t windows, tokens, heads, head_dim;  ///< `tokens` of each window, channels of each head
};

/// What is added to the scores: tokens x tokens numbers, others for each head and window, or, where
/// a step is 0, the same.
struct AttentionBias {
  const float* values;  ///< null: nothing is added
  std::size_t head_step, window_step;
};

/// Of what a kernel calculates: `begin` to `end`, the end not included.
struct Range {
  std::size_t begin, end;
  std::size_t count() const { return end - begin; }
};

/// Channels that a depthwise convolution calculates at once.
inline constexpr std::size_t depthwise_block = 16;
/// Pixels of a row, at most: fewer where registers are.
inline constexpr std::size_t depthwise_tile = 8;
/// Pixels of a row of the image that it copies, padding and what its last tile reads beyond the
/// image included.
std::size_t depthwise_row_pixels(std::size_t out_width, const SlidingWindow& window);
/// Rows of these that it holds: those that a window reaches over.
std::size_t depthwise_rows(const SlidingWindow& window);

/// How products of int8 become int8: `zero_point` of the input and the output, and a factor a
/// channel, input's scale x weights' / output's.
struct Rescaling {
  int in_zero_point;
  int out_zero_point;
  float low;  ///< of the results, in steps from the zero point
  float high;
  const float* factors;
};

/// What the installed XNNPACK lacks, on Eigen, in f32 and NHWC. Inputs and outputs may be the same
/// tensor only where said. Compiled once per instruction set level; `eigen_kernels` picks one.
struct EigenKernels {
  /// Elementwise, in place allowed: silu, hardsigmoid, gelu, gelu_tanh, and those XNNPACK has.
  void (*activate)(Activation activation, const float* in, float* out, std::size_t count);
  /// Normalises each of `rows` rows of `width` to mean 0 and variance 1, then scales and
  /// shifts with gamma and beta that repeat every `channels`. In place allowed.
  void (*normalise)(const float* in, const float* gamma, const float* beta, float* out,
                    std::size_t rows, std::size_t width, std::size_t channels, double epsilon);
  /// Divides each of `rows` rows by its root mean square, then scales with gamma. In place allowed.
  void (*rms_norm)(const float* in, const float* gamma, float* out, std::size_t rows,
                   std::size_t width, double epsilon);
  /// Softmax of each of `rows` rows of `width`. In place allowed.
  void (*softmax)(const float* in, float* out, std::size_t rows, std::size_t width);
  /// The largest of each window, or the mean of what of it is not padding: `rows` of the output.
  void (*pool)(const float* in, const Extent& in_size, float* out, const Extent& out_size,
               const SlidingWindow& window, bool largest, Range rows);
  /// Each channel of a window times its own weights, and a bias. Of `weights` and `bias` each
  /// `depthwise_block` channels are together, the last ones filled up with zeros: tap by tap, and
  /// in each tap channel by channel. `copied` is room for `depthwise_rows` x `depthwise_row_pixels`
  /// x `depthwise_block` floats; `rows` of the output are calculated.
  void (*depthwise)(const float* in, const Extent& in_size, const float* weights, const float* bias,
                    float* copied, float* out, const Extent& out_size, const SlidingWindow& window,
                    Range rows);
  /// The same of int8, with weights and bias in steps, which floats hold exactly; `factors` are as
  /// `bias`.
  void (*depthwise_int8)(const std::int8_t* in, const Extent& in_size, const float* weights,
                         const float* bias, float* copied, std::int8_t* out, const Extent& out_size,
                         const SlidingWindow& window, Range rows, const Rescaling& rescaling);
  /// To the nearest number of 16 bits.
  void (*round_to_half)(const float* in, float* out, std::size_t count);
  /// To numbers of 16 bits, the nearest ones, and back.
  void (*to_half)(const float* in, void* out, std::size_t count);
  void (*from_half)(const void* in, float* out, std::size_t count);
  /// The entry of `table` for each byte, negative ones first: at int8 value + 128. In place
  /// allowed.
  void (*look_up)(const std::int8_t* table, const std::int8_t* in, std::int8_t* out,
                  std::size_t count);
  /// in / scale + zero_point, rounded and within -128..127.
  void (*quantise)(const float* in, std::int8_t* out, std::size_t count, float scale,
                   int zero_point);
  void (*dequantise)(const std::int8_t* in, float* out, std::size_t count, float scale,
                     int zero_point);
  /// in * scale + shift, a scale and a shift a channel, limited to low..high. In place allowed.
  void (*affine)(const float* in, const float* scale, const float* shift, float* out,
                 std::size_t pixels, std::size_t channels, float low, float high);
  /// softmax(Q K^T / sqrt(d) + B) V of each window; `qkv` is windows x tokens x (heads x 3 x d),
  /// `out` windows x tokens x (heads x d), `scores` room for tokens x tokens; `heads` are those of
  /// all windows, one window after the other.
  void (*attention)(const float* qkv, const AttentionBias& bias, float* out, float* scores,
                    const AttentionSize& size, Range heads);
  /// Products of `count` pairs of matrices, rows x inner times inner x columns (`transposed`:
  /// columns x inner); a step of 0 takes the same matrix each time.
  void (*matmul)(const float* a, std::size_t a_step, const float* b, std::size_t b_step, float* out,
                 std::size_t count, std::size_t rows, std::size_t inner, std::size_t columns,
                 bool transposed);
  /// Of each of `rows` rows of `width`.
  void (*reduce)(const float* in, float* out, std::size_t rows, std::size_t width,
                 Reduction reduction);
  /// To another height and width: `rows` of the output.
  void (*resize)(const float* in, const Extent& in_size, float* out, const Extent& out_size,
                 ResizeMode mode, Range rows);
  /// Copies `channels` of each pixel between tensors of other widths.
  void (*copy_channels)(const float* in, std::size_t in_width, float* out, std::size_t out_width,
                        std::size_t pixels, std::size_t channels);
  const char* isa;  ///< instruction set level, e.g. `x86-64-v4`
};

/// Kernels for the CPU that this runs on.
const EigenKernels& eigen_kernels();

/// Version of the Eigen that the kernels are made of, e.g. `3.4.0`.
const char* eigen_version();

// What moves values, of float or int8.

/// Repeats each pixel `by_h` times downwards and `by_w` times to the right.
template <typename Value>
void upsample_nearest(const Value* in, Value* out, const Extent& size, std::size_t by_h,
                      std::size_t by_w);
/// out[p][j][i] = in[p][i][j] for i < groups, j < channels / groups.
template <typename Value>
void channel_shuffle(const Value* in, Value* out, std::size_t pixels, std::size_t channels,
                     std::size_t groups);
/// Output dimension i is input dimension permutation[i], of n, h, w and c: `rows` of the output,
/// which are its first three dimensions as one.
template <typename Value>
void transpose(const Value* in, const std::array<std::size_t, 4>& size, Value* out,
               const std::array<int, 4>& permutation, Range rows);
/// The pixels of the image under each window, one after the other, `zero` beyond the image: `rows`
/// of the output, whose channels they are. Without dilation. Reads up to 15 values past the image.
void gather_windows(const std::int8_t* in, const Extent& in_size, std::int8_t* out,
                    const Extent& out_size, const SlidingWindow& window, std::int8_t zero,
                    Range rows);
/// `top` rows and `left` columns of `zero` before, as many more after as the output has room for:
/// `rows` of the output.
template <typename Value>
void pad(const Value* in, const Extent& in_size, Value* out, const Extent& out_size,
         std::size_t top, std::size_t left, Value zero, Range rows);

}  // namespace cpubone
