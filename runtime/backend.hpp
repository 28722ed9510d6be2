#pragma once
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/parameters.hpp"

namespace cpubone {

class ThreadPool;
struct PoolFunctions;

/// An operator of a part; tensors are numbered by the caller.
struct PartOp {
  Op op;
  std::vector<int> inputs;
  std::vector<int> outputs;
  int scratch = -1;       ///< tensor of what `MemoryUse` says beside the output, where there is any
  Parameters parameters;  ///< only read while the part is compiled
};

/// What a backend compiles: operators in an order that can be executed, of one data type unless the
/// backend takes networks.
struct Part {
  std::vector<PartOp> ops;
  std::vector<int> external;  ///< tensors that the caller holds, each once
};

/// A compiled part. Tensors of f16 are floats outside of a part; those of int8 are bytes. They are
/// NHWC, of a backend that takes networks NCHW.
class Executable {
 public:
  Executable() = default;
  Executable(const Executable&) = delete;
  Executable& operator=(const Executable&) = delete;
  virtual ~Executable() = default;
  /// Where each external tensor is from now on, in the part's order; 64 readable bytes follow each.
  virtual void bind(std::span<void* const> tensors) = 0;
  virtual void run() = 0;
};

/// What memory an operator needs of the caller.
struct MemoryUse {
  enum class Output {
    apart,     ///< from the inputs
    in_place,  ///< may be where the last input is, when nobody reads that afterwards
    view,      ///< the last input's elements: is best where that is
  };
  Output output = Output::apart;
  std::size_t scratch_bytes = 0;  ///< of each thread, that it uses only while the operator runs
  std::size_t gathered_bytes = 0;  ///< that it fills before the part that the operator is in runs
  bool holds_inner = false;            ///< tensors that do not leave a part need none of the caller's
};

/// A library of kernels that runs parts of networks.
class Backend {
 public:
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;
  /// e.g. `xnnpack`, as engines are named in records.
  virtual std::string_view name() const = 0;
  /// Name and version, part of every profile's fingerprint, e.g. `Eigen 3.4.0`.
  virtual std::string identity() const = 0;
  /// File of its library, whose content is part of every profile's fingerprint; empty: none.
  virtual std::filesystem::path library() const { return {}; }
  /// Whether it is a runtime of its own, which is given a network as it was written: one part of
  /// all data types, constants and partial convolutions included. It is planned for alone.
  virtual bool takes_networks() const { return false; }
  /// Of the only kind of pool that it runs on; null: that of any `ThreadPool`.
  virtual const PoolFunctions* own_pool() const { return nullptr; }
  /// Whether it runs the operator, with its activation.
  virtual bool supports(const Op& op) const = 0;
  /// Whether it applies the operator's activation while it writes.
  virtual bool fuses(const Op& op) const = 0;
  virtual MemoryUse memory(const Op& op) const = 0;
  /// `pool` may be null where the backend uses one thread. Throws cpubone::Error naming the
  /// operator that is refused.
  virtual std::unique_ptr<Executable> compile(Part part, const ThreadPool* pool) const = 0;
};

using Backends = std::span<const Backend* const>;

/// Those of this build, the preferred first.
Backends backends();
/// What networks are measured on: `xnnpack` is this build's backends, with `library` those whose
/// XNNPACK is loaded from that file; `onnxruntime` is ONNX Runtime, loaded from `library` as
/// `onnxruntime_backend` tells. Throws std::invalid_argument for another name, cpubone::Error for a
/// file that is not what it should be.
Backends find_runtime(std::string_view name, const std::filesystem::path& library = {});
/// Threads that all of these backends run on. Throws as `ThreadPool` does.
std::shared_ptr<const ThreadPool> thread_pool(int threads, Backends backends = cpubone::backends());
/// Their identities, joined by commas.
std::string backend_identities(Backends backends = cpubone::backends());

}  // namespace cpubone
