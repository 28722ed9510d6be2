// Compiled once per instruction set level with CPUBONE_ISA set to its name (see CMakeLists.txt).
#include <cmath>
#include <cstring>

#include "runtime/eigen_isa.hpp"
#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "runtime/eigen_kernels.hpp"

namespace cpubone {
namespace {

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
    case Activation::tanh:
      y = x.tanh();
      break;
    case Activation::elu:
      y = (x > 0.0F).select(x, x.min(0.0F).exp() - 1.0F);
      break;
    case Activation::softplus:
      y = x.max(0.0F) + (1.0F + (-x.abs()).exp()).log();
      break;
    case Activation::mish:
      y = x * (x.max(0.0F) + (1.0F + (-x.abs()).exp()).log()).tanh();
      break;
    case Activation::exp:
      y = x.exp();
      break;
    case Activation::log:
      y = x.log();
      break;
    case Activation::sqrt:
      y = x.sqrt();
      break;
    case Activation::reciprocal:
      y = x.inverse();
      break;
    case Activation::erf:
      for (std::size_t i = 0; i < count; ++i)
        out[i] = erf_rational(std::min(std::max(in[i], -4.0F), 4.0F));
      break;
    case Activation::abs:
      y = x.abs();
      break;
    case Activation::neg:
      y = -x;
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
               std::size_t width, std::size_t channels, double epsilon) {
  const Array g(gamma, index(channels));
  const Array b(beta, index(channels));
  for (std::size_t r = 0; r < rows; ++r) {
    const Array x(in + r * width, index(width));
    const auto size = static_cast<double>(width);
    const auto mean = static_cast<float>(block_sum(x) / size);
    const double variance = block_sum((x - mean).square()) / size;
    const auto scale = static_cast<float>(1.0 / std::sqrt(variance + epsilon));
    for (std::size_t begin = 0; begin < width; begin += channels) {
      ArrayOut y(out + r * width + begin, index(channels));
      y = (Array(in + r * width + begin, index(channels)) - mean) * scale * g + b;
    }
  }
}

void rms_norm(const float* in, const float* gamma, float* out, std::size_t rows, std::size_t width,
              double epsilon) {
  const Array g(gamma, index(width));
  for (std::size_t r = 0; r < rows; ++r) {
    const Array x(in + r * width, index(width));
    const double mean_square = block_sum(x.square()) / static_cast<double>(width);
    const auto scale = static_cast<float>(1.0 / std::sqrt(mean_square + epsilon));
    ArrayOut(out + r * width, index(width)) = x * scale * g;
  }
}

void pool(const float* in, const Extent& in_size, float* out, const Extent& out_size,
          const SlidingWindow& window, bool largest) {
  const std::size_t channels = in_size.c;
  for (std::size_t i = 0; i < out_size.h; ++i)
    for (std::size_t j = 0; j < out_size.w; ++j, out += channels) {
      ArrayOut result(out, index(channels));
      std::size_t inside = 0;
      for (std::size_t ky = 0; ky < window.kernel_h; ++ky)
        for (std::size_t kx = 0; kx < window.kernel_w; ++kx) {
          // Pixels of the padding wrap around to beyond the image.
          const std::size_t y = i * window.stride_h + ky * window.dilation_h - window.top;
          const std::size_t x = j * window.stride_w + kx * window.dilation_w - window.left;
          if (y >= in_size.h || x >= in_size.w) continue;
          const Array pixel(in + (y * in_size.w + x) * channels, index(channels));
          if (++inside == 1)
            result = pixel;
          else if (largest)
            result = result.max(pixel);
          else
            result += pixel;
        }
      if (inside == 0) result.setConstant(largest ? -INFINITY : NAN);
      if (!largest) result *= 1.0F / static_cast<float>(inside);
    }
}

void round_to_half(const float* in, float* out, std::size_t count) {
  ArrayOut(out, index(count)) = Array(in, index(count)).cast<Eigen::half>().cast<float>();
}

// 16 bytes are looked up in 16 at once; a whole table is 16 of those.
#if defined(__AVX512BW__)
using Bytes = __m512i;
constexpr std::size_t byte_lanes = 64;

/// The 16 lookups by a byte's low half are halved by each bit of its high one.
template <int bit>
Bytes choose(const Bytes* tables, Bytes x) {
  if constexpr (bit == 3) {
    return _mm512_shuffle_epi8(tables[0], _mm512_and_si512(x, _mm512_set1_epi8(15)));
  } else {
    return _mm512_mask_blend_epi8(
        _mm512_test_epi8_mask(x, _mm512_set1_epi8(static_cast<char>(1 << bit))),
        choose<bit - 1>(tables, x), choose<bit - 1>(tables + (std::size_t{1} << (bit - 4)), x));
  }
}

Bytes repeated(const std::int8_t* in) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in)));
}
void look_up_vector(const Bytes* tables, const std::int8_t* in, std::int8_t* out) {
  const Bytes x = _mm512_xor_si512(_mm512_loadu_si512(in), _mm512_set1_epi8(-128));
  _mm512_storeu_si512(out, choose<7>(tables, x));
}
#elif defined(__AVX2__)
using Bytes = __m256i;
constexpr std::size_t byte_lanes = 32;

