#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "graph/op.hpp"

namespace cpubone {

/// Stands for the network's own inputs where an edge names a node.
inline constexpr int network_input = -1;

/// A tensor of a network: an output of a node, or with `network_input` one of the network's inputs.
struct Edge {
  int node = network_input;
  int output = 0;
  Edge() = default;
  /// Nodes mostly have a single output, so that their index is the edge.
  Edge(int of_node, int which = 0) : node(of_node), output(which) {}  // NOLINT(*-explicit-*)
  bool operator==(const Edge&) const = default;
};

/// An operator in a network. `inputs` are outputs of earlier nodes or the network's inputs.
struct Node {
  std::string name;   ///< unique in the network, e.g. `stage3.1.mlp.expand`
  std::string stage;  ///< a label that reports group by, e.g. `stem`, `stage1`, `head`
  Op op;
  std::vector<Edge> inputs;
  bool operator==(const Node&) const = default;
};

/// A directed acyclic graph of operators in an order that can be executed.
struct Network {
  std::string name;
  std::string family;
  std::vector<Tensor> inputs{Tensor{}};
  std::vector<Node> nodes;
  std::vector<Edge> outputs;  ///< the logits, or one feature map a stage
  /// Last tensor of every stage of a backbone, the highest resolution first; what they do not
  /// depend on is the head. Empty: not known.
  std::vector<Edge> features;
  bool operator==(const Network&) const = default;
};

const Tensor& tensor(const Network& network, const Edge& edge);

/// Throws cpubone::Error naming network and node where an operator is wrong, tensors of producer
/// and consumer differ, a name repeats, an edge is not of an earlier node or there is no output.
void check(const Network& network);

/// Sums over the nodes; see the functions of Op.
std::int64_t macs(const Network& network);
std::int64_t params(const Network& network);
std::int64_t weight_bytes(const Network& network);
/// Largest sum of tensors that are alive at the same time, in bytes: what a run needs beside
/// weights.
std::int64_t peak_activation_bytes(const Network& network);

/// The distinct operators that take time, in order of first appearance: constants are none.
std::vector<Op> distinct_ops(std::span<const Network> networks);

/// Network JSON (`cpubone/network/1`, docs/file-formats.md).
nlohmann::json to_json(const Network& network);
/// Throws cpubone::Error with the JSON pointer, what was got and what is expected. Nodes may come
/// in any order; a cycle is refused by naming a node on it.
Network network_from_json(const nlohmann::json& json);
Network load_network(const std::filesystem::path& path);
void save_network(const Network& network, const std::filesystem::path& path);

}  // namespace cpubone
