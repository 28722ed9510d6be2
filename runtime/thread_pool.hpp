#pragma once
#include <functional>
#include <memory>

struct pthreadpool;

namespace cpubone {

/// Worker threads that XNNPACK shares; 1 thread means the caller's own. Only in builds with
/// XNNPACK, whose threads they are.
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

}  // namespace cpubone
