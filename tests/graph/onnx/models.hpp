#pragma once
#include <functional>
#include <string>

#include "graph/onnx/graph_writer.hpp"
#include "graph/onnx/onnx.hpp"

namespace cpubone::test {

using onnx::GraphWriter;
using onnx::Ints;

/// A model of one graph that `write` fills.
inline std::string model(const std::function<void(GraphWriter&)>& write, int opset = 20) {
  onnx::proto::ModelProto proto;
  proto.set_ir_version(8);
  proto.add_opset_import()->set_version(opset);
  GraphWriter graph(*proto.mutable_graph());
  proto.mutable_graph()->set_name("model");
  write(graph);
  return proto.SerializeAsString();
}

/// A model whose input `x` has these dimensions and whose output is `y`.
inline OnnxImport imported(const Ints& dims, const std::function<void(GraphWriter&)>& write,
                           int opset = 20) {
  return import_onnx(model(
                         [&](GraphWriter& graph) {
                           graph.input("x", dims);
                           write(graph);
                           graph.output("y", {});
                         },
                         opset),
                     "test");
}

/// The canonical text of each operator, a line each.
inline std::string lines(const Network& network) {
  std::string all;
  for (const Node& node : network.nodes) all += node.name + ": " + text(node.op) + "\n";
  return all;
}

}  // namespace cpubone::test
