#include "profiler/subjects.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <utility>

#include "runtime/co_execution.hpp"
#include "runtime/executor.hpp"

namespace cpubone {
namespace {

/// Reads each cache line once.
template <typename Value>
Value sum_of_lines(std::span<const Value> values) {
  constexpr std::size_t line = 64 / sizeof(Value);
  Value sum = 0;
  for (std::size_t i = 0; i < values.size(); i += line) sum += values[i];
  return sum;
}

}  // namespace

/// In a network several operators ran since the output's memory was last used: it is in the shared
/// cache, not in the core's own.
class Bench::PrivateCaches {
 public:
  explicit PrivateCaches(std::int64_t l2_bytes)
      : memory_(static_cast<std::size_t>(2 * std::max(l2_bytes, smallest_l2)) / sizeof(float),
                1.0F) {}
  void push_out() {
    const float sum = sum_of_lines(std::span<const float>(memory_));
    memory_[0] = sum > 0 ? 1.0F : sum;  // so that the sum is needed
  }

 private:
  static constexpr std::int64_t smallest_l2 = 256 << 10;
  std::vector<float> memory_;
};

namespace {

constexpr std::size_t arena_bytes = std::size_t{32} << 20;        // for activations
constexpr std::size_t start_window_bytes = std::size_t{1} << 20;  // that they begin in

/// Values to feed: the same for all, and none of them denormal.
const std::vector<float>& input_values() {
  static const std::vector<float> values = [] {
    std::mt19937 random(1);
    std::uniform_real_distribution<float> uniform(-1.0F, 1.0F);
    std::vector<float> v(1 << 14);
    for (float& value : v) value = uniform(random);
    return v;
  }();
  return values;
}

void fill(std::span<float> out) {
  const std::vector<float>& values = input_values();
  for (std::size_t i = 0; i < out.size(); i += values.size())
    std::memcpy(out.data() + i, values.data(),
                std::min(values.size(), out.size() - i) * sizeof(float));
}

void fill_bytes(std::span<std::int8_t> out) {
  const std::vector<float>& values = input_values();
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<std::int8_t>(127 * values[i % values.size()]);
}

/// In a network the memory of an output was another tensor's a few operators ago: some cache has
/// it.
void read_outputs(const Executor& executor) {
  [[maybe_unused]] volatile float sink = 0;  // so that it is read
  for (std::size_t i = 0; i < executor.network().outputs.size(); ++i) {
    if (tensor(executor.network(), executor.network().outputs[i]).dtype == DType::qs8)
      sink = sum_of_lines(executor.output<std::int8_t>(i));
    else
      sink = sum_of_lines(executor.output(i));
  }
}

/// Copies of a network. What is timed is the network from a node on; the nodes before it make its
/// input. Activations move through shared memory from visit to visit: where they lie decides how
/// they get along in the caches, up to 15 % of a small operator's time, and where they lie in a
/// user's process is chance.
class ExecutorSubject : public Subject {
 public:
  ExecutorSubject(const Network& network, int copies, const std::shared_ptr<const ThreadPool>& pool,
                  std::size_t first_node, std::shared_ptr<Bench::PrivateCaches> caches,
                  std::shared_ptr<const Arena> arena,
                  std::shared_ptr<const CoExecution> co_execution, Backends backends)
      : caches_(std::move(caches)), co_execution_(std::move(co_execution)) {
    const ParameterSource parameters = random_parameters();
    ExecutorOptions options;
    options.one_step_per_op = first_node > 0;
    options.arena = std::move(arena);
    options.backends = backends;
    for (int i = 0; i < copies; ++i) {
      if (co_execution_)
        executors_.push_back(co_executor(network, *co_execution_, parameters, pool, options));
      else
        executors_.emplace_back(network, parameters, pool, options);
      options.arena = executors_[0].arena();  // its own where it needs a larger one
    }
    const auto& steps = executors_[0].steps();
    last_step_ = steps.size();
    while (steps[first_step_].ops[0].node < static_cast<int>(first_node)) ++first_step_;
  }

