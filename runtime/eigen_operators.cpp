#include "runtime/eigen_operators.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "graph/error.hpp"
#include "graph/quantise.hpp"
#include "graph/size.hpp"
#include "runtime/arena.hpp"
#include "runtime/xnnpack_traits.hpp"

namespace cpubone {
namespace {

/// Values of a tensor that are one item where an operator takes them one by one.
constexpr std::size_t item_values = 64;

Extent extent(const Shape& shape) {
  return {z(shape.h), z(shape.w), z(shape.c)};
}

/// Weights where vectors are loaded whole: elsewhere a kernel's speed would depend on chance.
std::shared_ptr<const float> aligned(const std::vector<float>& values) {
  const auto memory = std::make_shared<const Arena>(values.size() * sizeof(float));
  std::memcpy(memory->data(), values.data(), values.size() * sizeof(float));
  return {memory, reinterpret_cast<const float*>(memory->data())};
}

Kernel batch_norm(const PartOp& part, const Tensors& at) {
  const Parameters& p = part.parameters;
  const Extent size = extent(part.op.input());
  std::vector<float> scale(size.c);
  std::vector<float> shift(size.c);
  for (std::size_t c = 0; c < size.c; ++c) {
    const double factor = double{p.weight[c]} / std::sqrt(double{p.variance[c]} + part.op.epsilon);
    scale[c] = static_cast<float>(factor);
    shift[c] = static_cast<float>(double{p.bias[c]} - double{p.mean[c]} * factor);
  }
  return [in = at.in[0], out = at.out[0], a = aligned(scale), b = aligned(shift), c = size.c,
          range = output_range(part.op.activation)](Range pixels, std::size_t) {
    const std::size_t begin = pixels.begin * c;
    eigen_kernels().affine(in() + begin, a.get(), b.get(), out() + begin, pixels.count(), c,
                           range.low, range.high);
  };
}

SlidingWindow window(const Op& op) {
  return {z(op.kernel_h),   z(op.kernel_w),   z(op.stride_h),    z(op.stride_w),
          z(op.dilation_h), z(op.dilation_w), z(op.padding.top), z(op.padding.left)};
}

/// Weights and bias in steps, and what scales their sums to the output.
std::vector<float> to_steps(const Op& op, Parameters& p) {
  const float in_scale = quantisation_of(op.inputs[0]).scale;
  std::vector<float> factors = weight_scales(op, p);
  for (std::size_t i = 0; i < p.weight.size(); ++i)
    p.weight[i] = std::round(p.weight[i] / factors[channel_of_weight(op, i)]);
  for (std::size_t c = 0; c < p.bias.size(); ++c)
    p.bias[c] = std::round(p.bias[c] / (factors[c] * in_scale));
  for (float& factor : factors) factor *= in_scale / quantisation_of(op.outputs[0]).scale;
  return factors;
}

/// The results that an activation leaves, in steps from the zero point.
OutputRange range_in_steps(Activation activation, const Quantisation& to) {
  const OutputRange range = output_range(activation);
  const auto zero = static_cast<float>(to.zero_point);
  return {std::max(-128 - zero, std::round(range.low / to.scale)),
          std::min(127 - zero, std::round(range.high / to.scale))};
}

/// Each thread's own.
auto scratch_of(const Op& op, const Tensors& at) {
  return [scratch = at.scratch, floats = scratch_bytes(op) / sizeof(float)](std::size_t thread) {
    return scratch() + thread * floats;
  };
}

Kernel depthwise(const PartOp& part, const Tensors& at) {
  const bool int8 = part.op.dtype() == DType::qs8;
  Parameters in_steps;
  std::vector<float> factors;
  if (int8) {
    in_steps = part.parameters;
    factors = to_steps(part.op, in_steps);
  }
  const Parameters& p = int8 ? in_steps : part.parameters;
  const Extent size = extent(part.op.input());
  const Extent out_size = extent(part.op.output());
  const SlidingWindow w = window(part.op);
  const auto scratch = scratch_of(part.op, at);
  const std::size_t taps = w.kernel_h * w.kernel_w;
  const std::size_t blocks = (size.c + depthwise_block - 1) / depthwise_block;
  std::vector<float> weights(blocks * taps * depthwise_block);
  std::vector<float> bias(blocks * depthwise_block);
  for (std::size_t c = 0; c < size.c; ++c) {
    const std::size_t block = c / depthwise_block;
    for (std::size_t k = 0; k < taps; ++k)
      weights[(block * taps + k) * depthwise_block + c % depthwise_block] = p.weight[c * taps + k];
    if (!p.bias.empty()) bias[c] = p.bias[c];
  }
  if (int8) {
    factors.resize(blocks * depthwise_block);
    const Quantisation to = quantisation_of(part.op.outputs[0]);
    return [=, in = at.in[0], out = at.out[0], weights = aligned(weights), bias = aligned(bias),
            factors = aligned(factors), from = quantisation_of(part.op.inputs[0]).zero_point,
            to = to.zero_point,
            range = range_in_steps(part.op.activation, to)](Range rows, std::size_t thread) {
      eigen_kernels().depthwise_int8(in.as<std::int8_t>(), size, weights.get(), bias.get(),
                                     scratch(thread), out.as<std::int8_t>(), out_size, w, rows,
                                     {from, to, range.low, range.high, factors.get()});
    };
  }
  return [=, in = at.in[0], out = at.out[0], weights = aligned(weights), bias = aligned(bias)](
             Range rows, std::size_t thread) {
    eigen_kernels().depthwise(in(), size, weights.get(), bias.get(), scratch(thread), out(),
                              out_size, w, rows);
  };
}

Kernel attention(const Op& op, const Tensors& at) {
  const Extent in = extent(op.input());
  const AttentionSize size{z(op.windows), in.pixels() / z(op.windows), z(op.heads),
                           in.c / 3 / z(op.heads)};
  AttentionBias bias{};
  if (op.inputs.size() > 1) {
    const std::size_t matrices = z(op.input(1).h);
    const std::size_t step = size.tokens * size.tokens;
    if (matrices > 1) bias.head_step = step;
    if (matrices > size.heads) bias.window_step = size.heads * step;
  }
  return [=, qkv = at.in[0], last = at.in.back(), biased = op.inputs.size() > 1, out = at.out[0],
          scores = scratch_of(op, at)](Range heads, std::size_t thread) {
    const float* values = biased ? last() : nullptr;
    eigen_kernels().attention(qkv(), {values, bias.head_step, bias.window_step}, out(),
                              scores(thread), size, heads);
  };
}

std::vector<std::size_t> widths(const std::vector<Tensor>& tensors) {
  std::vector<std::size_t> channels;
  for (const Tensor& tensor : tensors) channels.push_back(z(tensor.shape.c));
  return channels;
}

void copy_channels(const float* in, std::size_t in_width, float* out, std::size_t out_width,
                   std::size_t pixels, std::size_t channels) {
  eigen_kernels().copy_channels(in, in_width, out, out_width, pixels, channels);
}
void copy_channels(const std::int8_t* in, std::size_t in_width, std::int8_t* out,
                   std::size_t out_width, std::size_t pixels, std::size_t channels) {
  for (std::size_t p = 0; p < pixels; ++p)
    std::memcpy(out + p * out_width, in + p * in_width, channels);
}

/// Joins channels of tensors, or cuts them: `parts` have `widths` channels of the `whole`.
template <typename Value>
Kernel copy_parts(const std::vector<At>& parts, const std::vector<std::size_t>& widths, At whole,
                  std::size_t channels, bool join) {
  return [=](Range pixels, std::size_t) {
    std::size_t begin = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      Value* const part = parts[i].as<Value>() + pixels.begin * widths[i];
      Value* const of_whole = whole.as<Value>() + pixels.begin * channels + begin;
      if (join)
        copy_channels(part, widths[i], of_whole, channels, pixels.count(), widths[i]);
      else
        copy_channels(of_whole, channels, part, widths[i], pixels.count(), widths[i]);
      begin += widths[i];
    }
  };
}

/// What takes each value by itself: `run` takes a range of them.
template <typename Run>
Kernel elementwise(const Op& op, Run run) {
  return [run = std::move(run), count = static_cast<std::size_t>(elements(op.input()))](
             Range items, std::size_t) {
    run(Range{items.begin * item_values, std::min(items.end * item_values, count)});
  };
}

/// Of operators that move values; none where it is not one.
template <typename Value>
Kernel moving_kernel(const Op& op, const Tensors& at) {
  const At in = at.in[0];
  const At out = at.out[0];
  const Extent size = extent(op.input());
  const Extent out_size = extent(op.output());
  switch (op.kind) {
    case OpKind::upsample_nearest:
      return [=, by_h = z(op.stride_h), by_w = z(op.stride_w)](Range rows, std::size_t) {
        const std::size_t row = size.w * size.c;
        upsample_nearest(in.as<Value>() + rows.begin * row,
                         out.as<Value>() + rows.begin * row * by_h * by_w,
                         {rows.count(), size.w, size.c}, by_h, by_w);
      };
    case OpKind::slice:
      return [=, begin = z(op.begin)](Range pixels, std::size_t) {
        copy_channels(in.as<Value>() + pixels.begin * size.c + begin, size.c,
                      out.as<Value>() + pixels.begin * out_size.c, out_size.c, pixels.count(),
                      out_size.c);
      };
    case OpKind::concat:
      return copy_parts<Value>(at.in, widths(op.inputs), out, out_size.c, true);
    case OpKind::split:
      return copy_parts<Value>(at.out, widths(op.outputs), in, size.c, false);
    case OpKind::partial_conv2d:  // joins what was convolved, and the rest of the second input
      return [=, rest = at.in[1]](Range pixels, std::size_t) {
        const Value* const convolved = in.as<Value>() + pixels.begin * size.c;
        const Value* const kept = rest.as<Value>() + pixels.begin * out_size.c;
        Value* const joined = out.as<Value>() + pixels.begin * out_size.c;
        if (kept != joined)
          copy_channels(kept + size.c, out_size.c, joined + size.c, out_size.c, pixels.count(),
                        out_size.c - size.c);
        copy_channels(convolved, size.c, joined, out_size.c, pixels.count(), size.c);
      };
    case OpKind::channel_shuffle:
      return [=, groups = z(op.groups)](Range pixels, std::size_t) {
        channel_shuffle(in.as<Value>() + pixels.begin * size.c,
                        out.as<Value>() + pixels.begin * size.c, pixels.count(), size.c, groups);
      };
    case OpKind::reshape:
      return elementwise(op, [=](Range values) {
        if (in() != out())
          std::memcpy(out.as<Value>() + values.begin, in.as<Value>() + values.begin,
                      values.count() * sizeof(Value));
      });
    case OpKind::transpose:
      return [=, permutation = op.permutation,
              dims = std::array{z(op.input().n), size.h, size.w, size.c}](Range rows, std::size_t) {
        transpose(in.as<Value>(), dims, out.as<Value>(), permutation, rows);
      };
    case OpKind::pad: {
      const int zero = op.dtype() == DType::qs8 ? quantisation_of(op.inputs[0]).zero_point : 0;
      return [=, p = op.padding](Range rows, std::size_t) {
        pad(in.as<Value>(), size, out.as<Value>(), out_size, z(p.top), z(p.left),
            static_cast<Value>(zero), rows);
      };
    }
    default:
      return {};
  }
}

/// An activation of int8 as the 256 results that it has.
Kernel int8_activation(const Op& op, const Tensors& at) {
  constexpr std::size_t values = 256;
  constexpr int lowest = -128;
  const Quantisation from = quantisation_of(op.inputs[0]);
  const Quantisation to = quantisation_of(op.outputs[0]);
  std::array<float, values> results{};
  for (std::size_t i = 0; i < values; ++i)
    results[i] = from.scale * static_cast<float>(static_cast<int>(i) + lowest - from.zero_point);
  eigen_kernels().activate(op.activation, results.data(), results.data(), values);
  std::array<std::int8_t, values> table{};
  eigen_kernels().quantise(results.data(), table.data(), values, to.scale, to.zero_point);
  return elementwise(op, [table, in = at.in[0], out = at.out[0]](Range values) {
    eigen_kernels().look_up(table.data(), in.as<std::int8_t>() + values.begin,
                            out.as<std::int8_t>() + values.begin, values.count());
  });
}

}  // namespace

