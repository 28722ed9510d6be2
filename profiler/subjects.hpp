#pragma once
#include <cstdint>
#include <memory>

#include "graph/network.hpp"
#include "profiler/sampler.hpp"
#include "runtime/backend.hpp"

namespace cpubone {

class Arena;
class CoExecution;
class Executor;
class ThreadPool;

/// What everything that is timed in one run shares: threads, and where activations lie. Make it
/// where its threads shall be, and let it outlive its subjects.
class Bench {
 public:
  /// Throws std::invalid_argument unless `threads` is in 1..1024.
  /// `co_execution` (null: none) says which operators a coprocessor runs, or shares.
  Bench(int threads, std::int64_t l2_bytes,
        std::shared_ptr<const CoExecution> co_execution = nullptr,
        Backends backends = cpubone::backends());

  /// Copies of an operator as a network runs it. Cold: before each run a core's own caches are
  /// pushed out into the shared one. Throws cpubone::Error naming an operator that does not run.
  std::unique_ptr<Subject> subject(const Op& op, int copies, bool cold) const;
  /// The same, shared otherwise with the bench's coprocessor.
  std::unique_ptr<Subject> subject(const Op& op, int copies, bool cold,
                                   std::shared_ptr<const CoExecution> co_execution) const;
  /// A network as a whole.
  std::unique_ptr<Subject> subject(const Network& network) const;
  /// The same, shared otherwise with the bench's coprocessor; null: on the CPU alone, in memory of
  /// its own.
  std::unique_ptr<Subject> subject(const Network& network,
                                   std::shared_ptr<const CoExecution> co_execution) const;

  Backends backends() const { return backends_; }
  const ThreadPool& pool() const { return *pool_; }
  std::shared_ptr<const ThreadPool> shared_pool() const { return pool_; }

  class PrivateCaches;

 private:
  Backends backends_;
  std::shared_ptr<const ThreadPool> pool_;
  std::shared_ptr<const CoExecution> co_execution_;
  std::shared_ptr<const Arena> arena_;
  std::shared_ptr<PrivateCaches> caches_;
};

/// The operator behind slices of images, one a resolution, so that it reads what was just written
/// and may write in place, as in a network.
Network network_around(const Op& op);

/// Fills all inputs with the same values, none of them denormal.
void fill_inputs(Executor& executor);

}  // namespace cpubone
