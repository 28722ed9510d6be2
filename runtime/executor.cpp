#include "runtime/executor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <set>
#include <stdexcept>

#if defined(__GLIBC__)
#include <malloc.h>
#endif
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include "graph/error.hpp"
#include "runtime/eigen_kernels.hpp"
#include "runtime/steady_clock.hpp"
#include "runtime/xnnpack_traits.hpp"

namespace cpubone {
namespace {

constexpr std::size_t alignment = 64;
constexpr std::size_t slack_bytes = 64;  // XNNPACK reads up to 16 bytes past a tensor

std::size_t round_up(std::size_t bytes) {
  return (bytes + alignment - 1) / alignment * alignment;
}

std::size_t count(const Shape& shape) {
  return static_cast<std::size_t>(elements(shape));
}

/// Denormals take a hundred times longer than other numbers; off while a network runs, as in
/// XNNPACK's own workers.
class FlushDenormals {
 public:
  FlushDenormals() : saved_(read()) { write(saved_ | bits); }
  ~FlushDenormals() { write(saved_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
#if defined(__SSE2__)
  using Word = unsigned;
  static constexpr Word bits = 0x8040;  // flush to zero, denormals are zero
  static Word read() {
    return _mm_getcsr();
  }
  static void write(Word word) {
    _mm_setcsr(word);
  }
#elif defined(__aarch64__)
  using Word = std::uint64_t;
  static constexpr Word bits = 1U << 24;
  static Word read() {
    Word word = 0;
    asm volatile("mrs %0, fpcr" : "=r"(word));
    return word;
  }
  static void write(Word word) {
    asm volatile("msr fpcr, %0" : : "r"(word));
  }
#else
  using Word = unsigned;
  static constexpr Word bits = 0;
  static Word read() {
    return 0;
  }
  static void write(Word) {}
#endif
  Word saved_;
};

/// Gives what making large weights left over back to the system.
void trim_heap([[maybe_unused]] std::size_t weights) {
#if defined(__GLIBC__)
  constexpr std::size_t large = std::size_t{8} << 20;
  if (weights >= large) malloc_trim(0);
#endif
}

/// Weights where vectors are loaded whole: elsewhere a kernel's speed would depend on chance.
std::shared_ptr<const float> aligned(const std::vector<float>& values) {
  const auto memory = std::make_shared<const Arena>(values.size() * sizeof(float));
  std::memcpy(memory->data(), values.data(), values.size() * sizeof(float));
  return {memory, reinterpret_cast<const float*>(memory->data())};
}

/// One operator of the execution plan. Tensor 0 is the network's input, tensor i + 1 the output of
/// plan operator i.
struct PlanOp {
  int node = 0;
  Op op;
  std::vector<int> inputs;
  bool on_xnnpack = false;
  bool scatter = false;  ///< writes its first input's channels over a copy of the second
  int scratch = -1;      ///< tensor that only this operator uses
};

struct Place {
  Shape shape;
  int first = -1;        ///< place in the order of the operator that writes it; -1: from the start
  int last = -1;         ///< place of the last one that reads it
  int alias = -1;        ///< shares the memory of this tensor
  bool external = true;  ///< in the arena; false: inside an XNNPACK subgraph
  std::size_t offset = 0;
};

Op plain(OpKind kind, std::vector<Tensor> inputs, Tensor output) {
  Op op;
  op.kind = kind;
  op.inputs = std::move(inputs);
  op.outputs = {std::move(output)};
  return op;
}

/// Partial convolution as slice, convolution and scatter; everything else as it is.
std::vector<PlanOp> plan_ops(const Network& network, std::vector<int>& tensor_of_node) {
  std::vector<PlanOp> ops;
  const auto push = [&](PlanOp op) {
    ops.push_back(std::move(op));
    return static_cast<int>(ops.size());  // the number of its output tensor
  };
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    const Node& node = network.nodes[i];
    const int id = static_cast<int>(i);
    std::vector<int> inputs;
    for (const Edge& input : node.inputs)
      inputs.push_back(
          input.node == network_input ? 0 : tensor_of_node[static_cast<std::size_t>(input.node)]);
    if (node.op.kind == OpKind::partial_conv2d) {
      Tensor part = node.op.outputs[0];
      part.shape.c = node.op.conv_channels;
      Op scatter = plain(OpKind::concat, {part, node.op.inputs[0]}, node.op.outputs[0]);
      scatter.partial_form = node.op.partial_form;
      const int sliced =
          push({id, plain(OpKind::slice, node.op.inputs, part), inputs, false, false});
      Op conv = node.op;
      conv.kind = OpKind::conv2d;
      conv.inputs = {part};
      conv.outputs = {part};
      conv.conv_channels = 0;
      const int convolved = push({id, conv, {sliced}, true, false});
      tensor_of_node.push_back(push({id, scatter, {convolved, inputs[0]}, false, true}));
    } else {
      tensor_of_node.push_back(
          push({id, node.op, inputs, engine_of(node.op) == Engine::xnnpack, false}));
    }
  }
  return ops;
}

/// Order that keeps XNNPACK's operators together: as long as an operator of the running engine is
/// ready it goes first. Returns the operators of each step.
std::vector<std::vector<int>> plan_steps(const std::vector<PlanOp>& ops, bool one_step_per_op) {
  std::vector<std::vector<int>> steps;
  if (one_step_per_op) {
    for (std::size_t i = 0; i < ops.size(); ++i) steps.push_back({static_cast<int>(i)});
    return steps;
  }
  std::vector<int> missing(ops.size());
  std::vector<std::vector<int>> consumers(ops.size());
  std::set<int> ready[2];  // by engine; the earliest operator first
  for (std::size_t i = 0; i < ops.size(); ++i) {
    for (const int input : ops[i].inputs)
      if (input > 0) {
        consumers[static_cast<std::size_t>(input - 1)].push_back(static_cast<int>(i));
        ++missing[i];
      }
    if (missing[i] == 0) ready[ops[i].on_xnnpack].insert(static_cast<int>(i));
  }
  bool on_xnnpack = !ready[1].empty();
  bool open = false;
  while (!ready[0].empty() || !ready[1].empty()) {
    if (ready[on_xnnpack].empty()) {
      on_xnnpack = !on_xnnpack;
      open = false;
    }
    const int next = *ready[on_xnnpack].begin();
    ready[on_xnnpack].erase(ready[on_xnnpack].begin());
    if (!open || !on_xnnpack) steps.emplace_back();
    open = true;
    steps.back().push_back(next);
    for (const int consumer : consumers[static_cast<std::size_t>(next)])
      if (--missing[static_cast<std::size_t>(consumer)] == 0)
        ready[ops[static_cast<std::size_t>(consumer)].on_xnnpack].insert(consumer);
  }
  return steps;
}

/// The input that an Eigen kernel may overwrite with its output, or -1.
int in_place_input(const PlanOp& op) {
  if (op.on_xnnpack) return -1;
  if (op.scatter) return op.op.partial_form == PartialForm::slicing ? op.inputs[1] : -1;
  const OpKind kind = op.op.kind;
  const bool elementwise = kind == OpKind::activation || is_norm(kind);
  return elementwise ? op.inputs[0] : -1;
}

/// Places tensors that are alive at the same time apart, the largest first.
std::size_t place(std::vector<Place>& tensors) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < tensors.size(); ++i)
    if (tensors[i].external && tensors[i].alias < 0) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return count(tensors[a].shape) > count(tensors[b].shape);
  });
  // Most tensors live for some operators only: they are found by the place at which they are alive,
  // so that a chain of many operators takes time in proportion. The first place is -1.
  constexpr int short_life = 64;
  std::vector<std::vector<std::size_t>> short_lived;
  std::vector<std::size_t> long_lived;
  const auto at = [&](int place) -> std::vector<std::size_t>& {
    const auto index = static_cast<std::size_t>(place + 1);
    if (short_lived.size() <= index) short_lived.resize(index + 1);
    return short_lived[index];
  };
  std::size_t total = 0;
  std::vector<std::pair<std::size_t, std::size_t>> taken;
  for (const std::size_t i : order) {
    const Tensor& tensor = tensors[i];
    const std::size_t bytes = round_up(count(tensor.shape) * sizeof(float) + slack_bytes);
    taken.clear();
    const auto take = [&](std::size_t k) {
      taken.emplace_back(
          tensors[k].offset,
          tensors[k].offset + round_up(count(tensors[k].shape) * sizeof(float) + slack_bytes));
    };
    for (const std::size_t k : long_lived)
      if (tensors[k].first <= tensor.last && tensor.first <= tensors[k].last) take(k);
    for (int place = tensor.first; place <= tensor.last; ++place)
      for (const std::size_t k : at(place)) take(k);
    std::sort(taken.begin(), taken.end());
    std::size_t offset = 0;
    for (const auto& [begin, end] : taken) {
      if (offset + bytes <= begin) break;
      offset = std::max(offset, end);
    }
    tensors[i].offset = offset;
    total = std::max(total, offset + bytes);
    if (tensor.last - tensor.first > short_life)
      long_lived.push_back(i);
    else
      for (int place = tensor.first; place <= tensor.last; ++place) at(place).push_back(i);
  }
  for (Place& tensor : tensors)
    if (tensor.alias >= 0) tensor.offset = tensors[static_cast<std::size_t>(tensor.alias)].offset;
  return total;
}

}  // namespace

