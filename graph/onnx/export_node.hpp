#pragma once
#include "graph/network.hpp"
#include "graph/onnx/graph_writer.hpp"
#include "graph/parameters.hpp"

namespace cpubone::onnx {

/// The tensor of a node's output: the first has the node's own name.
std::string tensor_name(const Node& node, int output);
Ints nchw(const Shape& shape);

/// Writes one node of a network as operators of ONNX, NCHW. The operator that stands for it has its
/// name, those that lead there have names below it. One of int8 becomes what it is in f32, between
/// DequantizeLinear and QuantizeLinear, as ONNX Runtime fuses them to int8 again. Throws
/// cpubone::Error for f16.
void export_node(GraphWriter& graph, const Node& node, Names inputs, const Parameters& parameters);

}  // namespace cpubone::onnx