Kernel kernel_of(const PartOp& part, const Tensors& at) {
  const EigenKernels& kernels = eigen_kernels();
  const Op& op = part.op;
  const bool int8 = op.dtype() == DType::qs8;
  if (Kernel moving = int8 ? moving_kernel<std::int8_t>(op, at) : moving_kernel<float>(op, at))
    return moving;
  if (int8 && op.kind == OpKind::activation) return int8_activation(op, at);
  if (op.kind == OpKind::conv2d) return depthwise(part, at);
  const At in = at.in[0];
  const At out = at.out[0];
  const Extent size = extent(op.input());
  const Extent out_size = extent(op.output());
  switch (op.kind) {
    case OpKind::activation:
      return elementwise(op, [=, &kernels, activation = op.activation](Range values) {
        kernels.activate(activation, in() + values.begin, out() + values.begin, values.count());
      });
    case OpKind::group_norm:
    case OpKind::layer_norm: {
      const std::size_t width = (op.kind == OpKind::group_norm ? size.pixels() : 1) * size.c;
      return [=, &kernels, gamma = aligned(part.parameters.weight),
              beta = aligned(part.parameters.bias), epsilon = op.epsilon](Range rows, std::size_t) {
        kernels.normalise(in() + rows.begin * width, gamma.get(), beta.get(),
                          out() + rows.begin * width, rows.count(), width, size.c, epsilon);
      };
    }
    case OpKind::rms_norm:
      return [=, &kernels, gamma = aligned(part.parameters.weight), epsilon = op.epsilon](
                 Range rows, std::size_t) {
        kernels.rms_norm(in() + rows.begin * size.c, gamma.get(), out() + rows.begin * size.c,
                         rows.count(), size.c, epsilon);
      };
    case OpKind::batch_norm:
      return batch_norm(part, at);
    case OpKind::softmax:
      return [=, &kernels](Range rows, std::size_t) {
        kernels.softmax(in() + rows.begin * size.c, out() + rows.begin * size.c, rows.count(),
                        size.c);
      };
    case OpKind::attention:
      return attention(op, at);
    case OpKind::max_pool2d:
    case OpKind::avg_pool2d:
      return [=, &kernels, w = window(op), largest = op.kind == OpKind::max_pool2d](Range rows,
                                                                                    std::size_t) {
        kernels.pool(in(), size, out(), out_size, w, largest, rows);
      };
    case OpKind::matmul: {
      const Extent right = extent(op.input(1));
      const auto step = [](const Extent& e) { return e.h == 1 ? 0 : e.w * e.c; };
      return [=, &kernels, b = at.in[1], transposed = op.transposed](Range items, std::size_t) {
        const bool one = out_size.h == 1;  // whose rows are shared
        const std::size_t rows = one ? items.count() : size.w;
        const std::size_t a_step = one ? size.c : step(size);
        kernels.matmul(in() + items.begin * a_step, step(size),
                       b() + (one ? 0 : items.begin * step(right)), step(right),
                       out() + items.begin * (one ? 1 : size.w) * out_size.c,
                       one ? 1 : items.count(), rows, size.c, out_size.c, transposed);
      };
    }
    case OpKind::reduce:
      return [=, &kernels, reduction = op.reduction](Range rows, std::size_t) {
        kernels.reduce(in() + rows.begin * size.c, out() + rows.begin, rows.count(), size.c,
                       reduction);
      };
    case OpKind::resize:
      return [=, &kernels, mode = op.resize_mode](Range rows, std::size_t) {
        kernels.resize(in(), size, out(), out_size, mode, rows);
      };
    case OpKind::cast:
      if (op.outputs[0].dtype == DType::f16)
        return elementwise(op, [=, &kernels](Range values) {
          kernels.round_to_half(in() + values.begin, out() + values.begin, values.count());
        });
      return elementwise(op, [=](Range values) {
        std::memcpy(out() + values.begin, in() + values.begin, values.count() * sizeof(float));
      });
    case OpKind::quantise:
      return elementwise(op, [=, &kernels, q = quantisation_of(op.outputs[0])](Range values) {
        kernels.quantise(in() + values.begin, out.as<std::int8_t>() + values.begin, values.count(),
                         q.scale, q.zero_point);
      });
    case OpKind::dequantise:
      return elementwise(op, [=, &kernels, q = quantisation_of(op.inputs[0])](Range values) {
        kernels.dequantise(in.as<std::int8_t>() + values.begin, out() + values.begin,
                           values.count(), q.scale, q.zero_point);
      });
    default:
      throw Error(fmt::format("op \"{}\": no Eigen kernel runs it", text(op)));
  }
}

