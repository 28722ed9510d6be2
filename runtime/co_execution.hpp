#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "runtime/backend.hpp"
#include "runtime/coprocessor.hpp"
#include "runtime/executor.hpp"

namespace cpubone {

/// How many output channels of an operator the CPU computes, the first ones; the coprocessor
/// computes the others. All: the operator stays with the other backends. Asked of what the
/// coprocessor supports, and repeatable; operators that have no channel parts are given as a whole,
/// for 0.
using Split = std::function<int(const Op&)>;

struct CoExecutionOptions {
  /// A coprocessor that fails leaves the rest to the CPU; else it ends the run. Each operator is
  /// waited for then, so that one can be computed again.
  bool falls_back = false;
  /// Within which an operator must be done; a coprocessor that is late ends the run always, since
  /// it might still write.
  double timeout_s = 10;
};

/// Runs convolutions and linear layers on CPU (XNNPACK) and coprocessor at once, in f32 or in f16,
/// which is f16 in a part's memory, and is converted where a part begins and ends. Each writes its
/// channels in place; the CPU waits only before it reads what the coprocessor wrote. Stands before
/// the others in `plan`, and must outlive the executor, whose arena must be the coprocessor's
/// memory.
class CoExecution : public Backend {
 public:
  CoExecution(std::shared_ptr<const Coprocessor> coprocessor, Split split,
              CoExecutionOptions options = {});
  std::string_view name() const override { return "co-execution"; }
  std::string identity() const override;
  bool supports(const Op& op) const override;
  bool fuses(const Op& op) const override;
  MemoryUse memory(const Op& op) const override;
  std::unique_ptr<Executable> compile(Part part, const ThreadPool* pool) const override;

  const Coprocessor& coprocessor() const { return *coprocessor_; }
  /// Why the coprocessor is no longer used; nothing: it is.
  std::optional<std::string> failure() const { return *failure_; }

 private:
  std::shared_ptr<const Coprocessor> coprocessor_;
  Split split_;
  CoExecutionOptions options_;
  std::shared_ptr<std::optional<std::string>> failure_;  ///< shared with what was compiled
};

/// Plans a network for co-execution, what it leaves for the backends of this build. Activations are
/// in `options.arena`, which must be the coprocessor's memory, or in memory of their own there.
/// Throws as `Executor` does; `co_execution` must outlive it.
Executor co_executor(const Network& network, const CoExecution& co_execution,
                     const ParameterSource& parameters, std::shared_ptr<const ThreadPool> pool,
                     const ExecutorOptions& options = {});

}  // namespace cpubone
