#include "graph/onnx/editor.hpp"

// Zeros around an image become part of the convolutions that read it.
namespace cpubone::onnx {

bool fold_padding(Editor& editor) {
  bool changed = false;
  for (int i = 0; i < static_cast<int>(editor.size()); ++i) {
    Node& node = editor.node(i);
    if (node.op.kind != OpKind::conv2d) continue;
    const Node* pad = editor.producer(node.inputs[0], OpKind::pad);
    if (pad == nullptr) continue;
    Op op = node.op;
    const Padding& p = pad->op.padding;
    op.padding.top += p.top;
    op.padding.bottom += p.bottom;
    op.padding.left += p.left;
    op.padding.right += p.right;
    Parameters parameters = std::move(editor.parameters(i));
    editor.become(i, std::move(op), {pad->inputs[0]}, std::move(parameters));
    changed = true;
  }
  return changed;
}

}  // namespace cpubone::onnx
