#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "graph/error.hpp"
#include "graph/schema.hpp"
#include "graph/size.hpp"
#include "runtime/opencl/context.hpp"
#include "runtime/steady_clock.hpp"

namespace cpubone {
namespace {

constexpr int lanes = 4;   // channels of a work item, as in kernels.cl
constexpr int pixels = 4;  // of a work item

int blocks(int channels) {
  return (channels + lanes - 1) / lanes;
}

/// Blocks of channels x blocks of pixels of a work group.
struct Group {
  int channels;
  int pixels;
};
constexpr std::array<Group, 4> groups_to_choose{{{16, 4}, {8, 8}, {4, 16}, {1, 64}}};
constexpr int elements_of_group = 64;

/// [out][in][tap] -> [block of 4 out][tap][in][4], blocks within groups.
std::vector<float> packed(const std::vector<float>& in, int groups, int group_out, int group_in,
                          int taps) {
  std::vector<float> out(z(groups) * z(blocks(group_out)) * z(taps) * z(group_in) * lanes);
  for (int g = 0; g < groups; ++g)
    for (int o = 0; o < group_out; ++o)
      for (int k = 0; k < group_in; ++k)
        for (int t = 0; t < taps; ++t) {
          const std::size_t block = z(g) * z(blocks(group_out)) + z(o / lanes);
          out[((block * z(taps) + z(t)) * z(group_in) + z(k)) * lanes + z(o % lanes)] =
              in[((z(g) * z(group_out) + z(o)) * z(group_in) + z(k)) * z(taps) + z(t)];
        }
  return out;
}

template <typename... Values>
void set_arguments(cl::Kernel& kernel, int first, const Values&... values) {
  auto index = static_cast<cl_uint>(first);
  (kernel.setArg(index++, values), ...);
}

class OpenClTask : public CoprocessorTask {
 public:
  OpenClTask(std::shared_ptr<OpenClContext> context, const ChannelPart& part)
      : context_(std::move(context)),
        half_(part.op.dtype() == DType::f16),
        inputs_(part.op.inputs.size()) {
    opencl_call(text(part.op), [&] {
      if (has_channel_parts(part.op))
        convolution(part);
      else
        elementwise(part.op);
    });
  }

  void bind(std::span<const void* const> inputs, void* output) override {
    if (inputs.size() != inputs_)
      throw Error(fmt::format("OpenCL: {} takes {} inputs, got {}", name_, inputs_, inputs.size()));
    for (std::size_t i = 0; i < inputs.size(); ++i) point(i, inputs[i], input_begin_);
    point(output_argument_, output, output_begin_);
  }
  void start() override { number_ = context_->start(kernel_, global_, local_); }
  bool done() override { return context_->done(number_); }
  std::string kernel() const override {
    const std::string_view precision = !half_ ? "" : multiplies_half_ ? " f16 arithmetic" : " f16";
    if (range_.channels == 0) return fmt::format("{} {}{}", name_, elements_of_group, precision);
    return fmt::format("{} {}x{}{}", name_, group_.channels, group_.pixels, precision);
  }

 private:
  std::size_t element_bytes() const { return half_ ? 2 : sizeof(float); }

  void point(std::size_t argument, const void* begin, std::size_t channels) {
    const void* const tensor = static_cast<const std::byte*>(begin) + channels * element_bytes();
    if (!context_->owns(tensor))
      throw Error(
          fmt::format("OpenCL: a tensor of {} is not in memory that the device shares", name_));
    const cl_int code = clSetKernelArgSVMPointer(kernel_(), static_cast<cl_uint>(argument), tensor);
    if (code != CL_SUCCESS) throw_opencl_error(name_, "clSetKernelArgSVMPointer", code);
  }

  /// inputs, output, then what the kernel needs to know.
  void make(const char* name) {
    name_ = name;
    kernel_ = context_->kernel(name, half_);
    multiplies_half_ = half_ && (name_ == "matrix_product" || name_ == "convolution") &&
                       context_->half_arithmetic();
    output_argument_ = inputs_;
  }

  void divide(Group group) {
    group_ = group;
    const auto up = [](int count, int by) {
      return static_cast<cl::size_type>((count + by - 1) / by * by);
    };
    global_ = cl::NDRange(up(range_.channels, group.channels), up(range_.pixels, group.pixels));
    local_ = cl::NDRange(static_cast<cl::size_type>(group.channels),
                         static_cast<cl::size_type>(group.pixels));
  }

