#include "graph/onnx/editor.hpp"
#include "graph/quantise.hpp"
#include "graph/schema.hpp"

// An activation becomes part of the operator that writes what it reads; of a product, which is
// where a squeeze-excite ends, it does not, as published networks have it. Operators of int8 apply
// ReLU alone: where a network has such, other activations stay operators.
namespace cpubone::onnx {

bool fuse_activations(Editor& editor) {
  bool changed = false;
  const bool int8 = is_quantised(editor.network());
  for (int i = 0; i < static_cast<int>(editor.size()); ++i) {
    const Op& op = editor.node(i).op;
    if (int8 && op.activation != Activation::relu && op.activation != Activation::relu6) continue;
    // Functions after mish are parts of others, no activations.
    if (op.kind != OpKind::activation || op.activation > Activation::mish) continue;
    const Edge input = editor.node(i).inputs[0];
    if (!editor.is_private(input)) continue;
    const Node& before = editor.node(input.node);
    if (before.op.kind == OpKind::activation || before.op.activation != Activation::none ||
        before.op.kind == OpKind::mul || !schema(before.op.kind).takes.has(Attribute::activation))
      continue;
    Op fused = before.op;
    fused.activation = op.activation;
    Parameters parameters;
    if (params(fused) > 0) parameters = std::move(editor.parameters(input.node));
    std::vector<Edge> inputs = before.inputs;
    editor.become(i, std::move(fused), std::move(inputs), std::move(parameters));
    changed = true;
  }
  return changed;
}

}  // namespace cpubone::onnx