std::string_view name(Engine engine) {
  switch (engine) {
    case Engine::xnnpack:
      return "xnnpack";
    case Engine::eigen:
      return "eigen";
    case Engine::mixed:
      return "xnnpack+eigen";
  }
  return "";
}

Engine engine_of(const Op& op) {
  if (op.dtype() == DType::qs8 && !xnnpack_has(op))
    throw std::invalid_argument(fmt::format(
        "op \"{}\": in int8 only conv2d and linear can be measured, with relu, relu6 or no "
        "activation",
        text(op)));
  if (op.kind == OpKind::partial_conv2d) return Engine::mixed;
  if (xnnpack_has(op)) return Engine::xnnpack;
  const bool fused = op.activation != Activation::none && op.kind != OpKind::activation;
  if (fused && op.activation != Activation::relu && op.activation != Activation::relu6)
    throw std::invalid_argument(
        fmt::format("op \"{}\": its activation must be a node of its own (lowered)", text(op)));
  if (fused)
    throw std::invalid_argument(fmt::format("op \"{}\": no engine fuses {} into {}", text(op),
                                            name(op.activation), name(op.kind)));
  return Engine::eigen;
}

Arena::Arena(std::size_t bytes)
    : data_(static_cast<std::byte*>(
                std::aligned_alloc(alignment, round_up(std::max(bytes, alignment)))),
            std::free),
      size_(bytes) {
  if (!data_) throw std::bad_alloc();
  std::fill_n(data_.get(), round_up(std::max(bytes, alignment)), std::byte{0});
}