  void convolution(const ChannelPart& part) {
    const Op& op = part.op;
    const Shape& in = op.input();
    const Shape& out = op.output();
    const int group_in = in.c / op.groups;
    const int group_out = out.c / op.groups;
    const int taps = op.kernel_h * op.kernel_w;
    const int in_stride = static_cast<int>(part.input_stride);
    const int out_stride = static_cast<int>(part.output_stride);
    const int activation = static_cast<int>(op.activation);
    const bool depthwise = is_depthwise(op);
    input_begin_ = part.input_begin;
    output_begin_ = part.output_begin;
    // Of depthwise convolutions a block is 4 groups.
    const int packs = depthwise ? 1 : op.groups;
    const int pack_out = depthwise ? out.c : group_out;
    std::vector<float> bias = part.parameters.bias;
    bias.resize(z(out.c), 0.0F);
    weights_ =
        context_->constant(packed(part.parameters.weight, packs, pack_out, group_in, taps), half_);
    bias_ = context_->constant(packed(bias, packs, pack_out, 1, 1), half_);
    const auto with_window = [&](int first) {
      set_arguments(kernel_, first, in.h, in.w, out.h, out.w, op.kernel_h, op.kernel_w, op.stride_h,
                    op.stride_w, op.dilation_h, op.dilation_w, op.padding.top, op.padding.left);
    };
    constexpr int after_tensors = 4;
    const int lines = out.n * out.h;
    range_ = {packs * blocks(pack_out), lines * ((out.w + pixels - 1) / pixels)};
    if (op.groups == 1 && taps == 1 && in.h == out.h && in.w == out.w && op.stride_h == 1 &&
        op.stride_w == 1 && op.padding == Padding{}) {
      make("matrix_product");
      const int rows = lines * out.w;
      range_.pixels = (rows + pixels - 1) / pixels;
      set_arguments(kernel_, after_tensors, rows, in.c, out.c, in_stride, out_stride, activation);
    } else if (depthwise) {
      make("depthwise");
      set_arguments(kernel_, after_tensors, out.n, out.c, in_stride, out_stride, activation);
      with_window(after_tensors + 5);
    } else {
      make("convolution");
      set_arguments(kernel_, after_tensors, out.n, group_in, group_out, op.groups, in_stride,
                    out_stride, activation);
      with_window(after_tensors + 7);
    }
    set_arguments(kernel_, 1, weights_, bias_);
    output_argument_ = after_tensors - 1;
    divide(*std::find_if(groups_to_choose.begin(), groups_to_choose.end() - 1,
                         [&](Group g) { return g.channels <= range_.channels; }));
    if (context_->options().tune) tune(part);
  }

  void elementwise(const Op& op) {
    const Shape& out = op.output();
    const int count = static_cast<int>(elements(out));
    const int activation = static_cast<int>(op.activation);
    if (op.kind == OpKind::activation) {
      make("activation");
      set_arguments(kernel_, 2, count, activation);
    } else {
      make("elementwise");
      const auto step = [](int size, int apart) { return size == 1 ? 0 : apart; };
      const auto with_steps = [&](int first, const Shape& s) {
        set_arguments(kernel_, first, step(s.n, s.h * s.w * s.c), step(s.h, s.w * s.c),
                      step(s.w, s.c), step(s.c, 1));
      };
      set_arguments(kernel_, 3, count, out.h, out.w, out.c);
      with_steps(7, op.input(0));
      with_steps(11, op.input(1));
      set_arguments(kernel_, 15, operation(op.kind), activation);
    }
    const int whole = (count + elements_of_group - 1) / elements_of_group * elements_of_group;
    global_ = cl::NDRange(static_cast<cl::size_type>(whole));
    local_ = cl::NDRange(elements_of_group);
  }

  static int operation(OpKind kind) {
    constexpr std::array order{OpKind::add, OpKind::mul,     OpKind::sub,
                               OpKind::div, OpKind::maximum, OpKind::minimum};
    return static_cast<int>(std::find(order.begin(), order.end(), kind) - order.begin());
  }

  /// Keeps the size of work groups that is fastest in the best of some runs.
  void tune(const ChannelPart& part) {
    const auto bytes = [this](const Shape& shape, std::size_t channels) {
      return z(shape.n) * z(shape.h) * z(shape.w) * channels * element_bytes();
    };
    const auto in = context_->memory(bytes(part.op.input(), part.input_stride));
    const auto out = context_->memory(bytes(part.op.output(), part.output_stride));
    const std::array<const void*, 1> inputs{in->data()};
    bind(inputs, out->data());
    Group best = group_;
    double best_ns = 0;
    for (const Group group : groups_to_choose) {
      divide(group);
      for (int run = 0; run < 4; ++run) {
        const double before = steady_now_ns();
        start();
        context_->finish();
        const double ns = steady_now_ns() - before;
        if (run == 0 || (best_ns > 0 && ns >= best_ns)) continue;  // the first compiles
        best_ns = ns;
        best = group;
      }
    }
    divide(best);
  }

  std::shared_ptr<OpenClContext> context_;
  bool half_;
  bool multiplies_half_ = false;
  std::string name_;
  cl::Kernel kernel_;
  cl::Buffer weights_;
  cl::Buffer bias_;
  std::size_t inputs_;
  std::size_t output_argument_ = 0;
  std::size_t input_begin_ = 0;
  std::size_t output_begin_ = 0;
  Group range_{0, 0};  ///< work items; of elementwise operators none
  Group group_{1, 1};
  cl::NDRange global_;
  cl::NDRange local_;
  int number_ = 0;
};

class OpenClCoprocessor : public Coprocessor {
 public:
  explicit OpenClCoprocessor(const OpenClOptions& options)
      : context_(std::make_shared<OpenClContext>(options)) {}
  std::string identity() const override { return cpubone::identity(context_->device()); }
  KernelTile tile() const override { return {lanes, pixels}; }
  bool supports(const Op& op) const override {
    const DType dtype = op.outputs[0].dtype;
    const auto of_that = [&](const Tensor& tensor) { return tensor.dtype == dtype; };
    if (!is_shared_precision(dtype) || op.outputs.size() != 1 ||
        !std::all_of(op.inputs.begin(), op.inputs.end(), of_that))
      return false;
    return has_channel_parts(op) || op.kind == OpKind::activation || schema(op.kind).elementwise;
  }
  std::shared_ptr<const Arena> memory(std::size_t bytes) const override {
    return context_->memory(bytes);
  }
  std::unique_ptr<CoprocessorTask> compile(const ChannelPart& part) const override {
    if (!supports(part.op))
      throw Error(fmt::format("op \"{}\": no OpenCL kernel runs it", text(part.op)));
    return std::make_unique<OpenClTask>(context_, part);
  }

 private:
  std::shared_ptr<OpenClContext> context_;
};

}  // namespace

std::shared_ptr<const Coprocessor> opencl_coprocessor(const OpenClOptions& options) {
  return std::make_shared<OpenClCoprocessor>(options);
}

}  // namespace cpubone
