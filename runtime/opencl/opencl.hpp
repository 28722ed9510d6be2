#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/coprocessor.hpp"

namespace cpubone {

/// A device of an OpenCL platform.
struct OpenClDevice {
  std::string name;
  std::string vendor;
  std::string version;  ///< of OpenCL and the driver
  bool is_cpu = false;
  bool fine_grained_svm = false;  ///< what co-execution needs
  bool svm_atomics = false;       ///< so that flags in shared memory tell when it is done
  bool half_arithmetic = false;   ///< `cl_khr_fp16`
  bool operator==(const OpenClDevice&) const = default;
};

/// Those of this machine, in the order of the loader; none where no driver is installed, or the
/// build has no OpenCL.
std::vector<OpenClDevice> opencl_devices();

/// One line, e.g. `Mali-G710 (ARM), OpenCL 3.0 v1.r38p1: fine-grained SVM with atomics`.
std::string text(const OpenClDevice& device);

/// Device, driver and their versions, as its coprocessor's identity has them.
std::string identity(const OpenClDevice& device);

/// Index of the first GPU that co-execution can use, else of the first device that it can; 0 where
/// there is none, which `opencl_coprocessor` then refuses with the reason.
int preferred_device(std::span<const OpenClDevice> devices);

/// How the CPU learns that the device is done.
enum class Synchronisation {
  flags,   ///< by a number in shared memory that a kernel writes
  finish,  ///< by a call that blocks, `clFinish`
};

struct OpenClOptions {
  int device = 0;  ///< index into `opencl_devices`
  Synchronisation synchronisation = Synchronisation::flags;
  /// Tries each size of work groups on the device and keeps the fastest; else a rule decides.
  bool tune = false;
  /// Whether matrix products in f16 multiply in f16, which needs a device's `half_arithmetic`, and
  /// add up 16 products so before they go to a sum in f32; else all is f32 in registers. Nothing:
  /// where that is faster by a tenth when both are tried once.
  std::optional<bool> half_arithmetic = {};
};

/// The device with kernels for convolutions, linear layers and elementwise operators, NHWC, in f32,
/// or with f16 in memory and f32 or f16 in registers.
/// Blocking calls replace flags on a device without atomics. Throws cpubone::Error saying what to
/// install where there is no such device, or what it lacks.
std::shared_ptr<const Coprocessor> opencl_coprocessor(const OpenClOptions& options = {});

}  // namespace cpubone
