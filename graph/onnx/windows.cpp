#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "graph/onnx/importer.hpp"
#include "graph/size.hpp"

// Convolutions, poolings, batch and instance norms, padding and resizing: what sees an image.
namespace cpubone::onnx {
namespace {

Image image(const NodeContext& node) {
  return image_of(node.lower, node.lower.tensor_of(node.input(0), "known"));
}

/// Two integers of an attribute of a window, of which images of one dimension have the second.
std::pair<int, int> pair(const NodeContext& node, std::string_view name, bool flat) {
  const auto values = node.attributes.integers(name);
  if (!values) return {1, 1};
  if (values->size() != (flat ? 1U : 2U))
    throw Unsupported(fmt::format("{} of {} dimensions", name, values->size()));
  return flat ? std::pair{1, to_int((*values)[0])}
              : std::pair{to_int((*values)[0]), to_int((*values)[1])};
}

/// Kernel, stride, dilation and padding of a node. `in` is height and width.
void set_window(const NodeContext& node, const Image& in, Op& op) {
  std::tie(op.stride_h, op.stride_w) = pair(node, "strides", in.flat);
  std::tie(op.dilation_h, op.dilation_w) = pair(node, "dilations", in.flat);
  if (op.stride_h < 1 || op.stride_w < 1 || op.dilation_h < 1 || op.dilation_w < 1)
    throw Unsupported("strides or dilations below 1");
  const std::string automatic = node.attributes.word("auto_pad", "NOTSET");
  if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
    const auto same = [&](std::int64_t size, int kernel, int stride, int dilation, int& before,
                          int& after) {
      const std::int64_t out = (size + stride - 1) / stride;
      const int all = to_int(std::max<std::int64_t>(
          0, (out - 1) * stride + std::int64_t{kernel - 1} * dilation + 1 - size));
      before = automatic == "SAME_UPPER" ? all / 2 : all - all / 2;
      after = all - before;
    };
    same(in.dims[2], op.kernel_h, op.stride_h, op.dilation_h, op.padding.top, op.padding.bottom);
    same(in.dims[3], op.kernel_w, op.stride_w, op.dilation_w, op.padding.left, op.padding.right);
    return;
  }
  const auto pads = node.attributes.integers("pads");
  if (!pads || automatic == "VALID") return;
  if (pads->size() != (in.flat ? 2U : 4U))
    throw Unsupported(fmt::format("pads of {} numbers", pads->size()));
  if (in.flat)
    op.padding = {0, 0, to_int((*pads)[0]), to_int((*pads)[1])};
  else
    op.padding = {to_int((*pads)[0]), to_int((*pads)[2]), to_int((*pads)[1]), to_int((*pads)[3])};
}

/// The same numbers, once for each image of a batch.
std::vector<float> for_each(const Image& in, const std::vector<float>& values) {
  std::vector<float> all;
  count({in.dims[0], static_cast<std::int64_t>(values.size())});
  all.reserve(values.size() * z(in.batch()));
  for (int i = 0; i < in.batch(); ++i) all.insert(all.end(), values.begin(), values.end());
  return all;
}

/// Weights and bias; each image of a batch is groups of its own.
Parameters weights(const NodeContext& node, const Image& in, Op& op) {
  Parameters p{for_each(in, reals_of(node.known(1))), {}, {}, {}};
  op.groups = to_int(count({in.dims[0], node.attributes.integer("group", 1)}));
  op.outputs[0].shape.c = to_int(count({in.dims[0], op.output().c}));
  op.bias = node.has(2);
  if (op.bias) p.bias = for_each(in, reals_of(node.known(2)));
  return p;
}

/// A batch of images as one above the other, where no window reads beyond its pixel.
std::vector<Value> conv_of_pixels(const NodeContext& node, Op op) {
  Lowering& lower = node.lower;
  const Value value = lower.tensor_of(node.input(0), "known");
  const Dims dims = value.dims();
  const Value last = lower.in_dim_order(value, {0, 2, 3, 1});
  const Shape shape{1, to_int(count({dims[0], dims[2]})), to_int(dims[3]), to_int(dims[1])};
  Parameters p{reals_of(node.known(1)), {}, {}, {}};
  op.bias = node.has(2);
  if (op.bias) p.bias = reals_of(node.known(2));
  const std::int64_t channels = op.output().c;
  const Edge edge = lower.append(std::move(op), {lower.view(last.edge, shape)}, "", std::move(p));
  return {{nullptr, edge, stored({dims[0], channels, dims[2], dims[3]}, {0, 2, 3, 1})}};
}

std::vector<Value> conv(const NodeContext& node) {
  const Array& kernel = node.known(1);
  const Dims dims = node.input(0).dims();
  check_is_image(dims);
  if (kernel.dims.size() != dims.size())
    throw Unsupported(fmt::format("weights of {}", text(kernel.dims)));
  Op op;
  op.outputs[0].shape.c = to_int(kernel.dims[0]);
  op.kernel_h = dims.size() == 3 ? 1 : to_int(kernel.dims[2]);
  op.kernel_w = to_int(kernel.dims.back());
  op.groups = to_int(node.attributes.integer("group", 1));
  if (dims.size() == 4 && dims[0] > 1) {
    Op pixels = op;
    set_window(node, {{}, dims, false}, pixels);
    if (pixels == op && op.kernel_h == 1 && op.kernel_w == 1) return conv_of_pixels(node, op);
  }
  const Image in = image(node);
  set_window(node, in, op);
  Parameters p = weights(node, in, op);
  return {
      image_value(node.lower, node.lower.append(std::move(op), {in.edge}, "", std::move(p)), in)};
}

std::vector<Value> conv_transpose(const NodeContext& node) {
  const Image in = image(node);
  const Array& kernel = node.known(1);
  if (in.flat || kernel.dims.size() != 4) throw Unsupported("other than two dimensions");
  Op op;
  op.kind = OpKind::conv_transpose2d;
  op.kernel_h = to_int(kernel.dims[2]);
  op.kernel_w = to_int(kernel.dims[3]);
  op.outputs[0].shape.c = to_int(count({kernel.dims[1], node.attributes.integer("group", 1)}));
  if (node.attributes.word("auto_pad", "NOTSET") != "NOTSET" || node.attributes.has("output_shape"))
    throw Unsupported("padding that follows from the output");
  set_window(node, in, op);
  if (op.dilation_h != 1 || op.dilation_w != 1) throw Unsupported("dilation");
  if (const auto more = node.attributes.integers("output_padding"); more && more->size() == 2) {
    op.padding.bottom -= to_int((*more)[0]);
    op.padding.right -= to_int((*more)[1]);
    if (op.padding.bottom < 0 || op.padding.right < 0)
      throw Unsupported("more output_padding than padding");
  }
  Parameters p = weights(node, in, op);
  return {
      image_value(node.lower, node.lower.append(std::move(op), {in.edge}, "", std::move(p)), in)};
}

/// Windows of ceil_mode that begin within the input or its padding become whole by more padding.
void ceil_padding(const Image& in, Op& op) {
  const auto more = [](std::int64_t size, int kernel, int stride, int dilation, int before,
                       int& after) {
    const std::int64_t reach = std::int64_t{kernel - 1} * dilation + 1;
    const std::int64_t room = size + before + after - reach;
    if (room < 0) return;
    std::int64_t last = (room + stride - 1) / stride;  // index of the last window
    if (last * stride >= size + before) --last;
    after = to_int(std::max<std::int64_t>(after, last * stride + reach - size - before));
  };
  more(in.dims[2], op.kernel_h, op.stride_h, op.dilation_h, op.padding.top, op.padding.bottom);
  more(in.dims[3], op.kernel_w, op.stride_w, op.dilation_w, op.padding.left, op.padding.right);
}

Op pool_op(const NodeContext& node, const Image& in, OpKind kind) {
  Op op;
  op.kind = kind;
  std::tie(op.kernel_h, op.kernel_w) = pair(node, "kernel_shape", in.flat);
  if (op.kernel_h < 1 || op.kernel_w < 1) throw Unsupported("a window of nothing");
  set_window(node, in, op);
  return op;
}

std::vector<Value> max_pool(const NodeContext& node) {
  if (node.outputs > 1) throw Unsupported("with indices");
  const Image in = image(node);
  Op op = pool_op(node, in, OpKind::max_pool2d);
  if (node.attributes.integer("ceil_mode", 0) != 0) ceil_padding(in, op);
  return {image_value(node.lower, node.lower.append(std::move(op), {in.edge}), in)};
}

std::vector<Value> average_pool(const NodeContext& node) {
  const Image in = image(node);
  Op op = pool_op(node, in, OpKind::avg_pool2d);
  if (op.dilation_h != 1 || op.dilation_w != 1) throw Unsupported("dilation");
  Edge from = in.edge;
  const bool padded = op.padding != Padding{};
  const bool counted = padded && node.attributes.integer("count_include_pad", 0) != 0;
  const bool ceil = node.attributes.integer("ceil_mode", 0) != 0;
  if (counted) {
    // The zeros are counted: they become pixels.
    Op pad;
    pad.kind = OpKind::pad;
    pad.padding = std::exchange(op.padding, {});
    from = node.lower.append(std::move(pad), {from}, "padded");
    const Shape& s = node.lower.shape(from);
    if (ceil) ceil_padding({from, {in.dims[0], in.dims[1], s.h, s.w}, in.flat}, op);
  } else if (ceil) {
    ceil_padding(in, op);
  }
  return {image_value(node.lower, node.lower.append(std::move(op), {from}), in)};
}

std::vector<Value> global_average(const NodeContext& node) {
  const Image in = image(node);
  Op op;
  op.kind = OpKind::global_avg_pool;
  return {image_value(node.lower, node.lower.append(std::move(op), {in.edge}), in)};
}

std::vector<Value> global_max(const NodeContext& node) {
  const Image in = image(node);
  Op op;
  op.kind = OpKind::max_pool2d;
  op.kernel_h = to_int(in.dims[2]);
  op.kernel_w = to_int(in.dims[3]);
  return {image_value(node.lower, node.lower.append(std::move(op), {in.edge}), in)};
}

std::vector<Value> batch_norm(const NodeContext& node) {
  if (node.attributes.integer("training_mode", 0) != 0) throw Unsupported("in training mode");
  const Value value = node.lower.tensor_of(node.input(0), "known");
  const Dims dims = value.dims();
  if (dims.size() < 2) throw Unsupported("a tensor without channels");
  const Value last = node.lower.with_last(value, {1});
  const std::int64_t pixels = count(dims) / dims[1];
  Op op;
  op.kind = OpKind::batch_norm;
  op.epsilon = node.attributes.decimal("epsilon", 1e-5);
  const Shape& now = node.lower.shape(last.edge);
  const Shape shape = now.c == dims[1] ? now : Shape{1, 1, to_int(pixels), to_int(dims[1])};
  Parameters p{reals_of(node.known(1)), reals_of(node.known(2)), reals_of(node.known(3)),
               reals_of(node.known(4))};
  return {{nullptr,
           node.lower.append(std::move(op), {node.lower.view(last.edge, shape)}, "", std::move(p)),
           last.layout}};
}

/// Each channel of an image by its own mean and variance, which is a row for layer_norm.
std::vector<Value> instance_norm(const NodeContext& node) {
  Lowering& lower = node.lower;
  const Value x = node.input(0);
  const Dims dims = x.dims();
  if (dims.size() < 2) throw Unsupported("a tensor without channels");
  const Array& scale = node.known(1);
  const Array& shift = node.known(2);
  const std::size_t channels = static_cast<std::size_t>(dims[1]);
  if (count(dims) == 0 || reals_of(scale).size() != channels || reals_of(shift).size() != channels)
    throw Unsupported("scale and bias that are not one a channel");
  const std::int64_t rows = dims[0] * dims[1];
  const std::int64_t width = count(dims) / rows;
  std::vector<std::size_t> pixels(dims.size() - 2);
  std::iota(pixels.begin(), pixels.end(), std::size_t{2});
  const Value flat = lower.with_somehow_last(x, pixels);
  Op op;
  op.kind = OpKind::layer_norm;
  op.epsilon = node.attributes.decimal("epsilon", 1e-5);
  Parameters p;
  p.weight.assign(static_cast<std::size_t>(width), 1.0F);
  p.bias.assign(static_cast<std::size_t>(width), 0.0F);
  const auto all = [](const Array& array, double value) {
    for (std::size_t i = 0; i < array.size(); ++i)
      if (array.at(i) != value) return false;
    return true;
  };
  const bool plain = all(scale, 1) && all(shift, 0);
  const Shape shape{1, 1, to_int(rows), to_int(width)};
  Value result = flat;
  result.edge = lower.append(std::move(op), {lower.view(flat.edge, shape)},
                             plain ? "" : "normalised", std::move(p));
  // As what was normalised, so that what follows sees the same pixels.
  result.edge = lower.view(result.edge, lower.shape(flat.edge));
  if (plain) return {result};
  Dims by_channel(dims.size(), 1);
  by_channel[1] = dims[1];
  result = elementwise(lower, OpKind::mul, result, {real(by_channel, reals_of(scale)), {}, {}},
                       "scaled");
  return {elementwise(lower, OpKind::add, result, {real(by_channel, reals_of(shift)), {}, {}})};
}

/// x / (bias + alpha / size * sum of squares of so many neighbouring channels)^beta.
std::vector<Value> local_response_norm(const NodeContext& node) {
  Lowering& lower = node.lower;
  const Image in = image(node);
  if (in.batch() > 1) throw Unsupported("more than one image");
  const auto size = node.attributes.integer("size", 0);
  const float alpha = node.attributes.real("alpha", 1e-4F);
  const Value x = image_value(node.lower, in.edge, in);
  Value sum = elementwise(lower, OpKind::mul, x, x, "squares");
  // The channels of a pixel as a row of an image of one channel.
  const Shape shape = lower.shape(sum.edge);
  Op op;
  op.kernel_w = to_int(size);
  if (op.kernel_w < 1) throw Unsupported("a size of 0");
  op.padding.left = (op.kernel_w - 1) / 2;
  op.padding.right = op.kernel_w - 1 - op.padding.left;
  op.bias = true;
  op.outputs[0].shape.c = 1;
  Parameters p{std::vector<float>(static_cast<std::size_t>(size), alpha / static_cast<float>(size)),
               {node.attributes.real("bias", 1)},
               {},
               {}};
  const Edge row = lower.view(sum.edge, {1, shape.h * shape.w, shape.c, 1});
  sum.edge = lower.view(lower.append(std::move(op), {row}, "sums", std::move(p)), shape);
  Value power = function(lower, Activation::log, sum, "logarithm");
  power = elementwise(lower, OpKind::mul, power, scalar(-node.attributes.real("beta", 0.75F)),
                      "times beta");
  power = function(lower, Activation::exp, power, "power");
  return {elementwise(lower, OpKind::mul, x, power)};
}

constexpr HandlerRow window_rows[] = {
    {"AveragePool", average_pool},
    {"BatchNormalization", batch_norm},
    {"Conv", conv},
    {"ConvTranspose", conv_transpose},
    {"GlobalAveragePool", global_average},
    {"GlobalMaxPool", global_max},
    {"InstanceNormalization", instance_norm},
    {"LRN", local_response_norm},
    {"MaxPool", max_pool},
};

}  // namespace

