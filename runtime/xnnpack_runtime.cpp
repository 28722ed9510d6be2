#include "runtime/xnnpack_runtime.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <pthreadpool.h>
#include <xnnpack.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <stdexcept>

#include "graph/error.hpp"
#include "runtime/xnnpack_traits.hpp"

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

void require(xnn_status status, std::string_view what) {
  if (status != xnn_status_success)
    throw Error(fmt::format("XNNPACK: {}: {}", what, status_text(status)));
}

void initialise_once() {
  static const xnn_status status = xnn_initialize(nullptr);
  require(status, "initialisation");
}

struct Range {
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
};

Range output_range(Activation activation) {
  if (activation == Activation::relu) return {0.0F, std::numeric_limits<float>::infinity()};
  if (activation == Activation::relu6) return {0.0F, 6.0F};
  return {};
}

/// Real value of an int8 step: activations of networks with normalised layers stay within +-4.
constexpr float quantised_step = 1.0F / 32.0F;
constexpr float largest_int8 = 127.0F;

// Newer versions drop the reduced dimensions, of which the next operator then knows nothing.
#ifdef XNN_FLAG_KEEP_DIMS
constexpr std::uint32_t keep_dims = XNN_FLAG_KEEP_DIMS;
#else
constexpr std::uint32_t keep_dims = 0;
#endif

#ifdef CPUBONE_XNNPACK_HAS_GELU
constexpr bool has_gelu = true;
#else
constexpr bool has_gelu = false;
#endif

constexpr std::size_t extra_floats = XNN_EXTRA_BYTES / sizeof(float);

/// Room for values and for reads past their end: weights are hundreds of megabytes, so that no copy
/// is made only for these.
std::vector<float> room_for(std::size_t size) {
  std::vector<float> values;
  values.reserve(size + extra_floats);
  values.resize(size);
  return values;
}

/// [outer][inner][window] -> [outer][window][inner].
std::vector<float> channels_last(std::vector<float>&& in, std::size_t outer, std::size_t inner,
                                 std::size_t window) {
  if (inner == 1 || window == 1) return std::move(in);
  std::vector<float> out = room_for(in.size());
  for (std::size_t o = 0; o < outer; ++o)
    for (std::size_t i = 0; i < inner; ++i)
      for (std::size_t k = 0; k < window; ++k)
        out[(o * window + k) * inner + i] = in[(o * inner + i) * window + k];
  return out;
}

/// PyTorch's transposed weights in x out/groups x window as XNNPACK's out x window x in/groups.
std::vector<float> transposed_weights(const std::vector<float>& in, const Op& op) {
  const auto groups = static_cast<std::size_t>(op.groups);
  const std::size_t in_width = static_cast<std::size_t>(op.input().c) / groups;
  const std::size_t out_width = static_cast<std::size_t>(op.output().c) / groups;
  const auto window = static_cast<std::size_t>(op.kernel_h * op.kernel_w);
  std::vector<float> out = room_for(in.size());
  for (std::size_t g = 0; g < groups; ++g)
    for (std::size_t i = 0; i < in_width; ++i)
      for (std::size_t o = 0; o < out_width; ++o)
        for (std::size_t k = 0; k < window; ++k)
          out[((g * out_width + o) * window + k) * in_width + i] =
              in[((g * in_width + i) * out_width + o) * window + k];
  return out;
}

/// Collects tensors and operators, then becomes a runtime.
class Subgraph {
 public:
  explicit Subgraph(std::span<const int> external) {
    xnn_subgraph_t subgraph = nullptr;
    require(xnn_create_subgraph(static_cast<std::uint32_t>(external.size()), 0, &subgraph),
            "subgraph");
    subgraph_.reset(subgraph);
    for (std::size_t i = 0; i < external.size(); ++i)
      external_[external[i]] = static_cast<std::uint32_t>(i);
  }

