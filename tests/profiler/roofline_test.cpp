#include "profiler/roofline.hpp"

#include <vector>

#include "runtime/arena.hpp"
#include "runtime/peak_kernels.hpp"
#include "runtime/thread_pool.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

OpRecord record(const char* line, double macps) {
  OpRecord record{parse_op(line), "xnnpack", {}};
  record.timing.median_ns = static_cast<double>(macs(record.op)) / macps * 1e9;
  return record;
}

/// An AVX2 CPU of 100 GMACpS, whose convolutions reach a share of it.
Profile profile_of(double share) {
  Profile profile;
  profile.device.features = {"avx", "avx2", "fma"};
  profile.device.runtime = "XNNPACK 0.0~git20220216.ae108ef-2, Eigen 3.4.0";
  profile.roofline = {100e9, 400e9, 200e9, 100e9, 20e9};
  for (const char* line : {"conv2d 1x56x56x64->1x56x56x64 k3x3 s1 p1,1,1,1 g1 f32",
                           "conv2d 1x28x28x64->1x28x28x64 k3x3 s1 p1,1,1,1 g1 f32",
                           "conv2d 1x28x28x128->1x28x28x128 k3x3 s1 p1,1,1,1 g1 f32",
                           "conv2d 1x56x56x96->1x56x56x96 k3x3 s1 p1,1,1,1 g1 f32",
                           "conv2d 1x56x56x64->1x56x56x128 k3x3 s1 p1,1,1,1 g1 f32"})
    profile.ops.push_back(record(line, share * 100e9));
  // Neither says anything of the kernels: data limits the one, the other has few products a value.
  profile.ops.push_back(record("linear 1x1x1x1024->1x1x1x1000 f32", 1e9));
  profile.ops.push_back(record("conv2d 1x56x56x64->1x56x56x64 k3x3 s1 p1,1,1,1 g64 f32", 1e9));
  return profile;
}

Device device_with(std::int64_t l2_bytes, std::int64_t llc_bytes, std::int64_t memory_bytes) {
  Device device;
  device.l1d_bytes = 32 << 10;
  device.l2_bytes = l2_bytes;
  device.llc_bytes = llc_bytes;
  device.memory_bytes = memory_bytes;
  return device;
}

}  // namespace

TEST_CASE("the kernels of the roofline do the work that they are credited with", "[roofline]") {
  const PeakKernels& kernels = peak_kernels();
  const std::size_t count = 4 * kernels.values_per_step;
  const Arena memory(count * sizeof(float));
  auto* values = reinterpret_cast<float*>(memory.data());
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += values[i] = static_cast<float>(i % 17);
  CHECK(kernels.read(values, count, 1) == static_cast<float>(sum));
  CHECK(kernels.read(values, count, 3) == static_cast<float>(3 * sum));
  // Sums begin at 0, 1, 2, ...; three rounds of x -> 2 x + 1 make 8 x + 7 of each.
  const auto lanes = static_cast<float>(kernels.macs_per_round) / 12;
  CHECK(kernels.multiply_add(3, 2, 1) == lanes * (8 * 66 + 7 * 12));
}

TEST_CASE("caches that are not known are taken for a small CPU's", "[roofline]") {
  const ThreadPool pool(1);
  const auto work = [&](const Device& device) {
    std::vector<double> all;
    for (const Ceiling& ceiling : ceilings(device, pool)) all.push_back(ceiling.work);
    return all;
  };
  CHECK(work({}) == work(device_with(512 << 10, 8 << 20, 1 << 30)));
}

TEST_CASE("rates are the work of all threads over the median", "[roofline]") {
  const Device device = device_with(256 << 10, 4 << 20, 64 << 20);
  for (const int threads : {1, 2}) {
    const ThreadPool pool(threads);
    const std::vector<Ceiling> all = ceilings(device, pool);
    REQUIRE(all.size() == 5);
    std::vector<Timing> timings(all.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto subject = all[i].task.prepare(1);
      for (int run = 0; run < 3; ++run) subject->run(0);
      timings[i].median_ns = 1000.0 * static_cast<double>(i + 1);
    }
    timings[4].median_ns = 0;  // the budget ended before it
    const Roofline got = roofline_of(all, timings);
    CHECK(got.f32_macps ==
          Approx(threads * 20'000.0 * static_cast<double>(peak_kernels().macs_per_round) / 1e-6));
    CHECK(got.l1_bytes_per_s == Approx(all[1].work / 2e-6));
    CHECK(all[1].work >= threads * double{4 << 20});
    CHECK(got.llc_bytes_per_s == Approx(all[3].work / 4e-6));
    CHECK(got.memory_bytes_per_s == 0);
    timings[0].disturbed = true;
    CHECK(roofline_of(all, timings).f32_macps == 0);
  }
}

TEST_CASE("the share of the peak is that of convolutions whose data would allow it", "[roofline]") {
  CHECK(convolution_share(profile_of(0.3)) == Approx(0.3));
  Profile few = profile_of(0.3);
  few.ops[0].timing.disturbed = true;
  CHECK(convolution_share(few) == 0);
  Profile unknown = profile_of(0.3);
  unknown.roofline = {};
  CHECK(convolution_share(unknown) == 0);
}

TEST_CASE("a runtime that is slow on this CPU is told in one line with its remedy", "[roofline]") {
  const std::optional<Warning> slow = slow_runtime(profile_of(0.33));
  REQUIRE(slow);
  CHECK(slow->what ==
        "XNNPACK 0.0~git20220216.ae108ef-2 reaches 33 % of this CPU's peak in convolutions");
  CHECK_THAT(slow->remedy, ContainsSubstring("make explore XNNPACK=upstream"));
  CHECK_FALSE(slow_runtime(profile_of(0.65)));
  Profile by_clang = profile_of(0.33);
  by_clang.device.runtime = "XNNPACK git20260821.75db3c0 (clang 19.1.7), Eigen 3.4.0";
  CHECK_FALSE(slow_runtime(by_clang));
  Profile avx512 = profile_of(0.33);  // whose kernels GCC compiles well
  avx512.device.features.emplace_back("avx512f");
  CHECK_FALSE(slow_runtime(avx512));
}
