#include "runtime/thread_pool.hpp"

#include <fmt/format.h>
#include <pthreadpool.h>

#include <stdexcept>

#include "graph/error.hpp"

namespace cpubone {

const PoolFunctions& linked_pool() {
  static const PoolFunctions linked{&pthreadpool_create, &pthreadpool_destroy,
                                    &pthreadpool_parallelize_1d};
  return linked;
}

ThreadPool::ThreadPool(int threads, const PoolFunctions& functions)
    : threads_(threads), functions_(functions), pool_(nullptr, functions.destroy) {
  if (threads < 1 || threads > 1024)
    throw std::invalid_argument(fmt::format("threads must be in 1..1024, got {}", threads));
  if (threads == 1) return;
  pool_.reset(functions.create(static_cast<std::size_t>(threads)));
  if (!pool_) throw Error(fmt::format("cannot start a pool of {} threads", threads));
}

void ThreadPool::on_all_threads(const std::function<void()>& work) const {
  share(static_cast<std::size_t>(threads_), [&](std::size_t) { work(); });
}

void ThreadPool::share(std::size_t shares, const std::function<void(std::size_t)>& work) const {
  using Work = const std::function<void(std::size_t)>;
  functions_.parallelize_1d(
      pool_.get(), [](void* context, std::size_t i) { (*static_cast<Work*>(context))(i); },
      const_cast<std::function<void(std::size_t)>*>(&work), shares,
      PTHREADPOOL_FLAG_DISABLE_DENORMALS);
}

}  // namespace cpubone
