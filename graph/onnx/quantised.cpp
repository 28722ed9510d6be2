#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "graph/onnx/importer.hpp"
#include "graph/size.hpp"

// Models of int8: steps of known tensors become real numbers, other tensors of bytes become int8
// ones of the network. Their operators are those of reals between conversions, which the pass
// in_int8 puts together. Those of ONNX Runtime's own domain are what it quantises models to.
namespace cpubone::onnx {
namespace {

/// Steps of uint8 are stored as int8, 128 below.
constexpr int unsigned_offset = 128;

Quantisation quantisation_of(const NodeContext& node, std::size_t scale, std::size_t zero) {
  const Array& scales = node.known(scale);
  if (scales.size() != 1) throw Unsupported("a scale for each channel of what is not known");
  Quantisation q{static_cast<float>(scales.at(0)), -unsigned_offset};
  if (node.has(zero)) {
    const Array& point = node.known(zero);
    if (point.size() != 1 || !point.integer) throw Unsupported("a zero point that is no integer");
    q.zero_point = static_cast<int>(point.at(0)) - (point.unsigned_bytes ? unsigned_offset : 0);
  }
  if (!(q.scale > 0) || q.zero_point < -unsigned_offset || q.zero_point >= unsigned_offset)
    throw Unsupported("other than int8 or uint8");
  return q;
}

/// For each element of a known tensor: the scale and zero point that it has.
class Steps {
 public:
  Steps(const NodeContext& node, std::size_t x, std::size_t scale, std::size_t zero,
        std::int64_t axis_of_scales)
      : scales_(node.known(scale)), zeros_(node.has(zero) ? &node.known(zero) : nullptr) {
    if (node.attributes.integer("block_size", 0) != 0) throw Unsupported("blocks");
    if (zeros_ != nullptr && zeros_->size() != scales_.size())
      throw Unsupported("zero points that are not one a scale");
    if (scales_.size() == 1) return;
    const Dims dims = node.input(x).dims();
    const std::size_t axis = axis_of(axis_of_scales, dims.size());
    if (static_cast<std::int64_t>(scales_.size()) != dims[axis])
      throw Unsupported("scales that are not one a channel");
    for (std::size_t d = axis + 1; d < dims.size(); ++d) inner_ *= z(to_int(dims[d]));
  }
  double scale(std::size_t i) const { return scales_.at(channel(i)); }
  double zero(std::size_t i) const { return zeros_ == nullptr ? 0 : zeros_->at(channel(i)); }

