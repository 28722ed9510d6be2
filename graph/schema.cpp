#include "graph/schema.hpp"

#include <algorithm>

#include "graph/schema_rules.hpp"

namespace cpubone {
namespace {

using namespace rules;
using A = Attribute;

constexpr Attributes conv_takes{A::kernel, A::stride, A::padding,   A::dilation,
                                A::groups, A::bias,   A::activation};
constexpr Attributes pool_takes{A::kernel, A::stride, A::padding, A::dilation, A::activation};
constexpr Attributes norm_takes{A::epsilon, A::activation};

/// Of two tensors, as numpy broadcasts.
constexpr OpSchema elementwise(OpKind kind, std::string_view name, std::string_view meaning) {
  return {.kind = kind,
          .name = name,
          .meaning = meaning,
          .least_inputs = 2,
          .most_inputs = 2,
          .takes = {A::activation},
          .elementwise = true,
          .infer = broadcast,
          .wrong = broadcast_wrong};
}

constexpr OpSchema op_table[] = {
    {.kind = OpKind::conv2d,
     .name = "conv2d",
     .meaning = "dense, grouped, depthwise or pointwise convolution",
     .takes = conv_takes,
     .has_weights = true,
     .infer = [](const Op& op) { return own_channels(windows(op), op); },
     .wrong = conv_wrong,
     .macs =
         [](const Op& op) {
           return elements(op.output()) * (op.input().c / op.groups) * window(op);
         },
     .params = convolution_params},
    {.kind = OpKind::partial_conv2d,
     .name = "partial_conv2d",
     .meaning = "convolves the first `conv` channels and passes the others through (FasterNet)",
     .takes = {A::kernel, A::stride, A::padding, A::conv_channels, A::partial_form, A::bias,
               A::activation},
     .has_weights = true,
     .keeps_values = true,
     .infer = same,
     .wrong = partial_wrong,
     .macs =
         [](const Op& op) {
           return std::int64_t{op.input().h} * op.input().w * op.conv_channels * op.conv_channels *
                  window(op);
         },
     .params =
         [](const Op& op) {
           return std::int64_t{op.conv_channels} * op.conv_channels * window(op) +
                  (op.bias ? op.conv_channels : 0);
         }},
    {.kind = OpKind::conv_transpose2d,
     .name = "conv_transpose2d",
     .meaning = "transposed convolution",
     .takes = {A::kernel, A::stride, A::padding, A::groups, A::bias, A::activation},
     .has_weights = true,
     .infer =
         [](const Op& op) {
           const Shape& in = op.input();
           const Padding& p = op.padding;
           return own_channels({1, (in.h - 1) * op.stride_h + op.kernel_h - p.top - p.bottom,
                                (in.w - 1) * op.stride_w + op.kernel_w - p.left - p.right, 1},
                               op);
         },
     .wrong = groups_wrong,
     .macs =
         [](const Op& op) {
           return elements(op.input()) * (op.output().c / op.groups) * window(op);
         },
     .params = convolution_params},
    {.kind = OpKind::linear,
     .name = "linear",
     .meaning = "fully connected over the channels of each pixel",
     .takes = {A::dynamic, A::bias, A::activation},
     .has_weights = true,
     .infer = [](const Op& op) { return own_channels(op.input(), op); },
     .wrong = linear_wrong,
     .macs = [](const Op& op) { return elements(op.input()) * op.output().c; },
     .params =
         [](const Op& op) { return std::int64_t{op.input().c} * op.output().c + biases(op); }},
    {.kind = OpKind::attention,
     .name = "attention",
     .meaning = "softmax(Q K^T / sqrt(d) + B) V of each of `windows` runs of pixels; channels of "
                "the input are q|k|v of each head in turn, B is the second input or nothing",
     .most_inputs = 2,
     .takes = {A::heads, A::windows, A::activation},
     .infer =
         [](const Op& op) {
           Shape out = op.input();
           out.c /= 3;
           return Outputs{out};
         },
     .wrong = attention_wrong,
     .macs =
         [](const Op& op) {
           const std::int64_t pixels = std::int64_t{op.input().h} * op.input().w;
           return 2 * pixels * (pixels / op.windows) * op.output().c;
         }},
    {.kind = OpKind::activation,
     .name = "activation",
     .meaning = "an activation on its own",
     .takes = {A::activation},
     .in_place = true,
     .infer = same,
     .wrong = activation_wrong},
    elementwise(OpKind::add, "add", "sum of two tensors, as numpy broadcasts"),
    elementwise(OpKind::mul, "mul", "product of two tensors, as numpy broadcasts"),
    {.kind = OpKind::group_norm,
     .name = "group_norm",
     .meaning = "GroupNorm of one group, affine",
     .takes = norm_takes,
     .in_place = true,
     .infer = same,
     .params = scale_and_shift},
    {.kind = OpKind::layer_norm,
     .name = "layer_norm",
     .meaning = "LayerNorm over the channels of each pixel, affine",
     .takes = norm_takes,
     .in_place = true,
     .infer = same,
     .params = scale_and_shift},
    {.kind = OpKind::global_avg_pool,
     .name = "global_avg_pool",
     .meaning = "mean of all pixels",
     .takes = {A::activation},
     .infer = one_pixel},
    {.kind = OpKind::max_pool2d,
     .name = "max_pool2d",
     .meaning = "largest of each window",
     .takes = pool_takes,
     .keeps_values = true,
     .infer = [](const Op& op) { return Outputs{windows(op)}; },
     .wrong = window_wrong},
    {.kind = OpKind::upsample_nearest,
     .name = "upsample_nearest",
     .meaning = "repeats pixels `stride` times",
     .takes = {A::stride, A::activation},
     .keeps_values = true,
     .infer =
         [](const Op& op) {
           Shape out = op.input();
           out.h *= op.stride_h;
           out.w *= op.stride_w;
           return Outputs{out};
         }},
    {.kind = OpKind::slice,
     .name = "slice",
     .meaning = "the output's number of channels from channel `begin` on",
     .takes = {A::begin},
     .keeps_values = true,
     .infer = [](const Op& op) { return own_channels(op.input(), op); },
     .wrong = slice_wrong},
    {.kind = OpKind::concat,
     .name = "concat",
     .meaning = "joins channels",
     .least_inputs = 2,
     .most_inputs = 1024,
     .keeps_values = true,
     .infer =
         [](const Op& op) {
           Shape out = op.input();
           out.c = 0;
           for (const Tensor& input : op.inputs) out.c += input.shape.c;
           return Outputs{out};
         },
     .wrong = concat_wrong},
    {.kind = OpKind::channel_shuffle,
     .name = "channel_shuffle",
     .meaning = "channels seen as groups x c/groups, transposed (ShuffleNet)",
     .takes = {A::groups},
     .keeps_values = true,
     .infer = same,
     .wrong = groups_wrong},
    {.kind = OpKind::batch_norm,
     .name = "batch_norm",
     .meaning = "normalises by running statistics, affine; train form",
     .takes = norm_takes,
     .in_place = true,
     .infer = same,
     .params = scale_and_shift},
    {.kind = OpKind::avg_pool2d,
     .name = "avg_pool2d",
     .meaning = "mean of each window, padding left out",
     .takes = {A::kernel, A::stride, A::padding, A::activation},
     .infer = [](const Op& op) { return Outputs{windows(op)}; },
     .wrong = window_wrong},
    {.kind = OpKind::softmax,
     .name = "softmax",
     .meaning = "softmax over the channels of each pixel",
     .in_place = true,
     .infer = same},
    {.kind = OpKind::split,
     .name = "split",
     .meaning = "cuts channels into the outputs",
     .most_outputs = 1024,
     .keeps_values = true,
     .infer =
         [](const Op& op) {
           Outputs outputs;
           for (const Tensor& output : op.outputs) {
             outputs.push_back(op.input());
             outputs.back().c = output.shape.c;
           }
           return outputs;
         },
     .wrong = split_wrong},
    {.kind = OpKind::reshape,
     .name = "reshape",
     .meaning = "the same elements in another shape; costs nothing",
     .in_place = true,
     .keeps_values = true,
     .infer = [](const Op& op) { return Outputs{op.output()}; },
     .wrong = reshape_wrong},
    {.kind = OpKind::transpose,
     .name = "transpose",
     .meaning = "permutes dimensions",
     .takes = {A::permutation},
     .keeps_values = true,
     .infer =
         [](const Op& op) {
           const Shape& in = op.input();
           const std::array<int, 4> from{in.n, in.h, in.w, in.c};
           const auto at = [&](std::size_t i) {
             return from[static_cast<std::size_t>(op.permutation[i])];
           };
           return Outputs{{at(0), at(1), at(2), at(3)}};
         }},
    {.kind = OpKind::cast,
     .name = "cast",
     .meaning = "between f32 and f16",
     .converts = true,
     .infer = same,
     .wrong = cast_wrong},
    {.kind = OpKind::quantise,
     .name = "quantise",
     .meaning = "to int8 by scale and zero point",
     .converts = true,
     .infer = same,
     .wrong = quantise_wrong},
    {.kind = OpKind::dequantise,
     .name = "dequantise",
     .meaning = "from int8",
     .converts = true,
     .infer = same,
     .wrong = quantise_wrong},
    {.kind = OpKind::constant,
     .name = "constant",
     .meaning = "a tensor that is known before the network runs; costs nothing",
     .least_inputs = 0,
     .most_inputs = 0,
     .infer = [](const Op& op) { return Outputs{op.output()}; },
     .params = [](const Op& op) { return elements(op.output()); }},
    {.kind = OpKind::matmul,
     .name = "matmul",
     .meaning =
         "w x c matrices times c x k ones (`transposed`: k x c), one of each h or one for all",
     .least_inputs = 2,
     .most_inputs = 2,
     .takes = {A::transposed},
     .infer =
         [](const Op& op) {
           const Shape& a = op.input(0);
           const Shape& b = op.input(1);
           return Outputs{{1, std::max(a.h, b.h), a.w, op.transposed ? b.w : b.c}};
         },
     .wrong = matmul_wrong,
     .macs = [](const Op& op) { return elements(op.output()) * op.input(0).c; }},
    elementwise(OpKind::sub, "sub", "difference of two tensors, as numpy broadcasts"),
    elementwise(OpKind::div, "div", "quotient of two tensors, as numpy broadcasts"),
    elementwise(OpKind::maximum, "maximum", "larger of two tensors, as numpy broadcasts"),
    elementwise(OpKind::minimum, "minimum", "smaller of two tensors, as numpy broadcasts"),
    {.kind = OpKind::reduce,
     .name = "reduce",
     .meaning = "mean, sum, largest or smallest of the channels of each pixel",
     .takes = {A::reduction},
     .infer =
         [](const Op& op) {
           Shape out = op.input();
           out.c = 1;
           return Outputs{out};
         }},
    {.kind = OpKind::resize,
     .name = "resize",
     .meaning = "an image in the output's height and width",
     .takes = {A::resize_mode},
     .keeps_values = true,
     .infer =
         [](const Op& op) {
           return Outputs{{1, op.output().h, op.output().w, op.input().c}};
         }},
    {.kind = OpKind::pad,
     .name = "pad",
     .meaning = "zeros around each channel",
     .takes = {A::padding},
     .keeps_values = true,
     .infer =
         [](const Op& op) {
           Shape out = op.input();
           out.h += op.padding.top + op.padding.bottom;
           out.w += op.padding.left + op.padding.right;
           return Outputs{out};
         }},
    {.kind = OpKind::rms_norm,
     .name = "rms_norm",
     .meaning = "divides the channels of each pixel by their root mean square, then scales them",
     .takes = norm_takes,
     .in_place = true,
     .infer = same,
     .params = [](const Op& op) { return std::int64_t{op.input().c}; }},
};

}  // namespace

std::span<const OpSchema> schemas() {
  return op_table;
}

const OpSchema& schema(OpKind kind) {
  return op_table[static_cast<std::size_t>(kind)];
}

}  // namespace cpubone
