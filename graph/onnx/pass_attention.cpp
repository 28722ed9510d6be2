#include <array>
#include <cmath>

#include "graph/onnx/editor.hpp"

// softmax(Q K^T / sqrt(d)) V, where q, k and v are channels of one tensor or come from layers of
// one tensor, as one operator, which reads them where they lie instead of turning each.
namespace cpubone::onnx {
namespace {

constexpr std::array<int, 4> swaps_heads_and_tokens{0, 2, 1, 3};

/// The tensor before products with a number, whose product is `factor`.
Edge without_scale(Editor& editor, Edge edge, double& factor) {
  for (int depth = 0; depth < 4; ++depth) {
    const bool divides = editor.producer(edge, OpKind::div) != nullptr;
    const Node* node = editor.producer(edge, divides ? OpKind::div : OpKind::mul);
    if (node == nullptr || node->op.activation != Activation::none) return edge;
    if (const auto value = editor.scalar(node->inputs[1])) {
      factor *= divides ? 1 / double{*value} : double{*value};
      edge = node->inputs[0];
    } else if (const auto first = editor.scalar(node->inputs[0]); first && !divides) {
      factor *= double{*first};
      edge = node->inputs[1];
    } else {
      return edge;
    }
  }
  return edge;
}

/// Where q, k or v lies: `count` channels from `begin` on of each `pitch` channels of `source`.
struct Channels {
  Edge source;
  int begin;
  int count;
  int pitch;
  int heads;
  int tokens;
  int head_dim;
};

/// Heads x tokens x d that were turned from tokens x heads x d.
std::optional<Channels> channels(Editor& editor, Edge edge, double& factor) {
  const Shape as_read = tensor(editor.network(), edge).shape;
  edge = without_scale(editor, editor.without_views(edge), factor);
  const Node* turn = editor.producer(editor.without_views(edge), OpKind::transpose);
  Channels c{};
  if (turn != nullptr) {
    const Shape& in = turn->op.input();
    if (turn->op.permutation != swaps_heads_and_tokens || in.n != 1) return std::nullopt;
    c.tokens = in.h;
    c.heads = in.w;
    c.head_dim = in.c;
    edge = turn->inputs[0];
  } else {  // one head needs no turning
    c.tokens = as_read.w;
    c.heads = as_read.h;
    c.head_dim = as_read.c;
    if (c.heads != 1) return std::nullopt;
  }
  edge = editor.without_views(without_scale(editor, editor.without_views(edge), factor));
  if (const Node* slice = editor.producer(edge, OpKind::slice)) {
    c.begin = slice->op.begin;
    c.count = slice->op.output().c;
    c.pitch = slice->op.input().c;
    c.source = editor.without_views(slice->inputs[0]);
    return c;
  }
  if (const Node* split = editor.producer(edge, OpKind::split)) {
    for (int k = 0; k < edge.output; ++k)
      c.begin += split->op.output(static_cast<std::size_t>(k)).c;
    c.count = split->op.output(static_cast<std::size_t>(edge.output)).c;
    c.pitch = split->op.input().c;
    c.source = editor.without_views(split->inputs[0]);
    return c;
  }
  c.source = edge;
  c.count = c.pitch = tensor(editor.network(), edge).shape.c;
  return c;
}

/// Rows of the layers for q, k and v of all heads, as q, k and v of each head in turn.
std::vector<float> interleaved(const std::array<std::vector<float>, 3>& layers, int heads) {
  std::vector<float> values;
  const std::size_t size = layers[0].size() / static_cast<std::size_t>(heads);
  for (std::size_t begin = 0; begin < layers[0].size(); begin += size)
    for (const std::vector<float>& layer : layers)
      values.insert(values.end(), layer.begin() + static_cast<std::ptrdiff_t>(begin),
                    layer.begin() + static_cast<std::ptrdiff_t>(begin + size));
  return values;
}

/// Rows of one layer for q of all heads, then k, then v, as q, k and v of each head in turn.
std::vector<float> interleaved(const std::vector<float>& layer, int heads) {
  const auto third = static_cast<std::ptrdiff_t>(layer.size() / 3);
  const auto rows = [&](int part) {
    return std::vector<float>(layer.begin() + part * third, layer.begin() + (part + 1) * third);
  };
  return interleaved({rows(0), rows(1), rows(2)}, heads);
}

/// Each output channel has weights of its own for all input channels.
bool is_dense_layer(const Op& op) {
  return (op.kind == OpKind::linear || op.kind == OpKind::conv2d) && op.groups == 1;
}

/// Where q, k and v are what three layers compute of one tensor for node `i` alone, the last of
/// them becomes one layer of all; q is multiplied by `factor`.
std::optional<Edge> joined_layers(Editor& editor, int i, const std::array<Channels, 3>& parts,
                                  double factor) {
  const Node* first = nullptr;
  for (const Channels& part : parts) {
    const Edge& edge = part.source;
    if (edge.node == network_input || part.count != part.heads * part.head_dim ||
        part.pitch != part.count || !editor.leads_only_through(edge, i))
      return std::nullopt;
    const Node& layer = editor.node(edge.node);
    if (first == nullptr) first = &layer;
    Op op = layer.op;
    op.bias = first->op.bias;
    if (!is_dense_layer(op) || op.activation != Activation::none || op != first->op ||
        layer.inputs != first->inputs)
      return std::nullopt;
  }
  std::array<std::vector<float>, 3> weights;
  std::array<std::vector<float>, 3> biases;
  int last = -1;
  bool bias = false;
  for (std::size_t k = 0; k < 3; ++k) {
    const int layer = parts.at(k).source.node;
    weights.at(k) = editor.parameters(layer).weight;
    biases.at(k) = editor.parameters(layer).bias;
    bias = bias || editor.node(layer).op.bias;
    biases.at(k).resize(static_cast<std::size_t>(parts.at(k).count), 0);
    last = std::max(last, layer);
  }
  for (auto* values : {&weights[0], &biases[0]})
    for (float& value : *values) value = static_cast<float>(double{value} * factor);
  editor.absorb(last, {parts[0].source.node, parts[1].source.node, parts[2].source.node});
  Op& op = editor.node(last).op;
  op.outputs[0].shape.c *= 3;
  op.bias = bias;
  Parameters& p = editor.parameters(last);
  p.weight = interleaved(weights, parts[0].heads);
  p.bias.clear();
  if (bias) p.bias = interleaved(biases, parts[0].heads);
  return Edge{last};
}

/// Where q, k and v are all channels of one tensor, in the order that the operator reads; the layer
/// that computes them is made to give it.
std::optional<Edge> joined_channels(Editor& editor, int i, const std::array<Channels, 3>& parts,
                                    double factor) {
  const auto& [q, k, v] = parts;
  const int d = q.head_dim;
  for (const Channels& c : parts)
    if (c.source != q.source || c.count != q.count || c.pitch != 3 * q.count) return std::nullopt;
  if (k.begin != q.count || v.begin != 2 * q.count || q.begin != 0) return std::nullopt;
  if (tensor(editor.network(), q.source).shape.c != 3 * q.heads * d) return std::nullopt;
  if (std::abs(factor - 1) > 1e-4) return std::nullopt;
  if (q.count == d) return q.source;
  if (q.count != q.heads * d) return std::nullopt;
  // q, k and v of all heads: the layer that computes them does it in the other order.
  const Edge layer = q.source;
  if (layer.node == network_input) return std::nullopt;
  if (!is_dense_layer(editor.node(layer.node).op) || !editor.leads_only_through(layer, i))
    return std::nullopt;
  Parameters& p = editor.parameters(layer.node);
  p.weight = interleaved(p.weight, q.heads);
  p.bias = interleaved(p.bias, q.heads);
  return layer;
}

bool attention(Editor& editor, int i) {
  const Node& last = editor.node(i);
  if (last.op.kind != OpKind::reshape && last.op.kind != OpKind::transpose) return false;
  Edge product = last.op.kind == OpKind::reshape ? editor.without_views(last.inputs[0]) : Edge(i);
  const Node* turn = editor.producer(product, OpKind::transpose);
  if (turn != nullptr) {
    if (turn->op.permutation != swaps_heads_and_tokens) return false;
    product = editor.without_views(turn->inputs[0]);
  }
  const Node* mixed = editor.producer(product, OpKind::matmul);
  if (mixed == nullptr || mixed->op.transposed) return false;
  const Node* weights = editor.producer(editor.without_views(mixed->inputs[0]), OpKind::softmax);
  if (weights == nullptr) return false;
  double scale = 1;
  const Edge scores = without_scale(editor, editor.without_views(weights->inputs[0]), scale);
  const Node* products = editor.producer(editor.without_views(scores), OpKind::matmul);
  if (products == nullptr || !products->op.transposed) return false;
  const auto q = channels(editor, products->inputs[0], scale);
  const auto k = channels(editor, products->inputs[1], scale);
  double scale_of_v = 1;
  const auto v = channels(editor, mixed->inputs[1], scale_of_v);
  if (!q || !k || !v || scale_of_v != 1 || (turn == nullptr) != (q->heads == 1)) return false;
  const std::array<Channels, 3> parts{*q, *k, *v};
  for (const Channels& c : parts)
    if (c.heads != q->heads || c.tokens != q->tokens || c.head_dim != q->head_dim) return false;
  Shape out = tensor(editor.network(), q->source).shape;
  out.c = q->heads * q->head_dim;
  if (last.op.output() != out || out.n != 1 || out.h * out.w != q->tokens) return false;
  Op op;
  op.kind = OpKind::attention;
  op.heads = q->heads;
  const double factor = scale * std::sqrt(double(q->head_dim));
  auto source = joined_channels(editor, i, parts, factor);
  if (!source) source = joined_layers(editor, i, parts, factor);
  if (!source) return false;
  editor.become(i, std::move(op), {*source});
  return true;
}

}  // namespace

bool recognise_attention(Editor& editor) {
  bool changed = false;
  for (int i = 0; i < static_cast<int>(editor.size()); ++i)
    changed = attention(editor, i) || changed;
  return changed;
}

}  // namespace cpubone::onnx
