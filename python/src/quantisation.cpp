#include "graph/quantise.hpp"

#include <memory>

#include "python/src/bindings.hpp"
#include "python/src/weights.hpp"
#include "runtime/calibration.hpp"

namespace cpubone::python {
namespace {

using namespace py::literals;

/// Of n x h x w x c: what a network of one input is given.
std::vector<InputValues> image_list(const Array& images) {
  std::vector<InputValues> list;
  const py::ssize_t count = images.shape(0);
  const py::ssize_t size = count > 0 ? images.size() / count : 0;
  for (py::ssize_t i = 0; i < count; ++i) {
    const float* first = images.data() + i * size;
    list.push_back({{first, first + size}});
  }
  return list;
}

/// All parameters at once, so that the GIL is not needed while networks run.
ParameterSource parameters_from(const Network& network, const py::dict& weights) {
  auto known = std::make_shared<std::map<std::string, Parameters>>();
  for (const Node& node : network.nodes)
    if (params(node.op) > 0) (*known)[node.name] = parameters_of(weights, node);
  return [known](const Node& node) { return known->at(node.name); };
}

py::dict to_dict(const TensorError& error) {
  return py::dict("node"_a = error.node, "cosine"_a = error.cosine,
                  "relative_error"_a = error.relative_error, "added_error"_a = error.added_error);
}

}  // namespace

void register_quantisation(py::module_& m) {
  py::class_<QuantisedNetwork>(m, "QuantisedNetwork")
      .def_readonly("network", &QuantisedNetwork::network)
      .def_property_readonly("floats", [](const QuantisedNetwork& quantised) {
        py::list rows;
        for (const FloatOperator& stays : quantised.floats)
          rows.append(py::make_tuple(stays.node, stays.reason));
        return rows;
      });
  m.def(
      "quantise",
      [](const Network& network, const py::dict& weights, const Array& images, int threads) {
        const ParameterSource parameters = parameters_from(network, weights);
        const std::vector<InputValues> list = image_list(images);
        const py::gil_scoped_release release;
        return quantise(network, parameters, list, std::make_shared<const ThreadPool>(threads));
      },
      "network"_a, "weights"_a, "images"_a, "threads"_a);
  m.def(
      "compare",
      [](const Network& network, const QuantisedNetwork& quantised, const py::dict& weights,
         const Array& images, int threads) {
        const ParameterSource parameters = parameters_from(network, weights);
        const std::vector<InputValues> list = image_list(images);
        const QuantisationError comparison = [&] {
          const py::gil_scoped_release release;
          return compare(network, quantised, parameters, list,
                         std::make_shared<const ThreadPool>(threads));
        }();
        py::list rows;
        for (const TensorError& error : comparison.tensors) rows.append(to_dict(error));
        return py::make_tuple(to_dict(comparison.output), to_dict(comparison.worst()), rows);
      },
      "network"_a, "quantised"_a, "weights"_a, "images"_a, "threads"_a);
}

}  // namespace cpubone::python
