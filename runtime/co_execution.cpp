#include "runtime/co_execution.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "graph/error.hpp"
#include "runtime/steady_clock.hpp"
#include "runtime/xnnpack_channels.hpp"
#include "runtime/xnnpack_traits.hpp"

namespace cpubone {
namespace {

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

/// An operator and who runs it.
struct Step {
  PartOp op;  ///< without parameters, unless the CPU may have to run it alone
  std::optional<XnnpackChannels> cpu;
  std::unique_ptr<CoprocessorTask> task;
  std::unique_ptr<Executable> alone;  ///< where the coprocessor failed
};

class CoExecutable : public Executable {
 public:
  CoExecutable(Part part, const Coprocessor& coprocessor, const Split& split,
               const CoExecutionOptions& options,
               std::shared_ptr<std::optional<std::string>> failure, const ThreadPool* pool)
      : options_(options),
        failure_(std::move(failure)),
        pool_(pool),
        external_(std::move(part.external)) {
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
      std::vector<const float*> inputs;
      for (const int input : step.op.inputs) inputs.push_back(at(input));
      float* const output = at(step.op.outputs[0]);
      if (step.cpu) step.cpu->bind(inputs[0], output);
      step.task->bind(inputs, output);
      if (step.alone) bind_alone(step);
    }
  }

  void run() override {
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

 private:
  float* at(int tensor) const {
    const auto i = std::find(external_.begin(), external_.end(), tensor) - external_.begin();
    return static_cast<float*>(tensors_[static_cast<std::size_t>(i)]);
  }
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
    for (const int tensor : tensors_of(step.op)) places.push_back(at(tensor));
    step.alone->bind(places);
  }
  void run_alone(Step& step) const {
    if (!step.alone) {
      step.alone = on_cpu(step.op, tensors_of(step.op), pool_);
      bind_alone(step);
    }
    step.alone->run();
  }

  CoExecutionOptions options_;
  std::shared_ptr<std::optional<std::string>> failure_;
  const ThreadPool* pool_;
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
  return of_cpu == 0 || (has_channel_parts(op) && of_cpu < op.output().c);
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