struct Executor::Plan {
  Network network;
  std::shared_ptr<const ThreadPool> pool;
  std::shared_ptr<const Arena> arena;
  std::vector<int> tensor_of_node;
  std::vector<PlanOp> ops;
  std::vector<Place> tensors;
  std::vector<Step> steps;
  std::vector<std::function<void()>> actions;
  std::vector<std::pair<std::shared_ptr<XnnpackRuntime>, std::vector<int>>> runtimes;
  std::size_t arena_bytes = 0;
  std::size_t arena_offset = 0;

  float* data(int tensor) const {
    return reinterpret_cast<float*>(arena->data() + arena_offset +
                                    tensors[static_cast<std::size_t>(tensor)].offset);
  }
  void move_to(std::shared_ptr<const Arena> to, std::size_t offset);

  std::function<void()> eigen_action(const PlanOp& plan_op, int output, Parameters&& parameters);
};

void Executor::Plan::move_to(std::shared_ptr<const Arena> to, std::size_t offset) {
  if (offset % alignment != 0 || offset > to->size() || to->size() - offset < arena_bytes)
    throw std::invalid_argument(fmt::format(
        "network \"{}\" needs {} bytes at a multiple of {}, got an arena of {} bytes and "
        "offset {}",
        network.name, arena_bytes, alignment, to->size(), offset));
  arena = std::move(to);
  arena_offset = offset;
  for (auto& [runtime, external] : runtimes) {
    std::vector<void*> places;
    for (const int tensor : external) places.push_back(data(tensor));
    runtime->bind(places);
  }
}

