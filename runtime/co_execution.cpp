#include "runtime/co_execution.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <thread>
#include <vector>

#include "graph/error.hpp"
#include "graph/size.hpp"
#include "runtime/eigen_kernels.hpp"
#include "runtime/placement.hpp"
#include "runtime/steady_clock.hpp"
#include "runtime/xnnpack_channels.hpp"
#include "runtime/xnnpack_traits.hpp"

namespace cpubone {
namespace {

constexpr std::size_t readable_past_half = 64;

struct Late : Error {
  using Error::Error;
};

void wait_for(CoprocessorTask& task, double timeout_s) {
  constexpr int spins = 64;  // before other threads, the device's among them, get this CPU
  const double began = steady_now_ns();
  for (int asked = 0; !task.done(); ++asked) {
    if (asked < spins) continue;
    if (steady_now_ns() - began > timeout_s * 1e9)
      throw Late(fmt::format("the coprocessor was not done with {} within {} s", task.kernel(),
                             timeout_s));
    std::this_thread::yield();
  }
}

/// The operator alone, by the backend that is preferred without a coprocessor.
std::unique_ptr<Executable> on_cpu(PartOp op, const std::vector<int>& external,
                                   const ThreadPool* pool) {
  const auto all = backends();
  const auto backend =
      std::find_if(all.begin(), all.end(), [&](const Backend* b) { return b->supports(op.op); });
  if (backend == all.end())
    throw Error(fmt::format("op \"{}\": no backend of the CPU runs it", text(op.op)));
  Part part;
  part.external = external;
  part.ops.push_back(std::move(op));
  return (*backend)->compile(std::move(part), pool);
}

/// An operator that the CPU runs because the coprocessor failed.
struct Alone {
  std::unique_ptr<Executable> executable;
  std::vector<std::vector<float>> floats;  ///< of each tensor, where the others are halves
};

/// An operator and who runs it.
struct Step {
  PartOp op;  ///< without parameters, unless the CPU may have to run it alone
  std::optional<XnnpackChannels> cpu;
  std::unique_ptr<CoprocessorTask> task;
  std::optional<Alone> alone;
};

constexpr std::size_t half_bytes = 2;

/// Tensors of a part in f16, each from the operator that writes it to the last that reads it, those
/// outside of the part from its begin or to its end.
class Halves {
 public:
  Halves(const Part& part, const Coprocessor& coprocessor) {
    const int ops = static_cast<int>(part.ops.size());
    for (int i = 0; i < ops; ++i) {
      const PartOp& op = part.ops[z(i)];
      for (std::size_t k = 0; k < op.inputs.size(); ++k) add(op.inputs[k], op.op.inputs[k], 0, i);
      for (std::size_t k = 0; k < op.outputs.size(); ++k)
        add(op.outputs[k], op.op.outputs[k], i, i).written = true;
    }
    for (const int tensor : part.external)
      if (Half& half = tensors_.at(tensor); half.written) half.life.last = ops;
    std::vector<Lifetime> lives;
    for (const auto& [tensor, half] : tensors_) lives.push_back(half.life);
    const Placement placed = place(lives);
    memory_ = coprocessor.memory(placed.bytes);
    auto offset = placed.offsets.begin();
    for (auto& [tensor, half] : tensors_) half.begin = memory_->data() + *offset++;
  }

  void* at(int tensor) const { return tensors_.at(tensor).begin; }
  std::size_t count(int tensor) const { return tensors_.at(tensor).count; }
  bool written(int tensor) const { return tensors_.at(tensor).written; }
  void write(int tensor, const float* from) const {
    eigen_kernels().to_half(from, at(tensor), count(tensor));
  }
  void read(int tensor, float* to) const {
    eigen_kernels().from_half(at(tensor), to, count(tensor));
  }

 private:
  struct Half {
    std::size_t count = 0;
    bool written = false;  ///< by an operator of the part
    Lifetime life;
    std::byte* begin = nullptr;
  };
  Half& add(int tensor, const Tensor& of, int first, int last) {
    const auto [at, added] = tensors_.try_emplace(tensor);
    Half& half = at->second;
    if (added) {
      half.count = static_cast<std::size_t>(elements(of.shape));
      const std::size_t bytes = half.count * half_bytes + readable_past_half;
      half.life = {(bytes + Arena::alignment - 1) / Arena::alignment * Arena::alignment, first,
                   last};
    }
    half.life.last = std::max(half.life.last, last);
    return half;
  }

  std::map<int, Half> tensors_;
  std::shared_ptr<const Arena> memory_;
};

class CoExecutable : public Executable {
 public:
  CoExecutable(Part part, const Coprocessor& coprocessor, const Split& split,
               const CoExecutionOptions& options,
               std::shared_ptr<std::optional<std::string>> failure, const ThreadPool* pool)
      : options_(options), failure_(std::move(failure)), pool_(pool), external_(part.external) {
    if (part.ops.front().op.dtype() == DType::f16) halves_.emplace(part, coprocessor);
    for (PartOp& op : part.ops) {
      Step step;
      const int channels = op.op.output().c;
      if (const int of_cpu = split(op.op); of_cpu > 0) {
        step.cpu.emplace(channel_part(op.op, op.parameters, 0, of_cpu), pool);
        step.task = coprocessor.compile(channel_part(op.op, op.parameters, of_cpu, channels));
      } else if (has_channel_parts(op.op)) {
        step.task = coprocessor.compile(channel_part(op.op, op.parameters, 0, channels));
      } else {
        step.task = coprocessor.compile({op.op, {}, 0, 0, 0, 0});
      }
      if (!options.falls_back) op.parameters = {};
      step.op = std::move(op);
      steps_.push_back(std::move(step));
    }
  }

