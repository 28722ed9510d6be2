#include <stdlib.h>

#include <stdexcept>

#include "graph/error.hpp"
#include "runtime/backend.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

TEST_CASE("a file that is no library is refused as ONNX Runtime", "[onnxruntime]") {
  CHECK_THROWS_WITH(
      find_runtime("onnxruntime", __FILE__),
      ContainsSubstring("onnxruntime_api_test.cpp: cannot be loaded as ONNX Runtime: "));
}

TEST_CASE("another library is not taken for ONNX Runtime", "[onnxruntime]") {
  CHECK_THROWS_WITH(find_runtime("onnxruntime", "libm.so.6"),
                    "libm.so.6: is not ONNX Runtime: it has no OrtGetApiBase");
}

TEST_CASE("an ONNX Runtime that is too old is refused by its version", "[onnxruntime]") {
  CHECK_THROWS_WITH(find_runtime("onnxruntime", CPUBONE_OLD_ONNXRUNTIME),
                    ContainsSubstring("ONNX Runtime 1.9.1, expected 1.17 or newer"));
}

TEST_CASE("the environment names ONNX Runtime's library where nothing else does", "[onnxruntime]") {
  ::setenv("CPUBONE_ONNXRUNTIME", CPUBONE_OLD_ONNXRUNTIME, 1);
  CHECK_THROWS_WITH(find_runtime("onnxruntime"), ContainsSubstring("ONNX Runtime 1.9.1"));
  CHECK_THROWS_WITH(find_runtime("onnxruntime", "libm.so.6"), ContainsSubstring("libm.so.6"));
  ::unsetenv("CPUBONE_ONNXRUNTIME");
}

TEST_CASE("a runtime is named among those that there are", "[onnxruntime]") {
  CHECK(find_runtime("xnnpack").data() == backends().data());
  CHECK_THROWS_AS(find_runtime("tflite"), std::invalid_argument);
}
