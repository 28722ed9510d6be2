#pragma once
// Eigen for sources that are compiled once per instruction set level, CPUBONE_ISA. Its namespace is
// renamed with it: otherwise the linker would keep one of several copies of the same inline
// function, and a CPU could meet instructions that it lacks.
#define CPUBONE_JOIN(a, b) a##b
#define CPUBONE_NAME(a, b) CPUBONE_JOIN(a, b)
#define Eigen CPUBONE_NAME(Eigen_, CPUBONE_ISA)
#define EIGEN_STACK_ALLOCATION_LIMIT (1 << 20)
#include <Eigen/Core>
#include <cstddef>

namespace cpubone {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Strided = Eigen::Map<const Matrix, 0, Eigen::OuterStride<>>;
using StridedOut = Eigen::Map<Matrix, 0, Eigen::OuterStride<>>;
using Array = Eigen::Map<const Eigen::ArrayXf>;
using ArrayOut = Eigen::Map<Eigen::ArrayXf>;

using Index = Eigen::Index;

inline Index index(std::size_t value) {
  return static_cast<Index>(value);
}

}  // namespace
}  // namespace cpubone
