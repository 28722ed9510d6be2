#include "runtime/thread_pool.hpp"

#include <fmt/format.h>
#include <pthreadpool.h>

#include <stdexcept>

#include "graph/error.hpp"

namespace cpubone {

ThreadPool::ThreadPool(int threads) : threads_(threads), pool_(nullptr, pthreadpool_destroy) {
  if (threads < 1 || threads > 1024)
    throw std::invalid_argument(fmt::format("threads must be in 1..1024, got {}", threads));
  if (threads == 1) return;
  pool_.reset(pthreadpool_create(static_cast<std::size_t>(threads)));
  if (!pool_) throw Error(fmt::format("cannot start a pool of {} threads", threads));
}

void ThreadPool::on_all_threads(const std::function<void()>& work) const {
  pthreadpool_parallelize_1d(
      pool_.get(),
      [](void* context, std::size_t) { (*static_cast<const std::function<void()>*>(context))(); },
      const_cast<std::function<void()>*>(&work), static_cast<std::size_t>(threads_), 0);
}

}  // namespace cpubone
