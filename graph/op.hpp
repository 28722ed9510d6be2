#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cpubone {

/// Extent of a tensor in NHWC order. Every dimension is in 1..65536; n is 1 (latency is batch 1).
struct Shape {
  int n = 1;
  int h = 1;
  int w = 1;
  int c = 1;
  bool operator==(const Shape&) const = default;
};

/// Number of elements.
std::int64_t elements(const Shape& shape);

enum class OpKind {
  conv2d,            ///< dense, grouped, depthwise (groups = channels) and pointwise (kernel 1)
  partial_conv2d,    ///< FasterNet: convolves the first `conv_channels`, passes the others through
  conv_transpose2d,  ///< transposed convolution
  linear,            ///< fully connected, over the channels
  attention,   ///< softmax(Q K^T / sqrt(d)) V; channels of the input are q|k|v of each head in turn
  activation,  ///< an activation on its own
  add,         ///< of two tensors; the second may be 1x1 in h and w
  mul,         ///< of two tensors; the second may be 1x1 in h and w
  group_norm,  ///< GroupNorm(1, C), affine, eps 1e-5
  layer_norm,  ///< over the channels, affine, eps 1e-5
  global_avg_pool,
  max_pool2d,
  upsample_nearest,  ///< by the integer factor `stride`
  slice,             ///< channels `begin`..`begin` + output.c - 1
  concat,            ///< over the channels
  channel_shuffle,   ///< ShuffleNet: channels seen as groups x c/groups, transposed
  batch_norm,        ///< train form: normalises by running statistics, affine, eps 1e-5
};

enum class Activation { none, relu, relu6, hardswish, hardsigmoid, sigmoid, silu, gelu, gelu_tanh };

enum class DType {
  f32,
  f16,
  qs8,  ///< int8, weights quantised symmetrically per output channel
};

/// Zero padding in pixels.
struct Padding {
  int top = 0;
  int bottom = 0;
  int left = 0;
  int right = 0;
  bool operator==(const Padding&) const = default;
};

/// How partial convolution leaves the untouched channels alone (FasterNet, Table 9).
enum class PartialForm {
  slicing,       ///< in place: only the convolved channels are written
  split_concat,  ///< split, convolve, concatenate into a new tensor
};

/// One operator with everything that its cost depends on. Fields that a kind does not use keep
/// their defaults, so that equal operators compare equal.
struct Op {
  OpKind kind = OpKind::conv2d;
  std::vector<Shape> inputs;
  Shape output;
  int kernel_h = 1;
  int kernel_w = 1;
  int stride = 1;
  Padding padding;
  int groups = 1;
  int heads = 0;          ///< attention
  int begin = 0;          ///< slice: first channel
  int conv_channels = 0;  ///< partial_conv2d
  PartialForm partial_form = PartialForm::slicing;
  bool bias = false;  ///< convolutions and linear
  Activation activation = Activation::none;
  DType dtype = DType::f32;
  bool operator==(const Op&) const = default;
};

std::string_view name(OpKind kind);
std::string_view name(Activation activation);
std::string_view name(DType dtype);
std::string_view name(PartialForm form);
/// The activation of that name. Throws std::invalid_argument listing the known ones.
Activation parse_activation(std::string_view text);
/// The data type of that name. Throws std::invalid_argument listing the known ones.
DType parse_dtype(std::string_view text);

/// Canonical line, e.g. `conv2d 1x56x56x32->1x28x28x128 k3x3 s2 p1,1,1,1 g2 act=hardswish f32`
/// (padding: top, bottom, left, right; `nobias` where a convolution or linear layer has no bias).
std::string text(const Op& op);
/// The operator that a line of that form describes; checks it. Tokens after the shapes may come in
/// any order. Throws std::invalid_argument naming the token, what was expected and the line.
Op parse_op(std::string_view line);
/// Throws std::invalid_argument naming the operator, what is wrong, got and expected.
void check(const Op& op);

/// Output that the inputs and attributes of `op` imply (its own `output` is used only where it is
/// the attribute: channels of convolutions, linear and slice).
Shape infer_output(const Op& op);

/// A normalisation: its parameters are a scale and a shift a channel.
bool is_norm(OpKind kind);
/// XNNPACK's operators that take a range of outputs: ReLU and ReLU6 are free in them.
bool clamps_while_writing(OpKind kind);
/// conv2d whose groups are its input and output channels, more than one of them.
bool is_depthwise(const Op& op);
/// conv2d with a 1x1 kernel.
bool is_pointwise(const Op& op);

/// Multiply-accumulates of convolutions (taps on padding included; transposed ones count input
/// positions), linear layers and attention products; all else is none.
std::int64_t macs(const Op& op);
/// Weights, biases and the two vectors of a normalisation; running statistics are none.
std::int64_t params(const Op& op);
int bytes_per_element(DType dtype);
/// Bytes of the parameters as they are stored (biases of qs8 are int32, its scales float).
std::int64_t weight_bytes(const Op& op);
std::int64_t input_bytes(const Op& op);
std::int64_t output_bytes(const Op& op);

/// Padding that keeps the resolution at stride 1, as CPUBone pads: one more on top and left for
/// even kernels.
Padding same_padding(int kernel);

}  // namespace cpubone
