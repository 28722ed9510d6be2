#include "graph/schema.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace cpubone {
namespace {

using A = Attribute;
using Outputs = std::vector<Shape>;

int window_output(int in, int kernel, int stride, int dilation, int padding) {
  return (in + padding - (kernel - 1) * dilation - 1) / stride + 1;
}

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

/// The input's, with the output's own number of channels, which are an attribute.
Outputs own_channels(Shape out, const Op& op) {
  out.c = op.output().c;
  return {out};
}

Outputs one_pixel(const Op& op) {
  return {{1, 1, 1, op.input().c}};
}

/// As numpy broadcasts.
Outputs broadcast(const Op& op) {
  const Shape& a = op.input(0);
  const Shape& b = op.input(1);
  return {{1, std::max(a.h, b.h), std::max(a.w, b.w), std::max(a.c, b.c)}};
}

std::int64_t none(const Op&) {
  return 0;
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

std::string fine(const Op&) {
  return {};
}

std::string indivisible(std::string_view what, int divisor, int channels) {
  if (channels % divisor == 0) return {};
  return fmt::format("{} {} must divide {} channels", what, divisor, channels);
}

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

std::string attention_wrong(const Op& op) {
  return indivisible("3 x heads =", 3 * op.heads, op.input().c);
}

std::string broadcast_wrong(const Op& op) {
  const Shape& a = op.input(0);
  const Shape& b = op.input(1);
  const auto agree = [](int x, int y) { return x == y || x == 1 || y == 1; };
  if (agree(a.h, b.h) && agree(a.w, b.w) && agree(a.c, b.c)) return {};
  return fmt::format("inputs of {} must be equal or 1 in each dimension, got {} and {}",
                     name(op.kind), text(a), text(b));
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
  if (integer.dtype == DType::qs8 && integer.quantisation && real.dtype != DType::qs8) return {};
  return fmt::format("{} must be qs8 with scale and zero point, {} f32 or f16",
                     to ? "output" : "input", to ? "input" : "output");
}

std::string activation_wrong(const Op& op) {
  return op.activation == Activation::none ? "activation needs act= one that is not none"
                                           : std::string();
}

constexpr Attributes conv_takes{A::kernel, A::stride, A::padding,   A::dilation,
                                A::groups, A::bias,   A::activation};
constexpr Attributes pool_takes{A::kernel, A::stride, A::padding, A::dilation, A::activation};
constexpr Attributes norm_takes{A::epsilon, A::activation};

constexpr OpSchema table[] = {
    {OpKind::conv2d, "conv2d", "dense, grouped, depthwise or pointwise convolution", 1, 1, 1,
     conv_takes, true, false, false, [](const Op& op) { return own_channels(windows(op), op); },
     conv_wrong,
     [](const Op& op) { return elements(op.output()) * (op.input().c / op.groups) * window(op); },
     convolution_params},
    {OpKind::partial_conv2d,
     "partial_conv2d",
     "convolves the first `conv` channels and passes the others through (FasterNet)",
     1,
     1,
     1,
     {A::kernel, A::stride, A::padding, A::conv_channels, A::partial_form, A::bias, A::activation},
     true,
     false,
     false,
     same,
     partial_wrong,
     [](const Op& op) {
       return std::int64_t{op.input().h} * op.input().w * op.conv_channels * op.conv_channels *
              window(op);
     },
     [](const Op& op) {
       return std::int64_t{op.conv_channels} * op.conv_channels * window(op) +
              (op.bias ? op.conv_channels : 0);
     }},
    {OpKind::conv_transpose2d,
     "conv_transpose2d",
     "transposed convolution",
     1,
     1,
     1,
     {A::kernel, A::stride, A::padding, A::groups, A::bias, A::activation},
     true,
     false,
     false,
     [](const Op& op) {
       const Shape& in = op.input();
       const Padding& p = op.padding;
       return own_channels({1, (in.h - 1) * op.stride_h + op.kernel_h - p.top - p.bottom,
                            (in.w - 1) * op.stride_w + op.kernel_w - p.left - p.right, 1},
                           op);
     },
     groups_wrong,
     [](const Op& op) { return elements(op.input()) * (op.output().c / op.groups) * window(op); },
     convolution_params},
    {OpKind::linear,
     "linear",
     "fully connected over the channels of each pixel",
     1,
     1,
     1,
     {A::bias, A::activation},
     true,
     false,
     false,
     [](const Op& op) { return own_channels(op.input(), op); },
     fine,
     [](const Op& op) { return elements(op.input()) * op.output().c; },
     [](const Op& op) { return std::int64_t{op.input().c} * op.output().c + biases(op); }},
    {OpKind::attention,
     "attention",
     "softmax(Q K^T / sqrt(d)) V; channels of the input are q|k|v of each head in turn",
     1,
     1,
     1,
     {A::heads, A::activation},
     false,
     false,
     false,
     [](const Op& op) {
       Shape out = op.input();
       out.c /= 3;
       return Outputs{out};
     },
     attention_wrong,
     [](const Op& op) {
       const std::int64_t tokens = std::int64_t{op.input().h} * op.input().w;
       return 2 * tokens * tokens * op.output().c;
     },
     none},
    {OpKind::activation,
     "activation",
     "an activation on its own",
     1,
     1,
     1,
     {A::activation},
     false,
     true,
     false,
     same,
     activation_wrong,
     none,
     none},
    {OpKind::add,
     "add",
     "sum of two tensors, as numpy broadcasts",
     2,
     2,
     1,
     {A::activation},
     false,
     false,
     false,
     broadcast,
     broadcast_wrong,
     none,
     none},
    {OpKind::mul,
     "mul",
     "product of two tensors, as numpy broadcasts",
     2,
     2,
     1,
     {A::activation},
     false,
     false,
     false,
     broadcast,
     broadcast_wrong,
     none,
     none},
    {OpKind::group_norm, "group_norm", "GroupNorm of one group, affine", 1, 1, 1, norm_takes, false,
     true, false, same, fine, none, scale_and_shift},
    {OpKind::layer_norm, "layer_norm", "LayerNorm over the channels of each pixel, affine", 1, 1, 1,
     norm_takes, false, true, false, same, fine, none, scale_and_shift},
    {OpKind::global_avg_pool,
     "global_avg_pool",
     "mean of all pixels",
     1,
     1,
     1,
     {A::activation},
     false,
     false,
     false,
     one_pixel,
     fine,
     none,
     none},
    {OpKind::max_pool2d, "max_pool2d", "largest of each window", 1, 1, 1, pool_takes, false, false,
     false, [](const Op& op) { return Outputs{windows(op)}; }, window_wrong, none, none},
    {OpKind::upsample_nearest,
     "upsample_nearest",
     "repeats pixels `stride` times",
     1,
     1,
     1,
     {A::stride, A::activation},
     false,
     false,
     false,
     [](const Op& op) {
       Shape out = op.input();
       out.h *= op.stride_h;
       out.w *= op.stride_w;
       return Outputs{out};
     },
     fine,
     none,
     none},
    {OpKind::slice,
     "slice",
     "the output's number of channels from channel `begin` on",
     1,
     1,
     1,
     {A::begin},
     false,
     false,
     false,
     [](const Op& op) { return own_channels(op.input(), op); },
     slice_wrong,
     none,
     none},
    {OpKind::concat,
     "concat",
     "joins channels",
     2,
     1024,
     1,
     {},
     false,
     false,
     false,
     [](const Op& op) {
       Shape out = op.input();
       out.c = 0;
       for (const Tensor& input : op.inputs) out.c += input.shape.c;
       return Outputs{out};
     },
     concat_wrong,
     none,
     none},
    {OpKind::channel_shuffle,
     "channel_shuffle",
     "channels seen as groups x c/groups, transposed (ShuffleNet)",
     1,
     1,
     1,
     {A::groups},
     false,
     false,
     false,
     same,
     groups_wrong,
     none,
     none},
    {OpKind::batch_norm, "batch_norm", "normalises by running statistics, affine; train form", 1, 1,
     1, norm_takes, false, true, false, same, fine, none, scale_and_shift},
    {OpKind::avg_pool2d,
     "avg_pool2d",
     "mean of each window, padding left out",
     1,
     1,
     1,
     {A::kernel, A::stride, A::padding, A::activation},
     false,
     false,
     false,
     [](const Op& op) { return Outputs{windows(op)}; },
     window_wrong,
     none,
     none},
    {OpKind::softmax,
     "softmax",
     "softmax over the channels of each pixel",
     1,
     1,
     1,
     {},
     false,
     true,
     false,
     same,
     fine,
     none,
     none},
    {OpKind::split,
     "split",
     "cuts channels into the outputs",
     1,
     1,
     1024,
     {},
     false,
     false,
     false,
     [](const Op& op) {
       Outputs outputs;
       for (const Tensor& output : op.outputs) {
         outputs.push_back(op.input());
         outputs.back().c = output.shape.c;
       }
       return outputs;
     },
     split_wrong,
     none,
     none},
    {OpKind::reshape,
     "reshape",
     "the same elements in another shape; costs nothing",
     1,
     1,
     1,
     {},
     false,
     true,
     false,
     [](const Op& op) { return Outputs{op.output()}; },
     reshape_wrong,
     none,
     none},
    {OpKind::transpose,
     "transpose",
     "permutes dimensions",
     1,
     1,
     1,
     {A::permutation},
     false,
     false,
     false,
     [](const Op& op) {
       const Shape& in = op.input();
       const std::array<int, 4> from{in.n, in.h, in.w, in.c};
       const auto at = [&](std::size_t i) {
         return from[static_cast<std::size_t>(op.permutation[i])];
       };
       return Outputs{{at(0), at(1), at(2), at(3)}};
     },
     fine,
     none,
     none},
    {OpKind::cast,
     "cast",
     "between f32 and f16",
     1,
     1,
     1,
     {},
     false,
     false,
     true,
     same,
     cast_wrong,
     none,
     none},
    {OpKind::quantise,
     "quantise",
     "to int8 by scale and zero point",
     1,
     1,
     1,
     {},
     false,
     false,
     true,
     same,
     quantise_wrong,
     none,
     none},
    {OpKind::dequantise,
     "dequantise",
     "from int8",
     1,
     1,
     1,
     {},
     false,
     false,
     true,
     same,
     quantise_wrong,
     none,
     none},
};

}  // namespace

std::span<const OpSchema> schemas() {
  return table;
}

const OpSchema& schema(OpKind kind) {
  return table[static_cast<std::size_t>(kind)];
}

}  // namespace cpubone
