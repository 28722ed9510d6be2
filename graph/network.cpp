#include "graph/network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <unordered_set>

#include "graph/error.hpp"

namespace cpubone {
namespace {

[[noreturn]] void fail(const Network& network, const Node& node, const std::string& what) {
  throw Error(fmt::format("network \"{}\", node \"{}\": {}", network.name, node.name, what));
}

std::int64_t sum(const Network& network, std::int64_t (*count)(const Op&)) {
  std::int64_t total = 0;
  for (const Node& node : network.nodes)
    if (__builtin_add_overflow(total, count(node.op), &total))
      throw Error(
          fmt::format("network \"{}\" is too large to be counted in 64 bits", network.name));
  return total;
}

/// Whether the edge is of one of the first `nodes` nodes or of the network's inputs.
bool exists(const Network& network, const Edge& edge, std::size_t nodes) {
  if (edge.output < 0) return false;
  const auto output = static_cast<std::size_t>(edge.output);
  if (edge.node == network_input) return output < network.inputs.size();
  if (edge.node < 0 || static_cast<std::size_t>(edge.node) >= nodes) return false;
  return output < network.nodes[static_cast<std::size_t>(edge.node)].op.outputs.size();
}

void check_inputs(const Network& network, std::size_t i) {
  const Node& node = network.nodes[i];
  if (node.inputs.size() != node.op.inputs.size())
    fail(
        network, node,
        fmt::format("operator takes {} inputs, got {}", node.op.inputs.size(), node.inputs.size()));
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    const Edge& edge = node.inputs[k];
    if (!exists(network, edge, i))
      fail(network, node,
           fmt::format("input {} must be an earlier node, got output {} of node {}", k, edge.output,
                       edge.node));
    const Tensor& produced = tensor(network, edge);
    if (produced != node.op.inputs[k])
      fail(network, node,
           fmt::format("input {} must be {}, got {} from \"{}\"", k, text(node.op.inputs[k]),
                       text(produced),
                       edge.node == network_input
                           ? "input"
                           : network.nodes[static_cast<std::size_t>(edge.node)].name));
  }
}

}  // namespace

const Tensor& tensor(const Network& network, const Edge& edge) {
  const auto output = static_cast<std::size_t>(edge.output);
  return edge.node == network_input
             ? network.inputs.at(output)
             : network.nodes.at(static_cast<std::size_t>(edge.node)).op.outputs.at(output);
}

void check(const Network& network) {
  if (network.nodes.empty()) throw Error(fmt::format("network \"{}\" has no nodes", network.name));
  if (network.inputs.empty())
    throw Error(fmt::format("network \"{}\" has no inputs", network.name));
  std::unordered_set<std::string> names;
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    const Node& node = network.nodes[i];
    if (node.name.empty() || node.name == "input")
      fail(network, node, "a node's name must not be empty or \"input\"");
    if (!names.insert(node.name).second) fail(network, node, "name is used twice");
    try {
      check(node.op);
    } catch (const std::invalid_argument& e) {
      fail(network, node, e.what());
    }
    check_inputs(network, i);
  }
  if (network.outputs.empty())
    throw Error(fmt::format("network \"{}\" has no outputs", network.name));
  for (const auto* edges : {&network.outputs, &network.features})
    for (const Edge& edge : *edges)
      if (edge.node == network_input || !exists(network, edge, network.nodes.size()))
        throw Error(fmt::format("network \"{}\": output must be a node, got output {} of node {}",
                                network.name, edge.output, edge.node));
}

std::int64_t macs(const Network& network) {
  return sum(network, macs);
}
std::int64_t params(const Network& network) {
  return sum(network, params);
}
std::int64_t weight_bytes(const Network& network) {
  return sum(network, weight_bytes);
}

std::int64_t peak_activation_bytes(const Network& network) {
  const std::size_t count = network.nodes.size();
  // Tensors of a node live until its last consumer has run; the inputs of the network come first.
  std::vector<std::size_t> last_use(count + 1);
  for (std::size_t i = 0; i < count; ++i) {
    last_use[i + 1] = i;
    for (const Edge& edge : network.nodes[i].inputs)
      last_use[static_cast<std::size_t>(edge.node + 1)] = i;
  }
  for (const Edge& edge : network.outputs)
    last_use[static_cast<std::size_t>(edge.node + 1)] = count;
  std::vector<std::int64_t> ends(count + 1, 0);  // bytes that are last used by a node
  std::int64_t alive = 0;
  for (const Tensor& input : network.inputs) alive += bytes(input);
  ends[last_use[0]] += alive;
  std::int64_t peak = alive;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t written = output_bytes(network.nodes[i].op);
    alive += written;
    peak = std::max(peak, alive);
    ends[last_use[i + 1]] += written;
    alive -= ends[i];
  }
  return peak;
}

std::vector<Op> distinct_ops(std::span<const Network> networks) {
  std::vector<Op> ops;
  std::unordered_set<std::string> seen;
  for (const Network& network : networks)
    for (const Node& node : network.nodes)
      if (node.op.kind != OpKind::constant && seen.insert(text(node.op)).second)
        ops.push_back(node.op);
  return ops;
}

}  // namespace cpubone
