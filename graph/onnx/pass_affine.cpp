#include <algorithm>

#include "graph/affine.hpp"
#include "graph/onnx/editor.hpp"

// Batch norms, and what is added to or multiplied with channels, become part of the layer before.
namespace cpubone::onnx {
namespace {

/// A known operand, one number a channel, and the other.
struct KnownOperand {
  Edge other;
  std::vector<double> values;
  bool first;  ///< the known one stands before
};

std::optional<KnownOperand> known_operand(Editor& editor, int i) {
  const Node& node = editor.node(i);
  for (const bool first : {false, true}) {
    const Edge known = node.inputs[first ? 0 : 1];
    const Edge other = node.inputs[first ? 1 : 0];
    if (node.op.output() != node.op.input(first ? 1 : 0)) continue;
    const int channels = node.op.output().c;
    if (const auto value = editor.scalar(known))
      return KnownOperand{other, std::vector<double>(static_cast<std::size_t>(channels), *value),
                          first};
    if (const auto* values = editor.by_channel(known, channels))
      return KnownOperand{other, {values->begin(), values->end()}, first};
  }
  return std::nullopt;
}

/// What an operator does to each channel of one of its inputs.
struct Step {
  Edge input;
  Affine affine;
};

std::optional<Step> step_of(Editor& editor, int i) {
  const Node& node = editor.node(i);
  const OpKind kind = node.op.kind;
  if (kind == OpKind::batch_norm)
    return Step{node.inputs[0], affine(editor.parameters(i), node.op.epsilon)};
  if (kind != OpKind::add && kind != OpKind::sub && kind != OpKind::mul && kind != OpKind::div)
    return std::nullopt;
  const auto known = known_operand(editor, i);
  if (!known) return std::nullopt;
  const std::size_t channels = known->values.size();
  Step step{known->other, {std::vector<double>(channels, 1), std::vector<double>(channels, 0)}};
  for (std::size_t c = 0; c < channels; ++c) {
    const double value = known->values[c];
    if (kind == OpKind::add) step.affine.shift[c] = value;
    if (kind == OpKind::mul) step.affine.scale[c] = value;
    if (kind == OpKind::sub) {
      step.affine.shift[c] = known->first ? value : -value;
      if (known->first) step.affine.scale[c] = -1;
    }
    if (kind == OpKind::div) {
      if (known->first || value == 0) return std::nullopt;
      step.affine.scale[c] = 1 / value;
    }
  }
  return step;
}

bool is_layer(OpKind kind) {
  return kind == OpKind::conv2d || kind == OpKind::conv_transpose2d || kind == OpKind::linear;
}

/// Whether a normalisation can do that to its channels as well.
bool norm_takes(OpKind kind, const Affine& a) {
  if (kind == OpKind::rms_norm)
    return std::all_of(a.shift.begin(), a.shift.end(), [](double shift) { return shift == 0; });
  return kind == OpKind::layer_norm || kind == OpKind::batch_norm;
}

void into_norm(const Affine& a, Parameters& p) {
  for (std::size_t c = 0; c < p.weight.size(); ++c) {
    p.weight[c] = static_cast<float>(double{p.weight[c]} * a.scale[c]);
    if (!p.bias.empty())
      p.bias[c] = static_cast<float>(double{p.bias[c]} * a.scale[c] + a.shift[c]);
  }
}

/// Whether every channel has the same pair.
bool is_uniform(const Affine& a) {
  const auto same = [](const std::vector<double>& values) {
    return std::all_of(values.begin(), values.end(), [&](double v) { return v == values[0]; });
  };
  return same(a.scale) && same(a.shift);
}

}  // namespace

bool fold_affine(Editor& editor) {
  bool changed = false;
  for (int i = 0; i < static_cast<int>(editor.size()); ++i) {
    const auto step = step_of(editor, i);
    if (!step || !editor.is_private(step->input) || step->input.output != 0) continue;
    const Node& before = editor.node(step->input.node);
    if (before.op.activation != Activation::none) continue;
    const Activation activation = editor.node(i).op.activation;
    Op op = before.op;
    op.activation = activation;
    std::vector<Edge> inputs = before.inputs;
    if (is_layer(op.kind)) {
      Parameters p = std::move(editor.parameters(step->input.node));
      apply(step->affine, op, p);
      op.bias = true;
      editor.become(i, std::move(op), std::move(inputs), std::move(p));
    } else if (norm_takes(op.kind, step->affine)) {
      Parameters p = std::move(editor.parameters(step->input.node));
      into_norm(step->affine, p);
      editor.become(i, std::move(op), std::move(inputs), std::move(p));
    } else if (const auto first = step_of(editor, step->input.node);
               first && !is_uniform(step->affine) && before.op.kind != OpKind::add) {
      // A scale and a shift that no layer takes: as a batch norm, one pass over the tensor.
      Parameters p;
      for (std::size_t c = 0; c < first->affine.scale.size(); ++c) {
        p.weight.push_back(static_cast<float>(first->affine.scale[c] * step->affine.scale[c]));
        p.bias.push_back(static_cast<float>(first->affine.shift[c] * step->affine.scale[c] +
                                            step->affine.shift[c]));
      }
      p.mean.assign(p.weight.size(), 0);
      p.variance.assign(p.weight.size(), 1);
      Op norm;
      norm.kind = OpKind::batch_norm;
      norm.epsilon = 0;
      norm.activation = activation;
      editor.become(i, std::move(norm), {first->input}, std::move(p));
    } else {
      continue;
    }
    changed = true;
  }
  return changed;
}

}  // namespace cpubone::onnx