  void bind(std::span<void* const> tensors) override {
    tensors_.assign(tensors.begin(), tensors.end());
    for (Step& step : steps_) {
      std::vector<const void*> inputs;
      for (const int input : step.op.inputs) inputs.push_back(at(input));
      void* const output = at(step.op.outputs[0]);
      if (step.cpu) step.cpu->bind(inputs[0], output);
      step.task->bind(inputs, output);
      if (step.alone) bind_alone(step);
    }
  }

  void run() override {
    if (halves_)
      for (const int tensor : external_)
        if (!halves_->written(tensor)) halves_->write(tensor, outside(tensor));
    run_steps();
    if (halves_)
      for (const int tensor : external_)
        if (halves_->written(tensor)) halves_->read(tensor, outside(tensor));
  }

 private:
  void run_steps() {
    CoprocessorTask* pending = nullptr;
    const auto wait = [&] {
      if (pending) wait_for(*pending, options_.timeout_s);
      pending = nullptr;
    };
    for (Step& step : steps_) {
      if (*failure_) {
        run_alone(step);
        continue;
      }
      try {
        if (step.cpu) wait();
        step.task->start();
        pending = step.task.get();
        if (step.cpu) step.cpu->run();
        if (options_.falls_back) wait();
      } catch (const Late&) {
        throw;
      } catch (const Error& e) {
        if (!options_.falls_back) throw;
        *failure_ = e.what();
        pending = nullptr;
        run_alone(step);
      }
    }
    wait();
  }

  /// Of a tensor that leaves the part: the caller's floats.
  float* outside(int tensor) const {
    const auto i = std::find(external_.begin(), external_.end(), tensor) - external_.begin();
    return static_cast<float*>(tensors_[static_cast<std::size_t>(i)]);
  }
  void* at(int tensor) const { return halves_ ? halves_->at(tensor) : outside(tensor); }
  std::vector<int> tensors_of(const PartOp& op) const {
    std::vector<int> tensors;
    for (const std::vector<int>* list : {&op.inputs, &op.outputs})
      for (const int tensor : *list)
        if (std::find(tensors.begin(), tensors.end(), tensor) == tensors.end())
          tensors.push_back(tensor);
    return tensors;
  }
  void bind_alone(Step& step) const {
    std::vector<void*> places;
    if (!halves_)
      for (const int tensor : tensors_of(step.op)) places.push_back(at(tensor));
    for (std::vector<float>& floats : step.alone->floats) places.push_back(floats.data());
    step.alone->executable->bind(places);
  }
  void run_alone(Step& step) const {
    const std::vector<int> tensors = tensors_of(step.op);
    if (!step.alone) {
      step.alone = {on_cpu(step.op, tensors, pool_), {}};
      if (halves_)
        for (const int tensor : tensors)
          step.alone->floats.emplace_back(halves_->count(tensor) +
                                          readable_past_half / sizeof(float));
      bind_alone(step);
    }
    std::vector<std::vector<float>>& floats = step.alone->floats;
    for (std::size_t i = 0; i < floats.size(); ++i) halves_->read(tensors[i], floats[i].data());
    step.alone->executable->run();
    for (std::size_t i = 0; i < floats.size(); ++i) halves_->write(tensors[i], floats[i].data());
  }

  CoExecutionOptions options_;
  std::shared_ptr<std::optional<std::string>> failure_;
  const ThreadPool* pool_;
  std::optional<Halves> halves_;  ///< of f16
  std::vector<int> external_;
  std::vector<void*> tensors_;
  std::vector<Step> steps_;
};

}  // namespace

CoExecution::CoExecution(std::shared_ptr<const Coprocessor> coprocessor, Split split,
                         CoExecutionOptions options)
    : coprocessor_(std::move(coprocessor)),
      split_(std::move(split)),
      options_(options),
      failure_(std::make_shared<std::optional<std::string>>()) {}

std::string CoExecution::identity() const {
  return "co-execution with " + coprocessor_->identity();
}

bool CoExecution::supports(const Op& op) const {
  if (!coprocessor_->supports(op)) return false;
  if (!xnnpack_fuses(op) && op.activation != Activation::none && op.kind != OpKind::activation)
    return false;
  const int of_cpu = split_(op);
  if (of_cpu == 0) return true;
  return has_channel_parts(op) && of_cpu < op.output().c &&
         (op.dtype() == DType::f32 || channels_run_in_f16());
}

MemoryUse CoExecution::memory(const Op& op) const {
  MemoryUse use;
  use.holds_inner = op.dtype() == DType::f16;
  return use;
}

bool CoExecution::fuses(const Op& op) const {
  return xnnpack_fuses(op);
}

std::unique_ptr<Executable> CoExecution::compile(Part part, const ThreadPool* pool) const {
  return std::make_unique<CoExecutable>(std::move(part), *coprocessor_, split_, options_, failure_,
                                        pool);
}

Executor co_executor(const Network& network, const CoExecution& co_execution,
                     const ParameterSource& parameters, std::shared_ptr<const ThreadPool> pool,
                     const ExecutorOptions& options) {
  std::vector<const Backend*> preferred{&co_execution};
  preferred.insert(preferred.end(), backends().begin(), backends().end());
  Plan planned = plan(network, preferred,
                      {options.one_step_per_op, options.keep_outputs, threads_of(pool.get())});
  std::shared_ptr<const Arena> arena = options.arena;
  if (!arena || arena->size() < planned.arena_bytes)
    arena = co_execution.coprocessor().memory(planned.arena_bytes);
  return {std::move(planned), parameters, std::move(pool), arena};
}

}  // namespace cpubone