Bytes repeated(const std::int8_t* in) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in)));
}
/// A shuffle gives 0 for bytes whose highest bit is set: all whose high half is another table's,
/// once a saturating sum has set it.
void look_up_vector(const Bytes* tables, const std::int8_t* in, std::int8_t* out) {
  const Bytes x = _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(in)),
                                   _mm256_set1_epi8(-128));
  Bytes found = _mm256_setzero_si256();
  for (int k = 0; k < 16; ++k) {
    const Bytes of_table = _mm256_xor_si256(x, _mm256_set1_epi8(static_cast<char>(k << 4)));
    const Bytes place = _mm256_adds_epu8(of_table, _mm256_set1_epi8(0x70));
    found = _mm256_or_si256(found, _mm256_shuffle_epi8(tables[k], place));
  }
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), found);
}
#elif defined(__aarch64__)
using Bytes = int8x16_t;
constexpr std::size_t byte_lanes = 16;

Bytes repeated(const std::int8_t* in) {
  return vld1q_s8(in);
}
/// A lookup in 64 bytes gives 0 for larger places, of which there are three times as many.
void look_up_vector(const Bytes* tables, const std::int8_t* in, std::int8_t* out) {
  const uint8x16_t x = veorq_u8(vreinterpretq_u8_s8(vld1q_s8(in)), vdupq_n_u8(128));
  Bytes found = vdupq_n_s8(0);
  for (int k = 0; k < 4; ++k) {
    const int8x16x4_t quarter = {
        {tables[4 * k], tables[4 * k + 1], tables[4 * k + 2], tables[4 * k + 3]}};
    const auto first = static_cast<std::uint8_t>(64 * k);
    found = vorrq_s8(found, vqtbl4q_s8(quarter, vsubq_u8(x, vdupq_n_u8(first))));
  }
  vst1q_s8(out, found);
}
#endif

void look_up(const std::int8_t* table, const std::int8_t* in, std::int8_t* out, std::size_t count) {
  std::size_t i = 0;
#if defined(__AVX2__) || defined(__aarch64__)
  Bytes tables[16];
  for (std::size_t k = 0; k < 16; ++k) tables[k] = repeated(table + 16 * k);
  for (; i + byte_lanes <= count; i += byte_lanes) look_up_vector(tables, in + i, out + i);
#endif
  for (; i < count; ++i) out[i] = table[in[i] + 128];
}

