#pragma once
#include <cmath>
#include <random>
#include <span>

#include "runtime/co_execution.hpp"
#include "tests/runtime/one_operator.hpp"
#include "tests/runtime/reference.hpp"

namespace cpubone::test {

inline void fill(std::span<float> values, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-2.0F, 2.0F);
  for (float& value : values) value = uniform(random);
}

template <typename Expected>
double relative_error(std::span<const float> got, const Expected& expected) {
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    difference += std::pow(double{got[i]} - double{expected[i]}, 2);
    norm += std::pow(double{expected[i]}, 2);
  }
  return std::sqrt(difference / std::max(norm, 1e-30));
}

/// Relative L2 difference between an operator under co-execution, in its second run, and the slow
/// reference.
inline double error_of(const Op& op, const CoExecution& co_execution) {
  const Network net = network_of(op);
  Executor executor = co_executor(net, co_execution, random_parameters(), nullptr);
  std::vector<Values> inputs;
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    fill(executor.input(i), 7 + static_cast<unsigned>(i));
    if (op.activation == Activation::log || op.activation == Activation::sqrt)
      for (float& value : executor.input(i)) value = std::abs(value) + 0.01F;
    inputs.emplace_back(executor.input(i).begin(), executor.input(i).end());
  }
  executor.run();
  executor.run();
  const Parameters p = params(op) > 0 ? random_parameters()(net.nodes[0]) : Parameters{};
  return relative_error(executor.output(), reference(op, inputs, p));
}

/// Convolutions and linear layers of every kind, some with channels that no vector divides.
inline std::vector<Op> layers() {
  std::vector<Op> ops;
  for (const char* line : {
           "conv2d 1x9x8x6->1x9x8x16 k3x3 s1 p1,1,1,1 g1 act=relu f32",
           "conv2d 1x9x9x8->1x5x5x12 k3x3 s2 p1,1,1,1 g2 act=relu6 f32",
           "conv2d 1x8x8x16->1x8x8x32 k2x2 s1 p1,0,1,0 g8 nobias f32",
           "conv2d 1x8x8x24->1x4x4x24 k2x2 s2 p0,0,0,0 g24 f32",
           "conv2d 1x8x8x26->1x8x8x26 k5x5 s1 p2,2,2,2 g26 nobias f32",
           "conv2d 1x7x7x20->1x7x7x40 k1x1 s1 p0,0,0,0 g4 f32",
           "conv2d 1x8x8x3->1x2x2x10 k4x4 s4 p0,0,0,0 g1 f32",
           "conv2d 1x8x8x4->1x8x8x8 k3x3 s1 p1,1,1,1 g4 f32",
           "conv2d 1x7x5x19->1x7x5x23 k1x1 s1 p0,0,0,0 g1 act=relu f32",
           "conv2d 1x7x7x8->1x4x4x6 k1x1 s2 p0,0,0,0 g1 f32",
           "conv2d 1x9x9x6->1x9x9x8 k3x3 s1 p2,2,2,2 d2 g1 f32",
           "conv2d 1x12x9x6->1x6x9x6 k3x3 s2x1 p1,1,2,2 d1x2 g6 act=relu f32",
           "linear 1x1x1x40->1x1x1x30 f32",
           "linear 1x3x5x9->1x3x5x14 nobias f32",
       })
    ops.push_back(parse_op(line));
  return ops;
}

inline Op in_f16(const Op& op) {
  std::string line = text(op);
  line.replace(line.rfind("f32"), 3, "f16");
  return parse_op(line);
}

/// Every place at which an operator's channels may be cut, both ends among them; or some of them.
inline std::vector<int> splits(const Op& op, int most = 1 << 16) {
  std::vector<int> all;
  const int step = channel_step(op) * std::max(1, op.output().c / channel_step(op) / most);
  for (int channels = 0; channels < op.output().c; channels += step) all.push_back(channels);
  return all;
}

}  // namespace cpubone::test
