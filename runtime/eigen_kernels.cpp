#include "runtime/eigen_kernels.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cstring>

#include "graph/schema.hpp"
#include "runtime/peak_kernels.hpp"

namespace cpubone {

extern const EigenKernels eigen_kernels_baseline;
extern const PeakKernels peak_kernels_baseline;
#ifdef CPUBONE_X86_LEVELS
extern const EigenKernels eigen_kernels_x86_64_v3;
extern const PeakKernels peak_kernels_x86_64_v3;
extern const EigenKernels eigen_kernels_x86_64_v4;
extern const PeakKernels peak_kernels_x86_64_v4;

namespace {

template <typename Kernels>
const Kernels& of_this_cpu(const Kernels& baseline, const Kernels& v3, const Kernels& v4) {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return v4;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("bmi2"))
    return v3;
  return baseline;
}

}  // namespace

const EigenKernels& eigen_kernels() {
  return of_this_cpu(eigen_kernels_baseline, eigen_kernels_x86_64_v3, eigen_kernels_x86_64_v4);
}

const PeakKernels& peak_kernels() {
  return of_this_cpu(peak_kernels_baseline, peak_kernels_x86_64_v3, peak_kernels_x86_64_v4);
}
#else
const EigenKernels& eigen_kernels() {
  return eigen_kernels_baseline;
}

const PeakKernels& peak_kernels() {
  return peak_kernels_baseline;
}
#endif

const char* eigen_version() {
#define CPUBONE_STRING(a) #a
#define CPUBONE_TEXT(a) CPUBONE_STRING(a)
  return CPUBONE_TEXT(EIGEN_WORLD_VERSION) "." CPUBONE_TEXT(EIGEN_MAJOR_VERSION) "." CPUBONE_TEXT(
      EIGEN_MINOR_VERSION);
}

std::size_t depthwise_row_pixels(std::size_t out_width, const SlidingWindow& window) {
  const std::size_t outputs = (out_width + depthwise_tile - 1) / depthwise_tile * depthwise_tile;
  return (outputs - 1) * window.stride_w + (window.kernel_w - 1) * window.dilation_w + 1;
}

std::size_t depthwise_rows(const SlidingWindow& window) {
  return (window.kernel_h - 1) * window.dilation_h + 1;
}

template <typename Value>
void upsample_nearest(const Value* in, Value* out, const Extent& size, std::size_t by_h,
                      std::size_t by_w) {
  const std::size_t row = size.w * by_w * size.c;
  for (std::size_t y = 0; y < size.h; ++y) {
    Value* first = out + y * by_h * row;
    for (std::size_t x = 0; x < size.w * by_w; ++x)
      std::memcpy(first + x * size.c, in + (y * size.w + x / by_w) * size.c,
                  size.c * sizeof(Value));
    for (std::size_t repeat = 1; repeat < by_h; ++repeat)
      std::memcpy(first + repeat * row, first, row * sizeof(Value));
  }
}

/// A number of groups that the compiler knows is one whose values it interleaves as vectors.
template <std::size_t groups, typename Value>
void shuffle_groups(const Value* __restrict in, Value* __restrict out, std::size_t pixels,
                    std::size_t width) {
  for (std::size_t p = 0; p < pixels; ++p, in += groups * width, out += groups * width)
    for (std::size_t j = 0; j < width; ++j)
      for (std::size_t i = 0; i < groups; ++i) out[j * groups + i] = in[i * width + j];
}

template <typename Value>
void channel_shuffle(const Value* in, Value* out, std::size_t pixels, std::size_t channels,
                     std::size_t groups) {
  const std::size_t width = channels / groups;
  if (groups == 2) return shuffle_groups<2>(in, out, pixels, width);
  if (groups == 3) return shuffle_groups<3>(in, out, pixels, width);
  if (groups == 4) return shuffle_groups<4>(in, out, pixels, width);
  for (std::size_t p = 0; p < pixels; ++p, in += channels, out += channels)
    for (std::size_t i = 0; i < groups; ++i)
      for (std::size_t j = 0; j < width; ++j) out[j * groups + i] = in[i * width + j];
}

namespace {

/// The lines of the image under a row of windows; null: all padding.
struct Lines {
  std::array<const std::int8_t*, max_window> of;
  std::size_t count;
};

constexpr std::size_t at_once = 16;

/// Windows within the image, as so many registers a line: what is too much is written over by the
/// lines that follow.
template <std::size_t registers>
std::int8_t* gather_inside(const Lines& lines, std::size_t begin, std::size_t step,
                           std::size_t windows, std::size_t line, std::int8_t zero,
                           std::int8_t* out) {
  for (std::size_t i = 0; i < windows; ++i, begin += step)
    for (std::size_t ky = 0; ky < lines.count; ++ky, out += line) {
      if (lines.of[ky] == nullptr)
        std::memset(out, zero, registers * at_once);
      else
        std::memcpy(out, lines.of[ky] + begin, registers * at_once);
    }
  return out;
}

/// A window by itself, value by value, which begins so many values after the padding does.
std::int8_t* gather_one(const Lines& lines, std::size_t begin, std::size_t left,
                        std::size_t in_line, std::size_t line, std::int8_t zero,
                        std::int8_t* out) {
  for (std::size_t ky = 0; ky < lines.count; ++ky, out += line)
    for (std::size_t i = 0; i < line; ++i) {
      const std::size_t at = begin + i - left;  // before the image: larger than all
      out[i] = lines.of[ky] == nullptr || at >= in_line ? zero : lines.of[ky][at];
    }
  return out;
}

}  // namespace

