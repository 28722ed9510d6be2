// Compiled once per instruction set level with CPUBONE_ISA set to its name (see CMakeLists.txt).
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "runtime/eigen_kernels.hpp"

#define CPUBONE_JOIN(a, b) a##b
#define CPUBONE_NAME(a, b) CPUBONE_JOIN(a, b)

namespace cpubone {
namespace {

/// The channels that are calculated at once, as registers.
struct Block {
#if defined(__AVX512F__)
  static constexpr std::size_t lanes = 16;
#elif defined(__AVX__)
  static constexpr std::size_t lanes = 8;
#else
  static constexpr std::size_t lanes = 4;
#endif
  static constexpr std::size_t registers = depthwise_block / lanes;
  using Register
      [[gnu::vector_size(lanes * sizeof(float)), gnu::aligned(sizeof(float)), gnu::may_alias]] =
          float;
  Register of[registers];
};

/// Output pixels of a row whose sums stay in registers, of which there are 32 or 16.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr std::size_t sums_in_registers = 16;
#else
constexpr std::size_t sums_in_registers = 8;
#endif
constexpr std::size_t tile = std::min(depthwise_tile, sums_in_registers / Block::registers);

/// Floats as they are.
struct Floats {
  using Value = float;
  void read(const float* in, std::size_t channels, Block& block) const {
    if (channels == depthwise_block)
      std::memcpy(&block, in, sizeof(Block));
    else
      std::memcpy(&block, in, channels * sizeof(float));
  }
  void write(const Block& block, std::size_t, std::size_t channels, float* out) const {
    std::memcpy(out, &block, channels * sizeof(float));
  }
};

/// Bytes as whole numbers of steps.
struct Int8 {
  using Value = std::int8_t;
  const Rescaling& rescaling;

  void read(const std::int8_t* in, std::size_t channels, Block& block) const {
    float steps[depthwise_block] = {};
    if (channels == depthwise_block)
      for (std::size_t c = 0; c < depthwise_block; ++c) steps[c] = step(in[c]);
    else
      for (std::size_t c = 0; c < channels; ++c) steps[c] = step(in[c]);
    std::memcpy(&block, steps, sizeof(Block));
  }
  void write(const Block& block, std::size_t begin, std::size_t channels, std::int8_t* out) const {
    constexpr float without_fraction = 0x1.8p23F;  // what is added to it is rounded
    float sums[depthwise_block];
    std::memcpy(sums, &block, sizeof(Block));
    const auto zero = static_cast<float>(rescaling.out_zero_point);
    const float* const factors = rescaling.factors + begin;
    std::int32_t bytes[depthwise_block];
    const float low = rescaling.low;
    const float high = rescaling.high;
    // GCC 12 would calculate them one after the other.
#pragma omp simd
    for (std::size_t c = 0; c < depthwise_block; ++c) {
      const float value = std::min(std::max(low, sums[c] * factors[c]), high);
      bytes[c] = static_cast<std::int32_t>((value + without_fraction) - without_fraction + zero);
    }
    for (std::size_t c = 0; c < channels; ++c) out[c] = static_cast<std::int8_t>(bytes[c]);
  }

