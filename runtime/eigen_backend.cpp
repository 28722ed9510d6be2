#include "runtime/eigen_backend.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <functional>
#include <unordered_map>

#include "graph/error.hpp"
#include "graph/quantise.hpp"
#include "graph/schema.hpp"
#include "graph/size.hpp"
#include "runtime/arena.hpp"
#include "runtime/eigen_kernels.hpp"
#include "runtime/flush_denormals.hpp"
#include "runtime/thread_pool.hpp"
#include "runtime/xnnpack_traits.hpp"

namespace cpubone {
namespace {

Extent extent(const Shape& shape) {
  return {z(shape.h), z(shape.w), z(shape.c)};
}

/// Weights where vectors are loaded whole: elsewhere a kernel's speed would depend on chance.
std::shared_ptr<const float> aligned(const std::vector<float>& values) {
  const auto memory = std::make_shared<const Arena>(values.size() * sizeof(float));
  std::memcpy(memory->data(), values.data(), values.size() * sizeof(float));
  return {memory, reinterpret_cast<const float*>(memory->data())};
}

using Kernel = std::function<void()>;

/// Where a tensor is, asked in each run: tensors move.
class At {
 public:
  explicit At(void* const* slot) : slot_(slot) {}
  float* operator()() const { return as<float>(); }
  template <typename Value>
  Value* as() const {
    return static_cast<Value*>(*slot_);
  }

