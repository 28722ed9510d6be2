#include "graph/onnx.hpp"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <limits>

#include "graph/error.hpp"
#include "graph/json_file.hpp"
#include "graph/onnx_writer.hpp"

namespace cpubone {
namespace {

using namespace onnx;

constexpr std::int64_t ir_version = 9;
constexpr std::int64_t opset = 20;

Attributes window(const Op& op, bool groups) {
  Attributes all{attribute("kernel_shape", Ints{op.kernel_h, op.kernel_w}),
                 attribute("strides", Ints{op.stride_h, op.stride_w}),
                 attribute("pads", Ints{op.padding.top, op.padding.left, op.padding.bottom,
                                        op.padding.right})};
  if (op.dilation_h != 1 || op.dilation_w != 1)
    all.push_back(attribute("dilations", Ints{op.dilation_h, op.dilation_w}));
  if (groups) all.push_back(attribute("group", std::int64_t{op.groups}));
  return all;
}

/// The first output has the node's own name.
std::string tensor_name(const Node& node, int output) {
  return output == 0 ? node.name : fmt::format("{}:{}", node.name, output);
}

/// Writes one node of a network as operators of ONNX.
class Exporter {
 public:
  Exporter(Graph& graph, const Node& node, Names inputs, const Parameters& parameters)
      : graph_(graph), node_(node), op_(node.op), inputs_(std::move(inputs)), p_(parameters) {}

  void run() {
    const bool fused = op_.activation != Activation::none && op_.kind != OpKind::activation;
    const std::string out = fused ? part("linear") : node_.name;
    compute(out);
    if (fused) activate(out);
  }

 private:
  std::string part(const std::string& name) const { return node_.name + "/" + name; }

  std::string weight(const Ints& dims) { return graph_.tensor(part("weight"), dims, p_.weight); }

  /// The input and the tensors of a layer with weights.
  Names layer(const std::string& input, const Ints& dims) {
    Names names{input, weight(dims)};
    if (op_.bias)
      names.push_back(
          graph_.tensor(part("bias"), {static_cast<std::int64_t>(p_.bias.size())}, p_.bias));
    return names;
  }

  std::string vector(const std::string& name, const std::vector<float>& values) {
    return graph_.tensor(part(name), {static_cast<std::int64_t>(values.size())}, values);
  }

  std::string reshape(const std::string& input, const Ints& dims, const std::string& output) {
    return graph_.add("Reshape", {input, graph_.tensor(output + "/shape", dims)}, output);
  }

  std::string scalar(const std::string& name, float value) {
    return graph_.tensor(part(name), {}, {value});
  }

  void activate(const std::string& in) {
    const std::string& out = node_.name;
    switch (op_.activation) {
      case Activation::none:
        graph_.add("Identity", {in}, out);
        break;
      case Activation::relu:
        graph_.add("Relu", {in}, out);
        break;
      case Activation::relu6:
        graph_.add("Clip", {in, scalar("low", 0), scalar("high", 6)}, out);
        break;
      case Activation::hardswish:
        graph_.add("HardSwish", {in}, out);
        break;
      case Activation::hardsigmoid:
        graph_.add("HardSigmoid", {in}, out,
                   {attribute("alpha", 1.0F / 6.0F), attribute("beta", 0.5F)});
        break;
      case Activation::sigmoid:
        graph_.add("Sigmoid", {in}, out);
        break;
      case Activation::silu:
        graph_.add("Mul", {in, graph_.add("Sigmoid", {in}, part("sigmoid"))}, out);
        break;
      case Activation::gelu:
        graph_.add("Gelu", {in}, out, {attribute("approximate", "none")});
        break;
      case Activation::gelu_tanh:
        graph_.add("Gelu", {in}, out, {attribute("approximate", "tanh")});
        break;
    }
  }

  void attention(const std::string& out) {
    const Shape& in = op_.input();
    const std::int64_t tokens = std::int64_t{in.h} * in.w;
    const std::int64_t d = in.c / 3 / op_.heads;
    const std::string heads = reshape(inputs_[0], {op_.heads, 3 * d, tokens}, part("heads"));
    const Names qkv =
        graph_.add("Split", {heads}, Names{part("q"), part("k"), part("v")},
                   {attribute("axis", std::int64_t{1}), attribute("num_outputs", std::int64_t{3})});
    const Attributes swap{attribute("perm", Ints{0, 2, 1})};
    const std::string q = graph_.add("Transpose", {qkv[0]}, part("qT"), swap);
    const std::string v = graph_.add("Transpose", {qkv[2]}, part("vT"), swap);
    std::string scores = graph_.add("MatMul", {q, qkv[1]}, part("products"));
    const float scale = 1.0F / std::sqrt(static_cast<float>(d));
    scores = graph_.add("Mul", {scores, scalar("scale", scale)}, part("scores"));
    scores =
        graph_.add("Softmax", {scores}, part("weights"), {attribute("axis", std::int64_t{-1})});
    const std::string mixed = graph_.add("MatMul", {scores, v}, part("mixed"));
    reshape(graph_.add("Transpose", {mixed}, part("mixedT"), swap), nchw(op_.output()), out);
  }

