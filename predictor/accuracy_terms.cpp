#include "predictor/accuracy_terms.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "graph/passes.hpp"

namespace cpubone {
namespace {

constexpr std::size_t levels = place_count / 2;  // strides 2, 4, 8, 16, 32

/// The place of every node; none of stem and head, whose layers are not blocks.
std::vector<std::optional<std::size_t>> places(const Network& network) {
  std::vector<std::optional<std::size_t>> of_node(network.nodes.size());
  std::array<int, levels> stages{};
  for (std::size_t begin = 0; begin < network.nodes.size();) {
    const std::string& stage = network.nodes[begin].stage;
    std::size_t end = begin;
    while (end < network.nodes.size() && network.nodes[end].stage == stage) ++end;
    if (stage != "stem" && stage != "head") {
      const double height = network.nodes[end - 1].op.output().h;
      const double stride = network.inputs[0].shape.h / std::max(1.0, height);
      const auto level = static_cast<std::size_t>(
          std::clamp(std::round(std::log2(stride)) - 1, 0.0, levels - 1.0));
      const std::size_t place = 2 * level + (stages[level]++ > 0 ? 1 : 0);
      std::fill(of_node.begin() + static_cast<std::ptrdiff_t>(begin),
                of_node.begin() + static_cast<std::ptrdiff_t>(end), place);
    }
    begin = end;
  }
  return of_node;
}

bool is_convolution(const Op& op) {
  return op.kind == OpKind::conv2d || op.kind == OpKind::conv_transpose2d ||
         op.kind == OpKind::partial_conv2d;
}

/// Of what is convolved, and of what an expansion before it reads.
double expansion(const Network& network, const Node& node) {
  const int widest = std::max(node.op.input().c, node.op.output().c);
  int narrowest = std::min(node.op.input().c, node.op.output().c);
  const Edge& from = node.inputs[0];
  if (from.node != network_input) {
    const Op& before = network.nodes[static_cast<std::size_t>(from.node)].op;
    if (is_pointwise(before)) narrowest = std::min(narrowest, before.input().c);
  }
  return static_cast<double>(widest) / narrowest;
}

void add(PlaceTerms& place, const Network& network, const Node& node) {
  const Op& op = node.op;
  if (op.kind == OpKind::attention) {
    place.attention += 1;
  } else if (op.kind == OpKind::mul && op.inputs.size() == 2 &&
             op.input(0).h * op.input(0).w != op.input(1).h * op.input(1).w) {
    place.squeeze += 1;
  } else if (is_convolution(op) && op.kernel_h * op.kernel_w > 1) {
    place.layers += 1;
    place.log_expansion += std::log(expansion(network, node));
    place.log_kernel += 0.5 * std::log(op.kernel_h * op.kernel_w);
    if (!is_depthwise(op)) place.log_groups += std::log(op.groups);
  }
}

}  // namespace

AccuracyTerms& AccuracyTerms::operator+=(const AccuracyTerms& other) {
  macs += other.macs;
  body_params += other.body_params;
  activations += other.activations;
  relus += other.relus;
  gelus += other.gelus;
  for (std::size_t i = 0; i < place_count; ++i) {
    PlaceTerms& a = places[i];
    const PlaceTerms& b = other.places[i];
    a.layers += b.layers;
    a.log_expansion += b.log_expansion;
    a.log_kernel += b.log_kernel;
    a.log_groups += b.log_groups;
    a.squeeze += b.squeeze;
    a.attention += b.attention;
  }
  return *this;
}

AccuracyTerms operator*(double times, AccuracyTerms t) {
  t.macs *= times;
  t.body_params *= times;
  t.activations *= times;
  t.relus *= times;
  t.gelus *= times;
  for (PlaceTerms& p : t.places) {
    p.layers *= times;
    p.log_expansion *= times;
    p.log_kernel *= times;
    p.log_groups *= times;
    p.squeeze *= times;
    p.attention *= times;
  }
  return t;
}

AccuracyTerms accuracy_terms(const Network& network) {
  return accuracy_terms(network, 0, network.nodes.size());
}

AccuracyTerms accuracy_terms(const Network& network, std::size_t begin, std::size_t end) {
  AccuracyTerms terms;
  terms.pixels = network.inputs[0].shape.h;
  const std::vector<bool> in_backbone = backbone(network);
  const auto place = places(network);
  for (std::size_t i = begin; i < end; ++i) {
    const Op& op = network.nodes[i].op;
    double credit = 1;
    if (is_convolution(op) && op.kind != OpKind::partial_conv2d && !is_depthwise(op))
      credit = (1 + std::log2(op.kernel_h)) / (op.kernel_h * op.kernel_w) * std::sqrt(op.groups);
    terms.macs += credit * static_cast<double>(macs(op));
    if (in_backbone[i]) terms.body_params += credit * static_cast<double>(params(op));
    if (op.activation != Activation::none) {
      terms.activations += 1;
      terms.relus += op.activation == Activation::relu || op.activation == Activation::relu6;
      terms.gelus += op.activation == Activation::gelu || op.activation == Activation::gelu_tanh;
    }
    if (place[i]) add(terms.places[*place[i]], network, network.nodes[i]);
  }
  return terms;
}

}  // namespace cpubone
