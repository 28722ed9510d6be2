#include "graph/error.hpp"
#include "runtime/opencl/opencl.hpp"

namespace cpubone {

std::vector<OpenClDevice> opencl_devices() {
  return {};
}

std::shared_ptr<const Coprocessor> opencl_coprocessor(const OpenClOptions&) {
  throw Error(
      "this build has no OpenCL: install opencl-headers, ocl-icd-opencl-dev and a driver "
      "(pocl-opencl-icd runs on every CPU), then configure and build again");
}

}  // namespace cpubone
