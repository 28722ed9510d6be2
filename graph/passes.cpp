#include "graph/passes.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "graph/error.hpp"

namespace cpubone {
namespace {

Op activation_of(const Op& op) {
  Op activation;
  activation.kind = OpKind::activation;
  activation.inputs = activation.outputs = {op.outputs[0]};
  activation.activation = op.activation;
  return activation;
}

/// Copies nodes into another network and remembers where their tensors went.
class Rewriter {
 public:
  explicit Rewriter(const Network& from) : from_(from), to_(from), moved_(from.nodes.size()) {
    to_.nodes.clear();
  }

  Edge moved(const Edge& edge) const {
    return edge.node == network_input
               ? edge
               : moved_[static_cast<std::size_t>(edge.node)][static_cast<std::size_t>(edge.output)];
  }

  /// Appends node `i` of the old network with the operator `op`; returns its index.
  int append(std::size_t i, Op op) {
    Node node = from_.nodes[i];
    node.op = std::move(op);
    for (Edge& input : node.inputs) input = moved(input);
    const int index = append(std::move(node));
    moved_[i].clear();
    for (std::size_t k = 0; k < to_.nodes.back().op.outputs.size(); ++k)
      moved_[i].emplace_back(index, static_cast<int>(k));
    return index;
  }
  int append(Node node) {
    to_.nodes.push_back(std::move(node));
    return static_cast<int>(to_.nodes.size()) - 1;
  }
  /// What read the first output of the old node `i` reads this node from now on.
  void replace(std::size_t i, int node) { moved_[i][0] = node; }

  Network finish() {
    for (Edge& edge : to_.outputs) edge = moved(edge);
    for (Edge& edge : to_.features) edge = moved(edge);
    return std::move(to_);
  }

 private:
  const Network& from_;
  Network to_;
  std::vector<std::vector<Edge>> moved_;
};

}  // namespace

Network split_activations(const Network& network, const std::function<bool(const Op&)>& fuses) {
  Rewriter rewriter(network);
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    const Node& node = network.nodes[i];
    Op op = node.op;
    const bool alone =
        op.kind == OpKind::activation || op.activation == Activation::none || fuses(op);
    if (!alone) op.activation = Activation::none;
    const int index = rewriter.append(i, std::move(op));
    if (!alone)
      rewriter.replace(i, rewriter.append({node.name + "." + std::string(name(node.op.activation)),
                                           node.stage,
                                           activation_of(node.op),
                                           {index}}));
  }
  return rewriter.finish();
}

std::vector<bool> backbone(const Network& network) {
  std::vector<bool> reaches(network.nodes.size(), network.features.empty());
  for (const Edge& feature : network.features)
    reaches[static_cast<std::size_t>(feature.node)] = true;
  for (std::size_t i = network.nodes.size(); i-- > 0;)
    if (reaches[i])
      for (const Edge& input : network.nodes[i].inputs)
        if (input.node != network_input) reaches[static_cast<std::size_t>(input.node)] = true;
  return reaches;
}

Network feature_network(const Network& network) {
  if (network.features.empty())
    throw std::invalid_argument(fmt::format(
        "network \"{}\" has no feature maps: expected \"features\", the last node of every stage",
        network.name));
  const std::vector<bool> kept = backbone(network);
  Network source = network;
  source.outputs = network.features;
  Rewriter rewriter(source);
  for (std::size_t i = 0; i < source.nodes.size(); ++i)
    if (kept[i]) rewriter.append(i, source.nodes[i].op);
  return rewriter.finish();
}

Network with_resolution(const Network& network, int height, int width) {
  if (network.inputs.size() != 1)
    throw std::invalid_argument(
        fmt::format("network \"{}\" has {} inputs: its resolution is not "
                    "one, expected a network of one input",
                    network.name, network.inputs.size()));
  Network result = network;
  result.inputs[0].shape.h = height;
  result.inputs[0].shape.w = width;
  for (Node& node : result.nodes) {
    for (std::size_t k = 0; k < node.inputs.size(); ++k)
      node.op.inputs[k] = tensor(result, node.inputs[k]);
    node.op = with_inferred_outputs(std::move(node.op));
  }
  check(result);
  return result;
}

Network in_form(const Network& network, const NetworkForm& form) {
  const Network sized =
      form.height > 0 ? with_resolution(network, form.height, form.width) : network;
  return form.features ? feature_network(sized) : sized;
}

std::string text(const NetworkForm& form) {
  std::string words;
  if (form.height > 0) words = fmt::format("{}x{} pixels", form.height, form.width);
  if (form.features) words += words.empty() ? "without heads" : ", without heads";
  return words;
}

Network with_dtype(Network network, DType dtype) {
  for (Tensor& input : network.inputs) input = {input.shape, dtype};
  for (Node& node : network.nodes) node.op = with_dtype(std::move(node.op), dtype);
  return network;
}

}  // namespace cpubone
