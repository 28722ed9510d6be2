#pragma once
#include <string>
#include <vector>

#include "graph/parameters.hpp"
#include "python/src/bindings.hpp"

namespace cpubone::python {

using Array = py::array_t<float, py::array::c_style | py::array::forcecast>;

py::array_t<float> to_array(std::span<const float> values, std::vector<py::ssize_t> extents);

/// e.g. `14x14x3`.
std::string extents_text(const std::vector<py::ssize_t>& extents);

/// Parameters of all nodes of the network as it is executed, in PyTorch's layouts: `<node>.weight`,
/// `.bias` and, of batch norms, `.mean` and `.variance`.
py::dict to_weights(const Network& network, const ParameterSource& source);

/// Parameters of a node from such arrays. Throws std::invalid_argument naming one that is missing
/// or has another shape.
Parameters parameters_of(const py::dict& weights, const Node& node);

}  // namespace cpubone::python
