#include "runtime/xnnpack_library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include "graph/error.hpp"
#include "runtime/huge_pages.hpp"
#include "runtime/sanitizers.hpp"
#include "runtime/xnnpack_subgraph.hpp"

namespace cpubone {
namespace {

// A library that exports its functions calls them by name, and would meet the linked ones first.
// Sanitizers, which stand before the C library in the same way, refuse to be gone past.
#if defined(RTLD_DEEPBIND) && !defined(CPUBONE_ADDRESS_SANITIZER) && \
    !defined(CPUBONE_THREAD_SANITIZER)
constexpr int own_functions_first = RTLD_DEEPBIND;
#else
constexpr int own_functions_first = 0;
#endif

class Loader {
 public:
  explicit Loader(const std::filesystem::path& path)
      : path_(path), library_(::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | own_functions_first)) {
    if (!library_)
      throw Error(
          fmt::format("{}: cannot be loaded as XNNPACK: {}", path.string(),
                      ::dlerror()));  // NOLINT(concurrency-mt-unsafe): glibc's is per thread
  }
  /// A function that not all versions have.
  template <typename Function>
  void find(const char* name, Function*& function) const {
    function = reinterpret_cast<Function*>(::dlsym(library_, name));
  }
  /// A function that all versions have.
  template <typename Function>
  void need(const char* name, Function*& function) const {
    find(name, function);
    if (!function)
      throw Error(fmt::format("{}: is not XNNPACK of 2022 or newer: it has no function {}",
                              path_.string(), name));
  }
  bool has(const char* name) const { return ::dlsym(library_, name) != nullptr; }

 private:
  std::filesystem::path path_;
  void* library_;
};

}  // namespace

const XnnpackLibrary& linked_xnnpack() {
  static const XnnpackLibrary library = [] {
    XnnpackLibrary linked;
#define CPUBONE_XNNPACK_LINK(name) linked.name = &xnn_##name;
    CPUBONE_XNNPACK_FUNCTIONS(CPUBONE_XNNPACK_LINK)
#undef CPUBONE_XNNPACK_LINK
    linked.newer = newer_of_linked_xnnpack();
    linked.pool = linked_pool();
    return linked;
  }();
  return library;
}

XnnpackLibrary load_xnnpack(const std::filesystem::path& path) {
  const Loader from(path);
  XnnpackLibrary loaded;
#define CPUBONE_XNNPACK_LOAD(name) from.need("xnn_" #name, loaded.name);
  CPUBONE_XNNPACK_FUNCTIONS(CPUBONE_XNNPACK_LOAD)
#undef CPUBONE_XNNPACK_LOAD
  from.need("pthreadpool_create", loaded.pool.create);
  from.need("pthreadpool_destroy", loaded.pool.destroy);
  from.need("pthreadpool_parallelize_1d", loaded.pool.parallelize_1d);
  NewerXnnpack& newer = loaded.newer;
  from.find("xnn_define_gelu", newer.define_gelu);
  from.find("xnn_define_tanh", newer.define_tanh);
  from.find("xnn_define_exp", newer.define_exp);
  from.find("xnn_define_log", newer.define_log);
  from.find("xnn_define_static_transpose", newer.define_static_transpose);
  from.find("xnn_define_dynamically_quantized_tensor_value",
            newer.define_dynamically_quantized_tensor_value);
  newer.since_2024_11 = from.has("xnn_define_unary");
  // Between, whether pooling keeps its dimensions was asked for by flags that changed.
  if (newer.define_static_transpose && !newer.since_2024_11)
    throw Error(fmt::format(
        "{}: is XNNPACK of after 2022-02 and before 2024-11 (it has xnn_define_static_transpose, "
        "but no xnn_define_unary); expected one of 2022-02, or of 2024-11 or newer",
        path.string()));
  return loaded;
}

void initialise(const XnnpackLibrary& library) {
  static const xnn_allocator in_pages{
      nullptr,
      [](void*, std::size_t bytes) { return allocate_in_pages(bytes); },
      [](void*, void* memory, std::size_t bytes) { return reallocate_in_pages(memory, bytes); },
      [](void*, void* memory) { free_in_pages(memory); },
      [](void*, std::size_t, std::size_t bytes) { return allocate_in_pages(bytes); },
      [](void*, void* memory) { free_in_pages(memory); }};
  require(library.initialize(&in_pages), "initialisation");
}

std::filesystem::path file_of(const XnnpackLibrary& library) {
  Dl_info info{};
  return ::dladdr(reinterpret_cast<const void*>(library.initialize), &info) != 0 && info.dli_fname
             ? info.dli_fname
             : "";
}

}  // namespace cpubone
