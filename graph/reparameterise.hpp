#pragma once
#include <map>
#include <string>

#include "graph/network.hpp"
#include "graph/parameters.hpp"

namespace cpubone {

/// A network and the parameters of its nodes by name.
struct Model {
  Network network;
  std::map<std::string, Parameters> parameters;  ///< of the nodes that have some
};

/// The network in inference form, computing the same: batch norms become part of the convolution or
/// linear layer before them, and a sum of convolutions, batch norms and the input that all read the
/// same tensor becomes one convolution, named as the sum. Whatever does not fit is left as it is.
/// Throws cpubone::Error naming the node whose parameters have the wrong size.
Model reparameterise(const Network& network, const ParameterSource& parameters);
/// The structure alone.
Network reparameterise(const Network& network);

/// The parameters of a model as a source. It throws cpubone::Error naming a node that has none.
ParameterSource parameters_of(Model model);

}  // namespace cpubone
