#include "runtime/xnnpack_backend.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <stdexcept>

#include "graph/error.hpp"
#include "graph/size.hpp"
#include "runtime/eigen_backend.hpp"
#include "runtime/eigen_kernels.hpp"
#include "runtime/thread_pool.hpp"
#include "runtime/xnnpack_library.hpp"
#include "runtime/xnnpack_subgraph.hpp"
#include "runtime/xnnpack_traits.hpp"

namespace cpubone {

#ifdef CPUBONE_XNNPACK_ARCHIVES
extern const char* const xnnpack_hash_of_archives;  // made by cmake/XnnpackHash.cmake
#endif

namespace {

class XnnpackExecutable : public Executable {
 public:
  /// The library stays; the pool, which may be null, does so as long as this.
  XnnpackExecutable(const XnnpackLibrary& library, Part part, const ThreadPool* pool)
      : library_(library),
        pool_(pool),
        runtime_(nullptr, library.delete_runtime),
        external_(part.external.size()) {
    initialise(library);
    XnnpackSubgraph subgraph(library, part.external);
    for (PartOp& op : part.ops) {
      subgraph.add(op);
      op.parameters = {};
    }
    runtime_.reset(subgraph.runtime(pool != nullptr ? pool->get() : nullptr));
    const auto slot_of = [&](int tensor) {
      return static_cast<std::size_t>(
          std::find(part.external.begin(), part.external.end(), tensor) - part.external.begin());
    };
    for (const GatheredWindows& windows : subgraph.gathered())
      gathered_.push_back({windows.op, slot_of(windows.from), slot_of(windows.to)});
  }
  void bind(std::span<void* const> tensors) override {
    if (tensors.size() != external_.size())
      throw std::invalid_argument(
          fmt::format("bind takes {} tensors, got {}", external_.size(), tensors.size()));
    for (std::size_t i = 0; i < tensors.size(); ++i)
      external_[i] = {static_cast<std::uint32_t>(i), tensors[i]};
    require(library_.setup_runtime(runtime_.get(), external_.size(), external_.data()), "setup");
  }
  void run() override {
    for (const Gathered& windows : gathered_) gather(windows);
    require(library_.invoke_runtime(runtime_.get()), "run");
  }

 private:
  struct Gathered {
    Op op;
    std::size_t from;  ///< places in `external_`
    std::size_t to;
  };

  void gather(const Gathered& windows) const {
    const Op& op = windows.op;
    const Shape& in = op.input();
    const Shape& out = op.output();
    const std::size_t rows = z(out.h);
    const std::size_t shares =
        std::min(static_cast<std::size_t>(threads_of(pool_)), eigen_work_items(op));
    const auto work = [&](std::size_t i) {
      gather_windows(static_cast<const std::int8_t*>(external_[windows.from].data),
                     {z(in.h), z(in.w), z(in.c)},
                     static_cast<std::int8_t*>(external_[windows.to].data),
                     {rows, z(out.w), z(op.kernel_h) * z(op.kernel_w) * z(in.c)},
                     {z(op.kernel_h), z(op.kernel_w), z(op.stride_h), z(op.stride_w), 1, 1,
                      z(op.padding.top), z(op.padding.left)},
                     static_cast<std::int8_t>(quantisation_of(op.inputs[0]).zero_point),
                     {i * rows / shares, (i + 1) * rows / shares});
    };
    if (shares == 1)
      work(0);
    else
      pool_->share(shares, work);
  }

