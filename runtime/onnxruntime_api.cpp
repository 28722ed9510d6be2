#include "runtime/onnxruntime_api.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <array>
#include <cstdlib>

#include "graph/error.hpp"

namespace cpubone::onnxruntime {
namespace {

// Upstream's name, Debian's development package's.
constexpr std::array system_names{"libonnxruntime.so.1", "libonnxruntime.so"};

void* open_library(const std::filesystem::path& named) {
  const char* variable = std::getenv("CPUBONE_ONNXRUNTIME");
  const std::filesystem::path path = named.empty() && variable ? variable : named;
  if (!path.empty()) {
    if (void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    throw Error(fmt::format("{}: cannot be loaded as ONNX Runtime: {}", path.string(),
                            ::dlerror()));  // NOLINT(concurrency-mt-unsafe): glibc's is per thread
  }
  for (const char* name : system_names)
    if (void* library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
  throw Error(fmt::format(
      "ONNX Runtime: the system has neither {} nor {}; install libonnxruntime-dev (Debian 13), or "
      "pip install onnxruntime and name its onnxruntime/capi/libonnxruntime.so.<version> with "
      "--runtime-library or $CPUBONE_ONNXRUNTIME",
      system_names[0], system_names[1]));
}

std::filesystem::path file_of(const void* symbol) {
  Dl_info info{};
  return ::dladdr(symbol, &info) != 0 && info.dli_fname ? info.dli_fname : "";
}

}  // namespace

Library::Library(const std::filesystem::path& path) {
  struct ApiBase {
    const AnyFunction* (*get_api)(std::uint32_t version);
    const char* (*version)();
  };
  void* library = open_library(path);
  void* symbol = ::dlsym(library, "OrtGetApiBase");
  if (!symbol)
    throw Error(fmt::format("{}: is not ONNX Runtime: it has no OrtGetApiBase",
                            path.empty() ? "the library" : path.string()));
  path_ = file_of(symbol);
  const ApiBase* base = reinterpret_cast<const ApiBase* (*)()>(symbol)();
  version_ = base->version();
  table_ = base->get_api(api_version);
  if (!table_)
    throw Error(fmt::format("{}: ONNX Runtime {}, expected 1.{} or newer", path_.string(), version_,
                            api_version));
}

void Library::check(std::string_view what, Status* status) const {
  if (!status) return;
  const std::string message = call(get_error_message, status);
  call(release_status, status);
  throw Error(fmt::format("ONNX Runtime {}: {}: {}", version_, what, message));
}

}  // namespace cpubone::onnxruntime