  void slice(const std::string& in, int begin, int end, const std::string& out) {
    graph_.add("Slice",
               {in, graph_.tensor(out + "/begin", Ints{begin}),
                graph_.tensor(out + "/end", Ints{end}), graph_.tensor(out + "/axis", Ints{1})},
               out);
  }

  void compute(const std::string& out) {
    const Shape& in = op_.input();
    switch (op_.kind) {
      case OpKind::conv2d:
        graph_.add(
            "Conv",
            layer(inputs_[0], {op_.output().c, in.c / op_.groups, op_.kernel_h, op_.kernel_w}), out,
            window(op_, true));
        break;
      case OpKind::conv_transpose2d:
        graph_.add(
            "ConvTranspose",
            layer(inputs_[0], {in.c, op_.output().c / op_.groups, op_.kernel_h, op_.kernel_w}), out,
            window(op_, true));
        break;
      case OpKind::partial_conv2d: {
        slice(inputs_[0], 0, op_.conv_channels, part("convolved_input"));
        const std::string convolved =
            graph_.add("Conv",
                       layer(part("convolved_input"),
                             {op_.conv_channels, op_.conv_channels, op_.kernel_h, op_.kernel_w}),
                       part("convolved"), window(op_, true));
        if (op_.conv_channels == in.c) {
          graph_.add("Identity", {convolved}, out);
          break;
        }
        slice(inputs_[0], op_.conv_channels, in.c, part("rest"));
        graph_.add("Concat", {convolved, part("rest")}, out, {attribute("axis", std::int64_t{1})});
        break;
      }
      case OpKind::linear: {
        // Gemm takes matrices; a map of several pixels is a 1x1 convolution.
        if (in.h == 1 && in.w == 1) {
          const std::string flat = reshape(inputs_[0], {1, in.c}, part("flat"));
          const std::string rows = graph_.add("Gemm", layer(flat, {op_.output().c, in.c}),
                                              part("row"), {attribute("transB", std::int64_t{1})});
          reshape(rows, nchw(op_.output()), out);
        } else {
          graph_.add("Conv", layer(inputs_[0], {op_.output().c, in.c, 1, 1}), out);
        }
        break;
      }
      case OpKind::attention:
        attention(out);
        break;
      case OpKind::activation:
        activate(inputs_[0]);
        break;
      case OpKind::add:
        graph_.add("Add", inputs_, out);
        break;
      case OpKind::mul:
        graph_.add("Mul", inputs_, out);
        break;
      case OpKind::group_norm: {
        // One instance over everything, then scale and shift by channels.
        const std::string row =
            reshape(inputs_[0], {1, 1, std::int64_t{in.h} * in.w * in.c}, part("row"));
        const std::string normal =
            graph_.add("InstanceNormalization",
                       {row, graph_.tensor(part("one"), {1}, {1.0F}),
                        graph_.tensor(part("zero"), {1}, {0.0F})},
                       part("normalised"), {attribute("epsilon", static_cast<float>(op_.epsilon))});
        const std::string map = reshape(normal, nchw(in), part("map"));
        const std::string scaled = graph_.add("Mul", {map, weight({in.c, 1, 1})}, part("scaled"));
        graph_.add("Add", {scaled, graph_.tensor(part("bias"), {in.c, 1, 1}, p_.bias)}, out);
        break;
      }
      case OpKind::layer_norm: {
        // The channels must be last.
        const std::string last = graph_.add("Transpose", {inputs_[0]}, part("last"),
                                            {attribute("perm", Ints{0, 2, 3, 1})});
        const std::string normal =
            graph_.add("LayerNormalization", {last, weight({in.c}), vector("bias", p_.bias)},
                       part("normalised"),
                       {attribute("axis", std::int64_t{-1}),
                        attribute("epsilon", static_cast<float>(op_.epsilon))});
        graph_.add("Transpose", {normal}, out, {attribute("perm", Ints{0, 3, 1, 2})});
        break;
      }
      case OpKind::batch_norm:
        graph_.add("BatchNormalization",
                   {inputs_[0], weight({in.c}), vector("bias", p_.bias), vector("mean", p_.mean),
                    vector("variance", p_.variance)},
                   out, {attribute("epsilon", static_cast<float>(op_.epsilon))});
        break;
      case OpKind::global_avg_pool:
        graph_.add("GlobalAveragePool", inputs_, out);
        break;
      case OpKind::max_pool2d:
        graph_.add("MaxPool", inputs_, out, window(op_, false));
        break;
      case OpKind::upsample_nearest: {
        graph_.add(
            "Resize",
            {inputs_[0], "",
             graph_.tensor(part("factors"), {4}, {1, 1, float(op_.stride_h), float(op_.stride_w)})},
            out,
            {attribute("mode", "nearest"), attribute("nearest_mode", "floor"),
             attribute("coordinate_transformation_mode", "asymmetric")});
        break;
      }
      case OpKind::slice:
        slice(inputs_[0], op_.begin, op_.begin + op_.output().c, out);
        break;
      case OpKind::concat:
        graph_.add("Concat", inputs_, out, {attribute("axis", std::int64_t{1})});
        break;
      case OpKind::channel_shuffle: {
        const std::string split =
            reshape(inputs_[0], {1, op_.groups, in.c / op_.groups, in.h, in.w}, part("groups"));
        const std::string turned = graph_.add("Transpose", {split}, part("turned"),
                                              {attribute("perm", Ints{0, 2, 1, 3, 4})});
        reshape(turned, nchw(op_.output()), out);
        break;
      }
      case OpKind::avg_pool2d:
        graph_.add("AveragePool", inputs_, out, window(op_, false));
        break;
      case OpKind::softmax:
        graph_.add("Softmax", inputs_, out, {attribute("axis", std::int64_t{1})});
        break;
      case OpKind::split: {
        Names outputs{out};
        Ints sizes{op_.output().c};
        for (std::size_t i = 1; i < op_.outputs.size(); ++i) {
          outputs.push_back(tensor_name(node_, static_cast<int>(i)));
          sizes.push_back(op_.output(i).c);
        }
        graph_.add("Split", {inputs_[0], graph_.tensor(part("sizes"), sizes)}, outputs,
                   {attribute("axis", std::int64_t{1})});
        break;
      }
      case OpKind::reshape: {
        // The elements' order is that of NHWC.
        const std::string last =
            graph_.add("Transpose", inputs_, part("last"), {attribute("perm", Ints{0, 2, 3, 1})});
        const Shape& to = op_.output();
        const std::string map = reshape(last, {1, to.h, to.w, to.c}, part("map"));
        graph_.add("Transpose", {map}, out, {attribute("perm", Ints{0, 3, 1, 2})});
        break;
      }
      case OpKind::transpose: {
        // Dimension i of NHWC is dimension `place[i]` of NCHW.
        constexpr std::array<int, 4> place{0, 2, 3, 1};
        Ints order(4);
        for (std::size_t i = 0; i < 4; ++i)
          order[static_cast<std::size_t>(place[i])] =
              place[static_cast<std::size_t>(op_.permutation[i])];
        graph_.add("Transpose", inputs_, out, {attribute("perm", order)});
        break;
      }
      case OpKind::cast:
      case OpKind::quantise:
      case OpKind::dequantise:
        throw Error(fmt::format("node \"{}\", op \"{}\": only networks of f32 can be exported",
                                node_.name, text(op_)));
    }
  }

