#include "graph/reparameterise.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <optional>

#include "graph/affine.hpp"
#include "graph/error.hpp"
#include "graph/size.hpp"

namespace cpubone {
namespace {

/// An affine map of one tensor: a convolution with its parameters.
struct Branch {
  Edge source;
  Op op;  ///< conv2d
  Parameters parameters;
};

/// Convolution of one tap and one group a channel.
Op pixelwise(const Tensor& tensor) {
  Op op;
  op.inputs = op.outputs = {tensor};
  op.groups = tensor.shape.c;
  op.bias = true;
  return op;
}

/// The convolution that computes the sum of two, or nothing where no convolution does.
std::optional<Op> sum(const Op& a, const Op& b) {
  const auto plain = [](const Op& op) { return op.dilation_h == 1 && op.dilation_w == 1; };
  if (a.stride_h != b.stride_h || a.stride_w != b.stride_w || !plain(a) || !plain(b) ||
      a.inputs != b.inputs || a.outputs != b.outputs)
    return std::nullopt;
  Op op = a;
  op.padding = {
      std::max(a.padding.top, b.padding.top), std::max(a.padding.bottom, b.padding.bottom),
      std::max(a.padding.left, b.padding.left), std::max(a.padding.right, b.padding.right)};
  const auto extent = [](int pad, int kernel_a, int pad_a, int kernel_b, int pad_b) {
    return std::max(kernel_a + pad - pad_a, kernel_b + pad - pad_b);
  };
  op.kernel_h = extent(op.padding.top, a.kernel_h, a.padding.top, b.kernel_h, b.padding.top);
  op.kernel_w = extent(op.padding.left, a.kernel_w, a.padding.left, b.kernel_w, b.padding.left);
  op.groups = std::gcd(a.groups, b.groups);
  op.bias = a.bias || b.bias;
  if (with_inferred_outputs(op) != op) return std::nullopt;
  return op;
}

/// Adds what `from` computes to the parameters of `op`, whose window and groups contain its own.
void accumulate(const Branch& from, const Op& op, Parameters& p) {
  for (std::size_t c = 0; c < from.parameters.bias.size(); ++c)
    p.bias[c] += from.parameters.bias[c];
  const int top = op.padding.top - from.op.padding.top;
  const int left = op.padding.left - from.op.padding.left;
  const int wide = op.input().c / op.groups;
  const int narrow = from.op.input().c / from.op.groups;
  std::size_t i = 0;
  for (int o = 0; o < op.output().c; ++o) {
    // First input channel that the output channel sees, in both.
    const int first = o / (op.output().c / op.groups) * wide;
    const int own = o / (from.op.output().c / from.op.groups) * narrow;
    for (int k = own - first; k < own - first + narrow; ++k)
      for (int y = top; y < top + from.op.kernel_h; ++y)
        for (int x = left; x < left + from.op.kernel_w; ++x)
          p.weight[((z(o) * z(wide) + z(k)) * z(op.kernel_h) + z(y)) * z(op.kernel_w) + z(x)] +=
              from.parameters.weight[i++];
  }
}

/// The nodes under rewriting. A node that became part of another is dead.
class Reparameteriser {
 public:
  Reparameteriser(const Network& network, const ParameterSource& source)
      : network_(network),
        with_values_(static_cast<bool>(source)),
        dead_(network.nodes.size(), false),
        uses_(network.nodes.size(), 0),
        parameters_(network.nodes.size()) {
    check(network);
    for (const Node& node : network_.nodes)
      for (const Edge& input : node.inputs)
        if (input.node != network_input) ++uses_[z(input.node)];
    for (const auto* edges : {&network_.outputs, &network_.features})
      for (const Edge& edge : *edges) ++uses_[z(edge.node)];
    if (!with_values_) return;
    for (std::size_t i = 0; i < network_.nodes.size(); ++i) {
      const Node& node = network_.nodes[i];
      if (params(node.op) == 0) continue;
      parameters_[i] = source(node);
      check(node, parameters_[i]);
    }
  }

  Model run() && {
    for (std::size_t i = 0; i < network_.nodes.size(); ++i) {
      const OpKind kind = network_.nodes[i].op.kind;
      if (kind == OpKind::batch_norm) fold(static_cast<int>(i));
      if (kind == OpKind::add) merge(static_cast<int>(i));
    }
    return std::move(*this).compact();
  }

 private:
  Node& node(int i) { return network_.nodes[z(i)]; }
  /// Whether only one node reads it, and reads it as it was computed.
  bool is_private(int i) {
    return i != network_input && uses_[z(i)] == 1 && node(i).op.outputs.size() == 1 &&
           node(i).op.activation == Activation::none;
  }

