#pragma once
#include <string>

#include "graph/onnx/graph_writer.hpp"
#include "graph/op.hpp"
#include "graph/parameters.hpp"

namespace cpubone::onnx {

// Dynamic layers in ONNX, which has no operator of them: a function that comes with the model, made
// of standard operators, so that others compute the same. Reading a model, its name is enough.

inline constexpr const char* functions_domain = "cpubone";
/// Rows, int8 weights by outputs x inputs, and a scale of each output: their product, of rows that
/// are quantised by a scale and zero point of their own.
inline constexpr const char* dynamic_product = "DynamicMatMul";

/// Appends what a dynamic layer makes of rows, without its bias: `output`, of the node `name`.
std::string write_dynamic_product(GraphWriter& graph, const std::string& output,
                                  const std::string& name, const Op& op,
                                  const Parameters& parameters, const std::string& rows);
/// The function.
void add_dynamic_product(proto::ModelProto& model, std::int64_t opset);

}  // namespace cpubone::onnx