  /// Takes the node's weights.
  void add(XnnpackNode& node) {
    node_ = &node;
    std::vector<float>& weight = node.parameters.weight;
    const Op& op = node.op;
    std::vector<std::uint32_t> inputs;
    for (std::size_t i = 0; i < node.inputs.size(); ++i)
      inputs.push_back(tensor(node.inputs[i], op.input(i)));
    const std::uint32_t output = tensor(node.output, op.output());
    produced_.push_back(node.output);
    half_ = half_ || op.dtype() == DType::f16;
    const Range range = output_range(op.activation);
    const Shape& in = op.input();
    const auto u = [](int value) { return static_cast<std::uint32_t>(value); };
    const auto z = [](int value) { return static_cast<std::size_t>(value); };
    const std::size_t window = z(op.kernel_h * op.kernel_w);
    const Padding& p = op.padding;

    switch (op.kind) {
      case OpKind::conv2d:
        if (is_depthwise(op)) {
          const std::uint32_t weights = filter(channels_last(std::move(weight), 1, z(in.c), window),
                                               {1, z(op.kernel_h), z(op.kernel_w), z(in.c)}, 3);
          checked(xnn_define_depthwise_convolution_2d(
              subgraph_.get(), u(p.top), u(p.right), u(p.bottom), u(p.left), u(op.kernel_h),
              u(op.kernel_w), u(op.stride_h), u(op.stride_w), u(op.dilation_h), u(op.dilation_w), 1,
              z(in.c), range.low, range.high, inputs[0], weights, bias(), output, 0));
        } else {
          const std::size_t group_in = z(in.c / op.groups);
          const std::uint32_t weights =
              filter(channels_last(std::move(weight), z(op.output().c), group_in, window),
                     {z(op.output().c), z(op.kernel_h), z(op.kernel_w), group_in}, 0);
          checked(xnn_define_convolution_2d(
              subgraph_.get(), u(p.top), u(p.right), u(p.bottom), u(p.left), u(op.kernel_h),
              u(op.kernel_w), u(op.stride_h), u(op.stride_w), u(op.dilation_h), u(op.dilation_w),
              u(op.groups), group_in, z(op.output().c / op.groups), range.low, range.high,
              inputs[0], weights, bias(), output, 0));
        }
        break;
      case OpKind::conv_transpose2d: {
        const std::size_t group_in = z(in.c / op.groups);
        const std::uint32_t weights =
            filter(transposed_weights(weight, op),
                   {z(op.output().c), z(op.kernel_h), z(op.kernel_w), group_in}, 0);
        checked(xnn_define_deconvolution_2d(
            subgraph_.get(), u(p.top), u(p.right), u(p.bottom), u(p.left), 0, 0, u(op.kernel_h),
            u(op.kernel_w), u(op.stride_h), u(op.stride_w), u(op.dilation_h), u(op.dilation_w),
            u(op.groups), group_in, z(op.output().c / op.groups), range.low, range.high, inputs[0],
            weights, bias(), output, 0));
        break;
      }
      case OpKind::linear: {
        if (op.dtype() == DType::qs8) {
          // XNNPACK's int8 fully connected layer has one scale for all channels; as a convolution
          // of single pixels the same kernels take one scale a channel.
          const std::uint32_t weights =
              filter(std::move(weight), {z(op.output().c), 1, 1, z(in.c)}, 0);
          checked(xnn_define_convolution_2d(subgraph_.get(), 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1,
                                            z(in.c), z(op.output().c), range.low, range.high,
                                            inputs[0], weights, bias(), output, 0));
          break;
        }
        const std::uint32_t weights = filter(std::move(weight), {z(op.output().c), z(in.c)}, 0);
        checked(xnn_define_fully_connected(subgraph_.get(), range.low, range.high, inputs[0],
                                           weights, bias(), output, 0));
        break;
      }
      case OpKind::add:
        checked(xnn_define_add2(subgraph_.get(), range.low, range.high, inputs[0], inputs[1],
                                output, 0));
        break;
      case OpKind::mul:
        checked(xnn_define_multiply2(subgraph_.get(), range.low, range.high, inputs[0], inputs[1],
                                     output, 0));
        break;
      case OpKind::global_avg_pool:
        checked(xnn_define_global_average_pooling_2d(subgraph_.get(), range.low, range.high,
                                                     inputs[0], output, keep_dims));
        break;
      case OpKind::max_pool2d:
        checked(xnn_define_max_pooling_2d(subgraph_.get(), u(p.top), u(p.right), u(p.bottom),
                                          u(p.left), u(op.kernel_h), u(op.kernel_w), u(op.stride_h),
                                          u(op.stride_w), u(op.dilation_h), u(op.dilation_w),
                                          range.low, range.high, inputs[0], output, 0));
        break;
      case OpKind::avg_pool2d:
        checked(xnn_define_average_pooling_2d(subgraph_.get(), u(p.top), u(p.right), u(p.bottom),
                                              u(p.left), u(op.kernel_h), u(op.kernel_w),
                                              u(op.stride_h), u(op.stride_w), range.low, range.high,
                                              inputs[0], output, 0));
        break;
      case OpKind::softmax:
        checked(xnn_define_softmax(subgraph_.get(), inputs[0], output, 0));
        break;
      case OpKind::activation:
        if (op.activation == Activation::hardswish) {
          checked(xnn_define_hardswish(subgraph_.get(), inputs[0], output, 0));
        } else if (op.activation == Activation::sigmoid) {
          checked(xnn_define_sigmoid(subgraph_.get(), inputs[0], output, 0));
#ifdef CPUBONE_XNNPACK_HAS_GELU
        } else if (op.activation == Activation::gelu) {
          checked(xnn_define_unary(subgraph_.get(), xnn_unary_gelu, nullptr, inputs[0], output, 0));
#endif
        } else {
          checked(xnn_define_clamp(subgraph_.get(), range.low, range.high, inputs[0], output, 0));
        }
        break;
      default:
        throw Error(fmt::format("op \"{}\": XNNPACK has no such operator", text(op)));
    }
  }

