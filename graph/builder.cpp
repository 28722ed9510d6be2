#include "graph/builder.hpp"

#include <array>

namespace cpubone {
namespace {

Op window_op(OpKind kind, const Conv& conv) {
  Op op;
  op.kind = kind;
  op.outputs[0].shape.c = conv.out_channels;
  op.kernel_h = op.kernel_w = conv.kernel;
  op.stride_h = op.stride_w = conv.stride;
  op.groups = conv.groups;
  op.activation = conv.activation;
  op.bias = conv.bias;
  op.padding = conv.padding.value_or(same_padding(conv.kernel));
  return op;
}

Op plain_op(OpKind kind, Activation activation = Activation::none) {
  Op op;
  op.kind = kind;
  op.activation = activation;
  return op;
}

}  // namespace

NetworkBuilder::NetworkBuilder(std::string name, std::string family, Shape input, Form form)
    : form_(form) {
  network_.name = std::move(name);
  network_.family = std::move(family);
  network_.inputs = {{input}};
}

const Shape& NetworkBuilder::shape(int node) const {
  return tensor(network_, node).shape;
}

void NetworkBuilder::stage(int number) {
  const std::string label = number == 0 ? "stem" : "stage" + std::to_string(number);
  if (label == stage_) return;
  end_stage();
  stage_ = label;
  if (number > 0) stage_begin_ = network_.nodes.size();
}

void NetworkBuilder::head() {
  end_stage();
  stage_ = "head";
}

void NetworkBuilder::end_stage() {
  if (stage_begin_ && network_.nodes.size() > *stage_begin_)
    network_.features.emplace_back(static_cast<int>(network_.nodes.size()) - 1);
  stage_begin_.reset();
}

int NetworkBuilder::append(std::string_view name, Op op, std::span<const int> inputs) {
  for (const int input : inputs) op.inputs.push_back(tensor(network_, input));
  op = with_inferred_outputs(std::move(op));
  check(op);
  network_.nodes.push_back(
      {stage_ + "." + std::string(name), stage_, std::move(op), {inputs.begin(), inputs.end()}});
  return static_cast<int>(network_.nodes.size()) - 1;
}

int NetworkBuilder::conv2d(int input, std::string_view name, const Conv& conv) {
  Op op = window_op(OpKind::conv2d, conv);
  if (!conv.norm || form_ == Form::inference) {
    op.bias = conv.bias || conv.norm;
    return append(name, op, std::array{input});
  }
  op.activation = Activation::none;
  const int x = append(name, op, std::array{input});
  return batch_norm(x, std::string(name) + ".norm", conv.activation);
}

int NetworkBuilder::depthwise(int input, std::string_view name, Conv conv) {
  conv.out_channels = conv.groups = shape(input).c;
  return conv2d(input, name, conv);
}

int NetworkBuilder::conv_transpose2d(int input, std::string_view name, const Conv& conv) {
  return append(name, window_op(OpKind::conv_transpose2d, conv), std::array{input});
}

int NetworkBuilder::partial_conv2d(int input, std::string_view name, int conv_channels, int kernel,
                                   bool bias, PartialForm form) {
  Op op = window_op(OpKind::partial_conv2d, {.kernel = kernel, .bias = bias});
  op.conv_channels = conv_channels;
  op.partial_form = form;
  return append(name, op, std::array{input});
}

int NetworkBuilder::linear(int input, std::string_view name, int out_channels, bool bias,
                           Activation activation) {
  Op op = plain_op(OpKind::linear, activation);
  op.outputs[0].shape.c = out_channels;
  op.bias = bias;
  return append(name, op, std::array{input});
}

int NetworkBuilder::attention(int input, std::string_view name, int heads) {
  Op op = plain_op(OpKind::attention);
  op.heads = heads;
  return append(name, op, std::array{input});
}

int NetworkBuilder::activation(int input, std::string_view name, Activation activation) {
  return append(name, plain_op(OpKind::activation, activation), std::array{input});
}

int NetworkBuilder::add(int a, int b, std::string_view name, Activation activation) {
  return append(name, plain_op(OpKind::add, activation), std::array{a, b});
}

int NetworkBuilder::mul(int a, int b, std::string_view name) {
  return append(name, plain_op(OpKind::mul), std::array{a, b});
}

int NetworkBuilder::group_norm(int input, std::string_view name) {
  return append(name, plain_op(OpKind::group_norm), std::array{input});
}

int NetworkBuilder::batch_norm(int input, std::string_view name, Activation activation) {
  return append(name, plain_op(OpKind::batch_norm, activation), std::array{input});
}

int NetworkBuilder::layer_norm(int input, std::string_view name, Activation activation) {
  return append(name, plain_op(OpKind::layer_norm, activation), std::array{input});
}

int NetworkBuilder::rms_norm(int input, std::string_view name, Activation activation) {
  return append(name, plain_op(OpKind::rms_norm, activation), std::array{input});
}

int NetworkBuilder::global_avg_pool(int input, std::string_view name) {
  return append(name, plain_op(OpKind::global_avg_pool), std::array{input});
}

int NetworkBuilder::max_pool2d(int input, std::string_view name, int kernel, int stride,
                               Padding padding) {
  return append(name,
                window_op(OpKind::max_pool2d,
                          {.kernel = kernel, .stride = stride, .bias = false, .padding = padding}),
                std::array{input});
}

int NetworkBuilder::upsample_nearest(int input, std::string_view name, int factor) {
  Op op = plain_op(OpKind::upsample_nearest);
  op.stride_h = op.stride_w = factor;
  return append(name, op, std::array{input});
}

int NetworkBuilder::slice(int input, std::string_view name, int begin, int channels) {
  Op op = plain_op(OpKind::slice);
  op.begin = begin;
  op.outputs[0].shape.c = channels;
  return append(name, op, std::array{input});
}

int NetworkBuilder::concat(std::span<const int> inputs, std::string_view name) {
  return append(name, plain_op(OpKind::concat), inputs);
}

int NetworkBuilder::channel_shuffle(int input, std::string_view name, int groups) {
  Op op = plain_op(OpKind::channel_shuffle);
  op.groups = groups;
  return append(name, op, std::array{input});
}

Network NetworkBuilder::finish(int output) {
  end_stage();
  network_.outputs = {output};
  check(network_);
  return std::move(network_);
}

}  // namespace cpubone
