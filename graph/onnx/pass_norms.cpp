#include <algorithm>
#include <cmath>

#include "graph/onnx/editor.hpp"
#include "graph/onnx/node.hpp"

// Layer norms that were written as mean, difference, variance, root and quotient, and group norms
// that were written as instance norms of a row.
namespace cpubone::onnx {
namespace {

/// The variance of rows of `difference` under a root, plus epsilon, which is returned.
std::optional<float> deviation_of(Editor& editor, const Edge& edge, const Edge& difference) {
  const Node* root = editor.producer(edge, OpKind::activation);
  if (root == nullptr || root->op.activation != Activation::sqrt) return std::nullopt;
  const Node* sum = editor.producer(root->inputs[0], OpKind::add);
  if (sum == nullptr) return std::nullopt;
  auto epsilon = editor.scalar(sum->inputs[1]);
  Edge variance = sum->inputs[0];
  if (!epsilon) {
    epsilon = editor.scalar(sum->inputs[0]);
    variance = sum->inputs[1];
  }
  const Node* mean = editor.producer(variance, OpKind::reduce);
  if (!epsilon || mean == nullptr || mean->op.reduction != Reduction::mean) return std::nullopt;
  const Node* square = editor.producer(mean->inputs[0], OpKind::mul);
  if (square == nullptr || square->inputs[0] != difference || square->inputs[1] != difference)
    return std::nullopt;
  return epsilon;
}

/// What is normalised, where `difference` is it less the mean of its rows.
std::optional<Edge> centred(Editor& editor, const Edge& difference) {
  const Node* sub = editor.producer(difference, OpKind::sub);
  if (sub == nullptr) return std::nullopt;
  const Node* mean = editor.producer(editor.without_views(sub->inputs[1]), OpKind::reduce);
  if (mean == nullptr || mean->op.reduction != Reduction::mean ||
      mean->op.input().c != sub->op.output().c || sub->op.activation != Activation::none ||
      editor.without_views(mean->inputs[0]) != editor.without_views(sub->inputs[0]))
    return std::nullopt;
  return sub->inputs[0];
}

bool layer_norm(Editor& editor, int i) {
  const Node& node = editor.node(i);
  const bool divides = node.op.kind == OpKind::div;
  if (!divides && node.op.kind != OpKind::mul) return false;
  for (const std::size_t which : {std::size_t{0}, std::size_t{1}}) {
    if (divides && which == 1) break;
    const Edge difference = node.inputs[which];
    Edge scale = node.inputs[1 - which];
    if (!divides) {
      const Node* inverse = editor.producer(scale, OpKind::activation);
      if (inverse == nullptr || inverse->op.activation != Activation::reciprocal) continue;
      scale = inverse->inputs[0];
    }
    const auto x = centred(editor, difference);
    if (!x) continue;
    const auto epsilon = deviation_of(editor, scale, difference);
    if (!epsilon || *epsilon < 0 || *epsilon > 1) continue;
    Op op;
    op.kind = OpKind::layer_norm;
    op.epsilon = decimal_of(*epsilon);
    op.activation = node.op.activation;
    const auto channels = static_cast<std::size_t>(node.op.output().c);
    editor.become(i, std::move(op), {*x},
                  {std::vector<float>(channels, 1), std::vector<float>(channels, 0), {}, {}});
    return true;
  }
  return false;
}

bool all_are(const std::vector<float>& values, float value) {
  return std::all_of(values.begin(), values.end(), [&](float v) { return v == value; });
}

/// A batch norm that only scales and shifts, of an image that was normalised as one row: in the
/// shape of `x`.
bool group_norm(Editor& editor, int i) {
  const Node& node = editor.node(i);
  if (node.op.kind != OpKind::batch_norm) return false;
  const Parameters& outer = editor.parameters(i);
  if (node.op.epsilon != 0 || !all_are(outer.mean, 0) || !all_are(outer.variance, 1)) return false;
  const Edge inner = editor.without_views(node.inputs[0]);
  const Node* norm = editor.producer(inner, OpKind::layer_norm);
  if (norm == nullptr || norm->op.activation != Activation::none) return false;
  const Parameters& row = editor.parameters(inner.node);
  if (!all_are(row.weight, 1) || !all_are(row.bias, 0)) return false;
  const Edge x = editor.without_views(norm->inputs[0]);
  if (norm->op.input().c != elements(norm->op.input()) ||
      tensor(editor.network(), x) != node.op.inputs[0] ||
      norm->op.input() == node.op.inputs[0].shape)
    return false;
  Op op;
  op.kind = OpKind::group_norm;
  op.epsilon = norm->op.epsilon;
  op.activation = node.op.activation;
  Parameters p{outer.weight, outer.bias, {}, {}};
  editor.become(i, std::move(op), {x}, std::move(p));
  return true;
}

}  // namespace

bool recognise_norms(Editor& editor) {
  bool changed = false;
  for (int i = 0; i < static_cast<int>(editor.size()); ++i)
    changed = layer_norm(editor, i) || group_norm(editor, i) || changed;
  return changed;
}

}  // namespace cpubone::onnx
