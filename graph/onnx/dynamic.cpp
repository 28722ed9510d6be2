#include "graph/onnx/dynamic.hpp"

#include "graph/onnx/write_int8.hpp"

namespace cpubone::onnx {

std::string write_dynamic_product(GraphWriter& graph, const std::string& output,
                                  const std::string& name, const Op& op,
                                  const Parameters& parameters, const std::string& rows) {
  const Int8Weight weight =
      write_int8_steps(graph, output + "/weight", op, parameters, {op.output().c, op.input().c});
  graph.add(dynamic_product, {rows, weight.steps, weight.scale}, output, {}, name);
  graph.set_domain(functions_domain);
  return output;
}

void add_dynamic_product(proto::ModelProto& model, std::int64_t opset) {
  proto::OperatorSetIdProto& set = *model.add_opset_import();
  set.set_domain(functions_domain);
  set.set_version(1);
  proto::FunctionProto& function = *model.add_functions();
  function.set_domain(functions_domain);
  function.set_name(dynamic_product);
  proto::OperatorSetIdProto& standard = *function.add_opset_import();
  standard.set_domain("");
  standard.set_version(opset);
  for (const char* input : {"rows", "weights", "scales"}) function.add_input(input);
  function.add_output("products");

  proto::GraphProto nodes;
  GraphWriter graph(nodes);
  const auto number = [&](const std::string& name, float value) {
    return graph.add("Constant", {}, name, {{"value_float", value}});
  };
  const std::string last = graph.add("Constant", {}, "last", {{"value_ints", Ints{-1}}});
  const std::string zero = number("zero", 0);
  const std::string lowest = number("lowest", -128);
  const std::string highest = number("highest", 127);
  // 255 steps of each row, with zero among them; a row of zeros has steps of any size.
  const std::string low =
      graph.add("Min", {graph.add("ReduceMin", {"rows", last}, "smallest"), zero}, "low");
  const std::string high =
      graph.add("Max", {graph.add("ReduceMax", {"rows", last}, "largest"), zero}, "high");
  const std::string range = graph.add("Sub", {high, low}, "range");
  const std::string step =
      graph.add("Where",
                {graph.add("Equal", {range, zero}, "zeros"), number("one", 1),
                 graph.add("Div", {range, number("steps", 255)}, "part of range")},
                "step");
  const std::string below = graph.add("Div", {low, step}, "steps below zero");
  const std::string zero_point =
      graph.add("Round", {graph.add("Sub", {lowest, below}, "exact zero point")}, "zero point");
  const std::string rounded =
      graph.add("Round", {graph.add("Div", {"rows", step}, "in steps")}, "rounded");
  const std::string bytes = graph.add(
      "Clip", {graph.add("Add", {rounded, zero_point}, "moved"), lowest, highest}, "bytes");
  // Whole numbers, which floats hold exactly: few runtimes multiply integers with zero points by
  // row.
  const std::string whole = graph.add("Sub", {bytes, zero_point}, "whole");
  const std::string real = graph.add("Cast", {"weights"}, "real weights",
                                     {{"to", std::int64_t{proto::TensorProto::FLOAT}}});
  const std::string by_inputs =
      graph.add("Transpose", {real}, "weights by inputs", {{"perm", Ints{1, 0}}});
  const std::string sums = graph.add("MatMul", {whole, by_inputs}, "sums");
  graph.add("Mul", {graph.add("Mul", {sums, step}, "by row"), "scales"}, "products");
  function.mutable_node()->Swap(nodes.mutable_node());
}

}  // namespace cpubone::onnx
