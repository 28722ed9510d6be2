#include <array>
#include <cmath>

#include "graph/onnx/editor.hpp"
#include "graph/schema.hpp"

// Exporters write a GELU as up to seven operators in half a dozen ways. Whatever the way: operators
// that work on each element of one tensor with constants are a function of one number, and a
// function that agrees with a known activation at many points is that one.
namespace cpubone::onnx {
namespace {

constexpr int points = 161;
using Values = std::array<double, points>;

double at(int i) {
  return (i - points / 2) * 0.125;  // -10..10
}

double apply(Activation activation, double x) {
  const double ramp = std::min(std::max(x + 3, 0.0), 6.0);
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return std::max(x, 0.0);
    case Activation::relu6:
      return std::min(std::max(x, 0.0), 6.0);
    case Activation::hardswish:
      return x * ramp / 6;
    case Activation::hardsigmoid:
      return ramp / 6;
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-x));
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::gelu:
      return 0.5 * x * (1 + std::erf(x * M_SQRT1_2));
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::tanh:
      return std::tanh(x);
    case Activation::elu:
      return x > 0 ? x : std::expm1(x);
    case Activation::softplus:
      return std::log1p(std::exp(x));
    case Activation::mish:
      return x * std::tanh(std::log1p(std::exp(x)));
    case Activation::exp:
      return std::exp(x);
    case Activation::log:
      return std::log(x);
    case Activation::sqrt:
      return std::sqrt(x);
    case Activation::reciprocal:
      return 1 / x;
    case Activation::erf:
      return std::erf(x);
    case Activation::abs:
      return std::abs(x);
    case Activation::neg:
      return -x;
  }
  return x;
}

double apply(OpKind kind, double a, double b) {
  switch (kind) {
    case OpKind::add:
      return a + b;
    case OpKind::sub:
      return a - b;
    case OpKind::mul:
      return a * b;
    case OpKind::div:
      return a / b;
    case OpKind::maximum:
      return std::max(a, b);
    default:
      return std::min(a, b);
  }
}

/// Values of an edge as a function of another, where it is one.
class Function {
 public:
  Function(Editor& editor, const Edge& variable) : editor_(editor), variable_(variable) {}

  std::optional<Values> of(const Edge& edge, int depth = 12) {
    Values values{};
    if (edge == variable_) {
      for (int i = 0; i < points; ++i) values[static_cast<std::size_t>(i)] = at(i);
      return values;
    }
    if (edge.node == network_input || depth == 0) return std::nullopt;
    if (const auto constant = editor_.scalar(edge)) {
      values.fill(double{*constant});
      return values;
    }
    const Node& node = editor_.node(edge.node);
    const bool alone = node.op.kind == OpKind::activation;
    if (!alone && !schema(node.op.kind).elementwise) return std::nullopt;
    const auto first = of(node.inputs[0], depth - 1);
    if (!first) return std::nullopt;
    std::optional<Values> second = first;
    if (!alone && node.inputs[1] != node.inputs[0]) second = of(node.inputs[1], depth - 1);
    if (!second) return std::nullopt;
    for (std::size_t i = 0; i < points; ++i) {
      const double value = alone ? (*first)[i] : apply(node.op.kind, (*first)[i], (*second)[i]);
      values[i] = apply(node.op.activation, value);
    }
    return values;
  }

 private:
  Editor& editor_;
  Edge variable_;
};

std::optional<Activation> known_activation(const Values& values) {
  for (int a = 1; a <= static_cast<int>(Activation::mish); ++a) {
    const auto activation = static_cast<Activation>(a);
    bool same = true;
    for (std::size_t i = 0; i < points && same; ++i) {
      const double expected = apply(activation, at(static_cast<int>(i)));
      // Constants were rounded to float, of 1/sqrt(2) to four digits by some.
      same = std::abs(values[i] - expected) <= 2e-5 * (1 + std::abs(expected));
    }
    if (same) return activation;
  }
  return std::nullopt;
}

/// Tensors that an elementwise operator computes from, the furthest first.
void collect(Editor& editor, const Edge& edge, int depth, std::vector<Edge>& found) {
  if (edge.node != network_input && depth > 0) {
    const Node& node = editor.node(edge.node);
    if (node.op.kind == OpKind::activation || schema(node.op.kind).elementwise)
      for (const Edge& input : node.inputs) collect(editor, input, depth - 1, found);
    if (node.op.kind == OpKind::constant) return;
  }
  for (const Edge& other : found)
    if (other == edge) return;
  found.push_back(edge);
}

}  // namespace

bool recognise_functions(Editor& editor) {
  bool changed = false;
  for (int i = static_cast<int>(editor.size()) - 1; i >= 0; --i) {
    const Op& op = editor.node(i).op;
    if (!schema(op.kind).elementwise) continue;
    std::vector<Edge> variables;
    for (const Edge& input : editor.node(i).inputs) collect(editor, input, 6, variables);
    for (const Edge& variable : variables) {
      if (tensor(editor.network(), variable) != editor.node(i).op.outputs[0]) continue;
      const auto values = Function(editor, variable).of(i);
      if (!values) continue;
      const auto activation = known_activation(*values);
      if (!activation) continue;
      Op single;
      single.kind = OpKind::activation;
      single.activation = *activation;
      editor.become(i, std::move(single), {variable});
      changed = true;
      break;
    }
  }
  return changed;
}

}  // namespace cpubone::onnx
