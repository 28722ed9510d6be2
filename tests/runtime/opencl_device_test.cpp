#include "runtime/opencl/opencl.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

TEST_CASE("a device is told with what co-execution needs of it", "[runtime]") {
  OpenClDevice device{"Mali-G710", "ARM", "OpenCL 3.0", false, true, true};
  CHECK(text(device) == "Mali-G710 (ARM), OpenCL 3.0: fine-grained SVM with atomics");
  CHECK(identity(device) == "Mali-G710, OpenCL 3.0");
  device.half_arithmetic = true;
  CHECK(text(device) ==
        "Mali-G710 (ARM), OpenCL 3.0: fine-grained SVM with atomics, arithmetic in f16");
  device.half_arithmetic = false;
  device.svm_atomics = false;
  CHECK(text(device) == "Mali-G710 (ARM), OpenCL 3.0: fine-grained SVM");
  device.fine_grained_svm = false;
  CHECK(text(device) == "Mali-G710 (ARM), OpenCL 3.0: no fine-grained SVM");
}

TEST_CASE("of the devices that can share memory a GPU is preferred", "[runtime]") {
  const OpenClDevice old_gpu{"old", "", "", false, false, false};
  const OpenClDevice cpu{"cpu", "", "", true, true, true};
  const OpenClDevice gpu{"gpu", "", "", false, true, false};
  CHECK(preferred_device(std::vector{old_gpu, cpu, cpu, gpu, gpu}) == 3);
  CHECK(preferred_device(std::vector{old_gpu, cpu, cpu}) == 1);
  CHECK(preferred_device(std::vector{old_gpu}) == 0);
  CHECK(preferred_device({}) == 0);
}

TEST_CASE("a device that is not there is refused, saying what is expected or to install",
          "[runtime]") {
  OpenClOptions options;
  options.device = 1000;
  const bool some = !opencl_devices().empty();
  CHECK_THROWS_WITH(opencl_coprocessor(options),
                    ContainsSubstring(some ? "device must be in 0.." : "install"));
}
