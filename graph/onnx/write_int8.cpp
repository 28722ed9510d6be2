#include "graph/onnx/write_int8.hpp"

#include <cmath>
#include <cstdint>
#include <vector>

#include "graph/quantise.hpp"

namespace cpubone::onnx {
namespace {

const WrittenAttributes by_channel{{"axis", std::int64_t{0}}};

Ints extent(const std::vector<float>& values) {
  return {static_cast<std::int64_t>(values.size())};
}

std::vector<std::int8_t> steps_of(const Op& op, const Parameters& parameters,
                                  const std::vector<float>& scales) {
  std::vector<std::int8_t> steps(parameters.weight.size());
  for (std::size_t i = 0; i < steps.size(); ++i)
    steps[i] = static_cast<std::int8_t>(
        std::lround(parameters.weight[i] / scales[channel_of_weight(op, i)]));
  return steps;
}

}  // namespace

Int8Weight write_int8_steps(GraphWriter& graph, const std::string& name, const Op& op,
                            const Parameters& parameters, const Ints& dims) {
  const std::vector<float> scales = weight_scales(op, parameters);
  return {graph.int8_tensor(name + "/steps", dims, steps_of(op, parameters, scales)),
          graph.tensor(name + "/scale", extent(scales), scales)};
}

std::string write_int8_weight(GraphWriter& graph, const std::string& name, const Op& op,
                              const Parameters& parameters, const Ints& dims) {
  if (op.kind != OpKind::conv_transpose2d) {
    const Int8Weight weight = write_int8_steps(graph, name, op, parameters, dims);
    return graph.add("DequantizeLinear", {weight.steps, weight.scale}, name, by_channel);
  }
  const std::vector<float> scales = weight_scales(op, parameters);
  const std::vector<std::int8_t> steps = steps_of(op, parameters, scales);
  std::vector<float> values(steps.size());
  for (std::size_t i = 0; i < steps.size(); ++i)
    values[i] = static_cast<float>(steps[i]) * scales[channel_of_weight(op, i)];
  return graph.tensor(name, dims, values);
}

std::string write_int8_bias(GraphWriter& graph, const std::string& name, const Op& op,
                            const Parameters& parameters) {
  std::vector<float> scales = weight_scales(op, parameters);
  std::vector<std::int32_t> steps;
  for (std::size_t c = 0; c < scales.size(); ++c) {
    scales[c] *= quantisation_of(op.inputs[0]).scale;
    steps.push_back(static_cast<std::int32_t>(std::lround(parameters.bias[c] / scales[c])));
  }
  return graph.add("DequantizeLinear",
                   {graph.int32_tensor(name + "/steps", extent(scales), steps),
                    graph.tensor(name + "/scale", extent(scales), scales)},
                   name, by_channel);
}

void write_conversion(GraphWriter& graph, const char* type, const Tensor& int8,
                      const std::string& input, const std::string& output) {
  const Quantisation q = quantisation_of(int8);
  graph.add(type,
            {input, graph.tensor(output + "/scale", {}, {q.scale}),
             graph.int8_tensor(output + "/zero", {}, {static_cast<std::int8_t>(q.zero_point)})},
            output);
}

}  // namespace cpubone::onnx
