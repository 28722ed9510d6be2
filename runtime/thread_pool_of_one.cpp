#include <fmt/format.h>

#include <stdexcept>

#include "graph/error.hpp"
#include "runtime/thread_pool.hpp"

namespace cpubone {

const PoolFunctions& linked_pool() {
  static const PoolFunctions none;
  return none;
}

ThreadPool::ThreadPool(int threads, const PoolFunctions& functions)
    : threads_(threads), functions_(functions), pool_(nullptr, [](pthreadpool*) {}) {
  if (threads < 1 || threads > 1024)
    throw std::invalid_argument(fmt::format("threads must be in 1..1024, got {}", threads));
  if (threads > 1)
    throw Error(fmt::format("threads: got {}, but this was built without XNNPACK, whose they are",
                            threads));
}

void ThreadPool::on_all_threads(const std::function<void()>& work) const {
  work();
}

void ThreadPool::share(std::size_t shares, const std::function<void(std::size_t)>& work) const {
  for (std::size_t i = 0; i < shares; ++i) work(i);
}

}  // namespace cpubone