std::span<const HandlerRow> window_handlers() {
  return window_rows;
}

void check_is_image(const Dims& dims) {
  if (dims.size() != 3 && dims.size() != 4)
    throw Unsupported(fmt::format("an image of rank {}, expected 3 or 4", dims.size()));
}

Image image_of(Lowering& lower, const Value& value) {
  Dims dims = value.dims();
  check_is_image(dims);
  const bool flat = dims.size() == 3;
  const Value last =
      lower.in_dim_order(value, flat ? std::vector<int>{2, 0, 1} : std::vector<int>{2, 3, 0, 1});
  if (flat) dims.insert(dims.begin() + 2, 1);
  const Shape shape{1, to_int(dims[2]), to_int(dims[3]), to_int(count({dims[0], dims[1]}))};
  return {lower.view(last.edge, shape), dims, flat};
}

Value image_value(Lowering& lower, const Edge& edge, const Image& in) {
  const Shape& s = lower.shape(edge);
  const std::int64_t channels = s.c / in.batch();
  if (in.flat) return {nullptr, edge, stored({in.dims[0], channels, s.w}, {2, 0, 1})};
  return {nullptr, edge, stored({in.dims[0], channels, s.h, s.w}, {2, 3, 0, 1})};
}

Value zeros_around(const NodeContext& node, const Value& x, Dims& before, Dims& after) {
  const std::size_t rank = before.size();
  bool around = rank == 3 || rank == 4;
  bool any = false;
  for (std::size_t d = 0; d < rank && around; ++d) {
    const bool none = before[d] == 0 && after[d] == 0;
    around = none || (d >= 2 && before[d] >= 0 && after[d] >= 0);
    any = any || !none;
  }
  if (!around || !any) return x;
  const Image in = image_of(node.lower, x);
  Op op;
  op.kind = OpKind::pad;
  op.padding.left = to_int(std::exchange(before[rank - 1], 0));
  op.padding.right = to_int(std::exchange(after[rank - 1], 0));
  if (!in.flat) {
    op.padding.top = to_int(std::exchange(before[2], 0));
    op.padding.bottom = to_int(std::exchange(after[2], 0));
  }
  return image_value(node.lower, node.lower.append(std::move(op), {in.edge}), in);
}

}  // namespace cpubone::onnx
