#include "graph/schema_rules.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "graph/schema.hpp"

namespace cpubone::rules {

namespace {
int window_output(int in, int kernel, int stride, int dilation, int padding) {
  return (in + padding - (kernel - 1) * dilation - 1) / stride + 1;
}
}  // namespace

Shape windows(const Op& op) {
  Shape out = op.input();
  out.h = window_output(out.h, op.kernel_h, op.stride_h, op.dilation_h,
                        op.padding.top + op.padding.bottom);
  out.w = window_output(out.w, op.kernel_w, op.stride_w, op.dilation_w,
                        op.padding.left + op.padding.right);
  return out;
}

Outputs same(const Op& op) {
  return {op.input()};
}

Outputs own_channels(Shape out, const Op& op) {
  out.c = op.output().c;
  return {out};
}

Outputs one_pixel(const Op& op) {
  return {{1, 1, 1, op.input().c}};
}

Outputs broadcast(const Op& op) {
  const Shape& a = op.input(0);
  const Shape& b = op.input(1);
  return {{1, std::max(a.h, b.h), std::max(a.w, b.w), std::max(a.c, b.c)}};
}

std::int64_t window(const Op& op) {
  return std::int64_t{op.kernel_h} * op.kernel_w;
}

std::int64_t biases(const Op& op) {
  return op.bias ? op.output().c : 0;
}

std::int64_t convolution_params(const Op& op) {
  return std::int64_t{op.input().c} / op.groups * op.output().c * window(op) + biases(op);
}

std::int64_t scale_and_shift(const Op& op) {
  return 2 * std::int64_t{op.input().c};
}

namespace {
std::string indivisible(std::string_view what, int divisor, int channels) {
  if (channels % divisor == 0) return {};
  return fmt::format("{} {} must divide {} channels", what, divisor, channels);
}
}  // namespace

std::string groups_wrong(const Op& op) {
  const std::string in = indivisible("groups", op.groups, op.input().c);
  return in.empty() ? indivisible("groups", op.groups, op.output().c) : in;
}

std::string window_wrong(const Op& op) {
  const int h = op.input().h + op.padding.top + op.padding.bottom;
  const int w = op.input().w + op.padding.left + op.padding.right;
  const int reach_h = (op.kernel_h - 1) * op.dilation_h + 1;
  const int reach_w = (op.kernel_w - 1) * op.dilation_w + 1;
  if (h >= reach_h && w >= reach_w) return {};
  return fmt::format("kernel {}x{} does not fit the padded input {}x{}", reach_h, reach_w, h, w);
}

std::string conv_wrong(const Op& op) {
  const std::string groups = groups_wrong(op);
  return groups.empty() ? window_wrong(op) : groups;
}

std::string partial_wrong(const Op& op) {
  if (op.conv_channels > op.input().c)
    return fmt::format("conv must be in 1..{}, got {}", op.input().c, op.conv_channels);
  const std::string window = window_wrong(op);
  if (!window.empty()) return window;
  if (op.stride_h == 1 && op.stride_w == 1 && windows(op) == op.input()) return {};
  return "partial_conv2d must keep the resolution: stride 1 and padding that sums to kernel - 1";
}

std::string linear_wrong(const Op& op) {
  if (!op.dynamic || op.dtype() == DType::f32) return {};
  return fmt::format("a dynamic linear layer reads and writes f32, got {}", name(op.dtype()));
}

std::string attention_wrong(const Op& op) {
  const Shape& in = op.input();
  const std::string channels = indivisible("3 x heads =", 3 * op.heads, in.c);
  if (!channels.empty()) return channels;
  const std::int64_t pixels = std::int64_t{in.h} * in.w;
  if (pixels % op.windows != 0)
    return fmt::format("windows {} must divide {} pixels", op.windows, pixels);
  if (op.inputs.size() < 2) return {};
  const Shape& bias = op.input(1);
  const std::int64_t tokens = pixels / op.windows;
  const std::int64_t matrices = std::int64_t{op.windows} * op.heads;
  if (bias.w == tokens && bias.c == tokens &&
      (bias.h == 1 || bias.h == op.heads || bias.h == matrices))
    return {};
  return fmt::format("second input must be 1x1x{0}x{0}, 1x{1}x{0}x{0} or 1x{2}x{0}x{0}, got {3}",
                     tokens, op.heads, matrices, text(bias));
}

std::string broadcast_wrong(const Op& op) {
  const Shape& a = op.input(0);
  const Shape& b = op.input(1);
  const auto agree = [](int x, int y) { return x == y || x == 1 || y == 1; };
  if (agree(a.h, b.h) && agree(a.w, b.w) && agree(a.c, b.c)) return {};
  return fmt::format("inputs of {} must be equal or 1 in each dimension, got {} and {}",
                     name(op.kind), text(a), text(b));
}

std::string matmul_wrong(const Op& op) {
  const Shape& a = op.input(0);
  const Shape& b = op.input(1);
  if (a.h != b.h && a.h != 1 && b.h != 1)
    return fmt::format("inputs of matmul must have equally many matrices or one, got {} and {}",
                       text(a), text(b));
  const int inner = op.transposed ? b.c : b.w;
  if (a.c == inner) return {};
  return fmt::format("rows of the first matrix have {} elements, columns of the second {}", a.c,
                     inner);
}

std::string concat_wrong(const Op& op) {
  for (const Tensor& input : op.inputs)
    if (input.shape.h != op.input().h || input.shape.w != op.input().w)
      return fmt::format("inputs of concat must have equal resolution, got {} and {}",
                         text(op.input()), text(input.shape));
  return {};
}

std::string slice_wrong(const Op& op) {
  const int last = op.input().c - op.output().c;
  if (op.begin <= last) return {};
  return fmt::format("begin must be in 0..{}, got {}", last, op.begin);
}

std::string split_wrong(const Op& op) {
  int channels = 0;
  for (const Tensor& output : op.outputs) channels += output.shape.c;
  if (channels == op.input().c) return {};
  return fmt::format("channels of the outputs must sum to {}, got {}", op.input().c, channels);
}

std::string reshape_wrong(const Op& op) {
  if (elements(op.output()) == elements(op.input())) return {};
  return fmt::format("output must have {} elements, got {}", elements(op.input()),
                     elements(op.output()));
}

std::string cast_wrong(const Op& op) {
  if (op.inputs[0].dtype != DType::qs8 && op.outputs[0].dtype != DType::qs8) return {};
  return "cast is between f32 and f16; quantise and dequantise are for qs8";
}

std::string quantise_wrong(const Op& op) {
  const bool to = op.kind == OpKind::quantise;
  const Tensor& integer = to ? op.outputs[0] : op.inputs[0];
  const Tensor& real = to ? op.inputs[0] : op.outputs[0];
  if (integer.dtype == DType::qs8 && real.dtype != DType::qs8) return {};
  return fmt::format("{} must be qs8, {} f32 or f16", to ? "output" : "input",
                     to ? "input" : "output");
}

std::string activation_wrong(const Op& op) {
  return op.activation == Activation::none ? "activation needs act= one that is not none"
                                           : std::string();
}

}  // namespace cpubone::rules