  xnn_runtime_t runtime(const ThreadPool& pool) {
    xnn_runtime_t runtime = nullptr;
    // Tensors of f16 networks are f32 outside of the subgraph; XNNPACK converts them.
    const std::uint32_t flags = half_ ? XNN_FLAG_FORCE_FP16_INFERENCE : 0;
    require(xnn_create_runtime_v2(subgraph_.get(), pool.get(), flags, &runtime),
            fmt::format("runtime of {} operators ending with \"{}\"", produced_.size(),
                        text(node_->op)));
    return runtime;
  }

 private:
  struct Delete {
    void operator()(xnn_subgraph* subgraph) const { xnn_delete_subgraph(subgraph); }
  };

  void checked(xnn_status status) const {
    if (status != xnn_status_success)
      throw Error(
          fmt::format("op \"{}\": XNNPACK refuses it: {}", text(node_->op), status_text(status)));
  }

  std::uint32_t tensor(int value, const Shape& shape) {
    if (const auto known = tensors_.find(value); known != tensors_.end()) return known->second;
    const std::array<std::size_t, 4> dims{
        static_cast<std::size_t>(shape.n), static_cast<std::size_t>(shape.h),
        static_cast<std::size_t>(shape.w), static_cast<std::size_t>(shape.c)};
    std::uint32_t external_id = XNN_INVALID_VALUE_ID;
    std::uint32_t flags = 0;
    if (const auto e = external_.find(value); e != external_.end()) {
      external_id = e->second;
      flags = is_input(value) ? XNN_VALUE_FLAG_EXTERNAL_INPUT : XNN_VALUE_FLAG_EXTERNAL_OUTPUT;
    }
    std::uint32_t id = 0;
    if (node_->op.dtype() == DType::qs8) {
      checked(xnn_define_quantized_tensor_value(subgraph_.get(), xnn_datatype_qint8, 0,
                                                quantised_step, dims.size(), dims.data(), nullptr,
                                                external_id, flags, &id));
    } else {
      checked(xnn_define_tensor_value(subgraph_.get(), xnn_datatype_fp32, dims.size(), dims.data(),
                                      nullptr, external_id, flags, &id));
    }
    tensors_[value] = id;
    return id;
  }