void quantise(const float* in, std::int8_t* out, std::size_t count, float scale, int zero_point) {
  const float steps_of_one = 1.0F / scale;
  const auto zero = static_cast<float>(zero_point);
  const float low = -128.0F - zero;
  const float high = 127.0F - zero;
  constexpr float without_fraction = 0x1.8p23F;  // what is added to it is rounded
  // In blocks, since compilers do not narrow floats to bytes in vectors, but integers.
  constexpr std::size_t block = 64;
  std::int32_t steps[block];
  for (std::size_t begin = 0; begin < count; begin += block) {
    const std::size_t size = std::min(block, count - begin);
    for (std::size_t i = 0; i < size; ++i) {
      // In this order what is not a number becomes one.
      const float value = std::min(std::max(low, in[begin + i] * steps_of_one), high);
      const float rounded = (value + without_fraction) - without_fraction;
      steps[i] = static_cast<std::int32_t>(rounded) + zero_point;
    }
    for (std::size_t i = 0; i < size; ++i) out[begin + i] = static_cast<std::int8_t>(steps[i]);
  }
}

void dequantise(const std::int8_t* in, float* out, std::size_t count, float scale, int zero_point) {
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<float>(in[i] - zero_point) * scale;
}

void affine(const float* in, const float* scale, const float* shift, float* out, std::size_t pixels,
            std::size_t channels, float low, float high) {
  const Array a(scale, index(channels));
  const Array b(shift, index(channels));
  for (std::size_t begin = 0; begin < pixels * channels; begin += channels) {
    ArrayOut y(out + begin, index(channels));
    y = (Array(in + begin, index(channels)) * a + b).max(low).min(high);
  }
}

void matmul(const float* a, std::size_t a_step, const float* b, std::size_t b_step, float* out,
            std::size_t count, std::size_t rows, std::size_t inner, std::size_t columns,
            bool transposed) {
  using Dense = Eigen::Map<const Matrix>;
  for (std::size_t i = 0; i < count; ++i) {
    const Dense left(a + i * a_step, index(rows), index(inner));
    Eigen::Map<Matrix> product(out + i * rows * columns, index(rows), index(columns));
    const float* right = b + i * b_step;
    if (transposed)
      product.noalias() = left * Dense(right, index(columns), index(inner)).transpose();
    else
      product.noalias() = left * Dense(right, index(inner), index(columns));
  }
}

void reduce(const float* in, float* out, std::size_t rows, std::size_t width, Reduction reduction) {
  for (std::size_t r = 0; r < rows; ++r) {
    const Array x(in + r * width, index(width));
    switch (reduction) {
      case Reduction::mean:
        out[r] = static_cast<float>(block_sum(x) / static_cast<double>(width));
        break;
      case Reduction::sum:
        out[r] = static_cast<float>(block_sum(x));
        break;
      case Reduction::max:
        out[r] = x.maxCoeff();
        break;
      case Reduction::min:
        out[r] = x.minCoeff();
        break;
    }
  }
}

/// Where an output row or column reads: two of the input and the weight of the second.
struct Sample {
  std::size_t first;
  std::size_t second;
  float share;
};

Sample sample(std::size_t at, std::size_t in, std::size_t out, ResizeMode mode) {
  const auto i = static_cast<double>(at);
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const auto last = static_cast<double>(in - 1);
  double from = (i + 0.5) * scale - 0.5;
  if (mode == ResizeMode::bilinear_corners)
    from = out > 1 ? i * last / static_cast<double>(out - 1) : 0.0;
  if (mode == ResizeMode::nearest) from = std::floor(i * scale);
  from = std::min(std::max(from, 0.0), last);
  const auto first = static_cast<std::size_t>(from);
  return {first, std::min(first + 1, in - 1),
          static_cast<float>(from - static_cast<double>(first))};
}