 private:
  std::size_t channel(std::size_t i) const { return i / inner_ % scales_.size(); }
  const Array& scales_;
  const Array* zeros_;
  std::size_t inner_ = 1;
};

Value known_reals(const NodeContext& node, std::size_t x, std::size_t scale, std::size_t zero,
                  std::int64_t axis) {
  const Array& steps = node.known(x);
  const Steps of(node, x, scale, zero, axis);
  std::vector<float> values(steps.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>((steps.at(i) - of.zero(i)) * of.scale(i));
  return {real(steps.dims, std::move(values)), {}, {}};
}

Value known_steps(const NodeContext& node) {
  const Array& reals = node.known(0);
  const Steps of(node, 0, 1, 2, node.attributes.integer("axis", 1));
  const bool is_unsigned = !node.has(2) || node.known(2).unsigned_bytes;
  const double low = is_unsigned ? 0 : -unsigned_offset;
  Array steps{reals.dims, {}, {}, true, is_unsigned};
  for (std::size_t i = 0; i < reals.size(); ++i) {
    const double step = std::nearbyint(reals.at(i) / of.scale(i)) + of.zero(i);
    steps.integers.push_back(static_cast<std::int64_t>(std::clamp(step, low, low + 255)));
  }
  return {std::make_shared<const Array>(std::move(steps)), {}, {}};
}

Value in_reals(const NodeContext& node, std::size_t x, std::size_t scale, std::size_t zero,
               const std::string& part) {
  const Value& value = node.input(x);
  if (value.known()) return known_reals(node, x, scale, zero, node.attributes.integer("axis", 1));
  Lowering& lower = node.lower;
  const Quantisation q = quantisation_of(node, scale, zero);
  const Tensor& from = tensor(lower.model.network, value.edge);
  if (from.dtype != DType::qs8) {  // an input of the model: its bytes come as numbers
    const auto offset = static_cast<float>(node.has(zero) ? node.known(zero).at(0) : 0);
    const Value moved = elementwise(lower, OpKind::sub, value, scalar(offset), part + "moved");
    return elementwise(lower, OpKind::mul, moved, scalar(q.scale), part);
  }
  if (from.quantisation != q) throw Unsupported("another scale than it was quantised by");
  return dequantised(lower, value, part);
}

std::vector<Value> quantize_linear(const NodeContext& node) {
  if (node.input(0).known()) return {known_steps(node)};
  return {quantised(node.lower, node.input(0), quantisation_of(node, 1, 2), "")};
}

std::vector<Value> dequantize_linear(const NodeContext& node) {
  return {in_reals(node, 0, 1, 2, "")};
}

/// The operator of reals, between conversions.
std::vector<Value> of_reals(const NodeContext& node, std::string_view type,
                            const std::vector<Value>& inputs, const Quantisation& to) {
  if (node.attributes.integer("channels_last", 0) != 0) throw Unsupported("channels last");
  NodeContext real{node.proto, node.attributes, node.opset, {}, 1, node.half, node.lower};
  for (const Value& value : inputs) real.inputs.push_back(&value);
  const std::vector<Value> results = find_handler(type)(real);
  return {quantised(node.lower, results.at(0), to, "quantised")};
}

/// A bias in steps of the products.
Value bias(const NodeContext& node, std::size_t at, std::size_t in_scale, std::size_t scale) {
  const Array& steps = node.known(at);
  const Array& scales = node.known(scale);
  if (scales.size() != 1 && scales.size() != steps.size())
    throw Unsupported("a bias that is not one a channel");
  std::vector<float> values(steps.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(steps.at(i) * node.known(in_scale).at(0) *
                                   scales.at(scales.size() > 1 ? i : 0));
  return {real(steps.dims, std::move(values)), {}, {}};
}

std::vector<Value> qlinear_conv(const NodeContext& node) {
  // Scales of weights are those of output channels.
  std::vector<Value> inputs{in_reals(node, 0, 1, 2, "input"), known_reals(node, 3, 4, 5, 0)};
  if (node.has(8)) inputs.push_back(bias(node, 8, 1, 4));
  return of_reals(node, "Conv", inputs, quantisation_of(node, 6, 7));
}

template <const char* type>
std::vector<Value> of_two(const NodeContext& node) {
  return of_reals(node, type, {in_reals(node, 0, 1, 2, "left"), in_reals(node, 3, 4, 5, "right")},
                  quantisation_of(node, 6, 7));
}

template <const char* type>
std::vector<Value> of_one(const NodeContext& node) {
  return of_reals(node, type, {in_reals(node, 0, 1, 2, "input")}, quantisation_of(node, 3, 4));
}

std::vector<Value> qlinear_concat(const NodeContext& node) {
  std::vector<Value> inputs;
  for (std::size_t i = 2; i + 1 < node.inputs.size(); i += 3)
    inputs.push_back(in_reals(node, i, i + 1, i + 2, fmt::format("input{}", inputs.size())));
  return of_reals(node, "Concat", inputs, quantisation_of(node, 0, 1));
}

std::vector<Value> qgemm(const NodeContext& node) {
  const std::int64_t outputs = node.attributes.integer("transB", 0) != 0 ? 0 : 1;
  std::vector<Value> inputs{in_reals(node, 0, 1, 2, "input"), known_reals(node, 3, 4, 5, outputs)};
  if (node.has(6)) inputs.push_back(bias(node, 6, 1, 4));
  if (!node.has(7)) throw Unsupported("of real outputs");
  return of_reals(node, "Gemm", inputs, quantisation_of(node, 7, 8));
}

constexpr char add[] = "Add";
constexpr char mul[] = "Mul";
constexpr char matmul[] = "MatMul";
constexpr char sigmoid[] = "Sigmoid";
constexpr char leaky[] = "LeakyRelu";
constexpr char average[] = "AveragePool";
constexpr char global_average_pool[] = "GlobalAveragePool";

constexpr HandlerRow quantised_rows[] = {
    {"DequantizeLinear", dequantize_linear},
    {"QGemm", qgemm},
    {"QLinearAdd", of_two<add>},
    {"QLinearAveragePool", of_one<average>},
    {"QLinearConcat", qlinear_concat},
    {"QLinearConv", qlinear_conv},
    {"QLinearGlobalAveragePool", of_one<global_average_pool>},
    {"QLinearLeakyRelu", of_one<leaky>},
    {"QLinearMatMul", of_two<matmul>},
    {"QLinearMul", of_two<mul>},
    {"QLinearSigmoid", of_one<sigmoid>},
    {"QuantizeLinear", quantize_linear},
};

}  // namespace

std::span<const HandlerRow> quantised_handlers() {
  return quantised_rows;
}

Value quantised(Lowering& lower, const Value& value, const Quantisation& to,
                const std::string& part) {
  Op op;
  op.kind = OpKind::quantise;
  op.outputs[0] = {{}, DType::qs8, to};
  return {nullptr, lower.append(std::move(op), {value.edge}, part), value.layout};
}

Value dequantised(Lowering& lower, const Value& value, const std::string& part) {
  Op op;
  op.kind = OpKind::dequantise;
  return {nullptr, lower.append(std::move(op), {value.edge}, part), value.layout};
}

std::vector<Value> on_reals(Handler handler, const NodeContext& node) {
  const Network& network = node.lower.model.network;
  const auto bytes = [&](const Value* value) {
    return value != nullptr && !value->known() && tensor(network, value->edge).dtype == DType::qs8;
  };
  const auto is_any_of = [&](std::initializer_list<std::string_view> types) {
    return std::find(types.begin(), types.end(), node.proto.op_type()) != types.end();
  };
  if (std::none_of(node.inputs.begin(), node.inputs.end(), bytes) ||
      is_any_of({"DequantizeLinear", "QGemm"}) || node.proto.op_type().rfind("QLinear", 0) == 0)
    return handler(node);
  if (!bytes(node.inputs[0]) || !is_any_of({"Flatten", "Gather", "Identity", "MaxPool", "Reshape",
                                            "Slice", "Squeeze", "Transpose", "Unsqueeze"}))
    throw Unsupported("a tensor of int8");
  const Quantisation q = cpubone::quantisation_of(tensor(network, node.inputs[0]->edge));
  const Value real = dequantised(node.lower, *node.inputs[0], "input");
  NodeContext of_reals = node;
  of_reals.inputs[0] = &real;
  return {quantised(node.lower, handler(of_reals).at(0), q, "quantised")};
}

}  // namespace cpubone::onnx
