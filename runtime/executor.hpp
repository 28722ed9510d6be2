#pragma once
#include <memory>
#include <span>
#include <vector>

#include "graph/parameters.hpp"
#include "runtime/arena.hpp"
#include "runtime/plan.hpp"
#include "runtime/thread_pool.hpp"

namespace cpubone {

struct ExecutorOptions {
  bool one_step_per_op = false;  ///< as in PlanOptions
  bool keep_outputs = false;
  /// Where activations begin, if it has room for them; else they have memory of their own.
  std::shared_ptr<const Arena> arena = nullptr;
};

/// Runs a plan; no allocation in `run`. Tensors are f32 NHWC; operators of f16 convert them where a
/// part begins and ends, and Eigen kernels calculate in f32. A tensor of int8 takes the first
/// quarter of its memory, in steps of 1/32 where it has no quantisation of its own.
class Executor {
 public:
  /// Plans for the backends of this build, makes and packs weights. `pool` may be null in a build
  /// without XNNPACK. Throws as `plan` does, and cpubone::Error naming the operator where its
  /// parameters do not fit or a backend refuses it.
  Executor(const Network& network, const ParameterSource& parameters,
           std::shared_ptr<const ThreadPool> pool, const ExecutorOptions& options = {});
  Executor(Plan plan, const ParameterSource& parameters, std::shared_ptr<const ThreadPool> pool,
           const std::shared_ptr<const Arena>& arena);
  ~Executor();
  Executor(Executor&&) noexcept;
  Executor& operator=(Executor&&) noexcept;

  /// Where the caller writes an input; it survives runs.
  std::span<float> input(std::size_t index = 0);
  std::span<const float> output(std::size_t index = 0) const;
  /// Output of a node of `network()`. Throws std::invalid_argument without `keep_outputs`: its
  /// memory may be another's.
  std::span<const float> node_output(std::size_t node, std::size_t output = 0) const;
  void run();
  /// Runs the steps from `first` up to, not including, `last`.
  void run_steps(std::size_t first, std::size_t last);
  /// Runs and adds each step's duration to `step_ns`, which has as many elements as there are
  /// steps.
  void run_timed(std::span<double> step_ns);

  const Plan& plan() const;
  /// The plan's: the network as it is executed.
  const Network& network() const;
  const std::vector<PlanStep>& steps() const;

  std::shared_ptr<const Arena> arena() const;
  /// Bytes of activations.
  std::size_t arena_bytes() const;
  /// Activations are `offset` bytes, a multiple of 64, into `arena` from now on, where other
  /// executors may have theirs too; their values are lost. Throws std::invalid_argument where they
  /// do not fit.
  void move_to(std::shared_ptr<const Arena> arena, std::size_t offset);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cpubone
