#pragma once
#include <cstddef>
#include <cstdint>

namespace cpubone {

/// What a CPU does at most, in f32: arithmetic that waits for nothing, and reading. Compiled once
/// per instruction set level; `peak_kernels` picks one.
struct PeakKernels {
  /// Multiplies and adds in registers, `macs_per_round` each round; the result depends on all.
  float (*multiply_add)(std::int64_t rounds, float factor, float summand);
  std::int64_t macs_per_round;
  /// Reads all so many times and returns the sum of it; `count` is a multiple of `values_per_step`,
  /// `data` aligned to 64 bytes.
  float (*read)(const float* data, std::size_t count, std::size_t passes);
  std::size_t values_per_step;
};

/// Kernels for the CPU that this runs on.
const PeakKernels& peak_kernels();

}  // namespace cpubone
