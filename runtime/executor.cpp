#include "runtime/executor.hpp"

#include <fmt/format.h>

#include <cstring>
#include <map>
#include <stdexcept>
#include <type_traits>
#include <unordered_set>

#include "runtime/flush_denormals.hpp"
#include "runtime/steady_clock.hpp"
#include "runtime/system.hpp"

namespace cpubone {
namespace {

/// Gives what making large weights left over back to the system.
void trim_heap(std::size_t weights) {
  constexpr std::size_t large = std::size_t{8} << 20;
  if (weights >= large) trim_freed_heap();
}

Parameters parameters_of(const PlanOp& op, const Network& network, const ParameterSource& source) {
  // A partial convolution's are its convolution's.
  if (params(op.op) == 0 || (op.op.kind == OpKind::partial_conv2d && op.inputs.size() == 2))
    return {};
  const Node& node = network.nodes[static_cast<std::size_t>(op.node)];
  Parameters values = source(node);
  check(node, values);
  return values;
}

Part part_of(const PlanStep& step, const Plan& plan, const ParameterSource& source) {
  Part part;
  std::unordered_set<int> known;
  const auto note = [&](int tensor) {
    if (plan.tensors[static_cast<std::size_t>(tensor)].in_arena && known.insert(tensor).second)
      part.external.push_back(tensor);
  };
  for (const PlanOp& op : step.ops) {
    part.ops.push_back(
        {op.op, op.inputs, op.outputs, op.scratch, parameters_of(op, plan.network, source)});
    for (const int input : op.inputs) note(input);
    for (const int output : op.outputs) note(output);
    if (op.scratch >= 0) note(op.scratch);
  }
  return part;
}

}  // namespace

struct Executor::State {
  Plan plan;
  std::shared_ptr<const ThreadPool> pool;  // outlives what was compiled for it
  std::shared_ptr<const Arena> arena;
  std::size_t arena_offset = 0;
  std::map<int, Arena> constants;  // by tensor
  struct Step {
    std::unique_ptr<Executable> executable;
    std::vector<int> external;
  };
  std::vector<Step> steps;

