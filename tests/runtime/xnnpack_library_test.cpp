#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "graph/error.hpp"
#include "profiler/host.hpp"
#include "profiler/host_profile.hpp"
#include "runtime/calibration.hpp"
#include "runtime/executor.hpp"
#include "runtime/precision.hpp"
#include "space/zoo.hpp"
#include "tests/catch.hpp"
#include "tests/temporary_folder.hpp"

using namespace cpubone;
namespace fs = std::filesystem;

namespace {

/// Another file than the one that is linked, so that it is loaded beside that.
Backends loaded() {
  static const TemporaryFolder folder;
  static const fs::path copy = [] {
    const char* other = std::getenv("CPUBONE_XNNPACK_LIBRARY");
    if (other) return fs::path(other);
    const fs::path file = folder.path() / "libAnotherXNNPACK.so";
    fs::copy_file(CPUBONE_SHARED_XNNPACK, file);
    std::ofstream(file, std::ios::app) << "another";  // so that its hash tells it apart
    return file;
  }();
  return find_runtime("xnnpack", copy);
}

std::vector<float> outputs(const Network& network, Backends backends, int threads) {
  Executor executor(network, random_parameters(), thread_pool(threads, backends),
                    {.backends = backends});
  const InputValues image = random_images(network, 1)[0];
  std::copy(image[0].begin(), image[0].end(), executor.input().begin());
  executor.run();
  return {executor.output().begin(), executor.output().end()};
}

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  double ab = 0;
  double aa = 0;
  double bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += double{a[i]} * double{b[i]};
    aa += double{a[i]} * double{a[i]};
    bb += double{b[i]} * double{b[i]};
  }
  return ab / std::sqrt(aa * bb);
}

}  // namespace

TEST_CASE("an XNNPACK from a file computes what the linked one does", "[xnnpack]") {
  for (const DType dtype : {DType::f32, DType::qs8}) {
    const Network network =
        in_precision(with_resolution(find_network("cpubone-nano"), 64, 64), dtype);
    const std::vector<float> expected = outputs(network, backends(), 1);
    const double least = dtype == DType::f32 ? 1 - 1e-6 : 0.99;  // versions round int8 differently
    for (const int threads : {1, 2})
      CHECK(cosine(outputs(network, loaded(), threads), expected) > least);
  }
}

TEST_CASE("a profile tells which XNNPACK was loaded", "[xnnpack]") {
  REQUIRE(loaded().size() == 2);
  const Backend& xnnpack = *loaded()[0];
  CHECK(xnnpack.library() != backends()[0]->library());
  CHECK(xnnpack.identity() != backends()[0]->identity());
  CHECK_THAT(xnnpack.identity(), ContainsSubstring(" of " + xnnpack.library().filename().string()));
  const Device device = describe_host({}, loaded());
  CHECK_THAT(device.runtime, ContainsSubstring(xnnpack.identity() + ", Eigen "));
  CHECK(device.runtime_hash.size() == 16);
  CHECK(device.runtime_hash != describe_host().runtime_hash);
  CHECK(find_runtime("xnnpack", xnnpack.library()).data() == loaded().data());

  MeasureOptions options;
  options.backends = loaded();
  options.cancelled = [] { return true; };
  CHECK(measure_host_profile(options, {}).device.runtime_hash == device.runtime_hash);
}

TEST_CASE("a file that is no XNNPACK of a known version is refused", "[xnnpack]") {
  CHECK_THROWS_WITH(find_runtime("xnnpack", __FILE__),
                    ContainsSubstring("xnnpack_library_test.cpp: cannot be loaded as XNNPACK: "));
  CHECK_THROWS_WITH(
      find_runtime("xnnpack", "libm.so.6"),
      "libm.so.6: is not XNNPACK of 2022 or newer: it has no function xnn_initialize");
  CHECK_THROWS_WITH(find_runtime("xnnpack", CPUBONE_XNNPACK_BETWEEN),
                    ContainsSubstring("is XNNPACK of after 2022-02 and before 2024-11"));
}
