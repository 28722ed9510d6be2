#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

struct pthreadpool;

namespace cpubone {

/// Of a pthreadpool: the linked one, or that of another XNNPACK, since versions differ in what a
/// pool is.
struct PoolFunctions {
  pthreadpool* (*create)(std::size_t threads) = nullptr;
  void (*destroy)(pthreadpool* pool) = nullptr;
  void (*parallelize_1d)(pthreadpool* pool, void (*task)(void*, std::size_t), void* context,
                         std::size_t range, std::uint32_t flags) = nullptr;
  bool operator==(const PoolFunctions&) const = default;
};
const PoolFunctions& linked_pool();

/// Worker threads that backends share; 1 thread means the caller's own. They are XNNPACK's, so that
/// a build without it has that one.
class ThreadPool {
 public:
  /// Throws std::invalid_argument unless `threads` is in 1..1024, cpubone::Error where they cannot
  /// be had.
  explicit ThreadPool(int threads, const PoolFunctions& functions = linked_pool());
  int threads() const { return threads_; }
  const PoolFunctions& functions() const { return functions_; }
  /// Runs `work` once for each thread, at once and as far as they are free each on its own.
  void on_all_threads(const std::function<void()>& work) const;
  /// Runs `work` for 0 to `shares` - 1, of which there are no more than threads, at once, and
  /// flushes denormals meanwhile. A share is done by the same thread each time unless another has
  /// nothing to do and is faster.
  void share(std::size_t shares, const std::function<void(std::size_t)>& work) const;
  /// Null for a single thread.
  pthreadpool* get() const { return pool_.get(); }

 private:
  int threads_;
  PoolFunctions functions_;
  std::unique_ptr<pthreadpool, void (*)(pthreadpool*)> pool_;
};

/// Without a pool there is the caller's own.
inline int threads_of(const ThreadPool* pool) {
  return pool != nullptr ? pool->threads() : 1;
}

}  // namespace cpubone
