#include "graph/onnx/export_node.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "graph/error.hpp"
#include "graph/onnx/dynamic.hpp"
#include "graph/onnx/window_attributes.hpp"
#include "graph/onnx/write_int8.hpp"
#include "graph/schema.hpp"

namespace cpubone::onnx {
namespace {

using Attributes = WrittenAttributes;

class NodeWriter {
 public:
  NodeWriter(GraphWriter& graph, const Node& node, Names inputs, const Parameters& parameters)
      : graph_(graph), node_(node), op_(node.op), inputs_(std::move(inputs)), p_(parameters) {}

  void run() {
    const bool fused = op_.activation != Activation::none && op_.kind != OpKind::activation;
    const std::string out = fused ? part("linear") : node_.name;
    compute(out);
    if (fused) activate(out);
  }

 private:
  std::string part(const std::string& name) const { return node_.name + "/" + name; }

  std::string weight(const Ints& dims) {
    if (op_.dtype() == DType::qs8) return write_int8_weight(graph_, part("weight"), op_, p_, dims);
    return graph_.tensor(part("weight"), dims, p_.weight);
  }
  std::string bias() {
    if (op_.dtype() == DType::qs8) return write_int8_bias(graph_, part("bias"), op_, p_);
    return vector("bias", p_.bias);
  }

  std::string vector(const std::string& name, const std::vector<float>& values) {
    return graph_.tensor(part(name), {static_cast<std::int64_t>(values.size())}, values);
  }

  /// The input and the tensors of a layer with weights.
  Names layer(const std::string& input, const Ints& dims) {
    Names names{input, weight(dims)};
    if (op_.bias) names.push_back(bias());
    return names;
  }

  // Where another node has the output's name, `name` is theirs.
  std::string reshape(const std::string& input, const Ints& dims, const std::string& output,
                      const std::string& name = "") {
    return graph_.add("Reshape", {input, graph_.tensor(output + "/shape", dims)}, output, {}, name);
  }

  std::string transpose(const std::string& input, const Ints& order, const std::string& output,
                        const std::string& name = "") {
    return graph_.add("Transpose", {input}, output, {{"perm", order}}, name);
  }
  std::string channels_last(std::size_t input, const std::string& name) {
    return transpose(inputs_[input], {0, 2, 3, 1}, part(name));
  }
  void channels_first(const std::string& last, const std::string& out,
                      const std::string& name = "") {
    transpose(last, {0, 3, 1, 2}, out, name);
  }

  std::string scalar(const std::string& name, float value) {
    return graph_.tensor(part(name), {}, {value});
  }

  void activate(const std::string& in) {
    const std::string& out = node_.name;
    const auto plain = [&](const char* type) { graph_.add(type, {in}, out); };
    switch (op_.activation) {
      case Activation::none:
        return plain("Identity");
      case Activation::relu:
        return plain("Relu");
      case Activation::relu6:
        graph_.add("Clip", {in, scalar("low", 0), scalar("high", 6)}, out);
        return;
      case Activation::hardswish:
        return plain("HardSwish");
      case Activation::hardsigmoid:
        graph_.add("HardSigmoid", {in}, out, {{"alpha", 1.0F / 6.0F}, {"beta", 0.5F}});
        return;
      case Activation::sigmoid:
        return plain("Sigmoid");
      case Activation::silu:
        graph_.add("Mul", {in, graph_.add("Sigmoid", {in}, part("sigmoid"))}, out);
        return;
      case Activation::gelu:
        graph_.add("Gelu", {in}, out, {{"approximate", std::string("none")}});
        return;
      case Activation::gelu_tanh:
        graph_.add("Gelu", {in}, out, {{"approximate", std::string("tanh")}});
        return;
      case Activation::tanh:
        return plain("Tanh");
      case Activation::elu:
        return plain("Elu");
      case Activation::softplus:
        return plain("Softplus");
      case Activation::mish:
        return plain("Mish");
      case Activation::exp:
        return plain("Exp");
      case Activation::log:
        return plain("Log");
      case Activation::sqrt:
        return plain("Sqrt");
      case Activation::reciprocal:
        return plain("Reciprocal");
      case Activation::erf:
        return plain("Erf");
      case Activation::abs:
        return plain("Abs");
      case Activation::neg:
        return plain("Neg");
    }
  }