  void move() override {
    constexpr std::size_t line = 64;
    const std::shared_ptr<const Arena> arena = executors_[0].arena();
    const std::size_t room = arena->size() - executors_[0].arena_bytes();
    const std::size_t places = std::min(room, start_window_bytes) / line + 1;
    const std::size_t offset = line * (random_() % places);
    for (Executor& executor : executors_) executor.move_to(arena, offset);
    filled_ = false;
  }
  void feed(int copy) override {
    Executor& executor = executors_[static_cast<std::size_t>(copy)];
    if (caches_) {
      read_outputs(executor);
      caches_->push_out();
    }
    // All copies have their inputs in the same place, where they stay: who writes them before every
    // run pushes out what the operator reads.
    if (!filled_) fill_inputs(executor);
    filled_ = true;
    executor.run_steps(0, first_step_);
  }
  void run(int copy) override {
    executors_[static_cast<std::size_t>(copy)].run_steps(first_step_, last_step_);
  }

 private:
  std::shared_ptr<Bench::PrivateCaches> caches_;  ///< null: nothing is pushed out
  std::shared_ptr<const CoExecution> co_execution_;
  std::mt19937_64 random_;
  std::vector<Executor> executors_;
  bool filled_ = false;
  std::size_t first_step_ = 0;
  std::size_t last_step_ = 0;
};

}  // namespace

Bench::Bench(int threads, std::int64_t l2_bytes, std::shared_ptr<const CoExecution> co_execution,
             Backends backends)
    : backends_(backends),
      pool_(thread_pool(threads, backends)),
      co_execution_(std::move(co_execution)),
      arena_(co_execution_ ? co_execution_->coprocessor().memory(arena_bytes)
                           : std::make_shared<const Arena>(arena_bytes)),
      caches_(std::make_shared<PrivateCaches>(l2_bytes)) {}

std::unique_ptr<Subject> Bench::subject(const Op& op, int copies, bool cold) const {
  return subject(op, copies, cold, co_execution_);
}

std::unique_ptr<Subject> Bench::subject(const Op& op, int copies, bool cold,
                                        std::shared_ptr<const CoExecution> co_execution) const {
  const Network network = network_around(op);
  return std::make_unique<ExecutorSubject>(network, copies, pool_, network.nodes.size() - 1,
                                           cold ? caches_ : nullptr, arena_,
                                           std::move(co_execution), backends_);
}

std::unique_ptr<Subject> Bench::subject(const Network& network) const {
  return subject(network, co_execution_);
}

std::unique_ptr<Subject> Bench::subject(const Network& network,
                                        std::shared_ptr<const CoExecution> co_execution) const {
  // A coprocessor's memory is for what it shares.
  const bool in_arena = co_execution != nullptr || co_execution_ == nullptr;
  std::shared_ptr<const Arena> arena = in_arena ? arena_ : nullptr;
  return std::make_unique<ExecutorSubject>(network, 1, pool_, 0, nullptr, std::move(arena),
                                           std::move(co_execution), backends_);
}

void fill_inputs(Executor& executor) {
  for (std::size_t i = 0; i < executor.network().inputs.size(); ++i) {
    if (executor.network().inputs[i].dtype == DType::qs8)
      fill_bytes(executor.input<std::int8_t>(i));
    else
      fill(executor.input(i));
  }
}

Network network_around(const Op& op) {
  Network network;
  network.name = text(op);
  Node node{"op", "", op, {}};
  network.inputs.clear();
  std::vector<int> images;
  for (const Tensor& input : op.inputs) {
    const auto same = std::find_if(network.inputs.begin(), network.inputs.end(), [&](auto& image) {
      return image.shape.h == input.shape.h && image.shape.w == input.shape.w;
    });
    images.push_back(static_cast<int>(same - network.inputs.begin()));
    if (same == network.inputs.end()) {
      network.inputs.push_back(input);
    } else {
      same->shape.c = std::max(same->shape.c, input.shape.c);
    }
  }
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    Op slice;
    slice.kind = OpKind::slice;
    slice.inputs = {network.inputs[static_cast<std::size_t>(images[i])]};
    slice.outputs = {op.inputs[i]};
    node.inputs.emplace_back(static_cast<int>(i));
    network.nodes.push_back(
        {fmt::format("input{}", i), "", std::move(slice), {Edge(network_input, images[i])}});
  }
  for (std::size_t i = 0; i < op.outputs.size(); ++i)
    network.outputs.emplace_back(static_cast<int>(network.nodes.size()), static_cast<int>(i));
  network.nodes.push_back(std::move(node));
  return network;
}

}  // namespace cpubone
