#include "runtime/opencl/context.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>
#include <utility>

#include "graph/error.hpp"
#include "runtime/eigen_kernels.hpp"
#include "runtime/steady_clock.hpp"

namespace cpubone {

extern const std::string_view opencl_kernels;  // kernels.cl

namespace {

constexpr std::size_t readable_past_end = 64;

/// How many starts `a` is after `b`; numbers wrap around after some hours.
int after(int a, int b) {
  return static_cast<int>(static_cast<unsigned>(a) - static_cast<unsigned>(b));
}

std::string_view name_of(int code) {
  constexpr std::array<std::pair<int, std::string_view>, 16> names{{
      {CL_DEVICE_NOT_FOUND, "no device"},
      {CL_DEVICE_NOT_AVAILABLE, "device not available"},
      {CL_COMPILER_NOT_AVAILABLE, "no compiler"},
      {CL_MEM_OBJECT_ALLOCATION_FAILURE, "memory cannot be allocated"},
      {CL_OUT_OF_RESOURCES, "out of resources"},
      {CL_OUT_OF_HOST_MEMORY, "out of host memory"},
      {CL_BUILD_PROGRAM_FAILURE, "kernels do not compile"},
      {CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, "an earlier command failed"},
      {CL_INVALID_VALUE, "invalid value"},
      {CL_INVALID_CONTEXT, "context lost"},
      {CL_INVALID_COMMAND_QUEUE, "queue lost"},
      {CL_INVALID_KERNEL_NAME, "no such kernel"},
      {CL_INVALID_KERNEL_ARGS, "invalid kernel arguments"},
      {CL_INVALID_WORK_GROUP_SIZE, "invalid size of work groups"},
      {CL_INVALID_OPERATION, "invalid operation"},
      {CL_PLATFORM_NOT_FOUND_KHR, "no platform"},
  }};
  for (const auto& [known, name] : names)
    if (known == code) return name;
  return "see CL/cl.h";
}

/// Devices of OpenCL 1.2 do not know what is asked.
cl_device_svm_capabilities svm_capabilities(const cl::Device& device) {
  cl_device_svm_capabilities has = 0;
  if (clGetDeviceInfo(device(), CL_DEVICE_SVM_CAPABILITIES, sizeof has, &has, nullptr) !=
      CL_SUCCESS)
    return 0;
  return has;
}

/// Major version of the language that the device compiles.
int language(const cl::Device& device) {
  constexpr std::string_view prefix = "OpenCL C ";
  const std::string version = device.getInfo<CL_DEVICE_OPENCL_C_VERSION>();
  return version.size() > prefix.size() ? version[prefix.size()] - '0' : 1;
}

/// Whether kernels can order their writes before a flag that the host reads.
bool orders_for_host(const cl::Device& device) {
  if (device.getInfo<CL_DEVICE_TYPE>() & CL_DEVICE_TYPE_CPU) return true;  // the host's own caches
  const int c = language(device);
  if (c < 3) return c == 2;
  const auto features = device.getInfo<CL_DEVICE_OPENCL_C_FEATURES>();
  return std::any_of(features.begin(), features.end(), [](const cl_name_version& feature) {
    return std::string_view(feature.name) == "__opencl_c_atomic_scope_all_devices";
  });
}

OpenClDevice describe(const cl::Device& device) {
  const cl_device_svm_capabilities svm = svm_capabilities(device);
  OpenClDevice d;
  d.name = device.getInfo<CL_DEVICE_NAME>();
  d.vendor = device.getInfo<CL_DEVICE_VENDOR>();
  d.version =
      device.getInfo<CL_DEVICE_VERSION>() + ", driver " + device.getInfo<CL_DRIVER_VERSION>();
  d.is_cpu = (device.getInfo<CL_DEVICE_TYPE>() & CL_DEVICE_TYPE_CPU) != 0;
  d.fine_grained_svm = (svm & CL_DEVICE_SVM_FINE_GRAIN_BUFFER) != 0;
  d.svm_atomics =
      d.fine_grained_svm && (svm & CL_DEVICE_SVM_ATOMICS) != 0 && orders_for_host(device);
  const std::string extensions = device.getInfo<CL_DEVICE_EXTENSIONS>();
  d.half_arithmetic = (" " + extensions + " ").find(" cl_khr_fp16 ") != std::string::npos;
  return d;
}

std::vector<cl::Device> all_devices() {
  std::vector<cl::Device> all;
  std::vector<cl::Platform> platforms;
  try {
    cl::Platform::get(&platforms);
  } catch (const cl::Error&) {
    return all;  // the loader has no driver
  }
  for (const cl::Platform& platform : platforms) {
    std::vector<cl::Device> devices;
    try {
      platform.getDevices(CL_DEVICE_TYPE_ALL, &devices);
    } catch (const cl::Error&) {
      continue;  // a driver without its hardware
    }
    all.insert(all.end(), devices.begin(), devices.end());
  }
  return all;
}

}  // namespace

void throw_opencl_error(const std::string& what, const char* function, int code) {
  throw Error(fmt::format("OpenCL: {}: {} gave {} ({})", what, function, code, name_of(code)));
}

std::vector<OpenClDevice> opencl_devices() {
  return opencl_call("list of devices", [] {
    std::vector<OpenClDevice> devices;
    for (const cl::Device& device : all_devices()) devices.push_back(describe(device));
    return devices;
  });
}

OpenClContext::OpenClContext(const OpenClOptions& options) : options_(options) {
  const std::vector<cl::Device> devices =
      opencl_call("list of devices", [] { return all_devices(); });
  if (devices.empty())
    throw Error(
        "OpenCL has no device here: install its driver (Debian's pocl-opencl-icd runs on every "
        "CPU; clinfo lists what there is)");
  if (options.device < 0 || static_cast<std::size_t>(options.device) >= devices.size())
    throw Error(
        fmt::format("OpenCL device must be in 0..{}, got {}", devices.size() - 1, options.device));
  device_ = devices[static_cast<std::size_t>(options.device)];
  opencl_call("device", [&] {
    description_ = describe(device_);
    if (!description_.fine_grained_svm)
      throw Error(
          fmt::format("OpenCL device {}; co-execution needs fine-grained SVM, which "
                      "another device or a newer driver may have",
                      text(description_)));
    if (!description_.svm_atomics) options_.synchronisation = Synchronisation::finish;
    context_ = cl::Context(device_);
    queue_ = cl::CommandQueue(context_, device_);
    program_ = built("");
    tell_ = kernel("tell", false);
  });
  flag_ = static_cast<int*>(allocate(sizeof(int)));
  *flag_ = 0;
  opencl_call("flag", [&] { tell_.setArg(0, static_cast<void*>(flag_)); });
}

OpenClContext::~OpenClContext() {
  clFinish(queue_());
  clSVMFree(context_(), flag_);
}

cl::Program OpenClContext::built(std::string options) const {
  if (const int c = language(device_); c >= 2) options += fmt::format(" -cl-std=CL{}.0", c);
  cl::Program program(context_, std::string(opencl_kernels));
  try {
    program.build(device_, options.c_str());
  } catch (const cl::BuildError& e) {
    std::string log;
    for (const auto& [device, message] : e.getBuildLog()) log += message;
    throw Error(
        fmt::format("OpenCL device {}: kernels do not compile: {}", description_.name, log));
  }
  return program;
}

cl::Kernel OpenClContext::kernel(const char* name, bool half) {
  return opencl_call(name, [&] {
    if (half) build_for_half();
    return cl::Kernel(half ? half_program_ : program_, name);
  });
}

bool OpenClContext::half_arithmetic() {
  opencl_call("kernels for f16", [&] { build_for_half(); });
  return half_arithmetic_;
}

void OpenClContext::build_for_half() {
  if (half_program_() != nullptr) return;
  const std::optional<bool> asked = options_.half_arithmetic;
  if (asked.value_or(false) && !description_.half_arithmetic)
    throw Error(fmt::format("OpenCL device {}: it has no arithmetic in f16 (cl_khr_fp16)",
                            description_.name));
  if (!asked.value_or(true) || !description_.half_arithmetic) {
    half_program_ = built("-DHALF");
    return;
  }
  const cl::Program multiplies = built("-DHALF -DHALF_ARITHMETIC");
  constexpr double worth = 0.9;
  if (!asked) half_program_ = built("-DHALF");
  half_arithmetic_ = asked || product_ns(multiplies) < worth * product_ns(half_program_);
  if (half_arithmetic_) half_program_ = multiplies;
}

/// The fastest of some runs of a matrix product.
double OpenClContext::product_ns(const cl::Program& program) const {
  constexpr int rows = 256;
  constexpr int depth = 256;
  constexpr int channels = 128;
  constexpr int runs = 6;  // the first may compile
  const std::vector<float> ones(rows * depth, 1.0F);
  const cl::Buffer in = constant(ones, true);
  const cl::Buffer out(context_, CL_MEM_READ_WRITE, rows * channels * sizeof(std::uint16_t));
  cl::Kernel kernel(program, "matrix_product");
  kernel.setArg(0, in);
  kernel.setArg(1, in);  // as large as the weights, at least
  kernel.setArg(2, in);
  kernel.setArg(3, out);
  cl_uint argument = 4;
  for (const int value : {rows, depth, channels, depth, channels, 0})
    kernel.setArg(argument++, value);
  double best_ns = 0;
  for (int run = 0; run < runs; ++run) {
    const double before = steady_now_ns();
    queue_.enqueueNDRangeKernel(kernel, cl::NullRange, cl::NDRange(channels / 4, rows / 4),
                                cl::NDRange(8, 8));
    queue_.finish();
    const double ns = steady_now_ns() - before;
    if (run == 1 || (run > 1 && ns < best_ns)) best_ns = ns;
  }
  return best_ns;
}

cl::Buffer OpenClContext::constant(const std::vector<float>& values, bool half) const {
  std::vector<std::uint16_t> halves(half ? values.size() : 0);
  if (half) eigen_kernels().to_half(values.data(), halves.data(), values.size());
  const void* const data =
      half ? static_cast<const void*>(halves.data()) : static_cast<const void*>(values.data());
  const std::size_t bytes = values.size() * (half ? sizeof(std::uint16_t) : sizeof(float));
  return opencl_call("weights", [&] {
    return cl::Buffer(context_, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, bytes,
                      const_cast<void*>(data));
  });
}

void* OpenClContext::allocate(std::size_t bytes) const {
  const cl_svm_mem_flags atomics = description_.svm_atomics ? CL_MEM_SVM_ATOMICS : 0;
  void* const memory =
      clSVMAlloc(context_(), CL_MEM_READ_WRITE | CL_MEM_SVM_FINE_GRAIN_BUFFER | atomics, bytes,
                 Arena::alignment);
  if (memory == nullptr)
    throw Error(fmt::format("OpenCL: {} bytes of fine-grained SVM cannot be allocated", bytes));
  return memory;
}

std::shared_ptr<const Arena> OpenClContext::memory(std::size_t bytes) const {
  const std::size_t all = bytes + readable_past_end;
  auto* const begin = static_cast<std::byte*>(allocate(all));
  std::shared_ptr<std::byte> owner(begin, [self = shared_from_this()](std::byte* memory) {
    clFinish(self->queue_());
    const std::lock_guard lock(self->mutex_);
    self->given_.erase(memory);
    clSVMFree(self->context_(), memory);
  });
  const std::lock_guard lock(mutex_);
  given_[begin] = all;
  return std::make_shared<const Arena>(std::move(owner), all);
}

bool OpenClContext::owns(const void* address) const {
  const auto* const at = static_cast<const std::byte*>(address);
  const std::lock_guard lock(mutex_);
  auto next = given_.upper_bound(at);
  return next != given_.begin() && at < std::prev(next)->first + std::prev(next)->second;
}

int OpenClContext::start(const cl::Kernel& kernel, const cl::NDRange& global,
                         const cl::NDRange& local) {
  return opencl_call("start", [&] {
    const bool flags = options_.synchronisation == Synchronisation::flags;
    queue_.enqueueNDRangeKernel(kernel, cl::NullRange, global, local, nullptr,
                                flags ? nullptr : &last_);
    number_ = after(number_, -1);
    if (flags) {
      tell_.setArg(1, number_);
      queue_.enqueueNDRangeKernel(tell_, cl::NullRange, 1, 1, nullptr, &last_);
    }
    queue_.flush();
    asked_ = 0;
    return number_;
  });
}

bool OpenClContext::done(int number) {
  if (options_.synchronisation == Synchronisation::finish) {
    finish();
    return true;
  }
  const int told = std::atomic_ref<int>(*flag_).load(std::memory_order_acquire);
  if (after(told, number) >= 0) return true;
  // A device that failed never tells, so now and then its queue is asked, which takes long.
  constexpr int askings_between = 4096;
  if (++asked_ % askings_between != 0) return false;
  return opencl_call("kernel", [&] {
    const cl_int status = last_.getInfo<CL_EVENT_COMMAND_EXECUTION_STATUS>();
    if (status < 0) throw cl::Error(status, "the last command");
    return status == CL_COMPLETE;
  });
}

void OpenClContext::finish() {
  opencl_call("kernel", [&] {
    queue_.finish();
    const cl_int status = last_.getInfo<CL_EVENT_COMMAND_EXECUTION_STATUS>();
    if (status < 0) throw cl::Error(status, "the last command");
  });
}

}  // namespace cpubone
