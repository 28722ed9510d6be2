#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "graph/onnx/editor.hpp"
#include "graph/schema.hpp"

// softmax(Q K^T / sqrt(d)) V, where q, k and v are channels of one tensor or come from layers of
// one tensor, as one operator, which reads them where they lie instead of turning each.
namespace cpubone::onnx {
namespace {

constexpr std::array<int, 4> swaps_heads_and_tokens{0, 2, 1, 3};
constexpr std::array<int, 4> swaps_tokens_and_channels{0, 1, 3, 2};

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

/// Matrices of one product: those of each head of each window.
struct Heads {
  int windows;
  int count;
  int tokens;
  int dim;
  bool operator==(const Heads&) const = default;
};

/// A node that moves pixels, as it would be for all channels of a pixel.
struct Move {
  int node;
  Op op;
};

/// Where q, k or v lies: `count` channels from `begin` on of each `pitch` channels of `source`.
struct Channels {
  Edge source;
  int begin;
  int count;
  int pitch;
  /// Between source and heads, the first one first; the last is no view.
  std::vector<Move> moves;
};

/// Whether all `channels` of a pixel stay together.
bool keeps_channels(const Op& op, int channels) {
  return (op.kind == OpKind::reshape || op.permutation[3] == 3) && op.output().c % channels == 0;
}

/// Heads that were turned from tokens x heads x d, tokens by rows or, as V in V^T W^T, by columns.
std::optional<Channels> channels(Editor& editor, Edge edge, const Heads& heads, bool columns,
                                 double& factor) {
  const Shape as_read = tensor(editor.network(), edge).shape;
  const Shape expected{1, heads.windows * heads.count, columns ? heads.dim : heads.tokens,
                       columns ? heads.tokens : heads.dim};
  if (as_read != expected) return std::nullopt;
  edge = editor.without_views(without_scale(editor, editor.without_views(edge), factor));
  const Node* turn = editor.producer(edge, OpKind::transpose);
  const int turn_node = edge.node;
  std::optional<Op> last_move;
  if (columns) {
    const Shape in{1, heads.windows, heads.tokens, heads.count * heads.dim};
    if (turn == nullptr || turn->op.permutation != swaps_tokens_and_channels ||
        Shape{1, turn->op.input().n * turn->op.input().h, turn->op.input().w, turn->op.input().c} !=
            in)
      return std::nullopt;
    edge = turn->inputs[0];
  } else if (heads.count > 1) {
    if (turn == nullptr || turn->op.permutation != swaps_heads_and_tokens) return std::nullopt;
    const Shape& in = turn->op.input();
    if (in.h != heads.tokens || in.c != heads.dim || in.w % heads.count != 0) return std::nullopt;
    if (const int together = in.w / heads.count; together > 1) {
      // Turns windows, too, heads of each behind it.
      last_move = turn->op;
      last_move->inputs[0].shape = {in.n, in.h, together, heads.count * in.c};
      last_move->outputs[0].shape = {in.n, together, in.h, heads.count * in.c};
    }
    edge = turn->inputs[0];
  }
  // Backwards to the layer or the slice of it.
  Channels c{};
  while (true) {
    edge = without_scale(editor, edge, factor);
    if (edge.node == network_input) break;
    const Node& node = editor.node(edge.node);
    if (node.op.kind != OpKind::reshape && node.op.kind != OpKind::transpose) break;
    c.moves.insert(c.moves.begin(), {edge.node, node.op});
    edge = node.inputs[0];
  }
  const auto ends_with_view = [&] {
    return !c.moves.empty() && c.moves.back().op.kind == OpKind::reshape;
  };
  if (last_move) {
    if (!ends_with_view()) return std::nullopt;
    c.moves.back().op.outputs[0] = last_move->inputs[0];
    c.moves.push_back({turn_node, *last_move});
  }
  while (ends_with_view()) c.moves.pop_back();
  c.count = c.pitch = tensor(editor.network(), edge).shape.c;
  if (const Node* slice = editor.producer(edge, OpKind::slice)) {
    c.begin = slice->op.begin;
    c.pitch = slice->op.input().c;
    edge = slice->inputs[0];
  } else if (const Node* split = editor.producer(edge, OpKind::split)) {
    for (int k = 0; k < edge.output; ++k)
      c.begin += split->op.output(static_cast<std::size_t>(k)).c;
    c.pitch = split->op.input().c;
    edge = split->inputs[0];
  }
  c.source = editor.without_views(edge);
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
                                  const Heads& heads, double factor) {
  const Node* first = nullptr;
  for (const Channels& part : parts) {
    const Edge& edge = part.source;
    if (edge.node == network_input || part.count != heads.count * heads.dim ||
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
  p.weight = interleaved(weights, heads.count);
  p.bias.clear();
  if (bias) p.bias = interleaved(biases, heads.count);
  return Edge{last};
}

/// Where q, k and v are all channels of one tensor, in the order that the operator reads; the layer
/// that computes them is made to give it.
std::optional<Edge> joined_channels(Editor& editor, int i, const std::array<Channels, 3>& parts,
                                    const Heads& heads, double factor) {
  const auto& [q, k, v] = parts;
  const int d = heads.dim;
  for (const Channels& c : parts)
    if (c.source != q.source || c.count != q.count || c.pitch != 3 * q.count) return std::nullopt;
  if (k.begin != q.count || v.begin != 2 * q.count || q.begin != 0) return std::nullopt;
  if (tensor(editor.network(), q.source).shape.c != 3 * heads.count * d) return std::nullopt;
  const bool in_order = q.count == d;
  const bool known_scale = std::abs(factor - 1) <= 1e-4;
  if (in_order && known_scale) return q.source;
  if (!in_order && q.count != heads.count * d) return std::nullopt;
  // Else the layer that computes them gives q, k and v of each head in turn, q multiplied.
  const Edge layer = q.source;
  if (layer.node == network_input) return std::nullopt;
  if (!is_dense_layer(editor.node(layer.node).op) || !editor.leads_only_through(layer, i))
    return std::nullopt;
  Parameters& p = editor.parameters(layer.node);
  for (auto* values : {&p.weight, &p.bias}) {
    if (!in_order) *values = interleaved(*values, heads.count);
    if (known_scale) continue;
    const std::size_t of_head = values->size() / static_cast<std::size_t>(heads.count);
    for (std::size_t at = 0; at < values->size(); ++at)
      if (at % of_head < of_head / 3)
        (*values)[at] = static_cast<float>(double{(*values)[at]} * factor);
  }
  return layer;
}

/// Softmax(products * scale + bias), the bias of each element.
struct Scores {
  int products = -1;
  double scale = 1;
  std::vector<float> bias;  ///< nothing where none is added
  int constant = -1;        ///< a node that held it
};

/// Adds to `sum` what a constant that is repeated in `shape` adds to each element.
void add_repeated(std::vector<float>& sum, double factor, const std::vector<float>& values,
                  const Shape& of_values, const Shape& shape) {
  std::size_t at = 0;
  for (int h = 0; h < shape.h; ++h)
    for (int w = 0; w < shape.w; ++w)
      for (int c = 0; c < shape.c; ++c) {
        const int row = std::min(h, of_values.h - 1) * of_values.w + std::min(w, of_values.w - 1);
        const std::int64_t from = std::int64_t{row} * of_values.c + std::min(c, of_values.c - 1);
        sum[at++] += static_cast<float>(factor * double{values[static_cast<std::size_t>(from)]});
      }
}

constexpr std::int64_t most_scores = 1 << 26;  // of a bias that may be larger than the model

std::optional<Scores> scores(Editor& editor, Edge edge) {
  Scores found;
  for (int depth = 0; depth < 16; ++depth) {
    edge = without_scale(editor, editor.without_views(edge), found.scale);
    if (const Node* product = editor.producer(edge, OpKind::matmul)) {
      if (!product->op.transposed) return std::nullopt;
      found.products = edge.node;
      return found;
    }
    const Node* sum = editor.producer(edge, OpKind::add);
    if (sum == nullptr) {
      if (editor.producer(edge, OpKind::reshape) == nullptr) return std::nullopt;
      continue;
    }
    if (sum->op.activation != Activation::none) return std::nullopt;
    const Shape& shape = sum->op.output();
    if (elements(shape) > most_scores) return std::nullopt;
    const std::size_t known = editor.producer(sum->inputs[0], OpKind::constant) != nullptr ? 0 : 1;
    const Edge& constant = sum->inputs[known];
    if (editor.producer(constant, OpKind::constant) == nullptr || !editor.is_private(constant) ||
        sum->op.input(1 - known) != shape)
      return std::nullopt;
    found.bias.resize(static_cast<std::size_t>(elements(shape)), 0.0F);
    add_repeated(found.bias, found.scale, editor.parameters(constant.node).weight,
                 sum->op.input(known), shape);
    found.constant = constant.node;
    edge = sum->inputs[1 - known];
  }
  return std::nullopt;
}

/// The number of matrices that, repeated, are all of `values`: 1, heads or all.
int distinct_matrices(const std::vector<float>& values, const Heads& heads) {
  const auto size = static_cast<std::ptrdiff_t>(heads.tokens) * heads.tokens;
  for (const int count : {1, heads.count})
    if (std::equal(values.begin() + count * size, values.end(), values.begin())) return count;
  return heads.windows * heads.count;
}

/// The constant that held a bias holds all of it, below the name of attention `i`.
Edge bias_of(Editor& editor, int i, Scores& found, const Heads& heads) {
  Shape& shape = editor.node(found.constant).op.outputs[0].shape;
  shape = {1, distinct_matrices(found.bias, heads), heads.tokens, heads.tokens};
  found.bias.resize(static_cast<std::size_t>(elements(shape)));
  editor.rename(found.constant, editor.node(i).name + "/bias");
  editor.parameters(found.constant).weight = std::move(found.bias);
  return found.constant;
}

/// Whether pixels may be moved before one layer computes q, k and v of them, instead of each after.
bool can_move_before_layer(Editor& editor, int i, const std::array<Channels, 3>& parts,
                           const Heads& heads) {
  const auto ops = [](const Channels& part) {
    std::vector<Op> all;
    for (const Move& move : part.moves) all.push_back(move.op);
    return all;
  };
  const std::vector<Op> moves = ops(parts[0]);
  for (const Channels& part : parts) {
    if (ops(part) != moves || part.source.node == network_input ||
        !editor.leads_only_through(part.source, i))
      return false;
    const Op& layer = editor.node(part.source.node).op;
    const Shape& in = layer.input();
    if (!is_dense_layer(layer) || layer.output().h != in.h || layer.output().w != in.w ||
        layer.kernel_h != 1 || layer.kernel_w != 1)
      return false;
    const Shape& first = moves[0].input();
    if (moves[0].kind != OpKind::reshape && (first.n != 1 || first.h != in.h || first.w != in.w))
      return false;
  }
  return std::all_of(moves.begin(), moves.end(),
                     [&](const Op& op) { return keeps_channels(op, heads.count * heads.dim); });
}

/// Nodes that attention replaces, and which are free for what leads to it.
struct Free {
  int first;
  int second;
};

/// The layer after the moves, which move what it reads: as rows of `out`, in two free nodes.
Edge move_before_layer(Editor& editor, int layer, const std::vector<Move>& moves, const Shape& out,
                       const Free& free) {
  Edge edge = editor.node(layer).inputs[0];
  const int channels = editor.node(layer).op.input().c;
  for (Move move : moves) {
    move.op.outputs[0].shape.c = move.op.output().c / out.c * channels;
    editor.rewrite(move.node, std::move(move.op), {edge});
    edge = move.node;
  }
  Shape rows = out;
  rows.c = channels;
  editor.view(free.first, edge, rows);
  std::swap(editor.node(layer), editor.node(free.second));
  editor.node(layer).inputs.clear();
  Op op = editor.node(free.second).op;
  rows.c = op.output().c;
  op.outputs[0].shape = rows;
  editor.rewrite(free.second, std::move(op), {free.first});
  return free.second;
}

/// Heads of the product with V, of which `turn`, unless it is null, makes tokens x heads x d.
std::optional<Heads> heads_of(const Node& mixed, const Node* turn) {
  const Shape& product = mixed.op.output();
  Heads heads{product.h, 1, product.w, product.c};
  if (mixed.op.transposed) heads = {1, product.h, product.c, product.w};
  if (turn == nullptr && mixed.op.transposed) return std::nullopt;
  if (turn == nullptr) return heads;
  const Shape& in = turn->op.input();
  heads.windows = mixed.op.transposed ? in.n * in.h : in.n;
  if (heads.windows > product.h || product.h % heads.windows != 0) return std::nullopt;
  heads.count = product.h / heads.windows;
  const Shape by_rows{heads.windows, heads.count, heads.tokens, heads.dim};
  const Shape by_columns{in.n, in.h, heads.count * heads.dim, heads.tokens};
  const auto& expected = mixed.op.transposed ? swaps_tokens_and_channels : swaps_heads_and_tokens;
  if (turn->op.permutation != expected || in != (mixed.op.transposed ? by_columns : by_rows))
    return std::nullopt;
  return heads;
}

bool attention(Editor& editor, int i) {
  const Node& last = editor.node(i);
  if (last.op.kind != OpKind::reshape && last.op.kind != OpKind::transpose) return false;
  Edge product = last.op.kind == OpKind::reshape ? editor.without_views(last.inputs[0]) : Edge(i);
  const Node* turn = editor.producer(product, OpKind::transpose);
  if (turn != nullptr) product = editor.without_views(turn->inputs[0]);
  const Node* mixed = editor.producer(product, OpKind::matmul);
  if (mixed == nullptr) return false;
  // Weights V, or V^T weights^T.
  const bool columns = mixed->op.transposed;
  const Edge weights = editor.without_views(mixed->inputs[columns ? 1 : 0]);
  const Node* softmax = editor.producer(weights, OpKind::softmax);
  if (softmax == nullptr) return false;
  auto found = scores(editor, softmax->inputs[0]);
  if (!found) return false;
  const auto heads = heads_of(*mixed, turn);
  if (!heads || softmax->op.output().c != heads->tokens) return false;
  if (!editor.leads_only_through(found->products, i)) return false;
  const Shape out = last.op.output();
  if (out.h > max_dimension || out.w > max_dimension) return false;
  if (out.n != 1 || out.h * out.w != heads->windows * heads->tokens ||
      out.c != heads->count * heads->dim)
    return false;
  const Node& products = editor.node(found->products);
  const auto q = channels(editor, products.inputs[0], *heads, false, found->scale);
  const auto k = channels(editor, products.inputs[1], *heads, false, found->scale);
  double scale_of_v = 1;
  const auto v = channels(editor, mixed->inputs[columns ? 0 : 1], *heads, columns, scale_of_v);
  if (!q || !k || !v || scale_of_v != 1) return false;
  const std::array<Channels, 3> parts{*q, *k, *v};
  const bool moves = !q->moves.empty() || !k->moves.empty() || !v->moves.empty();
  if (moves && (q->moves.empty() || !can_move_before_layer(editor, i, parts, *heads))) return false;

  Op op;
  op.kind = OpKind::attention;
  op.heads = heads->count;
  op.windows = heads->windows;
  const double factor = found->scale * std::sqrt(double(heads->dim));
  auto source = joined_channels(editor, i, parts, *heads, factor);
  if (!source) source = joined_layers(editor, i, parts, *heads, factor);
  if (!source) return false;
  const Free free{found->products, weights.node};
  std::vector<int> replaced = editor.between(i, {*source});
  Shape rows = tensor(editor.network(), *source).shape;
  if (moves) {
    replaced.push_back(source->node);
    source = move_before_layer(editor, source->node, q->moves, out, free);
  } else if (rows.h != out.h || rows.w != out.w) {
    rows.h = out.h;
    rows.w = out.w;
    editor.view(free.first, *source, rows);
    source = free.first;
  }
  std::vector<Edge> inputs{*source};
  if (!found->bias.empty()) inputs.push_back(bias_of(editor, i, *found, *heads));
  editor.become(i, std::move(op), std::move(inputs));
  editor.absorb(i, std::move(replaced));
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