  const XnnpackLibrary& library_;
  const ThreadPool* pool_;
  std::unique_ptr<xnn_runtime, xnn_status (*)(xnn_runtime_t)> runtime_;
  std::vector<xnn_external_value> external_;
  std::vector<Gathered> gathered_;
};

/// Whether this version makes a runtime of the operator. In int8, dynamic or not, neither its
/// header nor its year tells, and scales of tensors that differ too much are refused.
bool compiles(const XnnpackLibrary& library, Op op) {
  if (op.kind == OpKind::conv2d || (op.kind == OpKind::linear && !op.dynamic)) return true;
  const bool transposed = op.kind == OpKind::conv_transpose2d;
  if (op.dynamic) op.inputs[0].shape = op.outputs[0].shape = {1, 1, 1, 1};  // tells as much
  if (transposed) {  // one of a single channel tells as much
    op.inputs[0].shape = {1, op.kernel_h, op.kernel_w, 1};
    op.outputs[0].shape.c = op.groups = 1;
    op = with_inferred_outputs(std::move(op));
  }
  Part part;
  PartOp tried{op, {}, {}, -1, {}};
  for (std::size_t i = 0; i < op.inputs.size(); ++i) tried.inputs.push_back(static_cast<int>(i));
  tried.outputs = {static_cast<int>(op.inputs.size())};
  part.external = tried.inputs;
  part.external.push_back(tried.outputs[0]);
  if (transposed || op.dynamic) {
    tried.parameters.bias.assign(op.bias ? 1 : 0, 0.0F);
    tried.parameters.weight.assign(z(op.kernel_h) * z(op.kernel_w), 0.0F);
  }
  part.ops.push_back(std::move(tried));
  try {
    XnnpackExecutable(library, std::move(part), nullptr);
    return true;
  } catch (const Error&) {
    return false;
  }
}

class XnnpackBackend : public Backend {
 public:
  explicit XnnpackBackend(const XnnpackLibrary& library) : library_(library) {}
  std::string_view name() const override { return "xnnpack"; }
  std::string identity() const override { return "XNNPACK " + xnnpack_version(); }
  std::filesystem::path library() const override { return file_of(library_); }
  bool supports(const Op& op) const override {
    if (op.dtype() == DType::qs8) return xnnpack_runs(op) && compiles(library_, op);
    if (op.dtype() == DType::f16) return xnnpack_runs(op) && runs_in_f16(library_.newer, op);
    if (op.dynamic) return newer_xnnpack_runs(library_.newer, op) && compiles(library_, op);
    return xnnpack_runs(op) || newer_xnnpack_runs(library_.newer, op);
  }
  bool fuses(const Op& op) const override { return xnnpack_fuses(op); }
  MemoryUse memory(const Op& op) const override {
    MemoryUse use;
    use.holds_inner = op.dtype() == DType::f16;
    if (gathers_windows(op))
      use.gathered_bytes =
          z(op.output().h) * z(op.output().w) * z(op.kernel_h) * z(op.kernel_w) * z(op.input().c);
    return use;
  }
  std::unique_ptr<Executable> compile(Part part, const ThreadPool* pool) const override {
    if (pool && pool->get() && pool->functions() != library_.pool)
      throw std::invalid_argument(fmt::format(
          "{}: got threads of another pthreadpool than its own, expected those of thread_pool()",
          identity()));
    return std::make_unique<XnnpackExecutable>(library_, std::move(part), pool);
  }

 protected:
  const XnnpackLibrary& library_;
};

class LoadedXnnpackBackend : public XnnpackBackend {
 public:
  explicit LoadedXnnpackBackend(const XnnpackLibrary& library) : XnnpackBackend(library) {}
  /// XNNPACK tells no version; functions do.
  std::string identity() const override {
    return fmt::format("XNNPACK {} of {}", library_.newer.since_2024_11 ? "git2024+" : "git2022",
                       library().filename().string());
  }
  const PoolFunctions* own_pool() const override { return &library_.pool; }
};

/// Backends stay, since plans and profiles refer to them.
struct Loaded {
  explicit Loaded(const std::filesystem::path& path) : library(load_xnnpack(path)) {}
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;
  XnnpackLibrary library;
  LoadedXnnpackBackend backend{library};
  std::array<const Backend*, 2> with_eigen{&backend, &eigen_backend()};
};

}  // namespace

const Backend& xnnpack_backend() {
  static const XnnpackBackend backend(linked_xnnpack());
  return backend;
}

Backends loaded_xnnpack_backends(const std::filesystem::path& library) {
  static std::mutex mutex;
  static std::map<std::filesystem::path, Loaded> loaded;
  const std::scoped_lock lock(mutex);
  return loaded.try_emplace(library, library).first->second.with_eigen;
}

std::string xnnpack_version() {
  return CPUBONE_XNNPACK_VERSION;
}

std::string xnnpack_archives_hash() {
#ifdef CPUBONE_XNNPACK_ARCHIVES
  return xnnpack_hash_of_archives;
#else
  return "";
#endif
}

}  // namespace cpubone
