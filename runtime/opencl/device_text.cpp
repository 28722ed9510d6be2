#include <fmt/format.h>

#include <algorithm>

#include "runtime/opencl/opencl.hpp"

namespace cpubone {

std::string text(const OpenClDevice& device) {
  const std::string_view memory = !device.fine_grained_svm ? "no fine-grained SVM"
                                  : device.svm_atomics     ? "fine-grained SVM with atomics"
                                                           : "fine-grained SVM";
  return fmt::format("{} ({}), {}: {}{}", device.name, device.vendor, device.version, memory,
                     device.half_arithmetic ? ", arithmetic in f16" : "");
}

std::string identity(const OpenClDevice& device) {
  return fmt::format("{}, {}", device.name, device.version);
}

int preferred_device(std::span<const OpenClDevice> devices) {
  int preferred = -1;
  for (int i = 0; const OpenClDevice& device : devices) {
    if (device.fine_grained_svm && !device.is_cpu) return i;
    if (device.fine_grained_svm && preferred < 0) preferred = i;
    ++i;
  }
  return std::max(preferred, 0);
}

}  // namespace cpubone