  void attention(const std::string& out) {
    const Shape& in = op_.input();
    const std::int64_t tokens = std::int64_t{in.h} * in.w / op_.windows;
    const std::int64_t d = in.c / 3 / op_.heads;
    const std::string heads =
        reshape(inputs_[0], {op_.heads, 3 * d, op_.windows, tokens}, part("heads"));
    const Names qkv = graph_.add("Split", {heads}, Names{part("q"), part("k"), part("v")},
                                 {{"axis", std::int64_t{1}}, {"num_outputs", std::int64_t{3}}});
    const std::string q = transpose(qkv[0], {2, 0, 3, 1}, part("qT"));
    const std::string k = transpose(qkv[1], {2, 0, 1, 3}, part("kT"));
    const std::string v = transpose(qkv[2], {2, 0, 3, 1}, part("vT"));
    std::string scores = graph_.add("MatMul", {q, k}, part("products"));
    const std::string scale = scalar("scale", 1.0F / std::sqrt(static_cast<float>(d)));
    scores = graph_.add("Mul", {scores, scale}, part("scores"));
    if (inputs_.size() > 1) {
      const std::int64_t matrices = op_.input(1).h;
      const std::int64_t of_window = std::min<std::int64_t>(matrices, op_.heads);
      const Ints dims{matrices / of_window, of_window, tokens, tokens};
      const std::string added = reshape(channels_last(1, "bias"), dims, part("matrices"));
      scores = graph_.add("Add", {scores, added}, part("biased"));
    }
    scores = graph_.add("Softmax", {scores}, part("weights"), {{"axis", std::int64_t{-1}}});
    const std::string mixed = graph_.add("MatMul", {scores, v}, part("mixed"));
    reshape(transpose(mixed, {1, 3, 0, 2}, part("mixedT")), nchw(op_.output()), out);
  }

  void slice(const std::string& in, int begin, int end, const std::string& out) {
    graph_.add("Slice",
               {in, graph_.tensor(out + "/begin", Ints{begin}),
                graph_.tensor(out + "/end", Ints{end}), graph_.tensor(out + "/axis", Ints{1})},
               out);
  }

  /// Over the channels of each pixel; one pixel's is a vector times a matrix.
  void linear(const std::string& out) {
    const Shape& in = op_.input();
    const std::int64_t channels = op_.output().c;
    if (in.h == 1 && in.w == 1 && !op_.dynamic) {
      const std::string flat = reshape(inputs_[0], {1, in.c}, part("flat"));
      const std::string row = graph_.add("Gemm", layer(flat, {channels, in.c}), part("row"),
                                         {{"transB", std::int64_t{1}}}, out);
      reshape(row, nchw(op_.output()), out, part("map"));
      return;
    }
    const std::string product = op_.bias ? "" : out;  // the node's name
    const auto by_inputs = [&] {
      return transpose(weight({channels, in.c}), {1, 0}, part("weight by inputs"));
    };
    std::string sum = op_.dynamic ? write_dynamic_product(graph_, part("product"), product, op_, p_,
                                                          channels_last(0, "last"))
                                  : graph_.add("MatMul", {channels_last(0, "last"), by_inputs()},
                                               part("product"), {}, product);
    if (op_.bias) sum = graph_.add("Add", {sum, bias()}, part("sum"), {}, out);
    channels_first(sum, out, part("first"));
  }

  /// What is convolved and what is not, as two slices or as one split.
  void partial(const std::string& out) {
    const Shape& in = op_.input();
    const int rest = in.c - op_.conv_channels;
    const bool slices = op_.partial_form == PartialForm::slicing || rest == 0;
    if (slices) {
      slice(inputs_[0], 0, op_.conv_channels, part("convolved_input"));
      if (rest > 0) slice(inputs_[0], op_.conv_channels, in.c, part("rest"));
    } else {
      graph_.add("Split", {inputs_[0], graph_.tensor(part("sizes"), Ints{op_.conv_channels, rest})},
                 Names{part("convolved_input"), part("rest")}, {{"axis", std::int64_t{1}}});
    }
    const Names layers = layer(part("convolved_input"),
                               {op_.conv_channels, op_.conv_channels, op_.kernel_h, op_.kernel_w});
    const std::string convolved = graph_.add("Conv", layers, part("convolved"), window(op_, true));
    if (rest == 0)
      graph_.add("Identity", {convolved}, out);
    else
      graph_.add("Concat", {convolved, part("rest")}, out, {{"axis", std::int64_t{1}}});
  }

  /// One instance over everything, then scale and shift by channels.
  void group_norm(const std::string& out) {
    const Shape& in = op_.input();
    const std::string row =
        reshape(inputs_[0], {1, 1, std::int64_t{in.h} * in.w * in.c}, part("row"));
    const std::string normal = graph_.add(
        "InstanceNormalization",
        {row, graph_.tensor(part("one"), {1}, {1.0F}), graph_.tensor(part("zero"), {1}, {0.0F})},
        part("normalised"), {{"epsilon", static_cast<float>(op_.epsilon)}});
    const std::string map = reshape(normal, nchw(in), part("map"));
    const std::string scaled = graph_.add("Mul", {map, weight({in.c, 1, 1})}, part("scaled"));
    graph_.add("Add", {scaled, graph_.tensor(part("bias"), {in.c, 1, 1}, p_.bias)}, out);
  }

