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
  Backends backends = cpubone::backends();
  /// Where activations begin, if it has room for them; else they have memory of their own.
  std::shared_ptr<const Arena> arena = nullptr;
};

/// Runs a plan; no allocation in `run`. Tensors are NHWC (NCHW where the backend takes networks),
/// of floats or, where they are int8, of bytes; operators of f16 convert floats where a part begins
/// and ends, and Eigen kernels calculate in f32.
class Executor {
 public:
  /// Plans for the options' backends, makes and packs weights. `pool` may be null in a build
  /// without XNNPACK. Throws as `plan` does, and cpubone::Error naming the operator where its
  /// parameters do not fit or a backend refuses it.
  Executor(const Network& network, const ParameterSource& parameters,
           std::shared_ptr<const ThreadPool> pool, const ExecutorOptions& options = {});
  Executor(Plan plan, const ParameterSource& parameters, std::shared_ptr<const ThreadPool> pool,
           const std::shared_ptr<const Arena>& arena);
  ~Executor();
  Executor(Executor&&) noexcept;
  Executor& operator=(Executor&&) noexcept;

  /// Where the caller writes an input; it survives runs. `Value` is float, or std::int8_t for
  /// tensors of int8; the other throws std::invalid_argument, here and below.
  template <typename Value = float>
  std::span<Value> input(std::size_t index = 0);
  template <typename Value = float>
  std::span<const Value> output(std::size_t index = 0) const;
  /// Output of a node of `network()`. Throws std::invalid_argument without `keep_outputs`: its
  /// memory may be another's.
  template <typename Value = float>
  std::span<const Value> node_output(std::size_t node, std::size_t output = 0) const;
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

/// A node's output as real numbers, where it is int8 too. Throws as `node_output` does.
std::vector<float> real_output(const Executor& executor, std::size_t node, std::size_t output = 0);

}  // namespace cpubone
