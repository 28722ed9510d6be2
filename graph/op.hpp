#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "graph/tensor.hpp"

namespace cpubone {

/// What an operator computes; `schema(kind)` says what each takes and gives.
enum class OpKind {
  conv2d,  ///< dense, grouped, depthwise (groups = channels) and pointwise (kernel 1)
  partial_conv2d,
  conv_transpose2d,
  linear,
  attention,
  activation,
  add,
  mul,
  group_norm,
  layer_norm,
  global_avg_pool,
  max_pool2d,
  upsample_nearest,
  slice,
  concat,
  channel_shuffle,
  batch_norm,
  avg_pool2d,
  softmax,
  split,
  reshape,
  transpose,
  cast,
  quantise,
  dequantise,
  constant,  ///< a tensor that is known: its parameters' `weight`
  matmul,
  sub,
  div,
  maximum,
  minimum,
  reduce,
  resize,
  pad,
  rms_norm,
};

/// A function of each element. Those after `mish` are parts of others in imported networks.
enum class Activation {
  none,
  relu,
  relu6,
  hardswish,
  hardsigmoid,
  sigmoid,
  silu,
  gelu,
  gelu_tanh,
  tanh,
  elu,
  softplus,
  mish,
  exp,
  log,
  sqrt,
  reciprocal,
  erf,
  abs,
  neg,
};

/// What of each pixel's channels a reduction gives.
enum class Reduction { mean, sum, max, min };

/// How an image is resized: by which pixels' centres or corners, or by the nearest below.
enum class ResizeMode { bilinear, bilinear_corners, nearest };

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

/// One operator with everything that its cost depends on. Attributes that a kind does not take keep
/// their defaults, so that equal operators compare equal; graph/schema.hpp says which those are.
struct Op {
  OpKind kind = OpKind::conv2d;
  std::vector<Tensor> inputs;
  std::vector<Tensor> outputs{Tensor{}};
  int kernel_h = 1;
  int kernel_w = 1;
  int stride_h = 1;  ///< of upsampling: the factor
  int stride_w = 1;
  int dilation_h = 1;
  int dilation_w = 1;
  Padding padding;
  int groups = 1;
  int heads = 0;
  int windows = 1;        ///< of attention: runs of equally many pixels, each on its own
  int begin = 0;          ///< first channel of a slice
  int conv_channels = 0;  ///< of a partial convolution
  PartialForm partial_form = PartialForm::slicing;
  Reduction reduction = Reduction::mean;
  ResizeMode resize_mode = ResizeMode::bilinear;
  bool transposed = false;  ///< the second matrix of a product is given by columns
  std::array<int, 4> permutation{0, 1, 2, 3};  ///< output dimension i is input dimension [i]
  double epsilon = 1e-5;                       ///< of normalisations
  /// Of linear layers between floats: int8 weights are multiplied with the channels of each pixel,
  /// which are quantised while it runs, by a scale and zero point of their own.
  bool dynamic = false;
  bool bias = false;
  Activation activation = Activation::none;

  /// Shapes of the i-th input and output, and the type that the operator calculates in: that of its
  /// first input.
  const Shape& input(std::size_t i = 0) const { return inputs.at(i).shape; }
  const Shape& output(std::size_t i = 0) const { return outputs.at(i).shape; }
  DType dtype() const { return inputs.empty() ? outputs.at(0).dtype : inputs[0].dtype; }
  bool operator==(const Op&) const = default;
};

std::string_view name(OpKind kind);
std::string_view name(Activation activation);
std::string_view name(PartialForm form);
std::string_view name(Reduction reduction);
std::string_view name(ResizeMode mode);
/// The activation of that name. Throws std::invalid_argument listing the known ones.
Activation parse_activation(std::string_view text);

/// Canonical line, e.g. `conv2d 1x56x56x32->1x28x28x128 k3x3 s2 p1,1,1,1 g2 act=hardswish f32`
/// (padding: top, bottom, left, right; `nobias` where a convolution or linear layer has no bias;
/// `s2x1` where steps differ by axis). The data type stands at the end where all tensors have the
/// same, else after each of them.
std::string text(const Op& op);
/// The operator that a line of that form describes; checks it. Tokens after the shapes may come in
/// any order. Throws std::invalid_argument naming the token, what was expected and the line.
Op parse_op(std::string_view line);
/// Throws std::invalid_argument naming the operator, what is wrong, got and expected.
void check(const Op& op);

/// Shapes of the outputs that inputs and attributes of `op` imply (its own `outputs` are used only
/// where they are the attribute: channels of convolutions, linear, slice and split, the shape of
/// reshape, height and width of resize). Throws std::invalid_argument for a stride below 1.
std::vector<Shape> infer_outputs(const Op& op);
/// The same operator with its outputs' shapes as they are implied.
Op with_inferred_outputs(Op op);
/// The same operator with all tensors in another data type.
Op with_dtype(Op op, DType dtype);

/// The same operator with data types, but without scales and zero points.
Op without_quantisation(Op op);

/// Whether it calculates with steps of int8: all its tensors are such, or it is dynamic.
bool multiplies_int8(const Op& op);
/// A normalisation: its parameters are a scale a channel and, but for rms_norm, a shift.
bool is_norm(OpKind kind);
/// conv2d whose groups are its input and output channels, more than one of them.
bool is_depthwise(const Op& op);
/// conv2d with a 1x1 kernel.
bool is_pointwise(const Op& op);

/// Multiply-accumulates of convolutions (taps on padding included; transposed ones count input
/// positions), linear layers and attention products; all else is none.
std::int64_t macs(const Op& op);
/// Weights, biases, and scales and shifts of normalisations; running statistics are none.
std::int64_t params(const Op& op);
/// Bytes of the parameters as they are stored (int8 weights have biases of 4 bytes and scales,
/// which are floats).
std::int64_t weight_bytes(const Op& op);
std::int64_t input_bytes(const Op& op);
std::int64_t output_bytes(const Op& op);

/// Padding that keeps the resolution at stride 1, as CPUBone pads: one more on top and left for
/// even kernels.
Padding same_padding(int kernel);

}  // namespace cpubone
