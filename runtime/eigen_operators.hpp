#pragma once
#include <functional>
#include <vector>

#include "runtime/eigen_backend.hpp"
#include "runtime/eigen_kernels.hpp"

namespace cpubone {

/// Where a tensor is, asked in each run: tensors move.
class At {
 public:
  explicit At(void* const* slot) : slot_(slot) {}
  float* operator()() const { return as<float>(); }
  template <typename Value>
  Value* as() const {
    return static_cast<Value*>(*slot_);
  }

 private:
  void* const* slot_;
};

/// An operator's tensors; `scratch` is `scratch_bytes` for each thread, one after the other.
struct Tensors {
  std::vector<At> in;
  std::vector<At> out;
  At scratch;
};

/// Calculates items of an operator's work, of which it has `item_count`, on one of the threads,
/// counted from 0.
using Kernel = std::function<void(Range items, std::size_t thread)>;

/// Throws cpubone::Error for an operator that the kernels of `eigen_kernels.hpp` do not run.
Kernel kernel_of(const PartOp& part, const Tensors& at);

/// Rows, pixels, heads or runs of values, by operator: what threads may share.
std::size_t item_count(const Op& op);

/// What each thread needs while it runs the operator; a multiple of a cache line.
std::size_t scratch_bytes(const Op& op);

}  // namespace cpubone
