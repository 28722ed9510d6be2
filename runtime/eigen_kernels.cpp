#include "runtime/eigen_kernels.hpp"

#include <cstring>

namespace cpubone {

extern const EigenKernels eigen_kernels_baseline;
#ifdef CPUBONE_X86_LEVELS
extern const EigenKernels eigen_kernels_x86_64_v3;
extern const EigenKernels eigen_kernels_x86_64_v4;
#endif

const EigenKernels& eigen_kernels() {
#ifdef CPUBONE_X86_LEVELS
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return eigen_kernels_x86_64_v4;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("bmi2"))
    return eigen_kernels_x86_64_v3;
#endif
  return eigen_kernels_baseline;
}

void upsample_nearest(const float* in, float* out, std::size_t h, std::size_t w, std::size_t c,
                      std::size_t factor) {
  const std::size_t row = w * factor * c;
  for (std::size_t y = 0; y < h; ++y) {
    float* first = out + y * factor * row;
    for (std::size_t x = 0; x < w * factor; ++x)
      std::memcpy(first + x * c, in + (y * w + x / factor) * c, c * sizeof(float));
    for (std::size_t repeat = 1; repeat < factor; ++repeat)
      std::memcpy(first + repeat * row, first, row * sizeof(float));
  }
}

void channel_shuffle(const float* in, float* out, std::size_t pixels, std::size_t channels,
                     std::size_t groups) {
  const std::size_t width = channels / groups;
  for (std::size_t p = 0; p < pixels; ++p, in += channels, out += channels)
    for (std::size_t i = 0; i < groups; ++i)
      for (std::size_t j = 0; j < width; ++j) out[j * groups + i] = in[i * width + j];
}

}  // namespace cpubone
