#pragma once
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/onnx/lowering.hpp"
#include "graph/onnx/onnx.hpp"

namespace cpubone::onnx {

/// A node of the model, what it reads and where its results go.
struct NodeContext {
  const proto::NodeProto& proto;
  NodeAttributes attributes;
  std::int64_t opset;
  std::vector<const Value*> inputs;  ///< null where one is left out
  std::size_t outputs;
  bool half;  ///< the model calculates in 16 bits throughout
  Lowering& lower;

  bool has(std::size_t i) const { return i < inputs.size() && inputs[i] != nullptr; }
  /// Throws Unsupported where it is left out.
  const Value& input(std::size_t i) const;
  /// Throws Unsupported where it is left out or not known.
  const Array& known(std::size_t i) const;
  /// Integers that are an attribute of older opsets and an input of newer ones.
  std::optional<std::vector<std::int64_t>> integers(std::string_view attribute,
                                                    std::size_t input) const;
};

/// Turns a node into operators of the network and returns its outputs. Throws Unsupported, or
/// std::invalid_argument where an operator of the network does not allow it.
using Handler = std::vector<Value> (*)(const NodeContext& node);

struct HandlerRow {
  std::string_view type;
  Handler handler;
};
std::span<const HandlerRow> elementwise_handlers();
std::span<const HandlerRow> window_handlers();
std::span<const HandlerRow> matrix_handlers();
std::span<const HandlerRow> shape_handlers();
std::span<const HandlerRow> reduction_handlers();
/// The handler of an operator's type; null where there is none.
Handler find_handler(std::string_view type);

/// Sum, product etc. of two tensors, as numpy broadcasts.
Value elementwise(Lowering& lower, OpKind kind, const Value& a, const Value& b,
                  const std::string& part = "");
/// A function of each element.
Value function(Lowering& lower, Activation activation, const Value& x,
               const std::string& part = "");
Value scalar(float value);

/// Outputs of a node whose inputs are all known; nothing where the operator is not evaluated.
std::optional<std::vector<Constant>> evaluate(const NodeContext& node);

}  // namespace cpubone::onnx
