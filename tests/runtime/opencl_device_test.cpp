#include "runtime/opencl/opencl.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

TEST_CASE("a device is told with what co-execution needs of it", "[runtime]") {
  OpenClDevice device{"Mali-G710", "ARM", "OpenCL 3.0", false, true, true};
  CHECK(text(device) == "Mali-G710 (ARM), OpenCL 3.0: fine-grained SVM with atomics");
  device.svm_atomics = false;
  CHECK(text(device) == "Mali-G710 (ARM), OpenCL 3.0: fine-grained SVM");
  device.fine_grained_svm = false;
  CHECK(text(device) == "Mali-G710 (ARM), OpenCL 3.0: no fine-grained SVM");
}

TEST_CASE("a device that is not there is refused, saying what is expected or to install",
          "[runtime]") {
  OpenClOptions options;
  options.device = 1000;
  const bool some = !opencl_devices().empty();
  CHECK_THROWS_WITH(opencl_coprocessor(options),
                    ContainsSubstring(some ? "device must be in 0.." : "install"));
}
