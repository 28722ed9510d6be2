#include <fmt/format.h>

#include <array>
#include <stdexcept>

#include "runtime/backend.hpp"
#include "runtime/eigen_backend.hpp"
#include "runtime/onnxruntime_backend.hpp"
#include "runtime/thread_pool.hpp"
#ifdef CPUBONE_WITH_XNNPACK
#include "runtime/xnnpack_backend.hpp"
#endif

namespace cpubone {

Backends backends() {
  static const std::array all{
#ifdef CPUBONE_WITH_XNNPACK
      &xnnpack_backend(),
#endif
      &eigen_backend()};
  return all;
}

Backends find_runtime(std::string_view name, const std::filesystem::path& library) {
  if (name == "onnxruntime") return onnxruntime_backend(library);
  if (name != "xnnpack")
    throw std::invalid_argument(
        fmt::format("runtime: got \"{}\", expected xnnpack or onnxruntime", name));
  if (library.empty()) return backends();
#ifdef CPUBONE_WITH_XNNPACK
  return loaded_xnnpack_backends(library);
#else
  throw std::invalid_argument(fmt::format(
      "runtime library: got \"{}\", but this was built without XNNPACK", library.string()));
#endif
}

std::shared_ptr<const ThreadPool> thread_pool(int threads, Backends backends) {
  for (const Backend* backend : backends)
    if (const PoolFunctions* own = backend->own_pool())
      return std::make_shared<const ThreadPool>(threads, *own);
  return std::make_shared<const ThreadPool>(threads);
}

std::string backend_identities(Backends backends) {
  std::string identities;
  for (const Backend* backend : backends)
    identities += (identities.empty() ? "" : ", ") + backend->identity();
  return identities;
}

}  // namespace cpubone
