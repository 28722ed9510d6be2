#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "graph/network.hpp"
#include "graph/parameters.hpp"
#include "runtime/xnnpack_runtime.hpp"

namespace cpubone {

enum class Engine {
  xnnpack,
  eigen,
  mixed,  ///< partial convolution: XNNPACK convolves, Eigen kernels move the channels
};
std::string_view name(Engine engine);
/// Which engine runs an operator of a network after `lowered`. Throws
/// std::invalid_argument naming the operator where none does.
Engine engine_of(const Op& op);

/// Memory for activations, aligned to 64 bytes, with room for reads past the end.
class Arena {
 public:
  explicit Arena(std::size_t bytes);
  std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }

 private:
  std::unique_ptr<std::byte, void (*)(void*)> data_;
  std::size_t size_;
};

struct ExecutorOptions {
  /// One XNNPACK subgraph an operator instead of maximal ones: each operator can be timed.
  bool one_step_per_op = false;
  /// Every node's output stays readable after a run; needs more memory.
  bool keep_outputs = false;
  /// Where activations begin, if it has room for them; else they have memory of their own.
  std::shared_ptr<const Arena> arena = nullptr;
};

/// Runs a network: maximal XNNPACK subgraphs joined by Eigen kernels, one memory plan, no
/// allocation in `run`. Tensors are f32 NHWC; operators of f16 convert them where a subgraph begins
/// and ends, and Eigen kernels calculate in f32. A tensor of int8 operators takes a quarter of its
/// memory, in steps of 1/32; a network may not mix them with others.
class Executor {
 public:
  /// Checks the network, makes and packs its weights. Throws cpubone::Error naming the operator.
  Executor(const Network& network, const ParameterSource& parameters,
           std::shared_ptr<const ThreadPool> pool, const ExecutorOptions& options = {});
  ~Executor();
  Executor(Executor&&) noexcept;
  Executor& operator=(Executor&&) noexcept;

  /// Where the caller writes the input; it survives runs.
  std::span<float> input();
  std::span<const float> output(std::size_t index = 0) const;
  /// Output of a node of `network()`, with ExecutorOptions::keep_outputs.
  std::span<const float> node_output(std::size_t node) const;
  void run();
  /// Runs the steps from `first` up to, not including, `last`.
  void run_steps(std::size_t first, std::size_t last);
  /// Runs and adds each step's duration to `step_ns`, which has `steps()` elements.
  void run_timed(std::span<double> step_ns);

  /// The network as it is executed (`lowered`).
  const Network& network() const;
  /// What one timed step runs: nodes of `network()`, in order. A partial convolution is three
  /// steps.
  struct Step {
    std::vector<int> nodes;
    Engine engine;
  };
  const std::vector<Step>& steps() const;

  std::shared_ptr<const Arena> arena() const;
  /// Bytes of activations.
  std::size_t arena_bytes() const;
  /// Activations are `offset` bytes, a multiple of 64, into `arena` from now on, where other
  /// executors may have theirs too; their values are lost. Throws std::invalid_argument where they
  /// do not fit.
  void move_to(std::shared_ptr<const Arena> arena, std::size_t offset);

 private:
  struct Plan;
  std::unique_ptr<Plan> plan_;
};

}  // namespace cpubone
