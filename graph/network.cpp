#include "graph/network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <queue>
#include <set>
#include <stdexcept>
#include <unordered_map>
#include <unordered_set>

#include "graph/error.hpp"
#include "graph/json_file.hpp"

namespace cpubone {
namespace {

[[noreturn]] void fail(const Network& network, const Node& node, const std::string& what) {
  throw Error(fmt::format("network \"{}\", node \"{}\": {}", network.name, node.name, what));
}

const Shape& output_shape(const Network& network, int index) {
  return index == network_input ? network.input
                                : network.nodes[static_cast<std::size_t>(index)].op.output;
}

std::string shape_text(const Shape& s) {
  return fmt::format("{}x{}x{}x{}", s.n, s.h, s.w, s.c);
}

std::int64_t sum(const Network& network, std::int64_t (*count)(const Op&)) {
  std::int64_t total = 0;
  for (const Node& node : network.nodes)
    if (__builtin_add_overflow(total, count(node.op), &total))
      throw Error(
          fmt::format("network \"{}\" is too large to be counted in 64 bits", network.name));
  return total;
}

Shape shape_from_json(const JsonReader& json) {
  std::vector<int> d;
  json.each([&](const JsonReader& item) { d.push_back(static_cast<int>(item.integer(1, 65536))); });
  if (d.size() != 4) json.fail("four numbers [1, height, width, channels]");
  return {d[0], d[1], d[2], d[3]};
}

/// Nodes by name, each after its inputs.
struct Unsorted {
  std::vector<Node> nodes;
  std::vector<std::vector<std::string>> inputs;
  std::vector<std::string> where;
};

/// Order in which every node stands after its inputs, the file's earliest first; keeps the file's
/// order where that is one.
std::vector<int> executable_order(const Unsorted& file, const std::map<std::string, int>& index) {
  const std::size_t count = file.nodes.size();
  std::vector<std::size_t> missing(count, 0);
  std::vector<std::vector<std::size_t>> readers(count);
  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
  for (std::size_t i = 0; i < count; ++i) {
    for (const std::string& name : file.inputs[i])
      if (name != "input") {
        readers[static_cast<std::size_t>(index.at(name))].push_back(i);
        ++missing[i];
      }
    if (missing[i] == 0) ready.push(i);
  }
  std::vector<int> order;
  while (!ready.empty()) {
    const std::size_t next = ready.top();
    ready.pop();
    order.push_back(static_cast<int>(next));
    for (const std::size_t reader : readers[next])
      if (--missing[reader] == 0) ready.push(reader);
  }
  for (std::size_t i = 0; i < count; ++i)
    if (missing[i] > 0)
      throw Error(fmt::format("{}: node \"{}\" is on or behind a cycle; a network must be acyclic",
                              file.where[i], file.nodes[i].name));
  return order;
}

}  // namespace

void check(const Network& network) {
  if (network.nodes.empty()) throw Error(fmt::format("network \"{}\" has no nodes", network.name));
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
    if (node.inputs.size() != node.op.inputs.size())
      fail(network, node,
           fmt::format("operator takes {} inputs, got {}", node.op.inputs.size(),
                       node.inputs.size()));
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      const int producer = node.inputs[k];
      if (producer != network_input && (producer < 0 || producer >= static_cast<int>(i)))
        fail(network, node,
             fmt::format("input {} must be an earlier node, got index {}", k, producer));
      const Shape& produced = output_shape(network, producer);
      if (produced != node.op.inputs[k])
        fail(network, node,
             fmt::format("input {} must be {}, got {} from \"{}\"", k,
                         shape_text(node.op.inputs[k]), shape_text(produced),
                         producer == network_input
                             ? "input"
                             : network.nodes[static_cast<std::size_t>(producer)].name));
    }
  }
  if (network.outputs.empty())
    throw Error(fmt::format("network \"{}\" has no outputs", network.name));
  for (const int output : network.outputs)
    if (output < 0 || output >= static_cast<int>(network.nodes.size()))
      throw Error(
          fmt::format("network \"{}\": output must be a node, got index {}", network.name, output));
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
  if (count == 0) return 0;
  // What is never read dies where it is written; outputs survive all nodes.
  std::vector<std::size_t> last_use(count);
  std::iota(last_use.begin(), last_use.end(), std::size_t{0});
  std::size_t last_input_use = 0;
  for (std::size_t i = 0; i < count; ++i)
    for (const int producer : network.nodes[i].inputs)
      (producer == network_input ? last_input_use : last_use[static_cast<std::size_t>(producer)]) =
          i;
  for (const int output : network.outputs) last_use[static_cast<std::size_t>(output)] = count;
  std::vector<std::int64_t> dying(count + 1, 0);  // bytes, by the node after which they are free
  dying[last_input_use] = elements(network.input) * bytes_per_element(network.nodes[0].op.dtype);
  std::int64_t alive = dying[last_input_use];
  std::int64_t peak = alive;
  for (std::size_t i = 0; i < count; ++i) dying[last_use[i]] += output_bytes(network.nodes[i].op);
  for (std::size_t i = 0; i < count; ++i) {
    alive += output_bytes(network.nodes[i].op);
    peak = std::max(peak, alive);
    alive -= dying[i];
  }
  return peak;
}

