#include "runtime/eigen_backend.hpp"

#include <algorithm>
#include <unordered_map>

#include "graph/schema.hpp"
#include "graph/size.hpp"
#include "runtime/eigen_operators.hpp"
#include "runtime/thread_pool.hpp"
#include "runtime/xnnpack_traits.hpp"

namespace cpubone {
namespace {

/// Kinds that `moving_kernel` knows.
bool moves(OpKind kind) {
  return schema(kind).keeps_values && kind != OpKind::max_pool2d && kind != OpKind::resize;
}

std::size_t shares_of(const Op& op, const ThreadPool* pool) {
  return std::min(static_cast<std::size_t>(threads_of(pool)), eigen_work_items(op));
}

class EigenExecutable : public Executable {
 public:
  /// The pool, which may be null, outlives this.
  EigenExecutable(const Part& part, const ThreadPool* pool)
      : pool_(pool), slots_(part.external.size()) {
    std::unordered_map<int, void* const*> slot_of{{-1, nullptr}};
    for (std::size_t i = 0; i < slots_.size(); ++i) slot_of[part.external[i]] = &slots_[i];
    const auto at = [&](int tensor) { return At(slot_of.at(tensor)); };
    const auto all = [&](const std::vector<int>& tensors) {
      std::vector<At> places;
      for (const int tensor : tensors) places.push_back(at(tensor));
      return places;
    };
    for (const PartOp& op : part.ops)
      work_.push_back({kernel_of(op, {all(op.inputs), all(op.outputs), at(op.scratch)}),
                       item_count(op.op), shares_of(op.op, pool)});
  }
  void bind(std::span<void* const> tensors) override {
    std::copy(tensors.begin(), tensors.end(), slots_.begin());
  }
  void run() override {
    for (const Work& work : work_) {
      if (work.shares == 1)
        work.kernel({0, work.items}, 0);
      else
        pool_->share(work.shares, [&work](std::size_t i) {
          work.kernel({i * work.items / work.shares, (i + 1) * work.items / work.shares}, i);
        });
    }
  }

 private:
  struct Work {
    Kernel kernel;
    std::size_t items;
    std::size_t shares;
  };

  const ThreadPool* pool_;
  std::vector<void*> slots_;
  std::vector<Work> work_;
};

class EigenBackend : public Backend {
 public:
  std::string_view name() const override { return "eigen"; }
  std::string identity() const override { return std::string("Eigen ") + eigen_version(); }
  bool fuses(const Op& op) const override {
    return eigen_fuses(op) ||
           (op.dtype() == DType::qs8 && our_depthwise_takes(op) && xnnpack_fuses(op));
  }

  bool supports(const Op& op) const override {
    switch (op.kind) {
      case OpKind::activation:
        return true;
      case OpKind::conv2d:
        if (op.dtype() == DType::qs8)
          return our_depthwise_takes(op) && (op.activation == Activation::none || fuses(op));
        return is_depthwise(op) && op.activation == Activation::none && op.dtype() == DType::f32;
      case OpKind::conv_transpose2d:
      case OpKind::linear:
      case OpKind::global_avg_pool:
        return false;
      case OpKind::partial_conv2d:
        return op.inputs.size() == 2;
      case OpKind::dequantise:
        return true;
      default:
        return !schema(op.kind).elementwise &&
               (op.activation == Activation::none || eigen_fuses(op)) &&
               (op.dtype() != DType::qs8 || moves(op.kind));
    }
  }

  MemoryUse memory(const Op& op) const override {
    MemoryUse use;
    if (op.kind == OpKind::reshape) {
      use.output = MemoryUse::Output::view;
    } else if (schema(op.kind).in_place ||
               (op.kind == OpKind::partial_conv2d && op.partial_form == PartialForm::slicing)) {
      use.output = MemoryUse::Output::in_place;
    }
    use.scratch_bytes = scratch_bytes(op);
    return use;
  }

  std::unique_ptr<Executable> compile(Part part, const ThreadPool* pool) const override {
    return std::make_unique<EigenExecutable>(part, pool);
  }
};

}  // namespace

std::size_t eigen_work_items(const Op& op) {
  // Below, threads gain next to nothing: what one wrote is slow to reach the other.
  constexpr std::int64_t least_shared_bytes = 32 << 10;
  return input_bytes(op) + output_bytes(op) < least_shared_bytes ? 1 : item_count(op);
}

const Backend& eigen_backend() {
  static const EigenBackend backend;
  return backend;
}

}  // namespace cpubone
