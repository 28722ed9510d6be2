#include "predictor/accuracy_terms.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <string_view>
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

bool is_gate(Activation activation) {
  return activation == Activation::sigmoid || activation == Activation::hardsigmoid;
}

/// Name of the block that a node belongs to, e.g. `stage3.1`.
std::string_view block_of(const Node& node) {
  const std::string_view name = node.name;
  const auto dot = std::min(name.find('.'), name.size() - 1);
  return name.substr(0, name.find('.', dot + 1));
}

/// Of what is convolved, and of what an expansion before it in its block reads.
double expansion(const Network& network, const Node& node) {
  const int widest = std::max(node.op.input().c, node.op.output().c);
  int narrowest = std::min(node.op.input().c, node.op.output().c);
  const Edge& from = node.inputs[0];
  if (from.node != network_input) {
    const Node& before = network.nodes[static_cast<std::size_t>(from.node)];
    if (is_pointwise(before.op) && block_of(before) == block_of(node))
      narrowest = std::min(narrowest, before.op.input().c);
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
    // Of a partial convolution, too, a channel sees one of so many.
    if (op.kind == OpKind::partial_conv2d)
      place.log_groups += std::log(static_cast<double>(op.input().c) / op.conv_channels);
    else if (!is_depthwise(op))
      place.log_groups += std::log(op.groups);
  }
}

/// Calls `take` with the terms of every node, one after the other.
template <typename Take>
void visit(const Network& network, std::size_t begin, std::size_t end, Take take) {
  const std::vector<bool> in_backbone = backbone(network);
  const auto place = places(network);
  for (std::size_t i = begin; i < end; ++i) {
    const Op& op = network.nodes[i].op;
    PartTerms terms;
    double credit = 1;
    if (is_convolution(op) && !is_depthwise(op))
      credit = (1 + std::log2(op.kernel_h)) / (op.kernel_h * op.kernel_w) * std::sqrt(op.groups);
    terms.macs = credit * static_cast<double>(macs(op));
    if (in_backbone[i]) terms.body_params = credit * static_cast<double>(params(op));
    if (op.activation != Activation::none && !is_gate(op.activation)) {
      terms.activations = 1;
      terms.relus = op.activation == Activation::relu || op.activation == Activation::relu6;
      terms.gelus = op.activation == Activation::gelu || op.activation == Activation::gelu_tanh;
    }
    if (place[i]) {
      terms.place = *place[i];
      terms.blocks.macs = terms.macs;
      add(terms.blocks, network, network.nodes[i]);
    }
    take(terms);
  }
}

void add(PlaceTerms& total, double times, const PlaceTerms& part) {
  total.macs += times * part.macs;
  total.layers += times * part.layers;
  total.log_expansion += times * part.log_expansion;
  total.log_kernel += times * part.log_kernel;
  total.log_groups += times * part.log_groups;
  total.squeeze += times * part.squeeze;
  total.attention += times * part.attention;
}

/// Of either kind of terms, but for the blocks.
template <typename Terms>
void add_totals(Terms& total, double times, const PartTerms& part) {
  total.macs += times * part.macs;
  total.body_params += times * part.body_params;
  total.activations += times * part.activations;
  total.relus += times * part.relus;
  total.gelus += times * part.gelus;
}

}  // namespace

void AccuracyTerms::add(double times, const PartTerms& part) {
  add_totals(*this, times, part);
  cpubone::add(places[part.place], times, part.blocks);
}

AccuracyTerms accuracy_terms(const Network& network) {
  AccuracyTerms terms;
  terms.pixels = network.inputs[0].shape.h;
  visit(network, 0, network.nodes.size(), [&](const PartTerms& one) { terms.add(1, one); });
  return terms;
}

PartTerms part_terms(const Network& network, std::size_t begin, std::size_t end) {
  PartTerms terms;
  visit(network, begin, end, [&](const PartTerms& one) {
    add_totals(terms, 1, one);
    if (one.blocks == PlaceTerms{}) return;
    if (terms.blocks != PlaceTerms{} && terms.place != one.place)
      throw std::invalid_argument(fmt::format(
          "accuracy terms: a part of \"{}\" lies in several stages, expected one", network.name));
    terms.place = one.place;
    add(terms.blocks, 1, one.blocks);
  });
  return terms;
}

}  // namespace cpubone
