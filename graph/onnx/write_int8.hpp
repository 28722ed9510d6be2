#pragma once
#include <string>

#include "graph/onnx/graph_writer.hpp"
#include "graph/op.hpp"
#include "graph/parameters.hpp"

namespace cpubone::onnx {

// Parts of an int8 network, as ONNX Runtime expects them: steps, and what gives them their scale.

/// Tensors of an operator's weight: its steps with these extents, and scales of output channels.
struct Int8Weight {
  std::string steps;
  std::string scale;
};
Int8Weight write_int8_steps(GraphWriter& graph, const std::string& name, const Op& op,
                            const Parameters& parameters, const Ints& dims);

/// An operator's weight with these extents, as steps that DequantizeLinear turns into the result's
/// values. Where channels are not the first dimension, these values themselves.
std::string write_int8_weight(GraphWriter& graph, const std::string& name, const Op& op,
                              const Parameters& parameters, const Ints& dims);
/// In steps of its products.
std::string write_int8_bias(GraphWriter& graph, const std::string& name, const Op& op,
                            const Parameters& parameters);
/// `type` is QuantizeLinear or DequantizeLinear.
void write_conversion(GraphWriter& graph, const char* type, const Tensor& int8,
                      const std::string& input, const std::string& output);

}  // namespace cpubone::onnx
