#include "runtime/xnnpack_subgraph.hpp"

#include <fmt/format.h>

#include <array>
#include <limits>
#include <optional>

#include "graph/error.hpp"
#include "graph/quantise.hpp"
#include "graph/schema.hpp"
#include "runtime/xnnpack_traits.hpp"
#include "runtime/xnnpack_weights.hpp"

namespace cpubone {
namespace {

std::string_view status_text(xnn_status status) {
  switch (status) {
    case xnn_status_success:
      return "success";
    case xnn_status_uninitialized:
      return "not initialised";
    case xnn_status_invalid_parameter:
      return "invalid parameter";
    case xnn_status_invalid_state:
      return "invalid state";
    case xnn_status_unsupported_parameter:
      return "unsupported parameter";
    case xnn_status_unsupported_hardware:
      return "unsupported hardware";
    case xnn_status_out_of_memory:
      return "out of memory";
    default:
      return "unknown status";
  }
}

// XNN_FLAG_KEEP_DIMS, which the header of 2022-02 lacks.
constexpr std::uint32_t keep_dims = 0x00000040;
// xnn_datatype_qdint8, which it lacks, too: int8 by a scale and zero point of each row.
constexpr std::uint32_t int8_by_row = 9;

std::array<std::size_t, 4> dims_of(const Shape& shape) {
  return {static_cast<std::size_t>(shape.n), static_cast<std::size_t>(shape.h),
          static_cast<std::size_t>(shape.w), static_cast<std::size_t>(shape.c)};
}

}  // namespace

void require(xnn_status status, std::string_view what) {
  if (status != xnn_status_success)
    throw Error(fmt::format("XNNPACK: {}: {}", what, status_text(status)));
}

XnnpackSubgraph::XnnpackSubgraph(const XnnpackLibrary& library, std::span<const int> external)
    : library_(library), subgraph_(nullptr, library.delete_subgraph) {
  xnn_subgraph_t subgraph = nullptr;
  require(library_.create_subgraph(static_cast<std::uint32_t>(external.size()), 0, &subgraph),
          "subgraph");
  subgraph_.reset(subgraph);
  for (std::size_t i = 0; i < external.size(); ++i)
    external_[external[i]] = static_cast<std::uint32_t>(i);
}

void XnnpackSubgraph::add(PartOp& node) {
  node_ = &node;
  std::vector<float>& weight = node.parameters.weight;
  const Op& op = node.op;
  if (multiplies_int8(op) && schema(op.kind).has_weights)
    weight_scales_ = weight_scales(op, node.parameters);
  std::vector<std::uint32_t> inputs;
  for (std::size_t i = 0; i < node.inputs.size(); ++i)
    inputs.push_back(tensor(node.inputs[i], op.inputs[i], XNN_VALUE_FLAG_EXTERNAL_INPUT));
  const std::uint32_t output =
      tensor(node.outputs[0], op.outputs[0], XNN_VALUE_FLAG_EXTERNAL_OUTPUT);
  std::optional<std::uint32_t> windows;  // known to XNNPACK even where they are not gathered
  if (gathers_windows(op) && node.scratch >= 0) {
    Tensor pixels = op.inputs[0];
    pixels.shape = op.output();
    pixels.shape.c = op.kernel_h * op.kernel_w * op.input().c;
    windows = tensor(node.scratch, pixels, XNN_VALUE_FLAG_EXTERNAL_INPUT);
  }
  const bool read_from_outside = !written_.contains(node.inputs[0]);
  written_.insert(node.outputs[0]);
  ++ops_;
  half_ = half_ || op.dtype() == DType::f16;
  const OutputRange range = output_range(op.activation);
  const Shape& in = op.input();
  const auto u = [](int value) { return static_cast<std::uint32_t>(value); };
  const auto z = [](int value) { return static_cast<std::size_t>(value); };
  const std::size_t window = z(op.kernel_h * op.kernel_w);
  const Padding& p = op.padding;

  switch (op.kind) {
    case OpKind::conv2d:
      if (is_depthwise(op)) {
        const Op dw = op.dtype() == DType::qs8 ? with_unrolled_window(op, weight) : op;
        const std::size_t taps = z(dw.kernel_h * dw.kernel_w);
        const std::uint32_t weights = filter(channels_last(std::move(weight), 1, z(in.c), taps),
                                             {1, z(dw.kernel_h), z(dw.kernel_w), z(in.c)}, 3);
        checked(library_.define_depthwise_convolution_2d(
            subgraph_.get(), u(p.top), u(dw.padding.right), u(dw.padding.bottom), u(p.left),
            u(dw.kernel_h), u(dw.kernel_w), u(dw.stride_h), u(dw.stride_w), u(dw.dilation_h),
            u(dw.dilation_w), 1, z(in.c), range.low, range.high, inputs[0], weights, bias(), output,
            0));
      } else if (windows && read_from_outside) {
        gathered_.push_back({op, node.inputs[0], node.scratch});
        const std::size_t values = window * z(in.c);
        const std::uint32_t weights =
            filter(channels_last(std::move(weight), z(op.output().c), z(in.c), window),
                   {z(op.output().c), 1, 1, values}, 0);
        checked(library_.define_convolution_2d(subgraph_.get(), 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1,
                                               values, z(op.output().c), range.low, range.high,
                                               *windows, weights, bias(), output, 0));
      } else {
        const std::size_t group_in = z(in.c / op.groups);
        const std::uint32_t weights =
            filter(channels_last(std::move(weight), z(op.output().c), group_in, window),
                   {z(op.output().c), z(op.kernel_h), z(op.kernel_w), group_in}, 0);
        checked(library_.define_convolution_2d(
            subgraph_.get(), u(p.top), u(p.right), u(p.bottom), u(p.left), u(op.kernel_h),
            u(op.kernel_w), u(op.stride_h), u(op.stride_w), u(op.dilation_h), u(op.dilation_w),
            u(op.groups), group_in, z(op.output().c / op.groups), range.low, range.high, inputs[0],
            weights, bias(), output, 0));
      }
      break;
    case OpKind::conv_transpose2d: {
      const std::size_t group_in = z(in.c / op.groups);
      const std::uint32_t weights =
          filter(transposed_weights(weight, op),
                 {z(op.output().c), z(op.kernel_h), z(op.kernel_w), group_in}, 0);
      checked(library_.define_deconvolution_2d(
          subgraph_.get(), u(p.top), u(p.right), u(p.bottom), u(p.left), 0, 0, u(op.kernel_h),
          u(op.kernel_w), u(op.stride_h), u(op.stride_w), u(op.dilation_h), u(op.dilation_w),
          u(op.groups), group_in, z(op.output().c / op.groups), range.low, range.high, inputs[0],
          weights, bias(), output, 0));
      break;
    }
    case OpKind::linear: {
      const bool f16_of_2022 = op.dtype() == DType::f16 && !library_.newer.since_2024_11;
      if (op.dtype() == DType::qs8 || f16_of_2022) {
        // XNNPACK's int8 fully connected layer has one scale for all channels, and 2022-02 has none
        // in f16; as a convolution of single pixels the same kernels do.
        const std::uint32_t weights =
            filter(std::move(weight), {z(op.output().c), 1, 1, z(in.c)}, 0);
        checked(library_.define_convolution_2d(subgraph_.get(), 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1,
                                               z(in.c), z(op.output().c), range.low, range.high,
                                               inputs[0], weights, bias(), output, 0));
        break;
      }
      const std::uint32_t weights = filter(std::move(weight), {z(op.output().c), z(in.c)}, 0);
      const std::uint32_t rows = op.dynamic ? quantised_by_row(inputs[0]) : inputs[0];
      checked(library_.define_fully_connected(subgraph_.get(), range.low, range.high, rows, weights,
                                              bias(), output, 0));
      break;
    }
    case OpKind::add:
      checked(library_.define_add2(subgraph_.get(), range.low, range.high, inputs[0], inputs[1],
                                   output, 0));
      break;
    case OpKind::mul:
      checked(library_.define_multiply2(subgraph_.get(), range.low, range.high, inputs[0],
                                        inputs[1], output, 0));
      break;
    case OpKind::sub:
      checked(library_.define_subtract(subgraph_.get(), range.low, range.high, inputs[0], inputs[1],
                                       output, 0));
      break;
    case OpKind::div:
      checked(library_.define_divide(subgraph_.get(), range.low, range.high, inputs[0], inputs[1],
                                     output, 0));
      break;
    case OpKind::maximum:
      checked(library_.define_maximum2(subgraph_.get(), inputs[0], inputs[1], output, 0));
      break;
    case OpKind::minimum:
      checked(library_.define_minimum2(subgraph_.get(), inputs[0], inputs[1], output, 0));
      break;
    case OpKind::global_avg_pool:
      checked(library_.define_global_average_pooling_2d(
          subgraph_.get(), range.low, range.high, inputs[0], output,
          library_.newer.since_2024_11 ? keep_dims : 0));
      break;
    case OpKind::max_pool2d:
      checked(library_.define_max_pooling_2d(
          subgraph_.get(), u(p.top), u(p.right), u(p.bottom), u(p.left), u(op.kernel_h),
          u(op.kernel_w), u(op.stride_h), u(op.stride_w), u(op.dilation_h), u(op.dilation_w),
          range.low, range.high, inputs[0], output, 0));
      break;
    case OpKind::avg_pool2d:
      checked(library_.define_average_pooling_2d(subgraph_.get(), u(p.top), u(p.right), u(p.bottom),
                                                 u(p.left), u(op.kernel_h), u(op.kernel_w),
                                                 u(op.stride_h), u(op.stride_w), range.low,
                                                 range.high, inputs[0], output, 0));
      break;
    case OpKind::softmax:
      checked(library_.define_softmax(subgraph_.get(), inputs[0], output, 0));
      break;
    case OpKind::resize:
      checked(library_.define_static_resize_bilinear_2d(
          subgraph_.get(), z(op.output().h), z(op.output().w), inputs[0], output,
          op.resize_mode == ResizeMode::bilinear_corners ? XNN_FLAG_ALIGN_CORNERS : 0));
      break;
    case OpKind::activation:
      if (op.activation == Activation::hardswish) {
        checked(library_.define_hardswish(subgraph_.get(), inputs[0], output, 0));
      } else if (op.activation == Activation::sigmoid) {
        checked(library_.define_sigmoid(subgraph_.get(), inputs[0], output, 0));
      } else if (op.activation == Activation::relu || op.activation == Activation::relu6) {
        checked(
            library_.define_clamp(subgraph_.get(), range.low, range.high, inputs[0], output, 0));
      } else {
        checked(define_newer(library_.newer, subgraph_.get(), op, inputs[0], output));
      }
      break;
    default:
      checked(define_newer(library_.newer, subgraph_.get(), op, inputs[0], output));
  }
}

xnn_runtime_t XnnpackSubgraph::runtime(pthreadpool* pool) {
  for (const Copied& copy : copied_) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    const std::uint32_t external = defined(copy.of, copy.external, XNN_VALUE_FLAG_EXTERNAL_OUTPUT);
    checked(library_.define_clamp(subgraph_.get(), -infinity, infinity, copy.inner, external, 0));
  }
  xnn_runtime_t runtime = nullptr;
  // Tensors of f16 networks are f32 outside of the subgraph; XNNPACK converts them.
  const std::uint32_t flags = half_ ? XNN_FLAG_FORCE_FP16_INFERENCE : 0;
  require(library_.create_runtime_v2(subgraph_.get(), pool, flags, &runtime),
          fmt::format("runtime of {} operators ending with \"{}\"", ops_, text(node_->op)));
  return runtime;
}

