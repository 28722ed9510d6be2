#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "graph/parameters.hpp"

struct pthreadpool;

namespace cpubone {

/// Worker threads that XNNPACK shares; 1 thread means the caller's own.
class ThreadPool {
 public:
  /// Throws std::invalid_argument unless `threads` is in 1..1024.
  explicit ThreadPool(int threads);
  int threads() const { return threads_; }
  /// Runs `work` once for each thread, at once and as far as they are free each on its own.
  void on_all_threads(const std::function<void()>& work) const;
  /// Null for a single thread.
  pthreadpool* get() const { return pool_.get(); }

 private:
  int threads_;
  std::unique_ptr<pthreadpool, void (*)(pthreadpool*)> pool_;
};

/// An operator in a subgraph; tensors are numbered by the caller.
struct XnnpackNode {
  Op op;
  std::vector<int> inputs;
  int output = 0;
  Parameters parameters;  ///< only read while the runtime is made
};

/// Whether the installed XNNPACK runs this operator (without an activation that it cannot fuse).
bool xnnpack_has(const Op& op);

/// The distribution's version of the XNNPACK that this was built with, `unknown` where it has none.
std::string xnnpack_version();
/// Path of the XNNPACK library that is loaded.
std::string xnnpack_library_path();

/// A subgraph that XNNPACK runs. `external` are the tensors that the caller holds.
class XnnpackRuntime {
 public:
  /// Throws cpubone::Error naming the operator where XNNPACK refuses it.
  XnnpackRuntime(std::vector<XnnpackNode> nodes, std::span<const int> external,
                 const ThreadPool& pool);
  ~XnnpackRuntime();
  XnnpackRuntime(XnnpackRuntime&&) noexcept;
  XnnpackRuntime& operator=(XnnpackRuntime&&) noexcept;

  /// Where each external tensor is, in the order of the constructor. XNNPACK may read 16 bytes
  /// past the end of each.
  void bind(std::span<void* const> tensors);
  void invoke();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cpubone
