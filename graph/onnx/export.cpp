#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "graph/error.hpp"
#include "graph/json_file.hpp"
#include "graph/onnx/dynamic.hpp"
#include "graph/onnx/export_node.hpp"
#include "graph/onnx/metadata.hpp"
#include "graph/onnx/onnx.hpp"

namespace cpubone {
namespace {

constexpr std::int64_t ir_version = 9;
constexpr std::int64_t opset = 20;

}  // namespace

std::string to_onnx(const Network& network, const ParameterSource& parameters) {
  check(network);
  constexpr std::int64_t most_bytes = std::numeric_limits<std::int32_t>::max() - (1 << 20);
  if (params(network) * 4 > most_bytes)
    throw Error(fmt::format("network \"{}\": {} bytes of parameters do not fit into one ONNX file",
                            network.name, params(network) * 4));
  onnx::proto::ModelProto model;
  model.set_ir_version(ir_version);
  model.set_producer_name("cpubone");
  onnx::proto::OperatorSetIdProto& set = *model.add_opset_import();
  set.set_domain("");
  set.set_version(opset);
  onnx::proto::StringStringEntryProto& entry = *model.add_metadata_props();
  entry.set_key(onnx_metadata_key);
  entry.set_value(onnx::metadata(network));

  model.mutable_graph()->set_name(network.name);
  onnx::GraphWriter graph(*model.mutable_graph());
  const auto edge_name = [&](const Edge& edge) {
    if (edge.node != network_input)
      return onnx::tensor_name(network.nodes[static_cast<std::size_t>(edge.node)], edge.output);
    return edge.output == 0 ? std::string("input") : fmt::format("input:{}", edge.output);
  };
  for (const Node& node : network.nodes) {
    onnx::Names inputs;
    for (const Edge& input : node.inputs) inputs.push_back(edge_name(input));
    Parameters values;
    if (params(node.op) > 0) {
      values = parameters(node);
      check(node, values);
    }
    onnx::export_node(graph, node, std::move(inputs), values);
  }
  if (std::any_of(network.nodes.begin(), network.nodes.end(),
                  [](const Node& node) { return node.op.dynamic; }))
    onnx::add_dynamic_product(model, opset);
  for (std::size_t i = 0; i < network.inputs.size(); ++i)
    graph.input(edge_name({network_input, static_cast<int>(i)}),
                onnx::nchw(network.inputs[i].shape), network.inputs[i].dtype);
  for (const Edge& output : network.outputs)
    graph.output(edge_name(output), onnx::nchw(tensor(network, output).shape),
                 tensor(network, output).dtype);
  return model.SerializeAsString();
}

void save_onnx(const Network& network, const ParameterSource& parameters,
               const std::filesystem::path& path) {
  write_text_file(to_onnx(network, parameters), path);
}

}  // namespace cpubone