void XnnpackSubgraph::checked(xnn_status status) const {
  if (status != xnn_status_success)
    throw Error(
        fmt::format("op \"{}\": XNNPACK refuses it: {}", text(node_->op), status_text(status)));
}

// A tensor is met first where it is written, unless it comes from outside.
std::uint32_t XnnpackSubgraph::tensor(int value, const Tensor& of, std::uint32_t external_flag) {
  if (const auto known = tensors_.find(value); known != tensors_.end()) return known->second;
  const auto external = external_.find(value);
  const bool copied = external != external_.end() && of.dtype == DType::f16 &&
                      external_flag == XNN_VALUE_FLAG_EXTERNAL_OUTPUT &&
                      !library_.newer.since_2024_11;
  const std::uint32_t id = external == external_.end() || copied
                               ? defined(of, XNN_INVALID_VALUE_ID, 0)
                               : defined(of, external->second, external_flag);
  if (copied) copied_.push_back({id, external->second, of});
  tensors_[value] = id;
  return id;
}

std::uint32_t XnnpackSubgraph::defined(const Tensor& of, std::uint32_t external_id,
                                       std::uint32_t flags) {
  const std::array<std::size_t, 4> dims = dims_of(of.shape);
  std::uint32_t id = 0;
  if (of.dtype == DType::qs8) {
    const Quantisation q = quantisation_of(of);
    checked(library_.define_quantized_tensor_value(subgraph_.get(), xnn_datatype_qint8,
                                                   q.zero_point, q.scale, dims.size(), dims.data(),
                                                   nullptr, external_id, flags, &id));
  } else {
    checked(library_.define_tensor_value(subgraph_.get(), xnn_datatype_fp32, dims.size(),
                                         dims.data(), nullptr, external_id, flags, &id));
  }
  return id;
}

