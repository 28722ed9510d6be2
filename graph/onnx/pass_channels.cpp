#include "graph/onnx/editor.hpp"

// Operators on parts of the channels: channel shuffles and partial convolutions.
namespace cpubone::onnx {
namespace {

constexpr std::array<int, 4> turned{0, 1, 3, 2};

/// Channels seen as groups x c/groups, transposed, seen as channels again.
bool channel_shuffle(Editor& editor, int i) {
  const Node& last = editor.node(i);
  if (last.op.kind != OpKind::reshape) return false;
  const Node* turn = editor.producer(last.inputs[0], OpKind::transpose);
  if (turn == nullptr || turn->op.permutation != turned) return false;
  const Node* first = editor.producer(turn->inputs[0], OpKind::reshape);
  if (first == nullptr) return false;
  const Tensor& from = first->op.inputs[0];
  const Shape& cut = turn->op.input();
  if (from != last.op.outputs[0] || cut.n != 1 || cut.w * cut.c != from.shape.c) return false;
  Op op;
  op.kind = OpKind::channel_shuffle;
  op.groups = cut.w;
  editor.become(i, std::move(op), {first->inputs[0]});
  return true;
}

/// The convolved channels joined with the others.
bool partial_convolution(Editor& editor, int i) {
  const Node& join = editor.node(i);
  if (join.op.kind != OpKind::concat || join.inputs.size() != 2) return false;
  const Node* conv = editor.producer(join.inputs[0], OpKind::conv2d);
  if (conv == nullptr || !editor.is_private(join.inputs[0]) || conv->op.groups != 1 ||
      conv->op.input() != conv->op.output() || conv->op.stride_h != 1 || conv->op.stride_w != 1 ||
      conv->op.dilation_h != 1 || conv->op.dilation_w != 1 ||
      conv->op.activation != Activation::none)
    return false;
  const Edge convolved = conv->inputs[0];
  const Edge rest = join.inputs[1];
  Op op;
  op.kind = OpKind::partial_conv2d;
  Edge source;
  const Node* first = editor.producer(convolved, OpKind::slice);
  const Node* second = editor.producer(rest, OpKind::slice);
  const Node* split = editor.producer(convolved, OpKind::split);
  if (first != nullptr && second != nullptr && first->inputs[0] == second->inputs[0] &&
      first->op.begin == 0 && second->op.begin == first->op.output().c) {
    source = first->inputs[0];
  } else if (split != nullptr && split->op.outputs.size() == 2 && rest.node == convolved.node &&
             convolved.output == 0 && rest.output == 1) {
    op.partial_form = PartialForm::split_concat;
    source = split->inputs[0];
  } else {
    return false;
  }
  if (tensor(editor.network(), source) != join.op.outputs[0]) return false;
  op.kernel_h = conv->op.kernel_h;
  op.kernel_w = conv->op.kernel_w;
  op.padding = conv->op.padding;
  op.bias = conv->op.bias;
  op.conv_channels = conv->op.output().c;
  Parameters parameters = editor.parameters(join.inputs[0].node);
  editor.become(i, std::move(op), {source}, std::move(parameters));
  return true;
}

}  // namespace

bool recognise_channel_operators(Editor& editor) {
  bool changed = false;
  for (int i = 0; i < static_cast<int>(editor.size()); ++i)
    changed = channel_shuffle(editor, i) || partial_convolution(editor, i) || changed;
  return changed;
}

}  // namespace cpubone::onnx
