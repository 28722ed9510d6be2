#include "python/src/weights.hpp"

#include <span>
#include <stdexcept>

#include "graph/passes.hpp"
#include "runtime/xnnpack_traits.hpp"

namespace cpubone::python {
namespace {

/// Extents of an operator's weight in PyTorch's layout.
std::vector<py::ssize_t> weight_extents(const Op& op) {
  switch (op.kind) {
    case OpKind::conv2d:
      return {op.output().c, op.input().c / op.groups, op.kernel_h, op.kernel_w};
    case OpKind::partial_conv2d:
      return {op.conv_channels, op.conv_channels, op.kernel_h, op.kernel_w};
    case OpKind::conv_transpose2d:
      return {op.input().c, op.output().c / op.groups, op.kernel_h, op.kernel_w};
    case OpKind::linear:
      return {op.output().c, op.input().c};
    default:
      return {op.output().c};
  }
}

/// The values of `weights[name]`, which must have these extents.
std::vector<float> values(const py::dict& weights, const std::string& name,
                          const std::vector<py::ssize_t>& extents) {
  if (!weights.contains(name.c_str()))
    throw std::invalid_argument("weights: \"" + name + "\" is missing");
  const auto array = weights[name.c_str()].cast<Array>();
  const std::vector<py::ssize_t> got(array.shape(), array.shape() + array.ndim());
  if (got != extents)
    throw std::invalid_argument("weights: \"" + name + "\" is " + extents_text(got) +
                                ", expected " + extents_text(extents));
  return {array.data(), array.data() + array.size()};
}

}  // namespace

py::array_t<float> to_array(std::span<const float> values, std::vector<py::ssize_t> extents) {
  return py::array_t<float>(std::move(extents), values.data());
}

std::string extents_text(const std::vector<py::ssize_t>& extents) {
  std::string text;
  for (const py::ssize_t extent : extents) {
    if (!text.empty()) text += "x";
    text += std::to_string(extent);
  }
  return text;
}

py::dict to_weights(const Network& network, const ParameterSource& source) {
  py::dict weights;
  for (const Node& node : lowered(network).nodes) {
    if (params(node.op) == 0) continue;
    const Parameters p = source(node);
    const auto keep = [&](const char* what, std::span<const float> values,
                          std::vector<py::ssize_t> extents) {
      if (!values.empty())
        weights[(node.name + what).c_str()] = to_array(values, std::move(extents));
    };
    const auto vector = [](const std::vector<float>& v) {
      return std::vector{static_cast<py::ssize_t>(v.size())};
    };
    keep(".weight", p.weight, weight_extents(node.op));
    keep(".bias", p.bias, vector(p.bias));
    keep(".mean", p.mean, vector(p.mean));
    keep(".variance", p.variance, vector(p.variance));
  }
  return weights;
}

Parameters parameters_of(const py::dict& weights, const Node& node) {
  const std::vector<py::ssize_t> extents = weight_extents(node.op);
  Parameters p;
  p.weight = values(weights, node.name + ".weight", extents);
  if (node.op.kind == OpKind::batch_norm) {
    p.bias = values(weights, node.name + ".bias", extents);
    p.mean = values(weights, node.name + ".mean", extents);
    p.variance = values(weights, node.name + ".variance", extents);
    return p;
  }
  py::ssize_t size = 1;
  for (const py::ssize_t extent : extents) size *= extent;
  const py::ssize_t biases = params(node.op) - size;
  if (biases > 0) p.bias = values(weights, node.name + ".bias", {biases});
  return p;
}

}  // namespace cpubone::python