  /// Of basic operators: RMSNormalization is of opset 23, newer than many runtimes.
  void rms_norm(const std::string& out) {
    const std::string& in = inputs_[0];
    const std::string square = graph_.add("Mul", {in, in}, part("square"));
    const std::string mean =
        graph_.add("ReduceMean", {square, graph_.tensor(part("axes"), Ints{1})}, part("mean"));
    const auto epsilon = static_cast<float>(op_.epsilon);
    const std::string sum = graph_.add("Add", {mean, scalar("epsilon", epsilon)}, part("sum"));
    const std::string root = graph_.add("Sqrt", {sum}, part("root"));
    const std::string normal = graph_.add("Div", {in, root}, part("normalised"));
    graph_.add("Mul", {normal, weight({op_.input().c, 1, 1})}, out);
  }

  void compute(const std::string& out) {
    const Shape in = op_.inputs.empty() ? Shape{} : op_.input();
    const Attributes channel_axis{{"axis", std::int64_t{1}}};
    switch (op_.kind) {
      case OpKind::conv2d:
        graph_.add(
            "Conv",
            layer(inputs_[0], {op_.output().c, in.c / op_.groups, op_.kernel_h, op_.kernel_w}), out,
            window(op_, true));
        return;
      case OpKind::conv_transpose2d:
        graph_.add(
            "ConvTranspose",
            layer(inputs_[0], {in.c, op_.output().c / op_.groups, op_.kernel_h, op_.kernel_w}), out,
            window(op_, true));
        return;
      case OpKind::partial_conv2d:
        return partial(out);
      case OpKind::linear:
        return linear(out);
      case OpKind::attention:
        return attention(out);
      case OpKind::activation:
        return activate(inputs_[0]);
      case OpKind::add:
        graph_.add("Add", inputs_, out);
        return;
      case OpKind::mul:
        graph_.add("Mul", inputs_, out);
        return;
      case OpKind::sub:
        graph_.add("Sub", inputs_, out);
        return;
      case OpKind::div:
        graph_.add("Div", inputs_, out);
        return;
      case OpKind::maximum:
        graph_.add("Max", inputs_, out);
        return;
      case OpKind::minimum:
        graph_.add("Min", inputs_, out);
        return;
      case OpKind::group_norm:
        return group_norm(out);
      case OpKind::layer_norm: {
        const std::string normal = graph_.add(
            "LayerNormalization",
            {channels_last(0, "last"), weight({in.c}), vector("bias", p_.bias)}, part("normalised"),
            {{"axis", std::int64_t{-1}}, {"epsilon", static_cast<float>(op_.epsilon)}}, out);
        return channels_first(normal, out, part("first"));
      }
      case OpKind::rms_norm:
        return rms_norm(out);
      case OpKind::batch_norm:
        graph_.add("BatchNormalization",
                   {inputs_[0], weight({in.c}), vector("bias", p_.bias), vector("mean", p_.mean),
                    vector("variance", p_.variance)},
                   out, {{"epsilon", static_cast<float>(op_.epsilon)}});
        return;
      case OpKind::global_avg_pool:
        graph_.add("GlobalAveragePool", inputs_, out);
        return;
      case OpKind::max_pool2d:
        graph_.add("MaxPool", inputs_, out, window(op_, false));
        return;
      case OpKind::avg_pool2d:
        graph_.add("AveragePool", inputs_, out, window(op_, false));
        return;
      case OpKind::upsample_nearest:
        graph_.add(
            "Resize",
            {inputs_[0], "",
             graph_.tensor(part("factors"), {4}, {1, 1, float(op_.stride_h), float(op_.stride_w)})},
            out,
            {{"mode", std::string("nearest")},
             {"nearest_mode", std::string("floor")},
             {"coordinate_transformation_mode", std::string("asymmetric")}});
        return;
      case OpKind::slice:
        return slice(inputs_[0], op_.begin, op_.begin + op_.output().c, out);
      case OpKind::concat:
        graph_.add("Concat", inputs_, out, channel_axis);
        return;
      case OpKind::channel_shuffle: {
        const std::string split =
            reshape(inputs_[0], {1, op_.groups, in.c / op_.groups, in.h, in.w}, part("groups"));
        const std::string turned = transpose(split, {0, 2, 1, 3, 4}, part("turned"));
        reshape(turned, nchw(op_.output()), out);
        return;
      }
      case OpKind::softmax:
        graph_.add("Softmax", inputs_, out, channel_axis);
        return;
      case OpKind::split: {
        Names outputs{out};
        Ints sizes{op_.output().c};
        for (std::size_t i = 1; i < op_.outputs.size(); ++i) {
          outputs.push_back(tensor_name(node_, static_cast<int>(i)));
          sizes.push_back(op_.output(i).c);
        }
        graph_.add("Split", {inputs_[0], graph_.tensor(part("sizes"), sizes)}, outputs,
                   channel_axis);
        return;
      }
      case OpKind::reshape: {
        // The elements' order is that of NHWC.
        const Shape& to = op_.output();
        return channels_first(
            reshape(channels_last(0, "last"), {to.n, to.h, to.w, to.c}, part("map")), out);
      }
      case OpKind::transpose: {
        // Dimension i of NHWC is dimension `place[i]` of NCHW.
        constexpr std::array<int, 4> place{0, 2, 3, 1};
        Ints order(4);
        for (std::size_t i = 0; i < 4; ++i)
          order[static_cast<std::size_t>(place[i])] =
              place[static_cast<std::size_t>(op_.permutation[i])];
        transpose(inputs_[0], order, out);
        return;
      }
      case OpKind::constant: {
        const Shape& s = op_.output();
        const std::string last = graph_.tensor(part("values"), {s.n, s.h, s.w, s.c}, p_.weight);
        return channels_first(last, out);
      }
      case OpKind::matmul: {
        std::string right = channels_last(1, "right");
        if (op_.transposed) right = transpose(right, {0, 1, 3, 2}, part("turned"));
        return channels_first(
            graph_.add("MatMul", {channels_last(0, "left"), right}, part("product"), {}, out), out,
            part("first"));
      }
      case OpKind::reduce: {
        constexpr std::array<const char*, 4> types{"ReduceMean", "ReduceSum", "ReduceMax",
                                                   "ReduceMin"};
        graph_.add(types.at(static_cast<std::size_t>(op_.reduction)),
                   {inputs_[0], graph_.tensor(part("axes"), Ints{1})}, out);
        return;
      }
      case OpKind::resize: {
        constexpr std::array<const char*, 3> transforms{"half_pixel", "align_corners",
                                                        "asymmetric"};
        const bool nearest = op_.resize_mode == ResizeMode::nearest;
        Attributes attributes{
            {"mode", std::string(nearest ? "nearest" : "linear")},
            {"coordinate_transformation_mode",
             std::string(transforms.at(static_cast<std::size_t>(op_.resize_mode)))}};
        if (nearest) attributes.push_back({"nearest_mode", std::string("floor")});
        graph_.add("Resize", {inputs_[0], "", "", graph_.tensor(part("sizes"), nchw(op_.output()))},
                   out, attributes);
        return;
      }
      case OpKind::pad: {
        const Padding& p = op_.padding;
        graph_.add("Pad",
                   {inputs_[0], graph_.tensor(part("pads"),
                                              Ints{0, 0, p.top, p.left, 0, 0, p.bottom, p.right})},
                   out);
        return;
      }
      case OpKind::cast:
      case OpKind::quantise:
      case OpKind::dequantise:
        throw Error(fmt::format("node \"{}\", op \"{}\": only f32 and int8 can be exported",
                                node_.name, text(op_)));
    }
  }

