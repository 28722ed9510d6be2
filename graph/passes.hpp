#pragma once
#include <functional>
#include <string>
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

/// In what form networks are wanted; by default as they are.
struct NetworkForm {
  int height = 0;  ///< of the input in pixels; 0: as it is
  int width = 0;
  bool features = false;  ///< the backbone alone
  bool operator==(const NetworkForm&) const = default;
};
/// Throws what `with_resolution` and `feature_network` do.
Network in_form(const Network& network, const NetworkForm& form);
/// E.g. `512x512 pixels, without heads`; empty for the default.
std::string text(const NetworkForm& form);

/// The same network with all tensors in another data type.
Network with_dtype(Network network, DType dtype);

}  // namespace cpubone
