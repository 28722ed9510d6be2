#pragma once
#include "graph/network.hpp"

namespace cpubone {

/// A network of one operator, whose tensors are its inputs and outputs.
inline Network network_of(const Op& op) {
  Network net;
  net.name = "one";
  net.inputs = op.inputs;
  net.nodes = {{"op", "", op, {}}};
  net.outputs.clear();
  for (std::size_t i = 0; i < op.inputs.size(); ++i)
    net.nodes[0].inputs.emplace_back(network_input, static_cast<int>(i));
  for (std::size_t i = 0; i < op.outputs.size(); ++i)
    net.outputs.emplace_back(0, static_cast<int>(i));
  return net;
}

}  // namespace cpubone