 private:
  void* const* slot_;
};

/// An operator's tensors.
struct Tensors {
  std::vector<At> in;
  std::vector<At> out;
  At scratch;
};

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
  return [in = at.in[0], out = at.out[0], a = aligned(scale), b = aligned(shift), size,
          range = output_range(part.op.activation)] {
    eigen_kernels().affine(in(), a.get(), b.get(), out(), size.pixels(), size.c, range.low,
                           range.high);
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

/// Runs `work` for the rows of an output, with room for those of the image that it reads: on one
/// thread for all of them, in the operator's scratch, else a part on each, in memory of its own.
/// Threads that shared a pixel's channels would write to the same cache lines.
class SharedRows {
 public:
  SharedRows(const ThreadPool* pool, std::size_t out_rows, std::size_t floats)
      : pool_(pool), out_rows_(out_rows), floats_(floats) {
#ifdef CPUBONE_WITH_XNNPACK
    if (pool != nullptr && pool->threads() > 1) {
      parts_ = static_cast<std::size_t>(pool->threads());
      copied_ = std::make_shared<const Arena>(parts_ * floats * sizeof(float));
    }
#endif
  }
  template <typename Work>
  void run(float* scratch, const Work& work) const {
#ifdef CPUBONE_WITH_XNNPACK
    if (copied_) {
      std::atomic<std::size_t> next{0};
      const auto part = [&] {
        const FlushDenormals flush;
        const std::size_t i = next++;
        work({i * out_rows_ / parts_, (i + 1) * out_rows_ / parts_},
             reinterpret_cast<float*>(copied_->data()) + i * floats_);
      };
      return pool_->on_all_threads(std::ref(part));
    }
#endif
    work({0, out_rows_}, scratch);
  }

 private:
  [[maybe_unused]] const ThreadPool* pool_;
  std::size_t out_rows_;
  [[maybe_unused]] std::size_t floats_;
  [[maybe_unused]] std::size_t parts_ = 1;
  std::shared_ptr<const Arena> copied_;
};

/// Floats of the rows that a depthwise convolution holds.
std::size_t depthwise_row_floats(const Op& op) {
  const SlidingWindow w = window(op);
  return depthwise_rows(w) * depthwise_row_pixels(z(op.output().w), w) * depthwise_block;
}

/// The results that an activation leaves, in steps from the zero point.
OutputRange range_in_steps(Activation activation, const Quantisation& to) {
  const OutputRange range = output_range(activation);
  const auto zero = static_cast<float>(to.zero_point);
  return {std::max(-128 - zero, std::round(range.low / to.scale)),
          std::min(127 - zero, std::round(range.high / to.scale))};
}

Kernel depthwise(const PartOp& part, const Tensors& at, const ThreadPool* pool) {
  const bool int8 = part.op.dtype() == DType::qs8;
  Parameters in_steps;
  std::vector<float> factors;
  if (int8) {
    in_steps = part.parameters;
    factors = to_steps(part.op, in_steps);
  }
  const Parameters& p = int8 ? in_steps : part.parameters;
  const Extent size = extent(part.op.input());
  const SlidingWindow w = window(part.op);
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
  const SharedRows shared(pool, z(part.op.output().h), depthwise_row_floats(part.op));
  if (int8) {
    factors.resize(blocks * depthwise_block);
    const Quantisation to = quantisation_of(part.op.outputs[0]);
    return [=, in = at.in[0], out = at.out[0], scratch = at.scratch, weights = aligned(weights),
            bias = aligned(bias), factors = aligned(factors), out_size = extent(part.op.output()),
            from = quantisation_of(part.op.inputs[0]).zero_point,
            range = range_in_steps(part.op.activation, to)] {
      const Rescaling rescaling{from, to.zero_point, range.low, range.high, factors.get()};
      shared.run(scratch(), [&](const RowRange& out_rows, float* rows) {
        eigen_kernels().depthwise_int8(in.as<std::int8_t>(), size, weights.get(), bias.get(), rows,
                                       out.as<std::int8_t>(), out_size, w, out_rows, rescaling);
      });
    };
  }
  return [=, in = at.in[0], out = at.out[0], scratch = at.scratch, weights = aligned(weights),
          bias = aligned(bias), out_size = extent(part.op.output())] {
    shared.run(scratch(), [&](const RowRange& out_rows, float* rows) {
      eigen_kernels().depthwise(in(), size, weights.get(), bias.get(), rows, out(), out_size, w,
                                out_rows);
    });
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
          scores = at.scratch] {
    const float* values = biased ? last() : nullptr;
    eigen_kernels().attention(qkv(), {values, bias.head_step, bias.window_step}, out(), scores(),
                              size);
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
                  Extent size, bool join) {
  return [=] {
    std::size_t begin = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      Value* const part = parts[i].as<Value>();
      Value* const of_whole = whole.as<Value>() + begin;
      if (join)
        copy_channels(part, widths[i], of_whole, size.c, size.pixels(), widths[i]);
      else
        copy_channels(of_whole, size.c, part, widths[i], size.pixels(), widths[i]);
      begin += widths[i];
    }
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
      return [=, by_h = z(op.stride_h), by_w = z(op.stride_w)] {
        upsample_nearest(in.as<Value>(), out.as<Value>(), size, by_h, by_w);
      };
    case OpKind::slice:
      return [=, begin = z(op.begin)] {
        copy_channels(in.as<Value>() + begin, size.c, out.as<Value>(), out_size.c, size.pixels(),
                      out_size.c);
      };
    case OpKind::concat:
      return copy_parts<Value>(at.in, widths(op.inputs), out, out_size, true);
    case OpKind::split:
      return copy_parts<Value>(at.out, widths(op.outputs), in, size, false);
    case OpKind::partial_conv2d:  // joins what was convolved, and the rest of the second input
      return [=, rest = at.in[1]] {
        const Value* const convolved = in.as<Value>();
        const Value* const kept = rest.as<Value>();
        Value* const joined = out.as<Value>();
        if (kept != joined)
          copy_channels(kept + size.c, out_size.c, joined + size.c, out_size.c, size.pixels(),
                        out_size.c - size.c);
        copy_channels(convolved, size.c, joined, out_size.c, size.pixels(), size.c);
      };
    case OpKind::channel_shuffle:
      return [=, groups = z(op.groups)] {
        channel_shuffle(in.as<Value>(), out.as<Value>(), size.pixels(), size.c, groups);
      };
    case OpKind::reshape:
      return [=, count = static_cast<std::size_t>(elements(op.input()))] {
        if (in() != out()) std::memcpy(out(), in(), count * sizeof(Value));
      };
    case OpKind::transpose:
      return [=, permutation = op.permutation,
              dims = std::array{z(op.input().n), size.h, size.w, size.c}] {
        transpose(in.as<Value>(), dims, out.as<Value>(), permutation);
      };
    case OpKind::pad: {
      const int zero = op.dtype() == DType::qs8 ? quantisation_of(op.inputs[0]).zero_point : 0;
      return [=, p = op.padding] {
        pad(in.as<Value>(), size, out.as<Value>(), out_size, z(p.top), z(p.left),
            static_cast<Value>(zero));
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
  return [table, in = at.in[0], out = at.out[0],
          count = static_cast<std::size_t>(elements(op.input()))] {
    eigen_kernels().look_up(table.data(), in.as<std::int8_t>(), out.as<std::int8_t>(), count);
  };
}

Kernel kernel_of(const PartOp& part, const Tensors& at, const ThreadPool* pool) {
  const EigenKernels& kernels = eigen_kernels();
  const Op& op = part.op;
  const bool int8 = op.dtype() == DType::qs8;
  if (Kernel moving = int8 ? moving_kernel<std::int8_t>(op, at) : moving_kernel<float>(op, at))
    return moving;
  if (int8 && op.kind == OpKind::activation) return int8_activation(op, at);
  if (op.kind == OpKind::conv2d) return depthwise(part, at, pool);
  const At in = at.in[0];
  const At out = at.out[0];
  const Extent size = extent(op.input());
  const Extent out_size = extent(op.output());
  const auto count = static_cast<std::size_t>(elements(op.input()));
  switch (op.kind) {
    case OpKind::activation:
      return [=, &kernels, activation = op.activation] {
        kernels.activate(activation, in(), out(), count);
      };
    case OpKind::group_norm:
    case OpKind::layer_norm: {
      const std::size_t rows = op.kind == OpKind::group_norm ? 1 : size.pixels();
      return [=, &kernels, gamma = aligned(part.parameters.weight),
              beta = aligned(part.parameters.bias), epsilon = op.epsilon] {
        kernels.normalise(in(), gamma.get(), beta.get(), out(), rows, count / rows, size.c,
                          epsilon);
      };
    }
    case OpKind::rms_norm:
      return [=, &kernels, gamma = aligned(part.parameters.weight), epsilon = op.epsilon] {
        kernels.rms_norm(in(), gamma.get(), out(), size.pixels(), size.c, epsilon);
      };
    case OpKind::batch_norm:
      return batch_norm(part, at);
    case OpKind::softmax:
      return [=, &kernels] { kernels.softmax(in(), out(), size.pixels(), size.c); };
    case OpKind::attention:
      return attention(op, at);
    case OpKind::max_pool2d:
    case OpKind::avg_pool2d:
      return [=, &kernels, w = window(op), largest = op.kind == OpKind::max_pool2d] {
        kernels.pool(in(), size, out(), out_size, w, largest);
      };
    case OpKind::matmul: {
      const Extent right = extent(op.input(1));
      const auto step = [](const Extent& e) { return e.h == 1 ? 0 : e.w * e.c; };
      return [=, &kernels, b = at.in[1], transposed = op.transposed] {
        kernels.matmul(in(), step(size), b(), step(right), out(), out_size.h, size.w, size.c,
                       out_size.c, transposed);
      };
    }
    case OpKind::reduce:
      return [=, &kernels, reduction = op.reduction] {
        kernels.reduce(in(), out(), size.pixels(), size.c, reduction);
      };
    case OpKind::resize:
      return [=, &kernels, mode = op.resize_mode] {
        kernels.resize(in(), size, out(), out_size, mode);
      };
    case OpKind::cast:
      if (op.outputs[0].dtype == DType::f16)
        return [=, &kernels] { kernels.round_to_half(in(), out(), count); };
      return [=] { std::memcpy(out(), in(), count * sizeof(float)); };
    case OpKind::quantise:
      return [=, &kernels, q = quantisation_of(op.outputs[0])] {
        kernels.quantise(in(), out.as<std::int8_t>(), count, q.scale, q.zero_point);
      };
    case OpKind::dequantise:
      return [=, &kernels, q = quantisation_of(op.inputs[0])] {
        kernels.dequantise(in.as<std::int8_t>(), out(), count, q.scale, q.zero_point);
      };
    default:
      throw Error(fmt::format("op \"{}\": no Eigen kernel runs it", text(op)));
  }
}

/// Kinds that `moving_kernel` knows.
bool moves(OpKind kind) {
  return schema(kind).keeps_values && kind != OpKind::max_pool2d && kind != OpKind::resize;
}

class EigenExecutable : public Executable {
 public:
  EigenExecutable(const Part& part, const ThreadPool* pool) : slots_(part.external.size()) {
    std::unordered_map<int, void* const*> slot_of{{-1, nullptr}};
    for (std::size_t i = 0; i < slots_.size(); ++i) slot_of[part.external[i]] = &slots_[i];
    const auto at = [&](int tensor) { return At(slot_of.at(tensor)); };
    const auto all = [&](const std::vector<int>& tensors) {
      std::vector<At> places;
      for (const int tensor : tensors) places.push_back(at(tensor));
      return places;
    };
    for (const PartOp& op : part.ops)
      kernels_.push_back(kernel_of(op, {all(op.inputs), all(op.outputs), at(op.scratch)}, pool));
  }
  void bind(std::span<void* const> tensors) override {
    std::copy(tensors.begin(), tensors.end(), slots_.begin());
  }
  void run() override {
    for (const Kernel& kernel : kernels_) kernel();
  }

 private:
  std::vector<void*> slots_;
  std::vector<Kernel> kernels_;
};

class EigenBackend : public Backend {
 public:
  std::string_view name() const override { return "eigen"; }
  std::string identity() const override { return std::string("Eigen ") + eigen_version(); }
  bool fuses(const Op& op) const override {
    return eigen_fuses(op) ||
           (op.dtype() == DType::qs8 && is_wide_depthwise(op) && xnnpack_fuses(op));
  }

  bool supports(const Op& op) const override {
    switch (op.kind) {
      case OpKind::activation:
        return true;
      case OpKind::conv2d:
        if (op.dtype() == DType::qs8)
          return is_wide_depthwise(op) && (op.activation == Activation::none || fuses(op));
        return is_depthwise(op) && op.activation == Activation::none && op.dtype() == DType::f32;
      case OpKind::conv_transpose2d:
      case OpKind::linear:
      case OpKind::global_avg_pool:
        return false;
      case OpKind::partial_conv2d:
        return op.inputs.size() == 2;
      case OpKind::dequantise:
        return true;
      default:
        return !schema(op.kind).elementwise &&
               (op.activation == Activation::none || eigen_fuses(op)) &&
               (op.dtype() != DType::qs8 || moves(op.kind));
    }
  }

  MemoryUse memory(const Op& op) const override {
    MemoryUse use;
    if (op.kind == OpKind::reshape) {
      use.output = MemoryUse::Output::view;
    } else if (schema(op.kind).in_place ||
               (op.kind == OpKind::partial_conv2d && op.partial_form == PartialForm::slicing)) {
      use.output = MemoryUse::Output::in_place;
    } else if (op.kind == OpKind::conv2d) {
      use.scratch_bytes = depthwise_row_floats(op) * sizeof(float);
    } else if (op.kind == OpKind::attention) {
      const std::size_t tokens = extent(op.input()).pixels() / z(op.windows);
      use.scratch_bytes = tokens * tokens * sizeof(float);
    }
    return use;
  }

  std::unique_ptr<Executable> compile(Part part, const ThreadPool* pool) const override {
    return std::make_unique<EigenExecutable>(part, pool);
  }
};

}  // namespace

const Backend& eigen_backend() {
  static const EigenBackend backend;
  return backend;
}

}  // namespace cpubone