  GraphWriter& graph_;
  const Node& node_;
  const Op& op_;
  Names inputs_;
  const Parameters& p_;
};

/// The operator in f32 is below the node's name.
void export_int8(GraphWriter& graph, const Node& node, Names inputs, const Parameters& parameters) {
  Node real = node;
  real.name += "/real";
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const std::string name = fmt::format("{}/input{}", node.name, k);
    write_conversion(graph, "DequantizeLinear", node.op.inputs[k], inputs[k], name);
    inputs[k] = name;
  }
  NodeWriter(graph, real, std::move(inputs), parameters).run();
  for (std::size_t k = 0; k < node.op.outputs.size(); ++k)
    write_conversion(graph, "QuantizeLinear", node.op.outputs[k],
                     tensor_name(real, static_cast<int>(k)),
                     tensor_name(node, static_cast<int>(k)));
}

}  // namespace

std::string tensor_name(const Node& node, int output) {
  return output == 0 ? node.name : fmt::format("{}:{}", node.name, output);
}

Ints nchw(const Shape& s) {
  return {s.n, s.c, s.h, s.w};
}

void export_node(GraphWriter& graph, const Node& node, Names inputs, const Parameters& parameters) {
  if (node.op.kind == OpKind::quantise)
    write_conversion(graph, "QuantizeLinear", node.op.outputs[0], inputs[0], node.name);
  else if (node.op.kind == OpKind::dequantise)
    write_conversion(graph, "DequantizeLinear", node.op.inputs[0], inputs[0], node.name);
  else if (node.op.dtype() == DType::qs8)
    export_int8(graph, node, std::move(inputs), parameters);
  else
    NodeWriter(graph, node, std::move(inputs), parameters).run();
}

}  // namespace cpubone::onnx
