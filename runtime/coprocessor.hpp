#pragma once
#include <memory>
#include <span>
#include <string>

#include "runtime/arena.hpp"
#include "runtime/channel_part.hpp"

namespace cpubone {

/// Work that a coprocessor repeats. Several run in the order in which they were started; one is
/// used by one thread at a time.
class CoprocessorTask {
 public:
  CoprocessorTask() = default;
  CoprocessorTask(const CoprocessorTask&) = delete;
  CoprocessorTask& operator=(const CoprocessorTask&) = delete;
  virtual ~CoprocessorTask() = default;
  /// Where the whole tensors are from now on, floats or, of an operator of f16, numbers of 16 bits,
  /// in memory that `Coprocessor::memory` gave; 64 readable bytes follow each input. Throws
  /// cpubone::Error where it is other memory.
  virtual void bind(std::span<const void* const> inputs, void* output) = 0;
  /// Returns at once. Throws cpubone::Error where the coprocessor refuses.
  virtual void start() = 0;
  /// Whether the last start, and all before it, are done and their results can be read. May block
  /// until then. Throws cpubone::Error where the coprocessor failed.
  virtual bool done() = 0;
  /// Which kernel was chosen, and how it is divided, e.g. `matrix_product 8x8`.
  virtual std::string kernel() const = 0;
};

/// What one step of a coprocessor's kernels computes: so many output channels of so many pixels. 0:
/// as XNNPACK's on the CPU.
struct KernelTile {
  int channels = 0;
  int pixels = 0;
};

/// A processor that computes in memory which the CPU sees too, while the CPU goes on.
class Coprocessor {
 public:
  Coprocessor() = default;
  Coprocessor(const Coprocessor&) = delete;
  Coprocessor& operator=(const Coprocessor&) = delete;
  virtual ~Coprocessor() = default;
  /// Device, driver and their versions, as in a profile's fingerprint.
  virtual std::string identity() const = 0;
  virtual KernelTile tile() const = 0;
  virtual bool supports(const Op& op) const = 0;
  virtual std::shared_ptr<const Arena> memory(std::size_t bytes) const = 0;
  /// Some output channels of an operator, or all: then it may have several inputs. Tasks keep what
  /// they need of the coprocessor. Throws cpubone::Error naming the operator that is refused.
  virtual std::unique_ptr<CoprocessorTask> compile(const ChannelPart& part) const = 0;
};

}  // namespace cpubone