std::uint32_t XnnpackSubgraph::quantised_by_row(std::uint32_t input) {
  if (!library_.newer.define_dynamically_quantized_tensor_value)
    checked(xnn_status_unsupported_parameter);
  const std::array<std::size_t, 4> dims = dims_of(node_->op.input());
  std::uint32_t rows = 0;
  checked(library_.newer.define_dynamically_quantized_tensor_value(
      subgraph_.get(), int8_by_row, dims.size(), 1, dims.data(), XNN_INVALID_VALUE_ID, 0, &rows));
  checked(library_.define_convert(subgraph_.get(), input, rows, 0));
  return rows;
}

std::uint32_t XnnpackSubgraph::filter(std::vector<float>&& values, std::vector<std::size_t> dims,
                                      std::size_t channel_dim) {
  std::size_t expected = 1;
  for (const std::size_t d : dims) expected *= d;
  if (values.size() != expected)
    throw Error(fmt::format("op \"{}\": weight tensor must have {} values, got {}", text(node_->op),
                            expected, values.size()));
  if (multiplies_int8(node_->op)) return quantised_filter(values, dims, channel_dim);
  return constant(std::move(values), dims);
}

std::uint32_t XnnpackSubgraph::constant(std::vector<float>&& values,
                                        std::span<const std::size_t> dims) {
  floats_.push_back(with_room(std::move(values)));
  std::uint32_t id = 0;
  checked(library_.define_tensor_value(subgraph_.get(), xnn_datatype_fp32, dims.size(), dims.data(),
                                       floats_.back().data(), XNN_INVALID_VALUE_ID, 0, &id));
  return id;
}

