#include "graph/parameters.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>

#include "graph/error.hpp"
#include "graph/hash.hpp"

namespace cpubone {
namespace {

/// Number of values of each tensor of an operator.
struct Sizes {
  std::int64_t weight = 0;
  std::int64_t bias = 0;
  std::int64_t statistics = 0;  ///< running mean and variance each
  int outputs = 1;              ///< channels that the weights compute
};

Sizes sizes(const Op& op) {
  Sizes s;
  s.outputs = op.kind == OpKind::partial_conv2d ? op.conv_channels : op.output().c;
  if (is_norm(op.kind)) {
    s.weight = op.output().c;
    s.bias = params(op) - s.weight;
    if (op.kind == OpKind::batch_norm) s.statistics = op.output().c;
  } else {
    s.bias = op.bias ? s.outputs : 0;
    s.weight = params(op) - s.bias;
  }
  return s;
}

/// Every bit of the result depends on every bit of `x` (the hash "lowbias32" of C. Wellons).
std::uint32_t mixed(std::uint32_t x) {
  x = (x ^ (x >> 16)) * 0x7FEB352DU;
  x = (x ^ (x >> 15)) * 0x846CA68BU;
  return x ^ (x >> 16);
}

}  // namespace

ParameterSource random_parameters(std::uint64_t seed) {
  return [seed](const Node& node) {
    const std::uint64_t start = fnv1a(node.name) ^ (seed * 0x9E3779B97F4A7C15ULL);
    auto counter = static_cast<std::uint32_t>(start ^ (start >> 32));
    // Uniform; a counter that is hashed, because networks have tens of millions of weights.
    const auto fill = [&](std::int64_t size, float centre, float spread) {
      constexpr std::size_t past_the_end = 4;  // which engines may read: it saves them a copy
      std::vector<float> values;
      values.reserve(static_cast<std::size_t>(size) + past_the_end);
      values.resize(static_cast<std::size_t>(size));
      for (float& value : values)
        value = centre + spread * (static_cast<float>(mixed(counter++) >> 8) * 0x1p-23F - 1.0F);
      return values;
    };
    const Sizes s = sizes(node.op);
    Parameters p;
    if (is_norm(node.op.kind)) {
      p.weight = fill(s.weight, 1.0F, 0.25F);
    } else {
      const auto fan_in = static_cast<float>(s.weight) / static_cast<float>(s.outputs);
      p.weight = fill(s.weight, 0.0F, std::sqrt(3.0F / fan_in));
    }
    p.bias = fill(s.bias, 0.0F, 0.1F);
    p.mean = fill(s.statistics, 0.0F, 0.1F);
    p.variance = fill(s.statistics, 1.0F, 0.5F);
    return p;
  };
}

void check(const Node& node, const Parameters& parameters) {
  const auto expect = [&](std::string_view tensor, const std::vector<float>& got,
                          std::int64_t expected) {
    if (static_cast<std::int64_t>(got.size()) != expected)
      throw Error(fmt::format("node \"{}\", op \"{}\": {} must have {} values, got {}", node.name,
                              text(node.op), tensor, expected, got.size()));
  };
  const Sizes s = sizes(node.op);
  expect("weight", parameters.weight, s.weight);
  expect("bias", parameters.bias, s.bias);
  expect("running mean", parameters.mean, s.statistics);
  expect("running variance", parameters.variance, s.statistics);
}

}  // namespace cpubone
