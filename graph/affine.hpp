#pragma once
#include <vector>

#include "graph/op.hpp"
#include "graph/parameters.hpp"

namespace cpubone {

/// y = scale x + shift, a pair a channel: a batch norm in evaluation mode.
struct Affine {
  std::vector<double> scale;
  std::vector<double> shift;
};
Affine affine(const Parameters& batch_norm, double epsilon);

/// Parameters of a convolution, transposed convolution or linear layer whose results are scaled and
/// shifted; it then has a bias.
void apply(const Affine& affine, const Op& op, Parameters& parameters);

}  // namespace cpubone