namespace {

bool applies_while_writing(const Op& op) {
  return clamps_while_writing(op.kind) &&
         (op.activation == Activation::relu || op.activation == Activation::relu6);
}

}  // namespace

Network split_activations(const Network& network) {
  Network result = network;
  result.nodes.clear();
  std::vector<int> moved(network.nodes.size());
  const auto index = [&](int old) {
    return old == network_input ? old : moved[static_cast<std::size_t>(old)];
  };
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    Node node = network.nodes[i];
    for (int& input : node.inputs) input = index(input);
    const Activation activation = node.op.activation;
    const bool alone = node.op.kind == OpKind::activation || activation == Activation::none ||
                       applies_while_writing(node.op);
    if (!alone) node.op.activation = Activation::none;
    result.nodes.push_back(node);
    if (!alone) {
      Op op;
      op.kind = OpKind::activation;
      op.inputs = {node.op.output};
      op.output = node.op.output;
      op.activation = activation;
      op.dtype = node.op.dtype;
      result.nodes.push_back({node.name + "." + std::string(name(activation)),
                              node.stage,
                              op,
                              {static_cast<int>(result.nodes.size()) - 1}});
    }
    moved[i] = static_cast<int>(result.nodes.size()) - 1;
  }
  for (int& output : result.outputs) output = index(output);
  return result;
}

Network feature_network(const Network& network) {
  Network result = network;
  result.nodes.clear();
  result.outputs.clear();
  std::map<std::string, int> last_of_stage;
  for (const Node& node : network.nodes) {
    if (node.stage == "head") break;
    if (node.stage.rfind("stage", 0) == 0)
      last_of_stage[node.stage] = static_cast<int>(result.nodes.size());
    result.nodes.push_back(node);
  }
  for (const auto& [stage, node] : last_of_stage) result.outputs.push_back(node);
  if (result.outputs.empty())
    throw std::invalid_argument(
        fmt::format("network \"{}\" has no feature maps: expected nodes whose stage is \"stage1\", "
                    "\"stage2\", ...",
                    network.name));
  return result;
}

Network with_resolution(const Network& network, int height, int width) {
  Network result = network;
  result.input.h = height;
  result.input.w = width;
  for (Node& node : result.nodes) {
    for (std::size_t k = 0; k < node.inputs.size(); ++k)
      node.op.inputs[k] = output_shape(result, node.inputs[k]);
    node.op.output = infer_output(node.op);
  }
  check(result);
  return result;
}

