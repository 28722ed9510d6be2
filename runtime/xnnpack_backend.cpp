#include "runtime/xnnpack_backend.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <xnnpack.h>

#include <stdexcept>

#include "graph/error.hpp"
#include "graph/size.hpp"
#include "runtime/xnnpack_subgraph.hpp"
#include "runtime/xnnpack_traits.hpp"
#include "runtime/xnnpack_versions.hpp"

namespace cpubone {

#ifdef CPUBONE_XNNPACK_ARCHIVES
extern const char* const xnnpack_hash_of_archives;  // made by cmake/XnnpackHash.cmake
#endif

namespace {

class XnnpackExecutable : public Executable {
 public:
  XnnpackExecutable(Part part, const ThreadPool* pool) : external_(part.external.size()) {
    initialise_xnnpack();
    XnnpackSubgraph subgraph(part.external);
    for (PartOp& op : part.ops) {
      subgraph.add(op);
      op.parameters = {};
    }
    runtime_.reset(subgraph.runtime(pool));
  }
  void bind(std::span<void* const> tensors) override {
    if (tensors.size() != external_.size())
      throw std::invalid_argument(
          fmt::format("bind takes {} tensors, got {}", external_.size(), tensors.size()));
    for (std::size_t i = 0; i < tensors.size(); ++i)
      external_[i] = {static_cast<std::uint32_t>(i), tensors[i]};
    require(xnn_setup_runtime(runtime_.get(), external_.size(), external_.data()), "setup");
  }
  void run() override { require(xnn_invoke_runtime(runtime_.get()), "run"); }

 private:
  struct Delete {
    void operator()(xnn_runtime* runtime) const { xnn_delete_runtime(runtime); }
  };
  std::unique_ptr<xnn_runtime, Delete> runtime_;
  std::vector<xnn_external_value> external_;
};

/// Whether this version makes a runtime of the operator. In int8 neither its header nor its year
/// tells, and scales of tensors that differ too much are refused.
bool compiles(Op op) {
  if (op.kind == OpKind::conv2d || op.kind == OpKind::linear) return true;
  const bool transposed = op.kind == OpKind::conv_transpose2d;
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
  if (transposed) {
    tried.parameters.bias.assign(op.bias ? 1 : 0, 0.0F);
    tried.parameters.weight.assign(z(op.kernel_h) * z(op.kernel_w), 0.0F);
  }
  part.ops.push_back(std::move(tried));
  try {
    XnnpackExecutable(std::move(part), nullptr);
    return true;
  } catch (const Error&) {
    return false;
  }
}

class XnnpackBackend : public Backend {
 public:
  std::string_view name() const override { return "xnnpack"; }
  std::string identity() const override { return "XNNPACK " + xnnpack_version(); }
  /// The program, where it is linked in.
  std::filesystem::path library() const override {
    Dl_info info{};
    if (dladdr(reinterpret_cast<const void*>(&xnn_initialize), &info) == 0 || !info.dli_fname)
      return {};
    return info.dli_fname;
  }
  bool supports(const Op& op) const override {
    if (op.dtype() == DType::qs8) return xnnpack_runs(op) && compiles(op);
    return xnnpack_runs(op) || newer_xnnpack_runs(op);
  }
  bool fuses(const Op& op) const override { return xnnpack_fuses(op); }
  MemoryUse memory(const Op& op) const override {
    MemoryUse use;
    use.holds_inner = op.dtype() == DType::f16;
    return use;
  }
  std::unique_ptr<Executable> compile(Part part, const ThreadPool* pool) const override {
    return std::make_unique<XnnpackExecutable>(std::move(part), pool);
  }
};

}  // namespace

const Backend& xnnpack_backend() {
  static const XnnpackBackend backend;
  return backend;
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