  std::byte* data(int tensor) const {
    const PlanTensor& t = plan.tensors[static_cast<std::size_t>(tensor)];
    return t.constant >= 0 ? constants.at(tensor).data() : arena->data() + arena_offset + t.offset;
  }
  template <typename Value>
  std::span<Value> values(int tensor) const {
    const Tensor& t = plan.tensors[static_cast<std::size_t>(tensor)].tensor;
    if ((t.dtype == DType::qs8) != std::is_same_v<Value, std::int8_t>)
      throw std::invalid_argument(fmt::format(
          "network \"{}\": a tensor is {}, its values were asked for as {}", plan.network.name,
          text(t), std::is_same_v<Value, std::int8_t> ? "int8" : "floats"));
    return {reinterpret_cast<Value*>(data(tensor)), static_cast<std::size_t>(elements(t.shape))};
  }
};

Executor::Executor(const Network& network, const ParameterSource& parameters,
                   std::shared_ptr<const ThreadPool> pool, const ExecutorOptions& options)
    : Executor(
          cpubone::plan(network, options.backends,
                        {options.one_step_per_op, options.keep_outputs, threads_of(pool.get())}),
          parameters, pool, options.arena) {}

Executor::Executor(Plan plan, const ParameterSource& parameters,
                   std::shared_ptr<const ThreadPool> pool,
                   const std::shared_ptr<const Arena>& arena)
    : state_(std::make_unique<State>()) {
  state_->plan = std::move(plan);
  state_->pool = std::move(pool);
  for (std::size_t i = 0; i < state_->plan.tensors.size(); ++i) {
    const PlanTensor& t = state_->plan.tensors[i];
    if (t.constant < 0) continue;
    const Node& node = network().nodes[static_cast<std::size_t>(t.constant)];
    const Parameters values = parameters(node);
    check(node, values);
    const Arena& memory = state_->constants.try_emplace(static_cast<int>(i), t.bytes).first->second;
    std::memcpy(memory.data(), values.weight.data(), values.weight.size() * sizeof(float));
  }
  for (const PlanStep& step : state_->plan.steps) {
    Part part = part_of(step, state_->plan, parameters);
    std::vector<int> external = part.external;
    state_->steps.push_back(
        {step.backend->compile(std::move(part), state_->pool.get()), std::move(external)});
  }
  const bool has_room = arena && arena->size() >= arena_bytes();
  move_to(has_room ? arena : std::make_shared<Arena>(arena_bytes()), 0);
  trim_heap(static_cast<std::size_t>(weight_bytes(network())));
}

Executor::~Executor() = default;
Executor::Executor(Executor&&) noexcept = default;
Executor& Executor::operator=(Executor&&) noexcept = default;

template <typename Value>
std::span<Value> Executor::input(std::size_t index) {
  if (index >= network().inputs.size())
    throw std::invalid_argument(fmt::format("network \"{}\" has {} inputs, got input {}",
                                            network().name, network().inputs.size(), index));
  return state_->values<Value>(static_cast<int>(index));
}

template <typename Value>
std::span<const Value> Executor::output(std::size_t index) const {
  const Edge& edge = network().outputs.at(index);
  return state_->values<Value>(state_->plan.node_tensors[static_cast<std::size_t>(edge.node)]
                                                        [static_cast<std::size_t>(edge.output)]);
}

template <typename Value>
std::span<const Value> Executor::node_output(std::size_t node, std::size_t output) const {
  if (!state_->plan.options.keep_outputs)
    throw std::invalid_argument(fmt::format(
        "network \"{}\": outputs of nodes are kept only with keep_outputs", network().name));
  return state_->values<Value>(state_->plan.node_tensors.at(node).at(output));
}

template std::span<float> Executor::input(std::size_t);
template std::span<std::int8_t> Executor::input(std::size_t);
template std::span<const float> Executor::output(std::size_t) const;
template std::span<const std::int8_t> Executor::output(std::size_t) const;
template std::span<const float> Executor::node_output(std::size_t, std::size_t) const;
template std::span<const std::int8_t> Executor::node_output(std::size_t, std::size_t) const;

void Executor::run() {
  run_steps(0, state_->steps.size());
}

void Executor::run_steps(std::size_t first, std::size_t last) {
  const FlushDenormals flush;
  for (std::size_t i = first; i < last; ++i) state_->steps[i].executable->run();
}

void Executor::run_timed(std::span<double> step_ns) {
  const FlushDenormals flush;
  double before = steady_now_ns();
  for (std::size_t i = 0; i < state_->steps.size(); ++i) {
    state_->steps[i].executable->run();
    const double after = steady_now_ns();
    step_ns[i] += after - before;
    before = after;
  }
}

std::vector<float> real_output(const Executor& executor, std::size_t node, std::size_t output) {
  const Tensor& tensor = executor.network().nodes.at(node).op.outputs.at(output);
  if (tensor.dtype != DType::qs8) {
    const std::span<const float> values = executor.node_output(node, output);
    return {values.begin(), values.end()};
  }
  const Quantisation q = quantisation_of(tensor);
  std::vector<float> values;
  for (const std::int8_t value : executor.node_output<std::int8_t>(node, output))
    values.push_back(q.scale * static_cast<float>(value - q.zero_point));
  return values;
}

const Plan& Executor::plan() const {
  return state_->plan;
}
const Network& Executor::network() const {
  return state_->plan.network;
}
const std::vector<PlanStep>& Executor::steps() const {
  return state_->plan.steps;
}
std::shared_ptr<const Arena> Executor::arena() const {
  return state_->arena;
}
std::size_t Executor::arena_bytes() const {
  return state_->plan.arena_bytes;
}

void Executor::move_to(std::shared_ptr<const Arena> arena, std::size_t offset) {
  if (offset % Arena::alignment != 0 || offset > arena->size() ||
      arena->size() - offset < arena_bytes())
    throw std::invalid_argument(fmt::format(
        "network \"{}\" needs {} bytes at a multiple of {}, got an arena of {} bytes and "
        "offset {}",
        network().name, arena_bytes(), Arena::alignment, arena->size(), offset));
  state_->arena = std::move(arena);
  state_->arena_offset = offset;
  for (const State::Step& step : state_->steps) {
    std::vector<void*> places;
    for (const int tensor : step.external) places.push_back(state_->data(tensor));
    step.executable->bind(places);
  }
}

}  // namespace cpubone