std::uint32_t XnnpackSubgraph::quantised_filter(const std::vector<float>& values,
                                                std::span<const std::size_t> dims,
                                                std::size_t channel_dim) {
  const std::size_t channels = dims[channel_dim];
  bytes_.push_back(
      quantised_weights(values, weight_scales_, channel_dim == 0 ? values.size() / channels : 1));
  scales_.push_back(node_->op.dynamic ? weight_scales_
                                      : accepted_scales(node_->op, weight_scales_));
  std::uint32_t id = 0;
  checked(library_.define_channelwise_quantized_tensor_value(
      subgraph_.get(), xnn_datatype_qcint8, scales_.back().data(), dims.size(), channel_dim,
      dims.data(), bytes_.back().data(), XNN_INVALID_VALUE_ID, 0, &id));
  return id;
}

std::uint32_t XnnpackSubgraph::bias() {
  if (!node_->op.bias) return XNN_INVALID_VALUE_ID;
  const std::vector<float>& values = node_->parameters.bias;
  const std::size_t dims[] = {static_cast<std::size_t>(node_->op.output().c)};
  if (values.size() != dims[0])
    throw Error(fmt::format("op \"{}\": bias must have {} values, got {}", text(node_->op), dims[0],
                            values.size()));
  if (node_->op.dtype() != DType::qs8) return constant(std::vector(values), dims);
  const float input_scale = quantisation_of(node_->op.inputs[0]).scale;
  integers_.push_back(quantised_bias(values, weight_scales_, input_scale));
  scales_.push_back(accepted_scales(node_->op, weight_scales_));
  for (float& scale : scales_.back()) scale *= input_scale;
  std::uint32_t id = 0;
  checked(library_.define_channelwise_quantized_tensor_value(
      subgraph_.get(), xnn_datatype_qcint32, scales_.back().data(), 1, 0, dims,
      integers_.back().data(), XNN_INVALID_VALUE_ID, 0, &id));
  return id;
}

}  // namespace cpubone
