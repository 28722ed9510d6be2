// Compiled once per instruction set level with CPUBONE_ISA set to its name (see CMakeLists.txt).
#include <cstring>
#include <utility>

#include "runtime/peak_kernels.hpp"

#define CPUBONE_JOIN(a, b) a##b
#define CPUBONE_NAME(a, b) CPUBONE_JOIN(a, b)

namespace cpubone {
namespace {

#if defined(__AVX512F__)
constexpr std::size_t vector_bytes = 64;
#elif defined(__AVX__)
constexpr std::size_t vector_bytes = 32;
#else
constexpr std::size_t vector_bytes = 16;
#endif
constexpr std::size_t lanes = vector_bytes / sizeof(float);
using Vector [[gnu::vector_size(vector_bytes)]] = float;

// As many sums as two units of four cycles' latency need, and no more than 16 registers hold.
constexpr std::size_t sums = 12;
using Sums = std::make_index_sequence<sums>;

float total(const Vector (&values)[sums]) {
  float all = 0;
  for (const Vector& value : values)
    for (std::size_t lane = 0; lane < lanes; ++lane) all += value[lane];
  return all;
}

template <std::size_t... I>
float multiply_add(std::int64_t rounds, float factor, float summand, std::index_sequence<I...>) {
  const Vector a = Vector{} + factor;
  const Vector b = Vector{} + summand;
  Vector sum[sums] = {(Vector{} + static_cast<float>(I))...};
  for (std::int64_t round = 0; round < rounds; ++round) ((sum[I] = sum[I] * a + b), ...);
  return total(sum);
}

template <std::size_t... I>
float read(const float* data, std::size_t count, std::size_t passes, std::index_sequence<I...>) {
  Vector sum[sums] = {};
  const auto load = [](const float* from) {
    Vector value;
    std::memcpy(&value, from, sizeof value);
    return value;
  };
  for (std::size_t pass = 0; pass < passes; ++pass)
    for (std::size_t i = 0; i < count; i += sums * lanes)
      ((sum[I] += load(data + i + I * lanes)), ...);
  return total(sum);
}

}  // namespace

extern const PeakKernels CPUBONE_NAME(peak_kernels_, CPUBONE_ISA);
const PeakKernels CPUBONE_NAME(peak_kernels_, CPUBONE_ISA){
    [](std::int64_t rounds, float factor, float summand) {
      return multiply_add(rounds, factor, summand, Sums());
    },
    static_cast<std::int64_t>(sums* lanes),
    [](const float* data, std::size_t count, std::size_t passes) {
      return read(data, count, passes, Sums());
    },
    sums* lanes};

}  // namespace cpubone
