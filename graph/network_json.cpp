#include <fmt/format.h>

#include <charconv>
#include <functional>
#include <nlohmann/json.hpp>
#include <queue>
#include <unordered_map>

#include "graph/error.hpp"
#include "graph/json_file.hpp"
#include "graph/network.hpp"

namespace cpubone {
namespace {

/// How a file names a tensor: `stage1.add`, for the other outputs of a node `stage1.split:2`.
std::string edge_text(const Network& network, const Edge& edge) {
  const std::string node = edge.node == network_input
                               ? std::string("input")
                               : network.nodes[static_cast<std::size_t>(edge.node)].name;
  return edge.output == 0 ? node : fmt::format("{}:{}", node, edge.output);
}

nlohmann::json edges_to_json(const Network& network, const std::vector<Edge>& edges) {
  nlohmann::json list = nlohmann::json::array();
  for (const Edge& edge : edges) list.push_back(edge_text(network, edge));
  return list;
}

nlohmann::json to_json(const Shape& s) {
  return {s.n, s.h, s.w, s.c};
}

Shape shape_from_json(const JsonReader& json) {
  std::vector<int> d;
  json.each([&](const JsonReader& item) { d.push_back(static_cast<int>(item.integer(1, 65536))); });
  if (d.size() != 4) json.fail("four numbers [1, height, width, channels]");
  return {d[0], d[1], d[2], d[3]};
}

/// The nodes of a file, by name and in any order.
struct File {
  std::vector<Node> nodes;  ///< their inputs are indices into `nodes`
  std::vector<std::string> where;
  std::unordered_map<std::string, int> index{{"input", network_input}};