  /// A tensor that is read before any operator of the subgraph has written it.
  bool is_input(int value) const {
    return node_->output != value &&
           std::find(produced_.begin(), produced_.end(), value) == produced_.end();
  }

  std::uint32_t filter(std::vector<float>&& values, std::vector<std::size_t> dims,
                       std::size_t channel_dim) {
    std::size_t expected = 1;
    for (const std::size_t d : dims) expected *= d;
    if (values.size() != expected)
      throw Error(fmt::format("op \"{}\": weight tensor must have {} values, got {}",
                              text(node_->op), expected, values.size()));
    if (node_->op.dtype() == DType::qs8) return quantised_filter(values, dims, channel_dim);
    return constant(std::move(values), dims);
  }

  std::uint32_t constant(std::vector<float>&& values, std::span<const std::size_t> dims) {
    values.resize(values.size() + extra_floats);
    floats_.push_back(std::move(values));
    std::uint32_t id = 0;
    checked(xnn_define_tensor_value(subgraph_.get(), xnn_datatype_fp32, dims.size(), dims.data(),
                                    floats_.back().data(), XNN_INVALID_VALUE_ID, 0, &id));
    return id;
  }

  /// Symmetric, with the largest weight of each output channel at 127. The channels are the first
  /// dimension or the last.
  std::uint32_t quantised_filter(const std::vector<float>& values,
                                 std::span<const std::size_t> dims, std::size_t channel_dim) {
    const std::size_t channels = dims[channel_dim];
    const std::size_t stride = channel_dim == 0 ? values.size() / channels : 1;
    const auto channel_of = [&](std::size_t i) { return i / stride % channels; };
    std::vector<float> scales(channels, std::numeric_limits<float>::min());
    for (std::size_t i = 0; i < values.size(); ++i)
      scales[channel_of(i)] = std::max(scales[channel_of(i)], std::abs(values[i]) / largest_int8);
    std::vector<std::int8_t> quantised(values.size() + XNN_EXTRA_BYTES);
    for (std::size_t i = 0; i < values.size(); ++i)
      quantised[i] = static_cast<std::int8_t>(std::lround(values[i] / scales[channel_of(i)]));
    bytes_.push_back(std::move(quantised));
    scales_.push_back(std::move(scales));
    std::uint32_t id = 0;
    checked(xnn_define_channelwise_quantized_tensor_value(
        subgraph_.get(), xnn_datatype_qcint8, scales_.back().data(), dims.size(), channel_dim,
        dims.data(), bytes_.back().data(), XNN_INVALID_VALUE_ID, 0, &id));
    return id;
  }

  /// After the filter, whose scales an int8 bias shares.
  std::uint32_t bias() {
    if (!node_->op.bias) return XNN_INVALID_VALUE_ID;
    const std::vector<float>& values = node_->parameters.bias;
    const std::size_t dims[] = {static_cast<std::size_t>(node_->op.output().c)};
    if (values.size() != dims[0])
      throw Error(fmt::format("op \"{}\": bias must have {} values, got {}", text(node_->op),
                              dims[0], values.size()));
    if (node_->op.dtype() != DType::qs8) return constant(std::vector(values), dims);
    std::vector<float> scales = scales_.back();
    std::vector<std::int32_t> quantised(values.size() + XNN_EXTRA_BYTES / sizeof(std::int32_t));
    for (std::size_t i = 0; i < values.size(); ++i) {
      scales[i] *= quantised_step;
      quantised[i] = static_cast<std::int32_t>(std::lround(values[i] / scales[i]));
    }
    integers_.push_back(std::move(quantised));
    scales_.push_back(std::move(scales));
    std::uint32_t id = 0;
    checked(xnn_define_channelwise_quantized_tensor_value(
        subgraph_.get(), xnn_datatype_qcint32, scales_.back().data(), 1, 0, dims,
        integers_.back().data(), XNN_INVALID_VALUE_ID, 0, &id));
    return id;
  }

