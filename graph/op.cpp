#include "graph/op.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "graph/schema.hpp"

namespace cpubone {
namespace {

[[noreturn]] void fail(const Op& op, const std::string& what) {
  throw std::invalid_argument(fmt::format("op \"{}\": {}", text(op), what));
}

/// Kinds whose counts are products of several dimensions.
bool counts_macs(OpKind kind) {
  return schema(kind).has_weights || kind == OpKind::attention || kind == OpKind::matmul;
}

void check_tensor(const Op& op, std::string_view what, const Tensor& tensor) {
  const Shape& s = tensor.shape;
  const int largest = counts_macs(op.kind) ? max_dimension : max_moved_dimension;
  for (const int d : {s.n, s.h, s.w, s.c})
    if (d < 1 || d > largest)
      fail(op, fmt::format("{} dimensions must be in 1..{}, got {}", what, largest, text(s)));
  const bool only_moves = op.kind == OpKind::reshape || op.kind == OpKind::transpose;
  if (s.n != 1 && !only_moves) fail(op, fmt::format("{} batch must be 1, got {}", what, s.n));
  if (elements(s) > max_elements)
    fail(op,
         fmt::format("{} must have at most {} elements, got {}", what, max_elements, elements(s)));
  if (const auto& q = tensor.quantisation) {
    if (tensor.dtype != DType::qs8)
      fail(op, fmt::format("{} of {} has no scale and zero point", what, name(tensor.dtype)));
    if (!(q->scale > 0 && q->scale < 1e30F) || q->zero_point < -128 || q->zero_point > 127)
      fail(op, fmt::format("{} scale must be above 0 and its zero point in -128..127, got {}", what,
                           text(tensor)));
  }
}

std::string range_text(int low, int high) {
  return low == high ? fmt::format("{}", low) : fmt::format("{} or more", low);
}

void check_counts(const Op& op) {
  const OpSchema& s = schema(op.kind);
  const auto inputs = static_cast<int>(op.inputs.size());
  const auto outputs = static_cast<int>(op.outputs.size());
  if (inputs < s.least_inputs || inputs > s.most_inputs)
    fail(op, fmt::format("{} takes {} inputs, got {}", s.name,
                         range_text(s.least_inputs, s.most_inputs), inputs));
  if (outputs < 1 || outputs > s.most_outputs)
    fail(op,
         fmt::format("{} has {} outputs, got {}", s.name, range_text(1, s.most_outputs), outputs));
}

void check_attributes(const Op& op) {
  const OpSchema& s = schema(op.kind);
  for (const AttributeSchema& attribute : attributes()) {
    if (!s.takes.has(attribute.attribute)) {
      if (!attribute.is_default(op))
        fail(op, fmt::format("{} does not take {}", s.name, attribute.what));
    } else if (const std::string wrong = attribute.out_of_range(op); !wrong.empty()) {
      fail(op, wrong);
    }
  }
}

void check_dtypes(const Op& op) {
  if (schema(op.kind).converts) return;
  for (const auto* tensors : {&op.inputs, &op.outputs})
    for (const Tensor& tensor : *tensors)
      if (tensor.dtype != op.dtype())
        fail(op, fmt::format("all tensors must have one data type, got {} and {}", name(op.dtype()),
                             name(tensor.dtype)));
}

std::int64_t total_bytes(const std::vector<Tensor>& tensors) {
  std::int64_t total = 0;
  for (const Tensor& tensor : tensors) total += bytes(tensor);
  return total;
}

}  // namespace

std::string_view name(OpKind kind) {
  return schema(kind).name;
}

void check(const Op& op) {
  check_counts(op);
  for (const Tensor& input : op.inputs) check_tensor(op, "input", input);
  for (const Tensor& output : op.outputs) check_tensor(op, "output", output);
  check_attributes(op);
  check_dtypes(op);
  const OpSchema& s = schema(op.kind);
  if (const std::string wrong = s.wrong(op); !wrong.empty()) fail(op, wrong);
  const std::vector<Shape> expected = s.infer(op);
  for (std::size_t i = 0; i < expected.size(); ++i)
    if (op.output(i) != expected[i])
      fail(op, fmt::format("output must be {}, got {}", text(expected[i]), text(op.output(i))));
}

std::vector<Shape> infer_outputs(const Op& op) {
  check_counts(op);
  check_attributes(op);
  return schema(op.kind).infer(op);
}

Op with_inferred_outputs(Op op) {
  const std::vector<Shape> shapes = infer_outputs(op);
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    op.outputs[i].shape = shapes[i];
    if (!schema(op.kind).converts) op.outputs[i].dtype = op.dtype();
  }
  return op;
}

Op with_dtype(Op op, DType dtype) {
  for (auto* tensors : {&op.inputs, &op.outputs})
    for (Tensor& tensor : *tensors) tensor = {tensor.shape, dtype};
  return op;
}

Op without_quantisation(Op op) {
  for (auto* tensors : {&op.inputs, &op.outputs})
    for (Tensor& tensor : *tensors) tensor.quantisation.reset();
  return op;
}

bool multiplies_int8(const Op& op) {
  return op.dtype() == DType::qs8 || op.dynamic;
}

bool is_norm(OpKind kind) {
  return schema(kind).takes.has(Attribute::epsilon);
}

bool is_depthwise(const Op& op) {
  return op.kind == OpKind::conv2d && op.groups > 1 && op.groups == op.input().c &&
         op.groups == op.output().c;
}

bool is_pointwise(const Op& op) {
  return op.kind == OpKind::conv2d && op.kernel_h == 1 && op.kernel_w == 1;
}

std::int64_t macs(const Op& op) {
  return schema(op.kind).macs(op);
}

std::int64_t params(const Op& op) {
  return schema(op.kind).params(op);
}

std::int64_t weight_bytes(const Op& op) {
  if (!multiplies_int8(op) || !schema(op.kind).has_weights)
    return params(op) * bytes_per_element(op.dtype());
  const std::int64_t channels =
      op.kind == OpKind::partial_conv2d ? op.conv_channels : op.output().c;
  const std::int64_t biases = op.bias ? channels : 0;
  return (params(op) - biases) + 4 * biases + 4 * channels;
}

std::int64_t input_bytes(const Op& op) {
  return total_bytes(op.inputs);
}

std::int64_t output_bytes(const Op& op) {
  return total_bytes(op.outputs);
}

Padding same_padding(int kernel) {
  const int before = kernel / 2;
  const int after = (kernel - 1) / 2;
  return {before, after, before, after};
}

}  // namespace cpubone