void resize(const float* in, const Extent& in_size, float* out, const Extent& out_size,
            ResizeMode mode) {
  const std::size_t c = in_size.c;
  for (std::size_t i = 0; i < out_size.h; ++i) {
    const Sample y = sample(i, in_size.h, out_size.h, mode);
    for (std::size_t j = 0; j < out_size.w; ++j, out += c) {
      const Sample x = sample(j, in_size.w, out_size.w, mode);
      const auto pixel = [&](std::size_t row, std::size_t column) {
        return Array(in + (row * in_size.w + column) * c, index(c));
      };
      ArrayOut result(out, index(c));
      result = (pixel(y.first, x.first) * (1 - x.share) + pixel(y.first, x.second) * x.share) *
                   (1 - y.share) +
               (pixel(y.second, x.first) * (1 - x.share) + pixel(y.second, x.second) * x.share) *
                   y.share;
    }
  }
}

/// In pieces of `piece` values, of which the last may lie over the one before: no value is copied
/// by itself. `channels` is at least `piece`.
template <std::size_t piece>
void copy_in_pieces(const float* in, std::size_t in_width, float* out, std::size_t out_width,
                    std::size_t pixels, std::size_t channels) {
  const std::size_t last = channels - piece;
  for (std::size_t p = 0; p < pixels; ++p, in += in_width, out += out_width) {
    for (std::size_t c = 0; c < last; c += piece)
      std::memcpy(out + c, in + c, piece * sizeof(float));
    std::memcpy(out + last, in + last, piece * sizeof(float));
  }
}

void copy_channels(const float* in, std::size_t in_width, float* out, std::size_t out_width,
                   std::size_t pixels, std::size_t channels) {
  const auto copy = channels >= 16  ? copy_in_pieces<16>
                    : channels >= 8 ? copy_in_pieces<8>
                    : channels >= 4 ? copy_in_pieces<4>
                    : channels >= 2 ? copy_in_pieces<2>
                                    : copy_in_pieces<1>;
  if (channels > 0) copy(in, in_width, out, out_width, pixels, channels);
}

}  // namespace

// In attention_isa.cpp and depthwise_isa.cpp.
void CPUBONE_NAME(softmax_, CPUBONE_ISA)(const float* in, float* out, std::size_t rows,
                                         std::size_t width);
void CPUBONE_NAME(attention_, CPUBONE_ISA)(const float* qkv, const AttentionBias& bias, float* out,
                                           float* scores, const AttentionSize& size);
void CPUBONE_NAME(depthwise_, CPUBONE_ISA)(const float* in, const Extent& in_size,
                                           const float* weights, const float* bias, float* rows,
                                           float* out, const Extent& out_size,
                                           const SlidingWindow& window,
                                           const RowRange& out_rows);
void CPUBONE_NAME(depthwise_int8_, CPUBONE_ISA)(const std::int8_t* in, const Extent& in_size,
                                                const float* weights, const float* bias,
                                                float* rows, std::int8_t* out,
                                                const Extent& out_size, const SlidingWindow& window,
                                                const RowRange& out_rows,
                                                const Rescaling& rescaling);

#define CPUBONE_STRING(a) #a
#define CPUBONE_TEXT(a) CPUBONE_STRING(a)
extern const EigenKernels CPUBONE_NAME(eigen_kernels_, CPUBONE_ISA);
const EigenKernels CPUBONE_NAME(eigen_kernels_, CPUBONE_ISA){
    activate,
    normalise,
    rms_norm,
    CPUBONE_NAME(softmax_, CPUBONE_ISA),
    pool,
    CPUBONE_NAME(depthwise_, CPUBONE_ISA),
    CPUBONE_NAME(depthwise_int8_, CPUBONE_ISA),
    round_to_half,
    look_up,
    quantise,
    dequantise,
    affine,
    CPUBONE_NAME(attention_, CPUBONE_ISA),
    matmul,
    reduce,
    resize,
    copy_channels,
    CPUBONE_TEXT(CPUBONE_ISA)};

}  // namespace cpubone
