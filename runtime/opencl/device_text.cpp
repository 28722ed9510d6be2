#include <fmt/format.h>

#include "runtime/opencl/opencl.hpp"

namespace cpubone {

std::string text(const OpenClDevice& device) {
  const std::string_view memory = !device.fine_grained_svm ? "no fine-grained SVM"
                                  : device.svm_atomics     ? "fine-grained SVM with atomics"
                                                           : "fine-grained SVM";
  return fmt::format("{} ({}), {}: {}", device.name, device.vendor, device.version, memory);
}

}  // namespace cpubone
