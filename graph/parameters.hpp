#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "graph/network.hpp"

namespace cpubone {

/// Weights as PyTorch lays them out: convolutions out x in/groups x kh x kw, transposed ones in x
/// out/groups x kh x kw, linear out x in; `bias` is empty where the operator has none. For
/// normalisations `weight` is gamma and `bias` beta, which rms_norm has none of.
struct Parameters {
  std::vector<float> weight;
  std::vector<float> bias;
  std::vector<float> mean;      ///< batch_norm: running mean
  std::vector<float> variance;  ///< batch_norm: running variance
  bool operator==(const Parameters&) const = default;
};

/// The parameters of a node; asked once for each node that has some.
using ParameterSource = std::function<Parameters(const Node&)>;

/// Small reproducible weights: uniform in +-sqrt(3 / fan-in), so that activations keep their size.
ParameterSource random_parameters(std::uint64_t seed = 1);

/// Throws cpubone::Error naming the node where a tensor does not have the size that the operator
/// needs.
void check(const Node& node, const Parameters& parameters);

}  // namespace cpubone
