#include "records/roofline.hpp"

#include "tests/catch.hpp"

using namespace cpubone;

namespace {

// 100 GMACpS; 100 GB/s from the last-level cache, 20 GB/s from memory.
const Roofline roofline{100e9, 400e9, 200e9, 100e9, 20e9};
const Op dense = parse_op("conv2d 1x56x56x64->1x56x56x64 k3x3 s1 p1,1,1,1 g1 nobias f32");
const double at_peak_ns = 56.0 * 56 * 64 * 64 * 9 / 100;

}  // namespace

TEST_CASE("an operator's share of the peak is what it reaches of it", "[roofline]") {
  CHECK(share_of_peak(roofline, dense, at_peak_ns) == Approx(1));
  CHECK(share_of_peak(roofline, dense, 4 * at_peak_ns) == Approx(0.25));
  CHECK(share_of_peak({}, dense, at_peak_ns) == 0);
  CHECK(share_of_peak(roofline, parse_op("conv2d 1x4x4x8->1x4x4x8 k1x1 s1 p0,0,0,0 g1 f16"), 10) ==
        0);
  Roofline slower = roofline;
  rescale(slower, 2);
  CHECK(share_of_peak(slower, dense, at_peak_ns) == Approx(2));
}

TEST_CASE("data allows the peak where reading it takes less than half as long", "[roofline]") {
  CHECK(data_allows_peak(roofline, dense));
  // 4 MB of weights for 1 M MACs.
  CHECK_FALSE(data_allows_peak(roofline, parse_op("linear 1x1x1x1024->1x1x1x1000 f32")));
  // 800 B of activations a pixel: 8 ns, for 1000 MACs that take 10.
  CHECK_FALSE(data_allows_peak(
      roofline, parse_op("conv2d 1x56x56x100->1x56x56x100 k1x1 s1 p0,0,0,0 g10 f32")));
  CHECK_FALSE(data_allows_peak({}, dense));
}

TEST_CASE("the peak of f32 is none of dynamic layers, which multiply bytes", "[roofline]") {
  const Op linear = parse_op("linear 1x1x100x1000->1x1x100x1000 dynamic f32");
  CHECK(share_of_peak(roofline, linear, 1e6) == 0);
  CHECK_FALSE(limited_by_kernel(roofline, linear, 1e9));
}

TEST_CASE("a dense operator below half of the peak is limited by its kernel", "[roofline]") {
  CHECK(limited_by_kernel(roofline, dense, 2.1 * at_peak_ns));
  CHECK_FALSE(limited_by_kernel(roofline, dense, 1.9 * at_peak_ns));
  Op depthwise = dense;
  depthwise.groups = 64;
  CHECK_FALSE(limited_by_kernel(roofline, depthwise, 10 * at_peak_ns));
  CHECK_FALSE(limited_by_kernel(roofline, parse_op("linear 1x1x1x1024->1x1x1x1000 f32"), 1e6));
}
