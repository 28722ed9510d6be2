#include "profiler/operator_families.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace cpubone {
namespace {

constexpr int fewest_channels = 8;

int rounded(double value, int multiple) {
  return std::max(1, static_cast<int>(std::lround(value / multiple))) * multiple;
}

/// Half of all channel counts are multiples of 16, as most networks have them; the others show
/// what an odd one costs. Some are powers of two, which are dear to architects and hard on caches.
int channels(Points& points, double low, double high) {
  constexpr int power_of_two = 0;
  const double wanted = points.logarithmic(low, high);
  const int multiple =
      points.weighted<int>({{power_of_two, 1.5}, {16, 4}, {8, 3}, {4, 1.5}, {2, 1}});
  if (multiple == power_of_two) return 1 << std::lround(std::log2(wanted));
  return rounded(wanted, multiple);
}

/// Channels relative to others, on the same grid of multiples.
int scaled(Points& points, int base, double low, double high) {
  const double wanted = base * points.logarithmic(low, high);
  return std::clamp(rounded(wanted, wanted >= 32 ? 8 : 2), fewest_channels, most_channels);
}

/// Those of a 224-pixel network first; then what other inputs and strides lead to.
int resolution(Points& points) {
  const double u = points.uniform();
  constexpr std::array<int, 5> usual{7, 14, 28, 56, 112};
  if (u < 0.6) return usual.at(static_cast<std::size_t>(u / 0.6 * usual.size()));
  return std::clamp(static_cast<int>(std::lround(6 * std::pow(224.0 / 6, (u - 0.6) / 0.4))), 6,
                    224);
}

Activation fused(Points& points) {
  return points.weighted<Activation>(
      {{Activation::none, 7}, {Activation::relu, 2}, {Activation::relu6, 1}});
}

Shape square(int size, int c) {
  return {1, size, size, c};
}

Op unary(OpKind kind, Shape input) {
  Op op;
  op.kind = kind;
  op.inputs = op.outputs = {{input}};
  return op;
}

struct Window {
  int kernel = 1;
  int stride = 1;
  int groups = 1;
};

Op convolution(Points& points, int size, int in, int out, Window window) {
  Op op = unary(OpKind::conv2d, square(size, in));
  op.outputs[0].shape.c = out;
  op.kernel_h = op.kernel_w = window.kernel;
  op.stride_h = op.stride_w = window.stride;
  const int before = (window.kernel - 1) / 2;
  op.padding =
      window.stride == 1 ? same_padding(window.kernel) : Padding{before, before, before, before};
  op.groups = window.groups;
  op.bias = points.uniform() < 0.85;
  op.activation = fused(points);
  return op;
}

/// Rounds both to multiples of the groups, at least two channels of a group.
void fit_groups(int groups, int& in, int& out) {
  in = std::max(2, in / groups) * groups;
  out = std::max(2, out / groups) * groups;
}

Op dense_pointwise(Points& points) {
  const int size = points.uniform() < 0.08 ? 1 : resolution(points);
  const int in = channels(points, fewest_channels, most_channels);
  const int out = scaled(points, in, 1.0 / 8, 8);
  return convolution(points, size, in, out, {});
}

Op grouped_pointwise(Points& points) {
  const int groups = points.one_of({2, 4, 8});
  const int size = resolution(points);
  int in = channels(points, 16, 1024);
  int out = scaled(points, in, 1.0 / 8, 8);
  fit_groups(groups, in, out);
  return convolution(points, size, in, out, {1, 1, groups});
}

Op dense_spatial(Points& points) {
  const int kernel = points.weighted<int>({{2, 2}, {3, 5}, {5, 1.5}, {7, 0.5}});
  const int stride = points.weighted<int>({{1, 3}, {2, 2}});
  // Late stages have weights that no cache holds, which each block of rows reads anew.
  const bool late = points.uniform() < 0.12;
  const int size = late ? points.one_of({7, 14}) : resolution(points);
  const int in = late ? channels(points, 320, 1024) : channels(points, fewest_channels, 768);
  const int out = late ? scaled(points, in, 2.0 / 3, 2) : scaled(points, in, 1.0 / 2, 8);
  return convolution(points, size, in, out, {kernel, stride, 1});
}

Op grouped_spatial(Points& points) {
  const int kernel = points.weighted<int>({{2, 3}, {3, 5}, {5, 2}});
  const int stride = points.weighted<int>({{1, 3}, {2, 2}});
  const int groups = points.weighted<int>({{2, 4}, {4, 3}, {8, 2}, {16, 0.5}, {32, 0.5}});
  const int size = resolution(points);
  int in = channels(points, 16, 512);
  int out = scaled(points, in, 1.0 / 2, 8);
  fit_groups(groups, in, out);
  return convolution(points, size, in, out, {kernel, stride, groups});
}

Op depthwise(Points& points) {
  const int kernel = points.weighted<int>({{2, 2}, {3, 4}, {5, 3}, {7, 2}});
  const int stride = points.weighted<int>({{1, 3}, {2, 2}});
  const int size = resolution(points);
  const int c = channels(points, fewest_channels, most_channels);
  return convolution(points, size, c, c, {kernel, stride, c});
}

/// What reads the image.
Op stem(Points& points) {
  const int kernel = points.weighted<int>({{3, 6}, {4, 1}, {7, 1}});
  const int stride = kernel == 4 ? 4 : points.weighted<int>({{1, 1}, {2, 4}});
  const int size = 32 * rounded(points.logarithmic(3, 10), 1);
  const int out = channels(points, fewest_channels, 96);
  Op op = convolution(points, size, 3, out, {kernel, stride, 1});
  if (kernel == 4) op.padding = {};
  return op;
}

Op transposed(Points& points) {
  const int size = resolution(points);
  const int in = channels(points, 16, 512);
  const int out = scaled(points, in, 1.0 / 2, 2);
  const bool enlarges = points.uniform() < 0.75;
  Op op = unary(OpKind::conv_transpose2d, square(size, in));
  op.outputs[0].shape.c = out;
  op.bias = points.uniform() < 0.8;
  if (enlarges) {
    op.kernel_h = op.kernel_w = points.one_of({2, 4});
    op.stride_h = op.stride_w = 2;
  } else {
    op.kernel_h = op.kernel_w = 3;
  }
  const int pad = (op.kernel_h - 1) / 2;
  op.padding = {pad, pad, pad, pad};
  return op;
}

Op partial(Points& points) {
  const int size = resolution(points);
  const int c = channels(points, 16, 1024);
  const int share = points.weighted<int>({{4, 3}, {2, 1}, {8, 1}});
  Op op = unary(OpKind::partial_conv2d, square(size, c));
  op.conv_channels = std::max(2, c / share);
  op.kernel_h = op.kernel_w = points.weighted<int>({{3, 3}, {5, 1}});
  op.padding = same_padding(op.kernel_h);
  op.bias = points.uniform() < 0.3;
  op.partial_form = points.uniform() < 0.8 ? PartialForm::slicing : PartialForm::split_concat;
  return op;
}

Op linear(Points& points) {
  const bool tokens = points.uniform() < 0.3;
  const int size = tokens ? resolution(points) : 1;
  const int in = channels(points, 32, most_channels);
  const int out = points.uniform() < 0.3 ? 1000 : channels(points, 16, most_channels);
  Op op = unary(OpKind::linear, square(size, in));
  op.outputs[0].shape.c = out;
  op.bias = points.uniform() < 0.7;
  op.activation = fused(points);
  return op;
}

/// As `quantise` makes them.
Op dynamic_linear(Points& points) {
  const int tokens = points.weighted<int>(
      {{1, 2}, {16, 1}, {49, 3}, {64, 1}, {144, 1}, {196, 2}, {197, 2}, {256, 1}, {784, 1}});
  const int in = channels(points, 192, 1536);
  Op op = unary(OpKind::linear, {1, 1, tokens, in});
  op.outputs[0].shape.c = tokens == 1 ? std::max(in, scaled(points, in, 1, 4))
                                      : in * points.weighted<int>({{3, 4}, {4, 1}});
  op.bias = points.uniform() < 0.85;
  op.dynamic = true;
  return op;
}

Op attention(Points& points) {
  const int size = points.weighted<int>({{4, 1},
                                         {5, 1},
                                         {6, 1},
                                         {7, 4},
                                         {8, 1},
                                         {10, 1},
                                         {12, 1},
                                         {14, 3},
                                         {16, 1},
                                         {20, 1},
                                         {24, 1},
                                         {28, 1}});
  const int heads = rounded(points.logarithmic(1, 16), 1);
  const int multiple = points.weighted<int>({{4, 1}, {1, 1}});
  const int head_dim = rounded(points.logarithmic(8, 64), multiple);
  Op op = unary(OpKind::attention, square(size, 3 * heads * head_dim));
  op.outputs[0].shape.c = heads * head_dim;
  op.heads = heads;
  // Windows of 7 x 7 or 8 x 8 pixels, as many as fit an image of 56 x 56 or less.
  const int windows = points.weighted<int>({{1, 3}, {2, 1}, {4, 1}, {8, 1}});
  if (windows > 1 && (size == 7 || size == 8)) {
    op.windows = windows * windows;
    for (auto* tensor : {&op.inputs[0], &op.outputs[0]})
      tensor->shape = {1, windows * size, windows * size, tensor->shape.c};
  }
  if (points.uniform() < 0.4) op.inputs.push_back({{1, heads, size * size, size * size}});
  return op;
}

Op activation(Points& points) {
  const Activation which = points.weighted<Activation>({{Activation::hardswish, 5},
                                                        {Activation::gelu, 3},
                                                        {Activation::silu, 2},
                                                        {Activation::sigmoid, 1.5},
                                                        {Activation::hardsigmoid, 1.5},
                                                        {Activation::relu, 1},
                                                        {Activation::relu6, 1},
                                                        {Activation::gelu_tanh, 1}});
  const int size = points.uniform() < 0.12 ? 1 : resolution(points);
  Op op = unary(OpKind::activation, square(size, channels(points, fewest_channels, most_channels)));
  op.activation = which;
  return op;
}

Op of_two(Points& points, OpKind kind, double broadcast_share) {
  const bool broadcast = points.uniform() < broadcast_share;
  const int size = resolution(points);
  const Shape shape = square(size, channels(points, fewest_channels, most_channels));
  Op op = unary(kind, shape);
  op.inputs.push_back({broadcast ? square(1, shape.c) : shape});
  if (kind == OpKind::add)
    op.activation = points.uniform() < 0.3 ? Activation::relu : Activation::none;
  return op;
}

Op simple(Points& points, OpKind kind) {
  const int size = resolution(points);
  return unary(kind, square(size, channels(points, fewest_channels, most_channels)));
}

Op layer_norm(Points& points) {
  const int size = points.uniform() < 0.5 ? 1 : resolution(points);
  return unary(OpKind::layer_norm, square(size, channels(points, fewest_channels, most_channels)));
}

Op global_pool(Points& points) {
  Op op = simple(points, OpKind::global_avg_pool);
  op.outputs = {{square(1, op.output().c)}};
  return op;
}

Op max_pool(Points& points) {
  const int kernel = points.weighted<int>({{2, 1}, {3, 2}});
  const int c = channels(points, 16, 512);  // first: a call evaluates arguments in any order
  Op op = unary(OpKind::max_pool2d, square(resolution(points), c));
  op.kernel_h = op.kernel_w = kernel;
  op.stride_h = op.stride_w = 2;
  if (kernel == 3) op.padding = {1, 1, 1, 1};
  return op;
}

Op upsample(Points& points) {
  const int size = points.weighted<int>({{4, 1}, {5, 1}, {7, 4}, {10, 1}, {14, 3}, {28, 2}});
  Op op = unary(OpKind::upsample_nearest, square(size, channels(points, 16, 1024)));
  op.stride_h = op.stride_w = points.weighted<int>({{2, 5}, {4, 1}});
  return op;
}

Op slice(Points& points) {
  Op op = simple(points, OpKind::slice);
  op.outputs[0].shape.c = std::max(1, op.input().c / points.one_of({2, 4}));
  op.begin = points.uniform() < 0.5 ? 0 : op.input().c - op.output().c;
  return op;
}

Op concat(Points& points) {
  Op op = simple(points, OpKind::concat);
  const int parts = points.weighted<int>({{2, 3}, {3, 1}, {4, 1}});
  const Shape part = op.input();
  op.inputs.assign(static_cast<std::size_t>(parts), {part});
  op.inputs.back().shape.c = scaled(points, part.c, 1.0 / 4, 1);
  return op;
}

Op shuffle(Points& points) {
  Op op = simple(points, OpKind::channel_shuffle);
  op.groups = points.weighted<int>({{2, 3}, {4, 1}});
  op.inputs[0].shape.c = std::max(1, op.input().c / op.groups) * op.groups;
  return op;
}

Op average_pool(Points& points) {
  Op op = max_pool(points);
  op.kind = OpKind::avg_pool2d;
  return op;
}

/// In two.
Op split(Points& points) {
  Op op = simple(points, OpKind::split);
  Tensor first = op.inputs[0];
  Tensor second = first;
  first.shape.c = std::max(1, op.input().c / points.one_of({2, 4}));
  second.shape.c = op.input().c - first.shape.c;
  op.outputs = {first, second};
  return op;
}

Op transpose(Points& points) {
  Op op = simple(points, OpKind::transpose);
  op.permutation =
      points.one_of<std::array<int, 4>>({{0, 2, 1, 3}, {0, 3, 1, 2}, {0, 2, 3, 1}, {0, 1, 3, 2}});
  return op;
}

/// To tokens.
Op reshape(Points& points) {
  Op op = simple(points, OpKind::reshape);
  op.outputs = {{{1, 1, op.input().h * op.input().w, op.input().c}}};
  return op;
}

/// Of tokens with tokens, and of what they weigh with values, as attention has them.
Op matmul(Points& points) {
  const int tokens = points.one_of({49, 64, 196, 197, 256});
  const int heads = rounded(points.logarithmic(1, 24), 1);
  const int head_dim = rounded(points.logarithmic(8, 64), 4);
  const bool scores = points.uniform() < 0.5;
  Op op;
  op.kind = OpKind::matmul;
  op.transposed = scores;
  const Shape narrow{1, heads, tokens, head_dim};
  const Shape wide{1, heads, tokens, tokens};
  op.inputs = {{scores ? narrow : wide}, {narrow}};
  op.outputs = {{scores ? wide : narrow}};
  return op;
}

Op reduce(Points& points) {
  Op op = simple(points, OpKind::reduce);
  op.reduction = points.one_of<Reduction>({Reduction::mean, Reduction::max});
  op.outputs[0].shape.c = 1;
  return op;
}

Op resize(Points& points) {
  const int size = points.one_of({7, 14, 28, 56});
  Op op = unary(OpKind::resize, square(size, channels(points, 16, 256)));
  op.outputs[0].shape.h = op.outputs[0].shape.w = 2 * size;
  return op;
}

Op padded(Points& points) {
  Op op = simple(points, OpKind::pad);
  op.padding = {0, 1, 0, 1};
  ++op.outputs[0].shape.h;
  ++op.outputs[0].shape.w;
  return op;
}

Op conversion(Points& points, OpKind kind) {
  Op op = simple(points, kind);
  (kind == OpKind::quantise ? op.outputs : op.inputs)[0].dtype = DType::qs8;
  return op;
}

constexpr std::array families{
    Family{24, Family::In::all, dense_pointwise},
    Family{7, Family::In::all, grouped_pointwise},
    Family{12, Family::In::all, dense_spatial},
    Family{16, Family::In::all, grouped_spatial},
    Family{13, Family::In::all, depthwise},
    Family{2, Family::In::all, stem},
    Family{2, Family::In::all, transposed},
    Family{2, Family::In::all, partial},
    Family{5, Family::In::all, linear},
    Family{4, Family::In::all, attention},
    Family{10, Family::In::all, activation},
    Family{4, Family::In::all, [](Points& p) { return of_two(p, OpKind::add, 0.1); }},
    Family{1.5, Family::In::all, [](Points& p) { return of_two(p, OpKind::mul, 0.8); }},
    Family{2.5, Family::In::all, [](Points& p) { return simple(p, OpKind::group_norm); }},
    Family{1, Family::In::all, [](Points& p) { return simple(p, OpKind::batch_norm); }},
    Family{1, Family::In::all, layer_norm},
    Family{1.5, Family::In::all, global_pool},
    Family{1, Family::In::all, max_pool},
    Family{1.5, Family::In::all, upsample},
    Family{1, Family::In::all, slice},
    Family{1, Family::In::all, concat},
    Family{1, Family::In::all, shuffle},
    Family{1, Family::In::all, average_pool},
    Family{1, Family::In::all, [](Points& p) { return simple(p, OpKind::softmax); }},
    Family{1, Family::In::all, split},
    Family{1, Family::In::all, transpose},
    Family{1, Family::In::all, reshape},
    Family{2, Family::In::all, matmul},
    Family{1, Family::In::all, reduce},
    Family{1, Family::In::all, resize},
    Family{0.5, Family::In::all, padded},
    Family{2, Family::In::int8, [](Points& p) { return conversion(p, OpKind::quantise); }},
    Family{2, Family::In::int8, [](Points& p) { return conversion(p, OpKind::dequantise); }},
    Family{4, Family::In::dynamic_int8, dynamic_linear},
};

}  // namespace

std::span<const Family> operator_families() {
  return families;
}

}  // namespace cpubone
