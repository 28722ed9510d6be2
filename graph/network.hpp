#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "graph/op.hpp"

namespace cpubone {

/// Index that stands for the network's input among the inputs of a node.
inline constexpr int network_input = -1;

/// An operator in a network. `inputs` are indices of earlier nodes or `network_input`.
struct Node {
  std::string name;   ///< unique in the network, e.g. `stage3.1.mlp.expand`
  std::string stage;  ///< `stem`, `stage1`, ..., `head`: what reports group by
  Op op;
  std::vector<int> inputs;
  bool operator==(const Node&) const = default;
};

/// A directed acyclic graph of operators in an order that can be executed, inference form.
struct Network {
  std::string name;
  std::string family;
  Shape input;
  std::vector<Node> nodes;
  std::vector<int> outputs;  ///< indices of nodes; the logits, or one feature map a stage
  bool operator==(const Network&) const = default;
};

/// Throws cpubone::Error naming network and node where an operator is wrong, shapes of producer
/// and consumer differ, a name repeats, an index is not of an earlier node or there is no output.
void check(const Network& network);

/// Sums over the nodes; see the functions of Op.
std::int64_t macs(const Network& network);
std::int64_t params(const Network& network);
std::int64_t weight_bytes(const Network& network);
/// Largest sum of tensors that are alive at the same time, in bytes: what a run needs beside
/// weights.
std::int64_t peak_activation_bytes(const Network& network);

/// The same network as it is executed: an activation that its operator cannot apply while it writes
/// (all but ReLU and ReLU6 after XNNPACK's operators) becomes a node of its own, named
/// `<node>.<activation>`.
Network split_activations(const Network& network);

/// The backbone alone, as detection and segmentation use it: without the stage `head`, its outputs
/// the last node of every `stageN`. Throws std::invalid_argument where the network has no stages.
Network feature_network(const Network& network);

/// The same network on another input resolution. Throws where a shape becomes impossible.
Network with_resolution(const Network& network, int height, int width);

/// The same network with all operators in another data type.
Network with_dtype(Network network, DType dtype);

/// The distinct operators, in order of first appearance.
std::vector<Op> distinct_ops(std::span<const Network> networks);

/// Network JSON (`cpubone/network/1`, docs/file-formats.md).
nlohmann::json to_json(const Network& network);
/// Throws cpubone::Error with the JSON pointer, what was got and what is expected. Nodes may come
/// in any order; a cycle is refused by naming a node on it.
Network network_from_json(const nlohmann::json& json);
Network load_network(const std::filesystem::path& path);
void save_network(const Network& network, const std::filesystem::path& path);

}  // namespace cpubone