std::function<void()> Executor::Plan::eigen_action(const PlanOp& plan_op, int output,
                                                   Parameters&& parameters) {
  const EigenKernels& kernels = eigen_kernels();
  const Op& op = plan_op.op;
  // Where tensors are is asked in each run: they move.
  const auto place_of = [this](int tensor) { return [this, tensor] { return data(tensor); }; };
  const auto in = place_of(plan_op.inputs[0]);
  const auto out = place_of(output);
  const auto z = [](int value) { return static_cast<std::size_t>(value); };
  const Shape& shape = op.input();
  const std::size_t pixels = z(shape.h) * z(shape.w);
  const std::size_t channels = z(shape.c);
  if (plan_op.scatter) {
    const auto rest = place_of(plan_op.inputs[1]);
    const std::size_t width = z(op.output().c);
    return [=, &kernels] {
      if (rest() != out())
        kernels.copy_channels(rest() + channels, width, out() + channels, width, pixels,
                              width - channels);
      kernels.copy_channels(in(), channels, out(), width, pixels, channels);
    };
  }
  switch (op.kind) {
    case OpKind::activation:
      return [=, &kernels, activation = op.activation] {
        kernels.activate(activation, in(), out(), pixels * channels);
      };
    case OpKind::group_norm:
    case OpKind::layer_norm: {
      const bool whole = op.kind == OpKind::group_norm;
      const auto gamma = aligned(parameters.weight);
      const auto beta = aligned(parameters.bias);
      return [=, &kernels] {
        kernels.normalise(in(), gamma.get(), beta.get(), out(), whole ? 1 : pixels,
                          whole ? pixels * channels : channels, channels);
      };
    }
    case OpKind::batch_norm: {
      std::vector<float> scale(channels);
      std::vector<float> shift(channels);
      for (std::size_t c = 0; c < channels; ++c) {
        const double factor =
            double{parameters.weight[c]} / std::sqrt(double{parameters.variance[c]} + op.epsilon);
        scale[c] = static_cast<float>(factor);
        shift[c] =
            static_cast<float>(double{parameters.bias[c]} - double{parameters.mean[c]} * factor);
      }
      const auto a = aligned(scale);
      const auto b = aligned(shift);
      return [=, &kernels] { kernels.affine(in(), a.get(), b.get(), out(), pixels, channels); };
    }
    case OpKind::attention: {
      const auto scores = place_of(plan_op.scratch);
      const std::size_t heads = z(op.heads);
      return [=, &kernels] {
        kernels.attention(in(), out(), scores(), pixels, heads, channels / 3 / heads);
      };
    }
    case OpKind::upsample_nearest:
      return [=, h = z(shape.h), w = z(shape.w), factor = z(op.stride_h)] {
        upsample_nearest(in(), out(), h, w, channels, factor);
      };
    case OpKind::slice:
      return [=, &kernels, begin = z(op.begin), width = z(op.output().c)] {
        kernels.copy_channels(in() + begin, channels, out(), width, pixels, width);
      };
    case OpKind::concat: {
      std::vector<std::pair<decltype(in), std::size_t>> parts;
      for (std::size_t i = 0; i < op.inputs.size(); ++i)
        parts.emplace_back(place_of(plan_op.inputs[i]), z(op.input(i).c));
      return [=, &kernels, width = z(op.output().c)] {
        std::size_t begin = 0;
        for (const auto& [part, part_channels] : parts) {
          kernels.copy_channels(part(), part_channels, out() + begin, width, pixels, part_channels);
          begin += part_channels;
        }
      };
    }
    case OpKind::channel_shuffle:
      return [=, groups = z(op.groups)] { channel_shuffle(in(), out(), pixels, channels, groups); };
    default:
      throw Error(fmt::format("op \"{}\": no engine runs it", text(op)));
  }
}