  /// A batch norm into the layer before it; the layer moves to where the norm stood.
  void fold(int i) {
    const int layer = node(i).inputs[0].node;
    if (!is_private(layer)) return;
    const OpKind kind = node(layer).op.kind;
    if (kind != OpKind::conv2d && kind != OpKind::conv_transpose2d && kind != OpKind::linear)
      return;
    if (with_values_) {
      apply(affine(parameters_[z(i)], node(i).op.epsilon), node(layer).op, parameters_[z(layer)]);
      parameters_[z(i)] = std::move(parameters_[z(layer)]);
    }
    const Activation activation = node(i).op.activation;
    node(i) = node(layer);
    node(i).op.bias = true;
    node(i).op.activation = activation;
    dead_[z(layer)] = true;
  }

  /// What a node computes as a convolution of the tensor that it reads.
  std::optional<Branch> branch(int i) {
    if (!is_private(i)) return std::nullopt;
    const Op& op = node(i).op;
    if (op.kind == OpKind::conv2d) return Branch{node(i).inputs[0], op, parameters_[z(i)]};
    if (op.kind != OpKind::batch_norm) return std::nullopt;
    Branch norm{node(i).inputs[0], pixelwise(op.outputs[0]), {}};
    if (with_values_) {
      norm.parameters.weight.assign(z(op.output().c), 1.0F);
      apply(affine(parameters_[z(i)], node(i).op.epsilon), norm.op, norm.parameters);
    }
    return norm;
  }

  /// Passes a tensor on.
  Branch identity(const Edge& source, const Op& like) const {
    Branch same{source, pixelwise(like.outputs[0]), {}};
    same.op.bias = false;
    if (with_values_) same.parameters.weight.assign(z(like.output().c), 1.0F);
    return same;
  }

  /// A sum of two branches into one convolution, which takes the sum's name and place.
  void merge(int i) {
    const Edge left = node(i).inputs[0];
    const Edge right = node(i).inputs[1];
    if (left == right) return;
    std::optional<Branch> a = branch(left.node);
    std::optional<Branch> b = branch(right.node);
    const bool left_is_source = !a && b && b->source == left;
    const bool right_is_source = !b && a && a->source == right;
    if (left_is_source) a = identity(left, b->op);
    if (right_is_source) b = identity(right, a->op);
    if (!a || !b || a->source != b->source) return;
    const std::optional<Op> op = sum(a->op, b->op);
    if (!op) return;
    if (with_values_) {
      Parameters p;
      p.weight.resize(z(static_cast<int>(op->output().c)) * z(op->input().c / op->groups) *
                      z(op->kernel_h) * z(op->kernel_w));
      if (op->bias) p.bias.resize(z(op->output().c));
      accumulate(*a, *op, p);
      accumulate(*b, *op, p);
      parameters_[z(i)] = std::move(p);
    }
    if (!left_is_source) dead_[z(left.node)] = true;
    if (!right_is_source) dead_[z(right.node)] = true;
    // Two readers of the source became one.
    if (a->source.node != network_input) --uses_[z(a->source.node)];
    const Activation activation = node(i).op.activation;
    node(i).op = *op;
    node(i).op.activation = activation;
    node(i).inputs = {a->source};
  }

  Model compact() && {
    Model model;
    model.network = network_;
    model.network.nodes.clear();
    std::vector<int> moved(network_.nodes.size(), network_input);
    const auto move = [&](std::vector<Edge>& edges) {
      for (Edge& edge : edges)
        if (edge.node != network_input) edge.node = moved[z(edge.node)];
    };
    for (std::size_t i = 0; i < network_.nodes.size(); ++i) {
      if (dead_[i]) continue;
      moved[i] = static_cast<int>(model.network.nodes.size());
      Node& node = network_.nodes[i];
      move(node.inputs);
      if (with_values_ && params(node.op) > 0)
        model.parameters.emplace(node.name, std::move(parameters_[i]));
      model.network.nodes.push_back(std::move(node));
    }
    move(model.network.outputs);
    move(model.network.features);
    check(model.network);
    return model;
  }

  Network network_;
  bool with_values_;
  std::vector<bool> dead_;
  std::vector<int> uses_;  ///< readers, outputs of the network included
  std::vector<Parameters> parameters_;
};

}  // namespace

Model reparameterise(const Network& network, const ParameterSource& parameters) {
  return Reparameteriser(network, parameters).run();
}

Network reparameterise(const Network& network) {
  return Reparameteriser(network, nullptr).run().network;
}

ParameterSource parameters_of(Model model) {
  return [shared = std::make_shared<const Model>(std::move(model))](const Node& node) {
    const auto found = shared->parameters.find(node.name);
    if (found == shared->parameters.end())
      throw Error(fmt::format("network \"{}\": node \"{}\" has no parameters", shared->network.name,
                              node.name));
    return found->second;
  };
}

}  // namespace cpubone
