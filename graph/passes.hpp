#pragma once
#include <functional>
#include <vector>

#include "graph/network.hpp"

namespace cpubone {

/// The same network with activations apart: one that its operator does not apply while it writes,
/// which `fuses` knows, becomes a node of its own, named `<node>.<activation>`.
Network split_activations(const Network& network, const std::function<bool(const Op&)>& fuses);

/// Whether a node's result reaches one of `Network::features`: the backbone without its head. All
/// nodes where no features are known.
std::vector<bool> backbone(const Network& network);

/// The backbone alone, as detection and segmentation use it: its outputs are the features. Throws
/// std::invalid_argument where the network has none.
Network feature_network(const Network& network);

/// The same network on another input resolution. Throws where a shape becomes impossible or the
/// network has several inputs.
Network with_resolution(const Network& network, int height, int width);

/// The same network with all tensors in another data type.
Network with_dtype(Network network, DType dtype);

}  // namespace cpubone