Executor::Executor(const Network& network, const ParameterSource& parameters,
                   std::shared_ptr<const ThreadPool> pool, const ExecutorOptions& options)
    : plan_(std::make_unique<Plan>()) {
  check(network);
  Plan& plan = *plan_;
  plan.network = lowered(network);
  plan.pool = std::move(pool);
  plan.ops = plan_ops(plan.network, plan.tensor_of_node);
  const auto step_ops = plan_steps(plan.ops, options.one_step_per_op);

  // When each tensor is written first and read last, by the place of operators in the order.
  std::vector<int> order;
  for (const auto& ops : step_ops) order.insert(order.end(), ops.begin(), ops.end());
  const int end = static_cast<int>(order.size());
  std::vector<int> when(plan.ops.size());
  for (int t = 0; t < end; ++t)
    when[static_cast<std::size_t>(order[static_cast<std::size_t>(t)])] = t;
  plan.tensors.resize(plan.ops.size() + 1);
  plan.tensors[0] = {plan.network.inputs[0].shape, -1, end, -1, true, 0};
  for (std::size_t i = 0; i < plan.ops.size(); ++i)
    plan.tensors[i + 1] = {
        plan.ops[i].op.output(), when[i], options.keep_outputs ? end : when[i], -1, true, 0};
  for (std::size_t i = 0; i < plan.ops.size(); ++i)
    for (const int input : plan.ops[i].inputs) {
      Place& in = plan.tensors[static_cast<std::size_t>(input)];
      in.last = std::max(in.last, when[i]);
    }
  for (const Edge& output : plan.network.outputs)
    plan.tensors[static_cast<std::size_t>(
                     plan.tensor_of_node[static_cast<std::size_t>(output.node)])]
        .last = end;
  for (std::size_t i = 0; i < plan.ops.size(); ++i) {
    if (plan.ops[i].op.kind != OpKind::attention) continue;
    const Shape& in = plan.ops[i].op.input();
    plan.ops[i].scratch = static_cast<int>(plan.tensors.size());
    plan.tensors.push_back({{1, in.h * in.w, 1, in.h * in.w}, when[i], when[i], -1, true, 0});
  }
  // XNNPACK would plan memory for each subgraph alone, so all tensors are in the arena. Not so in
  // f16: there XNNPACK converts what is outside of a subgraph.
  std::vector<int> step_of(plan.ops.size());
  for (std::size_t s = 0; s < step_ops.size(); ++s)
    for (const int i : step_ops[s]) step_of[static_cast<std::size_t>(i)] = static_cast<int>(s);
  for (std::size_t i = 0; i < plan.ops.size() && !options.keep_outputs; ++i)
    plan.tensors[i + 1].external = plan.ops[i].op.dtype() != DType::f16 || !plan.ops[i].on_xnnpack;
  for (std::size_t i = 0; i < plan.ops.size(); ++i)
    for (const int input : plan.ops[i].inputs)
      if (input > 0 &&
          (!plan.ops[i].on_xnnpack || step_of[static_cast<std::size_t>(input - 1)] != step_of[i]))
        plan.tensors[static_cast<std::size_t>(input)].external = true;
  for (const Edge& output : plan.network.outputs)
    plan.tensors[static_cast<std::size_t>(
                     plan.tensor_of_node[static_cast<std::size_t>(output.node)])]
        .external = true;
  // Kernels that can write in place where nobody reads their input afterwards.
  for (const int i : order) {
    const PlanOp& op = plan.ops[static_cast<std::size_t>(i)];
    const int input = in_place_input(op);
    if (input <= 0 || options.keep_outputs) continue;
    Place& in = plan.tensors[static_cast<std::size_t>(input)];
    if (in.last != when[static_cast<std::size_t>(i)]) continue;
    const int owner = in.alias >= 0 ? in.alias : input;
    Place& out = plan.tensors[static_cast<std::size_t>(i) + 1];
    out.alias = owner;
    Place& own = plan.tensors[static_cast<std::size_t>(owner)];
    own.last = std::max(own.last, out.last);
  }
  plan.arena_bytes = place(plan.tensors);

  for (const auto& ops : step_ops) {
    Step step;
    const auto node_of = [&](int i) { return plan.ops[static_cast<std::size_t>(i)].node; };
    const auto parameters_of = [&](int i) {
      const PlanOp& op = plan.ops[static_cast<std::size_t>(i)];
      if (params(op.op) == 0) return Parameters{};
      const Node& node = plan.network.nodes[static_cast<std::size_t>(op.node)];
      Parameters values = parameters(node);
      cpubone::check(node, values);
      return values;
    };
    for (const int i : ops) step.nodes.push_back(node_of(i));
    if (!plan.ops[static_cast<std::size_t>(ops[0])].on_xnnpack) {
      step.engine = Engine::eigen;
      plan.actions.push_back(plan.eigen_action(plan.ops[static_cast<std::size_t>(ops[0])],
                                               ops[0] + 1, parameters_of(ops[0])));
    } else {
      step.engine = Engine::xnnpack;
      std::vector<XnnpackNode> nodes;
      std::vector<int> external;
      const auto note = [&](int tensor) {
        if (plan.tensors[static_cast<std::size_t>(tensor)].external &&
            std::find(external.begin(), external.end(), tensor) == external.end())
          external.push_back(tensor);
      };
      for (const int i : ops) {
        const PlanOp& op = plan.ops[static_cast<std::size_t>(i)];
        nodes.push_back({op.op, op.inputs, i + 1, parameters_of(i)});
        for (const int input : op.inputs) note(input);
        note(i + 1);
      }
      auto runtime = std::make_shared<XnnpackRuntime>(std::move(nodes), external, *plan.pool);
      plan.actions.emplace_back([runtime] { runtime->invoke(); });
      plan.runtimes.emplace_back(std::move(runtime), std::move(external));
    }
    plan.steps.push_back(std::move(step));
  }
  const bool has_room = options.arena && options.arena->size() >= plan.arena_bytes;
  plan.move_to(has_room ? options.arena : std::make_shared<Arena>(plan.arena_bytes), 0);
  trim_heap(static_cast<std::size_t>(weight_bytes(network)));
}

