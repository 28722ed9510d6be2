#include "graph/onnx/metadata.hpp"

#include "graph/error.hpp"
#include "graph/json_file.hpp"
#include "graph/onnx/export_node.hpp"

namespace cpubone::onnx {

std::string metadata(const Network& network) {
  nlohmann::json stages = nlohmann::json::object();
  for (const Node& node : network.nodes)
    if (!node.stage.empty()) stages[node.stage].push_back(node.name);
  nlohmann::json features = nlohmann::json::array();
  for (const Edge& edge : network.features)
    features.push_back(
        tensor_name(network.nodes[static_cast<std::size_t>(edge.node)], edge.output));
  return nlohmann::json{{"family", network.family}, {"stages", stages}, {"features", features}}
      .dump();
}

void read_metadata(const std::string& text, const std::unordered_map<std::string, Value>& values,
                   Network& network) {
  try {
    const nlohmann::json json = parse_json(text, "metadata");
    network.family = json.value("family", "");
    std::unordered_map<std::string, std::string> stage_of;
    for (const auto& [stage, names] : json.at("stages").items())
      for (const auto& name : names) stage_of[name.get<std::string>()] = stage;
    for (Node& node : network.nodes)
      if (const auto stage = stage_of.find(node.name); stage != stage_of.end())
        node.stage = stage->second;
    for (const auto& name : json.at("features"))
      if (const auto value = values.find(name.get<std::string>());
          value != values.end() && !value->second.known() &&
          value->second.edge.node != network_input)
        network.features.push_back(value->second.edge);
  } catch (const nlohmann::json::exception&) {
    throw Error("the metadata \"cpubone\" of the model is not what an exported network has");
  }
}

}  // namespace cpubone::onnx