  std::unique_ptr<xnn_subgraph, Delete> subgraph_;
  std::map<int, std::uint32_t> external_;
  std::map<int, std::uint32_t> tensors_;
  std::vector<int> produced_;
  bool half_ = false;
  // Packed when the runtime is made, then no longer needed.
  std::vector<std::vector<float>> floats_;
  std::vector<std::vector<float>> scales_;
  std::vector<std::vector<std::int8_t>> bytes_;
  std::vector<std::vector<std::int32_t>> integers_;
  const XnnpackNode* node_ = nullptr;
};

}  // namespace

ThreadPool::ThreadPool(int threads) : threads_(threads), pool_(nullptr, pthreadpool_destroy) {
  if (threads < 1 || threads > 1024)
    throw std::invalid_argument(fmt::format("threads must be in 1..1024, got {}", threads));
  if (threads == 1) return;
  pool_.reset(pthreadpool_create(static_cast<std::size_t>(threads)));
  if (!pool_) throw Error(fmt::format("cannot start a pool of {} threads", threads));
}

void ThreadPool::on_all_threads(const std::function<void()>& work) const {
  pthreadpool_parallelize_1d(
      pool_.get(),
      [](void* context, std::size_t) { (*static_cast<const std::function<void()>*>(context))(); },
      const_cast<std::function<void()>*>(&work), static_cast<std::size_t>(threads_), 0);
}

bool xnnpack_has(const Op& op) {
  return xnnpack_runs(op) || (has_gelu && op.kind == OpKind::activation &&
                              op.activation == Activation::gelu && op.dtype() == DType::f32);
}

std::string xnnpack_version() {
  return CPUBONE_XNNPACK_VERSION;
}

std::string xnnpack_library_path() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&xnn_initialize), &info) == 0 || !info.dli_fname)
    return "";
  return info.dli_fname;
}

struct XnnpackRuntime::State {
  struct Delete {
    void operator()(xnn_runtime* runtime) const { xnn_delete_runtime(runtime); }
  };
  std::unique_ptr<xnn_runtime, Delete> runtime;
  std::vector<xnn_external_value> external;
};

XnnpackRuntime::XnnpackRuntime(std::vector<XnnpackNode> nodes, std::span<const int> external,
                               const ThreadPool& pool)
    : state_(std::make_unique<State>()) {
  initialise_once();
  Subgraph subgraph(external);
  for (XnnpackNode& node : nodes) {
    subgraph.add(node);
    node.parameters = {};
  }
  state_->runtime.reset(subgraph.runtime(pool));
  state_->external.resize(external.size());
}

XnnpackRuntime::~XnnpackRuntime() = default;
XnnpackRuntime::XnnpackRuntime(XnnpackRuntime&&) noexcept = default;
XnnpackRuntime& XnnpackRuntime::operator=(XnnpackRuntime&&) noexcept = default;

void XnnpackRuntime::bind(std::span<void* const> tensors) {
  if (tensors.size() != state_->external.size())
    throw std::invalid_argument(
        fmt::format("bind takes {} tensors, got {}", state_->external.size(), tensors.size()));
  for (std::size_t i = 0; i < tensors.size(); ++i)
    state_->external[i] = {static_cast<std::uint32_t>(i), tensors[i]};
  require(
      xnn_setup_runtime(state_->runtime.get(), state_->external.size(), state_->external.data()),
      "setup");
}

void XnnpackRuntime::invoke() {
  require(xnn_invoke_runtime(state_->runtime.get()), "run");
}

}  // namespace cpubone