  Graph& graph_;
  const Node& node_;
  const Op& op_;
  Names inputs_;
  const Parameters& p_;
};

}  // namespace

std::string to_onnx(const Network& network, const ParameterSource& parameters) {
  check(network);
  constexpr std::int64_t most_bytes = std::numeric_limits<std::int32_t>::max() - (1 << 20);
  if (params(network) * 4 > most_bytes)
    throw Error(fmt::format("network \"{}\": {} bytes of parameters do not fit into one ONNX file",
                            network.name, params(network) * 4));
  Graph graph;
  const auto edge_name = [&](const Edge& edge) {
    if (edge.node != network_input)
      return tensor_name(network.nodes[static_cast<std::size_t>(edge.node)], edge.output);
    return edge.output == 0 ? std::string("input") : fmt::format("input:{}", edge.output);
  };
  for (const Node& node : network.nodes) {
    Names inputs;
    for (const Edge& input : node.inputs) inputs.push_back(edge_name(input));
    Parameters values;
    if (params(node.op) > 0) {
      values = parameters(node);
      check(node, values);
    }
    Exporter(graph, node, std::move(inputs), values).run();
  }
  for (std::size_t i = 0; i < network.inputs.size(); ++i)
    graph.interface(11, edge_name({network_input, static_cast<int>(i)}),
                    nchw(network.inputs[i].shape));
  for (const Edge& output : network.outputs)
    graph.interface(12, edge_name(output), nchw(tensor(network, output).shape));

  Message opset_id;
  opset_id.bytes(1, "");
  opset_id.integer(2, opset);
  Message model;
  model.integer(1, ir_version);
  model.bytes(2, "cpubone");
  model.message(7, std::move(graph).finish(network.name));
  model.message(8, opset_id);
  return model.data();
}

void save_onnx(const Network& network, const ParameterSource& parameters,
               const std::filesystem::path& path) {
  write_text_file(to_onnx(network, parameters), path);
}

}  // namespace cpubone
