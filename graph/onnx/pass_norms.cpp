#include <algorithm>
#include <cmath>

#include "graph/onnx/editor.hpp"
#include "graph/onnx/node.hpp"

// Layer norms and RMS norms that were written as means, roots and quotients, and group norms that
// were written as instance norms of a row.
namespace cpubone::onnx {
namespace {

/// Whether an edge has a value for each row of a tensor of that shape.
bool is_one_a_row(Editor& editor, const Edge& edge, const Shape& shape) {
  return tensor(editor.network(), edge).shape == Shape{shape.n, shape.h, shape.w, 1};
}

/// Where an edge is the root of the mean square of each row of `rows` plus epsilon, that epsilon.
std::optional<float> root_mean_square(Editor& editor, const Edge& edge, const Edge& rows) {
  const Shape& shape = tensor(editor.network(), rows).shape;
  if (!is_one_a_row(editor, edge, shape)) return std::nullopt;
  const Node* root = editor.producer(editor.without_views(edge), OpKind::activation);
  if (root == nullptr || root->op.activation != Activation::sqrt) return std::nullopt;
  const Node* sum = editor.producer(editor.without_views(root->inputs[0]), OpKind::add);
  if (sum == nullptr || sum->op.activation != Activation::none) return std::nullopt;
  auto epsilon = editor.scalar(sum->inputs[1]);
  Edge mean_square = sum->inputs[0];
  if (!epsilon) {
    epsilon = editor.scalar(sum->inputs[0]);
    mean_square = sum->inputs[1];
  }
  const Node* mean = editor.producer(editor.without_views(mean_square), OpKind::reduce);
  if (!epsilon || *epsilon < 0 || *epsilon > 1 || mean == nullptr ||
      mean->op.reduction != Reduction::mean || mean->op.input().c != shape.c)
    return std::nullopt;
  const Node* square = editor.producer(editor.without_views(mean->inputs[0]), OpKind::mul);
  const Edge x = editor.without_views(rows);
  if (square == nullptr || square->op.activation != Activation::none ||
      editor.without_views(square->inputs[0]) != x || editor.without_views(square->inputs[1]) != x)
    return std::nullopt;
  return epsilon;
}

/// What an edge is the reciprocal of.
std::optional<Edge> inverted(Editor& editor, Edge edge) {
  edge = editor.without_views(edge);
  if (const Node* inverse = editor.producer(edge, OpKind::activation);
      inverse != nullptr && inverse->op.activation == Activation::reciprocal)
    return inverse->inputs[0];
  if (const Node* quotient = editor.producer(edge, OpKind::div);
      quotient != nullptr && quotient->op.activation == Activation::none &&
      editor.scalar(quotient->inputs[0]) == 1.0F)
    return quotient->inputs[1];
  return std::nullopt;
}

/// What is normalised, where `difference` is it less the mean of its rows.
std::optional<Edge> centred(Editor& editor, const Edge& difference) {
  const Node* sub = editor.producer(difference, OpKind::sub);
  if (sub == nullptr) return std::nullopt;
  const Node* mean = editor.producer(editor.without_views(sub->inputs[1]), OpKind::reduce);
  if (mean == nullptr || mean->op.reduction != Reduction::mean ||
      !is_one_a_row(editor, sub->inputs[1], sub->op.output()) ||
      sub->op.activation != Activation::none ||
      editor.without_views(mean->inputs[0]) != editor.without_views(sub->inputs[0]))
    return std::nullopt;
  return sub->inputs[0];
}

/// Rows over their root mean square: a layer norm where they are less their mean.
bool row_norm(Editor& editor, int i) {
  const Node& node = editor.node(i);
  const bool divides = node.op.kind == OpKind::div;
  if (!divides && node.op.kind != OpKind::mul) return false;
  for (const std::size_t which : {std::size_t{0}, std::size_t{1}}) {
    if (divides && which == 1) break;
    const Edge rows = node.inputs[which];
    const Edge factor = node.inputs[1 - which];
    const auto root = divides ? std::optional(factor) : inverted(editor, factor);
    const auto epsilon = root ? root_mean_square(editor, *root, rows) : std::nullopt;
    if (!epsilon) continue;
    const auto x = centred(editor, rows);
    Op op;
    op.kind = x ? OpKind::layer_norm : OpKind::rms_norm;
    op.epsilon = decimal_of(*epsilon);
    op.activation = node.op.activation;
    const auto channels = static_cast<std::size_t>(node.op.output().c);
    Parameters p{std::vector<float>(channels, 1), {}, {}, {}};
    if (x) p.bias.assign(channels, 0);
    editor.become(i, std::move(op), {x.value_or(rows)}, std::move(p));
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
    changed = row_norm(editor, i) || group_norm(editor, i) || changed;
  return changed;
}

}  // namespace cpubone::onnx
