#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "graph/network.hpp"
#include "runtime/backend.hpp"

namespace cpubone {

struct PlanOptions {
  /// Each operator is a step of its own instead of maximal ones, so that it can be timed.
  bool one_step_per_op = false;
  /// Every node's output stays readable after a run; needs more memory.
  bool keep_outputs = false;
  /// That share an operator; each has scratch memory of its own.
  int threads = 1;
};

/// An operator in the order of execution; a partial convolution is three of them.
struct PlanOp {
  int node = 0;  ///< of the plan's network
  Op op;
  std::vector<int> inputs;  ///< tensors of the plan, as below
  std::vector<int> outputs;
  int scratch = -1;
  bool operator==(const PlanOp&) const = default;
};

struct PlanTensor {
  Tensor tensor;
  std::size_t bytes = 0;   ///< of its memory
  int first = 0;           ///< operator, in the order of execution, that writes it; inputs: 0
  int last = 0;            ///< that reads it last; the number of operators: it survives the run
  bool in_arena = true;    ///< else its backend holds it
  int constant = -1;       ///< node of kind constant that it is: filled once, outside of the arena
  int shares = -1;         ///< tensor whose memory it has; -1: its own
  std::size_t offset = 0;  ///< in the arena
  bool operator==(const PlanTensor&) const = default;
};

/// Operators that one backend compiles and runs together.
struct PlanStep {
  const Backend* backend = nullptr;
  std::vector<PlanOp> ops;
  bool operator==(const PlanStep&) const = default;
};

/// All that is decided before a network runs: which backend runs what in which order, and where
/// tensors lie.
struct Plan {
  Network network;  ///< as it is executed: activations that no backend fuses are nodes
  PlanOptions options;
  std::vector<PlanTensor> tensors;             ///< the network's inputs first
  std::vector<std::vector<int>> node_tensors;  ///< of each node's outputs
  std::vector<PlanStep> steps;
  std::size_t arena_bytes = 0;
};

/// Maximal parts for the first backend that supports each operator, their order and memory. Checks
/// the network. Throws cpubone::Error for a network that is wrong, std::invalid_argument naming
/// the operator that no backend runs, or backends of which one takes networks beside others.
Plan plan(const Network& network, Backends backends, const PlanOptions& options = {});

/// A line a step, operator and tensor.
std::string text(const Plan& plan);

/// Names of the backends that run an operator with its activation, e.g. `xnnpack+eigen`. Throws
/// std::invalid_argument naming the operator where none does.
std::string engine_of(const Op& op, Backends backends = cpubone::backends());

}  // namespace cpubone