std::size_t scratch_bytes(const Op& op) {
  constexpr std::size_t line = 64;
  std::size_t floats = 0;
  if (op.kind == OpKind::conv2d) {
    const SlidingWindow w = window(op);
    floats = depthwise_rows(w) * depthwise_row_pixels(z(op.output().w), w) * depthwise_block;
  } else if (op.kind == OpKind::attention) {
    const std::size_t tokens = extent(op.input()).pixels() / z(op.windows);
    floats = tokens * tokens;
  }
  return (floats * sizeof(float) + line - 1) / line * line;
}

std::size_t item_count(const Op& op) {
  const Shape& in = op.input();
  const Shape& out = op.output();
  switch (op.kind) {
    case OpKind::activation:
    case OpKind::quantise:
    case OpKind::dequantise:
    case OpKind::cast:
    case OpKind::reshape:
      return (static_cast<std::size_t>(elements(in)) + item_values - 1) / item_values;
    case OpKind::group_norm:
      return 1;
    case OpKind::attention:
      return z(op.windows) * z(op.heads);
    case OpKind::conv2d:
    case OpKind::max_pool2d:
    case OpKind::avg_pool2d:
    case OpKind::resize:
    case OpKind::pad:
      return z(out.h);
    case OpKind::upsample_nearest:
      return z(in.h);
    case OpKind::matmul:
      return out.h > 1 ? z(out.h) : z(out.w);
    case OpKind::transpose:
      return static_cast<std::size_t>(elements(out)) / z(out.c);
    default:
      return extent(in).pixels();
  }
}

}  // namespace cpubone
