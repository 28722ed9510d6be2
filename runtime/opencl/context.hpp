#pragma once
#define CL_HPP_TARGET_OPENCL_VERSION 300
#define CL_HPP_MINIMUM_OPENCL_VERSION 200
#define CL_HPP_ENABLE_EXCEPTIONS
#include <CL/opencl.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "runtime/arena.hpp"
#include "runtime/opencl/opencl.hpp"

namespace cpubone {

/// Calls OpenCL; its exceptions become cpubone::Error, which begins with `what`.
template <typename Call>
auto opencl_call(const std::string& what, Call&& call);
[[noreturn]] void throw_opencl_error(const std::string& what, const char* function, int code);

/// A device with its queue, our kernels, and the flag by which it tells what is done.
class OpenClContext : public std::enable_shared_from_this<OpenClContext> {
 public:
  /// Throws as `opencl_coprocessor` does.
  explicit OpenClContext(const OpenClOptions& options);
  ~OpenClContext();
  OpenClContext(const OpenClContext&) = delete;
  OpenClContext& operator=(const OpenClContext&) = delete;

  const OpenClDevice& device() const { return description_; }
  const OpenClOptions& options() const { return options_; }
  /// With `half` tensors and constants are f16.
  cl::Kernel kernel(const char* name, bool half);
  /// Whether kernels with `half` multiply in f16; decided when it is first asked for.
  bool half_arithmetic();
  cl::Buffer constant(const std::vector<float>& values, bool half) const;
  /// Fine-grained shared memory, cleared.
  std::shared_ptr<const Arena> memory(std::size_t bytes) const;
  /// Whether the address is in memory that was given.
  bool owns(const void* address) const;

  /// Enqueues a kernel and what tells that it is done; the number by which it does.
  int start(const cl::Kernel& kernel, const cl::NDRange& global, const cl::NDRange& local);
  /// Whether all up to that number is done. Throws cpubone::Error where it failed.
  bool done(int number);
  void finish();

 private:
  void* allocate(std::size_t bytes) const;
  cl::Program built(std::string options) const;
  void build_for_half();
  double product_ns(const cl::Program& program) const;

  OpenClOptions options_;
  OpenClDevice description_;
  cl::Device device_;
  cl::Context context_;
  cl::CommandQueue queue_;
  cl::Program program_;
  cl::Program half_program_;  ///< built when it is first asked for
  bool half_arithmetic_ = false;
  cl::Kernel tell_;
  cl::Event last_;
  int* flag_ = nullptr;
  int number_ = 0;
  int asked_ = 0;  ///< times that `done` found the flag unset since the last start
  mutable std::mutex mutex_;
  mutable std::map<const std::byte*, std::size_t> given_;  ///< sizes by where they begin
};

template <typename Call>
auto opencl_call(const std::string& what, Call&& call) {
  try {
    return call();
  } catch (const cl::Error& e) {
    throw_opencl_error(what, e.what(), e.err());
  }
}

}  // namespace cpubone