Executor::~Executor() = default;
Executor::Executor(Executor&&) noexcept = default;
Executor& Executor::operator=(Executor&&) noexcept = default;

std::span<float> Executor::input() {
  return {plan_->data(0), count(plan_->network.inputs[0].shape)};
}

std::span<const float> Executor::output(std::size_t index) const {
  return node_output(static_cast<std::size_t>(plan_->network.outputs.at(index).node));
}

std::span<const float> Executor::node_output(std::size_t node) const {
  return {plan_->data(plan_->tensor_of_node.at(node)),
          count(plan_->network.nodes.at(node).op.output())};
}

void Executor::run() {
  run_steps(0, plan_->actions.size());
}

void Executor::run_steps(std::size_t first, std::size_t last) {
  const FlushDenormals flush;
  for (std::size_t i = first; i < last; ++i) plan_->actions[i]();
}

void Executor::run_timed(std::span<double> step_ns) {
  const FlushDenormals flush;
  double before = steady_now_ns();
  for (std::size_t i = 0; i < plan_->actions.size(); ++i) {
    plan_->actions[i]();
    const double after = steady_now_ns();
    step_ns[i] += after - before;
    before = after;
  }
}

const Network& Executor::network() const {
  return plan_->network;
}
const std::vector<Executor::Step>& Executor::steps() const {
  return plan_->steps;
}
std::shared_ptr<const Arena> Executor::arena() const {
  return plan_->arena;
}
std::size_t Executor::arena_bytes() const {
  return plan_->arena_bytes;
}
void Executor::move_to(std::shared_ptr<const Arena> arena, std::size_t offset) {
  plan_->move_to(std::move(arena), offset);
}

}  // namespace cpubone