Network with_dtype(Network network, DType dtype) {
  for (Node& node : network.nodes) node.op.dtype = dtype;
  return network;
}

std::vector<Op> distinct_ops(std::span<const Network> networks) {
  std::vector<Op> ops;
  std::unordered_set<std::string> seen;
  for (const Network& network : networks)
    for (const Node& node : network.nodes)
      if (seen.insert(text(node.op)).second) ops.push_back(node.op);
  return ops;
}

nlohmann::json to_json(const Network& network) {
  const auto node_name = [&](int index) {
    return index == network_input ? std::string("input")
                                  : network.nodes[static_cast<std::size_t>(index)].name;
  };
  nlohmann::json nodes = nlohmann::json::array();
  for (const Node& node : network.nodes) {
    nlohmann::json inputs = nlohmann::json::array();
    for (const int input : node.inputs) inputs.push_back(node_name(input));
    nodes.push_back(
        {{"name", node.name}, {"stage", node.stage}, {"op", text(node.op)}, {"inputs", inputs}});
  }
  nlohmann::json outputs = nlohmann::json::array();
  for (const int output : network.outputs) outputs.push_back(node_name(output));
  const Shape& in = network.input;
  return {{"schema", "cpubone/network/1"},     {"name", network.name}, {"family", network.family},
          {"input", {in.n, in.h, in.w, in.c}}, {"nodes", nodes},       {"outputs", outputs}};
}

namespace {

Network read_network(const JsonReader& json) {
  json.expect_schema("network");
  json.expect_keys({"schema", "name", "family", "input", "nodes", "outputs"});
  Network network;
  network.name = json.at("name").string();
  if (json.has("family")) network.family = json.at("family").string();
  network.input = shape_from_json(json.at("input"));

  Unsorted file;
  std::map<std::string, int> index;
  json.at("nodes").each([&](const JsonReader& item) {
    item.expect_keys({"name", "stage", "op", "inputs"});
    Node node;
    node.name = item.at("name").string();
    if (item.has("stage")) node.stage = item.at("stage").string();
    try {
      node.op = parse_op(item.at("op").string());
    } catch (const std::invalid_argument& e) {
      item.at("op").fail_because(fmt::format("node \"{}\": {}", node.name, e.what()));
    }
    if (node.name.empty() || node.name == "input")
      item.at("name").fail("a name other than \"\" and \"input\"");
    if (!index.emplace(node.name, static_cast<int>(file.nodes.size())).second)
      item.at("name").fail("a name that no other node has");
    std::vector<std::string> inputs;
    item.at("inputs").each([&](const JsonReader& input) { inputs.push_back(input.string()); });
    file.nodes.push_back(node);
    file.inputs.push_back(inputs);
    file.where.push_back(item.where());
  });
  for (std::size_t i = 0; i < file.nodes.size(); ++i)
    for (const std::string& input : file.inputs[i])
      if (input != "input" && !index.contains(input))
        throw Error(fmt::format("{}: node \"{}\" reads \"{}\", but no node has that name",
                                file.where[i], file.nodes[i].name, input));

  std::vector<int> position(file.nodes.size());
  for (const int i : executable_order(file, index)) {
    position[static_cast<std::size_t>(i)] = static_cast<int>(network.nodes.size());
    Node node = file.nodes[static_cast<std::size_t>(i)];
    for (const std::string& input : file.inputs[static_cast<std::size_t>(i)])
      node.inputs.push_back(input == "input" ? network_input
                                             : position[static_cast<std::size_t>(index.at(input))]);
    network.nodes.push_back(std::move(node));
  }
  json.at("outputs").each([&](const JsonReader& item) {
    const auto found = index.find(item.string());
    if (found == index.end()) item.fail("the name of a node");
    network.outputs.push_back(position[static_cast<std::size_t>(found->second)]);
  });
  try {
    check(network);
  } catch (const Error& e) {
    json.fail_because(e.what());
  }
  return network;
}

}  // namespace

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
