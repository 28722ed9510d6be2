#include "graph/quantise.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <stdexcept>

#include "graph/schema.hpp"
#include "graph/size.hpp"

namespace cpubone {
namespace {

constexpr float lowest_int8 = -128;
constexpr float steps_of_int8 = 255;

[[noreturn]] void fail(const Network& network, const std::string& what) {
  throw std::invalid_argument(fmt::format("network \"{}\": {}", network.name, what));
}

/// Tensors by number: the network's inputs, then every node's outputs.
class TensorNumbers {
 public:
  explicit TensorNumbers(const Network& network) {
    std::size_t next = network.inputs.size();
    for (const Node& node : network.nodes) {
      first_.push_back(next);
      next += node.op.outputs.size();
    }
    size_ = next;
  }
  std::size_t operator()(const Edge& edge) const {
    const auto output = static_cast<std::size_t>(edge.output);
    return edge.node == network_input ? output
                                      : first_[static_cast<std::size_t>(edge.node)] + output;
  }
  std::size_t size() const { return size_; }

 private:
  std::vector<std::size_t> first_;
  std::size_t size_ = 0;
};

/// Sets of tensors that have one scale.
class Scales {
 public:
  explicit Scales(std::vector<ValueRange> ranges)
      : ranges_(std::move(ranges)), parent_(ranges_.size()) {
    std::iota(parent_.begin(), parent_.end(), std::size_t{0});
  }
  void join(std::size_t a, std::size_t b) {
    a = root(a);
    b = root(b);
    ranges_[a].low = std::min(ranges_[a].low, ranges_[b].low);
    ranges_[a].high = std::max(ranges_[a].high, ranges_[b].high);
    parent_[b] = a;
  }
  Quantisation of(std::size_t tensor) const { return quantisation_of(ranges_[root(tensor)]); }

 private:
  std::size_t root(std::size_t tensor) const {
    while (parent_[tensor] != tensor) tensor = parent_[tensor];
    return tensor;
  }
  std::vector<ValueRange> ranges_;
  std::vector<std::size_t> parent_;
};

Scales scales_of(const Network& network, const TensorNumbers& number,
                 const Calibration& calibration) {
  std::vector<ValueRange> ranges = calibration.inputs;
  for (const auto& outputs : calibration.nodes)
    ranges.insert(ranges.end(), outputs.begin(), outputs.end());
  if (ranges.size() != number.size() || calibration.nodes.size() != network.nodes.size())
    fail(network,
         fmt::format("has {} tensors, the calibration is of {}", number.size(), ranges.size()));
  Scales scales(std::move(ranges));
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    const Node& node = network.nodes[i];
    if (!schema(node.op.kind).keeps_values) continue;
    const std::size_t one = number(static_cast<int>(i));
    for (const Edge& input : node.inputs) scales.join(one, number(input));
    for (std::size_t k = 1; k < node.op.outputs.size(); ++k) scales.join(one, one + k);
  }
  return scales;
}

/// Whether a linear layer between floats takes less time if its input is quantised while it runs
/// than between conversions, of which that of the outputs falls away. With a current XNNPACK
/// (ExecuTorch 1.5's) on a Zen 4 CPU, one thread: 0.91 to 0.98 of the time from 192 inputs and
/// three times as many outputs on, 0.70 to 0.84 for a single pixel with as many outputs as inputs.
/// With as many outputs as inputs it is 0.84 to 1.24 for more pixels, with fewer up to 1.5, and up
/// to 1.3 for fewer than 128 inputs.
bool gains_dynamically(const Op& op) {
  constexpr int fewest_channels = 192;
  if (op.kind != OpKind::linear) return false;
  const Shape& in = op.input();
  const int least_factor = in.h == 1 && in.w == 1 ? 1 : 3;
  return in.c >= fewest_channels && op.output().c >= least_factor * in.c;
}

Op as_dynamic(Op linear) {
  linear.dynamic = true;
  return linear;
}

class Quantiser {
 public:
  Quantiser(const Network& network, const Calibration& calibration,
            const std::function<bool(const Op&)>& runs)
      : from_(network),
        runs_(runs),
        number_(network),
        scales_(scales_of(network, number_, calibration)),
        readers_(network.nodes.size()),
        int8_(number_.size()),
        float_(number_.size()) {
    result_.network = network;
    result_.network.nodes.clear();
    for (std::size_t i = 0; i < network.nodes.size(); ++i)
      for (const Edge& edge : network.nodes[i].inputs)
        if (edge.node != network_input) readers_[z(edge.node)].push_back(i);
    for (std::size_t i = 0; i < network.inputs.size(); ++i)
      float_[i] = Edge(network_input, static_cast<int>(i));
  }