void gather_windows(const std::int8_t* in, const Extent& in_size, std::int8_t* out,
                    const Extent& out_size, const SlidingWindow& window, std::int8_t zero,
                    Range rows) {
  const std::size_t line = window.kernel_w * in_size.c;  // in values, as all that follows
  const std::size_t in_line = in_size.w * in_size.c;
  const std::size_t left = window.left * in_size.c;
  const std::size_t step = window.stride_w * in_size.c;
  const std::size_t registers = (line + at_once - 1) / at_once;
  // Windows from `first` on are within the image; those at the end would write beyond the row.
  const std::size_t first = std::min(out_size.w, (left + step - 1) / step);
  const std::size_t inside = in_line + left < line ? 0 : (in_line + left - line) / step + 1;
  const std::size_t beyond = registers * at_once - line;
  const std::size_t exact = (beyond + out_size.c - 1) / out_size.c;
  const std::size_t end =
      std::max(first, std::min(inside, out_size.w - std::min(out_size.w, exact)));
  const auto gather = registers == 1   ? gather_inside<1>
                      : registers == 2 ? gather_inside<2>
                                       : nullptr;
  Lines lines{{}, window.kernel_h};
  out += rows.begin * out_size.w * out_size.c;
  for (std::size_t y = rows.begin; y < rows.end; ++y) {
    for (std::size_t ky = 0; ky < lines.count; ++ky) {
      const std::size_t at = y * window.stride_h + ky - window.top;  // before the image: as above
      lines.of[ky] = at < in_size.h ? in + at * in_line : nullptr;
    }
    for (std::size_t x = 0; x < out_size.w; ++x) {
      if (x == first && gather != nullptr) {
        out = gather(lines, x * step - left, step, end - first, line, zero, out);
        x = end;
        if (x == out_size.w) break;
      }
      out = gather_one(lines, x * step, left, in_line, line, zero, out);
    }
  }
}

template <typename Value>
void pad(const Value* in, const Extent& in_size, Value* out, const Extent& out_size,
         std::size_t top, std::size_t left, Value zero, Range rows) {
  const std::size_t in_row = in_size.w * in_size.c;
  const std::size_t out_row = out_size.w * out_size.c;
  std::fill_n(out + rows.begin * out_row, rows.count() * out_row, zero);
  for (std::size_t y = std::max(rows.begin, top); y < std::min(rows.end, top + in_size.h); ++y)
    std::memcpy(out + y * out_row + left * in_size.c, in + (y - top) * in_row,
                in_row * sizeof(Value));
}

template <typename Value>
void transpose(const Value* in, const std::array<std::size_t, 4>& size, Value* out,
               const std::array<int, 4>& permutation, Range rows) {
  const std::size_t strides[] = {size[1] * size[2] * size[3], size[2] * size[3], size[3], 1};
  std::array<std::size_t, 4> length{};
  std::array<std::size_t, 4> step{};
  for (std::size_t i = 0; i < length.size(); ++i) {
    const auto from = static_cast<std::size_t>(permutation[i]);
    length[i] = size[from];
    step[i] = strides[from];
  }
  out += rows.begin * length[3];
  for (std::size_t row = rows.begin; row < rows.end; ++row, out += length[3]) {
    const Value* from = in + row / (length[1] * length[2]) * step[0] +
                        row / length[2] % length[1] * step[1] + row % length[2] * step[2];
    if (step[3] == 1) {
      std::memcpy(out, from, length[3] * sizeof(Value));
    } else {
      for (std::size_t d = 0; d < length[3]; ++d) out[d] = from[d * step[3]];
    }
  }
}

#define CPUBONE_OF(Value)                                                                         \
  template void upsample_nearest(const Value*, Value*, const Extent&, std::size_t, std::size_t);  \
  template void channel_shuffle(const Value*, Value*, std::size_t, std::size_t, std::size_t);     \
  template void transpose(const Value*, const std::array<std::size_t, 4>&, Value*,                \
                          const std::array<int, 4>&, Range);                                      \
  template void pad(const Value*, const Extent&, Value*, const Extent&, std::size_t, std::size_t, \
                    Value, Range);
CPUBONE_OF(float)
CPUBONE_OF(std::int8_t)

}  // namespace cpubone