  Edge edge(const std::string& name) const {
    if (const auto known = index.find(name); known != index.end()) return known->second;
    const auto colon = name.rfind(':');
    int output = 0;
    const char* end = name.data() + name.size();
    if (colon == std::string::npos ||
        std::from_chars(name.data() + colon + 1, end, output).ptr != end)
      return {unknown};
    const auto known = index.find(name.substr(0, colon));
    return known == index.end() ? Edge(unknown) : Edge(known->second, output);
  }
  static constexpr int unknown = -2;
};

/// Order in which every node stands after its inputs; keeps the file's order where that is one.
std::vector<int> executable_order(const File& file) {
  const std::size_t count = file.nodes.size();
  std::vector<int> missing(count, 0);
  std::vector<std::vector<int>> consumers(count);
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (std::size_t i = 0; i < count; ++i) {
    for (const Edge& input : file.nodes[i].inputs)
      if (input.node != network_input) {
        consumers[static_cast<std::size_t>(input.node)].push_back(static_cast<int>(i));
        ++missing[i];
      }
    if (missing[i] == 0) ready.push(static_cast<int>(i));
  }
  std::vector<int> order;
  while (!ready.empty()) {
    order.push_back(ready.top());
    ready.pop();
    for (const int consumer : consumers[static_cast<std::size_t>(order.back())])
      if (--missing[static_cast<std::size_t>(consumer)] == 0) ready.push(consumer);
  }
  for (std::size_t i = 0; order.size() < count && i < count; ++i)
    if (missing[i] > 0)
      throw Error(fmt::format("{}: node \"{}\" is on or behind a cycle; a network must be acyclic",
                              file.where[i], file.nodes[i].name));
  return order;
}

Node read_node(const JsonReader& json) {
  json.expect_keys({"name", "stage", "op", "inputs"});
  Node node;
  node.name = json.at("name").string();
  if (json.has("stage")) node.stage = json.at("stage").string();
  try {
    node.op = parse_op(json.at("op").string());
  } catch (const std::invalid_argument& e) {
    json.at("op").fail_because(fmt::format("node \"{}\": {}", node.name, e.what()));
  }
  if (node.name.empty() || node.name == "input")
    json.at("name").fail("a name other than \"\" and \"input\"");
  return node;
}

/// Types of the network's inputs, which its file tells by the operators that read them.
void take_input_types(Network& network) {
  for (const Node& node : network.nodes)
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      const auto input = static_cast<std::size_t>(node.inputs[k].output);
      if (node.inputs[k].node != network_input || input >= network.inputs.size()) continue;
      Tensor& tensor = network.inputs[input];
      tensor = {tensor.shape, node.op.inputs[k].dtype, node.op.inputs[k].quantisation};
    }
}

Network read_network(const JsonReader& json) {
  json.expect_schema("network");
  json.expect_keys({"schema", "name", "family", "input", "inputs", "nodes", "outputs", "features"});
  Network network;
  network.name = json.at("name").string();
  if (json.has("family")) network.family = json.at("family").string();
  if (json.has("inputs")) {
    network.inputs.clear();
    json.at("inputs").each(
        [&](const JsonReader& item) { network.inputs.push_back({shape_from_json(item)}); });
  } else {
    network.inputs = {{shape_from_json(json.at("input"))}};
  }

  File file;
  std::vector<std::vector<std::string>> inputs;
  json.at("nodes").each([&](const JsonReader& item) {
    Node node = read_node(item);
    if (!file.index.emplace(node.name, static_cast<int>(file.nodes.size())).second)
      item.at("name").fail("a name that no other node has");
    inputs.emplace_back();
    item.at("inputs").each(
        [&](const JsonReader& input) { inputs.back().push_back(input.string()); });
    file.nodes.push_back(std::move(node));
    file.where.push_back(item.where());
  });
  for (std::size_t i = 0; i < file.nodes.size(); ++i)
    for (const std::string& input : inputs[i]) {
      file.nodes[i].inputs.push_back(file.edge(input));
      if (file.nodes[i].inputs.back().node == File::unknown)
        throw Error(fmt::format("{}: node \"{}\" reads \"{}\", but no node has that name",
                                file.where[i], file.nodes[i].name, input));
    }

  std::vector<int> position(file.nodes.size());
  const auto placed = [&](Edge edge) {
    if (edge.node >= 0) edge.node = position[static_cast<std::size_t>(edge.node)];
    return edge;
  };
  for (const int i : executable_order(file)) {
    position[static_cast<std::size_t>(i)] = static_cast<int>(network.nodes.size());
    Node node = std::move(file.nodes[static_cast<std::size_t>(i)]);
    for (Edge& input : node.inputs) input = placed(input);
    network.nodes.push_back(std::move(node));
  }
  const auto read_edges = [&](const JsonReader& list, std::vector<Edge>& edges) {
    list.each([&](const JsonReader& item) {
      const Edge edge = file.edge(item.string());
      if (edge.node < 0) item.fail("the name of a node");
      edges.push_back(placed(edge));
    });
  };
  read_edges(json.at("outputs"), network.outputs);
  if (json.has("features")) read_edges(json.at("features"), network.features);
  take_input_types(network);
  try {
    check(network);
  } catch (const Error& e) {
    json.fail_because(e.what());
  }
  return network;
}

}  // namespace

nlohmann::json to_json(const Network& network) {
  nlohmann::json nodes = nlohmann::json::array();
  for (const Node& node : network.nodes)
    nodes.push_back({{"name", node.name},
                     {"stage", node.stage},
                     {"op", text(node.op)},
                     {"inputs", edges_to_json(network, node.inputs)}});
  nlohmann::json json = {{"schema", "cpubone/network/1"},
                         {"name", network.name},
                         {"family", network.family},
                         {"nodes", std::move(nodes)},
                         {"outputs", edges_to_json(network, network.outputs)}};
  if (network.inputs.size() == 1) {
    json["input"] = to_json(network.inputs[0].shape);
  } else {
    for (const Tensor& input : network.inputs) json["inputs"].push_back(to_json(input.shape));
  }
  if (!network.features.empty()) json["features"] = edges_to_json(network, network.features);
  return json;
}

Network network_from_json(const nlohmann::json& json) {
  return read_network(JsonReader(json, "network#"));
}

Network load_network(const std::filesystem::path& path) {
  return load(path, read_network);
}

void save_network(const Network& network, const std::filesystem::path& path) {
  write_json_file(to_json(network), path);
}

}  // namespace cpubone