  QuantisedNetwork finish() {
    for (std::size_t i = 0; i < from_.nodes.size(); ++i) add(i);
    for (Edge& edge : result_.network.outputs) edge = in_float(edge, from_.nodes.back().stage);
    for (Edge& edge : result_.network.features) {
      const std::size_t id = number_(edge);
      edge = int8_[id] ? *int8_[id] : *float_[id];
    }
    check(result_.network);
    return std::move(result_);
  }

 private:
  int append(Node node) {
    result_.network.nodes.push_back(std::move(node));
    return static_cast<int>(result_.network.nodes.size()) - 1;
  }

  Tensor int8_tensor(const Edge& edge) const {
    return {tensor(from_, edge).shape, DType::qs8, scales_.of(number_(edge))};
  }

  int convert(OpKind kind, const Edge& edge, const std::string& stage) {
    const bool to_int8 = kind == OpKind::quantise;
    Op op;
    op.kind = kind;
    op.inputs = {to_int8 ? tensor(from_, edge) : int8_tensor(edge)};
    op.outputs = {to_int8 ? int8_tensor(edge) : tensor(from_, edge)};
    std::string name = edge.node == network_input
                           ? fmt::format("input{}", edge.output)
                           : from_.nodes[static_cast<std::size_t>(edge.node)].name;
    if (edge.node != network_input && edge.output > 0) name += fmt::format(".{}", edge.output);
    const std::size_t id = number_(edge);
    return append({fmt::format("{}.{}", name, cpubone::name(kind)),
                   stage,
                   std::move(op),
                   {to_int8 ? *float_[id] : *int8_[id]}});
  }

  Edge in_int8(const Edge& edge, const std::string& stage) {
    std::optional<Edge>& known = int8_[number_(edge)];
    if (!known) known = convert(OpKind::quantise, edge, stage);
    return *known;
  }
  Edge in_float(const Edge& edge, const std::string& stage) {
    std::optional<Edge>& known = float_[number_(edge)];
    if (!known) known = convert(OpKind::dequantise, edge, stage);
    return *known;
  }

  Op int8_op(const Node& node, std::size_t i) const {
    Op op = node.op;
    for (std::size_t k = 0; k < op.inputs.size(); ++k) op.inputs[k] = int8_tensor(node.inputs[k]);
    for (std::size_t k = 0; k < op.outputs.size(); ++k)
      op.outputs[k] = int8_tensor(Edge(static_cast<int>(i), static_cast<int>(k)));
    return op;
  }

  /// An input that int8 reads as it is, or has to convert anyway.
  bool reads_int8(const Node& node) const {
    return std::any_of(node.inputs.begin(), node.inputs.end(), [&](const Edge& edge) {
      return edge.node == network_input || int8_[number_(edge)];
    });
  }

  /// Why the operator stays f32; empty: it does not.
  std::string reason(const Node& node, const Op& int8) const {
    if (!runs_(with_dtype(node.op, DType::qs8)))
      return fmt::format("{} has no int8 kernel here", name(node.op.kind));
    if (!runs_(int8)) return "scales of its tensors differ by more than its int8 kernel allows";
    if (macs(node.op) == 0 && !reads_int8(node)) return "all that it reads is f32";
    return {};
  }

  /// Whether all that read a node's outputs stay f32 if these are, of nodes that were not added
  /// yet: they have no int8 kernel, or are cheap and take f32 to where it is read as such. Outputs
  /// of the network are f32.
  bool read_in_float(std::size_t i) const {
    return std::all_of(readers_[i].begin(), readers_[i].end(), [&](std::size_t reader) {
      const Node& node = from_.nodes[reader];
      if (!runs_(with_dtype(node.op, DType::qs8)) || !runs_(int8_op(node, reader))) return true;
      const auto in_float = [&](const Edge& edge) {
        if (edge.node == static_cast<int>(i)) return true;
        const std::size_t id = number_(edge);
        return edge.node != network_input && !int8_[id] &&
               (float_[id] || from_.nodes[z(edge.node)].op.kind == OpKind::constant);
      };
      return macs(node.op) == 0 && std::all_of(node.inputs.begin(), node.inputs.end(), in_float) &&
             read_in_float(reader);
    });
  }

  bool becomes_dynamic(const Node& node, std::size_t i) const {
    if (!gains_dynamically(node.op)) return false;
    const std::size_t input = number_(node.inputs[0]);
    return float_[input] && !int8_[input] && runs_(as_dynamic(node.op)) && read_in_float(i);
  }