 private:
  float step(std::int8_t byte) const {
    return static_cast<float>(byte - rescaling.in_zero_point);
  }
};

/// The channels of a row of the image, between the padding.
template <typename Values>
void copy_row(const Values& values, const typename Values::Value* in, std::size_t pitch,
              std::size_t pixels, std::size_t channels, std::size_t left, Block* row,
              std::size_t row_pixels) {
  std::memset(row, 0, row_pixels * sizeof(Block));
  const std::size_t count = std::min(pixels, row_pixels - std::min(left, row_pixels));
  for (std::size_t x = 0; x < count; ++x, in += pitch) values.read(in, channels, row[left + x]);
}

/// The rows that a row of the output reads, among those that were copied.
struct Rows {
  const Block* copied;
  std::size_t row_pixels;
  std::size_t count;   ///< each takes the place of the one that many before it
  std::size_t first;   ///< of the image; those of the padding wrap around to beyond it
  std::size_t height;  ///< of the image
};

/// Pixels of the output from `x` on, a sum each; `step` pixels lie between their windows, 0: the
/// stride. One function, unrolled by hand: otherwise GCC 12 keeps the sums in memory.
template <std::size_t step, std::size_t... I>
void calculate(const Rows& rows, std::size_t x, const Block* weights, const Block& bias,
               const SlidingWindow& w, Block* out, std::index_sequence<I...>) {
  constexpr std::size_t n = Block::registers;
  const std::size_t apart = step == 0 ? w.stride_w : step;
  Block::Register sums[sizeof...(I)] = {bias.of[I % n]...};
  for (std::size_t ky = 0; ky < w.kernel_h; ++ky, weights += w.kernel_w) {
    const std::size_t y = rows.first + ky * w.dilation_h;
    if (y >= rows.height) continue;
    const Block* pixel = rows.copied + y % rows.count * rows.row_pixels + x * w.stride_w;
    for (std::size_t kx = 0; kx < w.kernel_w; ++kx, pixel += w.dilation_w)
      ((sums[I] += pixel[I / n * apart].of[I % n] * weights[kx].of[I % n]), ...);
  }
  ((out[I / n].of[I % n] = sums[I]), ...);
}

template <typename Values>
void depthwise(const Values& values, const typename Values::Value* in, const Extent& in_size,
               const float* weights, const float* bias, float* room, typename Values::Value* out,
               const Extent& out_size, const SlidingWindow& w, Range rows) {
  constexpr std::make_index_sequence<tile * Block::registers> all_sums;
  auto* copied = reinterpret_cast<Block*>(room);
  Rows of{copied, depthwise_row_pixels(out_size.w, w), depthwise_rows(w), 0, in_size.h};
  for (std::size_t begin = 0; begin < in_size.c; begin += depthwise_block) {
    const std::size_t channels = std::min(depthwise_block, in_size.c - begin);
    const auto* of_block =
        reinterpret_cast<const Block*>(weights + begin * w.kernel_h * w.kernel_w);
    const auto& bias_of_block = *reinterpret_cast<const Block*>(bias + begin);
    // Rows of the image that were copied, or that no window reaches.
    std::size_t done = std::max(rows.begin * w.stride_h, w.top) - w.top;
    for (std::size_t i = rows.begin; i < rows.end; ++i) {
      of.first = i * w.stride_h - w.top;
      const std::size_t end = std::max(i * w.stride_h + of.count, w.top) - w.top;
      for (; done < std::min(end, in_size.h); ++done)
        copy_row(values, in + done * in_size.w * in_size.c + begin, in_size.c, in_size.w, channels,
                 w.left, copied + done % of.count * of.row_pixels, of.row_pixels);
      for (std::size_t x = 0; x < out_size.w; x += tile) {
        Block results[tile];
        if (w.stride_w == 1)
          calculate<1>(of, x, of_block, bias_of_block, w, results, all_sums);
        else
          calculate<0>(of, x, of_block, bias_of_block, w, results, all_sums);
        typename Values::Value* to = out + (i * out_size.w + x) * in_size.c + begin;
        for (std::size_t o = 0; o < std::min(tile, out_size.w - x); ++o, to += in_size.c)
          values.write(results[o], begin, channels, to);
      }
    }
  }
}

}  // namespace

void CPUBONE_NAME(depthwise_, CPUBONE_ISA)(const float* in, const Extent& in_size,
                                           const float* weights, const float* bias, float* copied,
                                           float* out, const Extent& out_size,
                                           const SlidingWindow& w, Range rows) {
  depthwise(Floats{}, in, in_size, weights, bias, copied, out, out_size, w, rows);
}

void CPUBONE_NAME(depthwise_int8_, CPUBONE_ISA)(const std::int8_t* in, const Extent& in_size,
                                                const float* weights, const float* bias,
                                                float* copied, std::int8_t* out,
                                                const Extent& out_size, const SlidingWindow& w,
                                                Range rows, const Rescaling& rescaling) {
  depthwise(Int8{rescaling}, in, in_size, weights, bias, copied, out, out_size, w, rows);
}

}  // namespace cpubone