  void add(std::size_t i) {
    Node node = from_.nodes[i];
    const bool constant = node.op.kind == OpKind::constant;
    const bool dynamic = becomes_dynamic(node, i);
    Op int8 = int8_op(node, i);
    const std::string why = constant || dynamic ? "" : reason(node, int8);
    const bool stays = constant || dynamic || !why.empty();
    if (!why.empty()) result_.floats.push_back({node.name, why});
    if (dynamic) node.op = as_dynamic(std::move(node.op));
    if (!stays) node.op = std::move(int8);
    for (Edge& input : node.inputs)
      input = stays ? in_float(input, node.stage) : in_int8(input, node.stage);
    const std::size_t outputs = node.op.outputs.size();
    const int index = append(std::move(node));
    for (std::size_t k = 0; k < outputs; ++k)
      (stays ? float_ : int8_)[number_(Edge(static_cast<int>(i), static_cast<int>(k)))] =
          Edge(index, static_cast<int>(k));
  }

  const Network& from_;
  const std::function<bool(const Op&)>& runs_;
  TensorNumbers number_;
  Scales scales_;
  std::vector<std::vector<std::size_t>> readers_;  ///< of each node, all behind it
  std::vector<std::optional<Edge>> int8_;          ///< where each tensor is int8, if it is
  std::vector<std::optional<Edge>> float_;         ///< where it is f32
  QuantisedNetwork result_;
};

}  // namespace

Quantisation quantisation_of(const ValueRange& range) {
  if (!std::isfinite(range.low) || !std::isfinite(range.high) || range.low > range.high)
    throw std::invalid_argument(
        fmt::format("range of values: got {} to {}, expected finite numbers, the smaller first",
                    range.low, range.high));
  const float low = std::min(range.low, 0.0F);
  const float high = std::max(range.high, 0.0F);
  // In two parts, so that the difference does not overflow.
  const float scale = high / steps_of_int8 - low / steps_of_int8;
  if (!(scale >= std::numeric_limits<float>::min())) return {1, 0};  // all zeros
  return {scale, static_cast<int>(std::lround(lowest_int8 - low / scale))};
}

QuantisedNetwork quantise(const Network& network, const Calibration& calibration,
                          const std::function<bool(const Op&)>& runs) {
  const auto refuse = [&](const Node& node, std::string_view what) {
    fail(network, fmt::format("node \"{}\" is {}, only f32 can be quantised", node.name, what));
  };
  for (const Node& node : network.nodes) {
    if (node.op.dynamic) refuse(node, "dynamic");
    for (const auto* tensors : {&node.op.inputs, &node.op.outputs})
      for (const Tensor& tensor : *tensors)
        if (tensor.dtype != DType::f32) refuse(node, name(tensor.dtype));
  }
  return Quantiser(network, calibration, runs).finish();
}

std::size_t channel_of_weight(const Op& op, std::size_t weight) {
  const std::size_t window = z(op.kernel_h) * z(op.kernel_w);
  if (op.kind != OpKind::conv_transpose2d) {
    const std::size_t read =
        op.kind == OpKind::partial_conv2d ? z(op.conv_channels) : z(op.input().c / op.groups);
    return weight / (read * window);
  }
  const std::size_t group_out = z(op.output().c / op.groups);
  const std::size_t in_channel = weight / (group_out * window);
  return in_channel / z(op.input().c / op.groups) * group_out + weight / window % group_out;
}

std::vector<float> weight_scales(const Op& op, const Parameters& parameters) {
  constexpr float largest = 127;
  constexpr float least_factor = 0x1p-31F;
  constexpr float most_bias_steps = 0x1p30F;
  const float in_scale = quantisation_of(op.inputs[0]).scale;
  const int channels = op.kind == OpKind::partial_conv2d ? op.conv_channels : op.output().c;
  const float least = op.dynamic ? std::numeric_limits<float>::min()
                                 : least_factor * quantisation_of(op.outputs[0]).scale / in_scale;
  std::vector<float> scales(z(channels), least);
  const auto raise = [&](std::size_t channel, float to) {
    scales[channel] = std::max(scales[channel], to);
  };
  for (std::size_t i = 0; i < parameters.weight.size(); ++i)
    raise(channel_of_weight(op, i), std::abs(parameters.weight[i]) / largest);
  for (std::size_t c = 0; c < parameters.bias.size() && !op.dynamic; ++c)
    raise(c, std::abs(parameters.bias[c]) / most_bias_steps / in_scale);
  return scales;
}

bool is_quantised(const Network& network) {
  return std::any_of(network.nodes.begin(), network.nodes.end(), [](const Node& node) {
    return node.op.dynamic ||
           std::any_of(node.op.outputs.begin(), node.op.outputs.end(),
                       [](const Tensor& output) { return output.dtype == DType::qs8; });
  });
}

}  // namespace cpubone
