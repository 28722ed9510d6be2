// What this CPU does at most, and what dense convolutions of this build's XNNPACK reach of it, all
// measured in the same rounds. `roofline [SECONDS]`, 20 without.
#include "profiler/roofline.hpp"

#include <string>

#include "benchmarks/rows.hpp"
#include "profiler/measure.hpp"

using namespace cpubone;

namespace {

/// Pointwise and 3x3 convolutions whose data would allow the peak, wide enough for every kernel's
/// tile.
std::vector<Op> dense_convolutions() {
  std::vector<Op> ops;
  for (const int size : {14, 28, 56})
    for (const int channels : {64, 128, 256})
      for (const int kernel : {1, 3})
        ops.push_back(parse_op(
            fmt::format("conv2d 1x{0}x{0}x{1}->1x{0}x{0}x{1} k{2}x{2} s1 p{3},{3},{3},{3} g1 f32",
                        size, channels, kernel, kernel / 2)));
  return ops;
}

void measure_roofline(std::span<const std::string> arguments, Rows& rows) {
  MeasureOptions options;
  options.budget_s = arguments.empty() ? 20 : std::stod(arguments[0]);
  options.roofline = true;
  Profile profile = host_profile(options.settings);
  measure_ops(dense_convolutions(), options, profile);
  const Roofline& r = profile.roofline;
  rows.inform("peak of f32", r.f32_macps * 1e-9, "GMACpS", "one thread");
  rows.inform("reading L1", r.l1_bytes_per_s * 1e-9, "GB/s");
  rows.inform("reading L2", r.l2_bytes_per_s * 1e-9, "GB/s");
  rows.inform("reading the last-level cache", r.llc_bytes_per_s * 1e-9, "GB/s");
  rows.inform("reading memory", r.memory_bytes_per_s * 1e-9, "GB/s");
  double best = 0;
  for (const OpRecord& record : profile.ops) {
    const double share = share_of_peak(r, record.op, record.timing.median_ns);
    best = std::max(best, share);
    rows.inform(
        text(record.op), share, "of the peak",
        limited_by_kernel(r, record.op, record.timing.median_ns) ? "limited by the kernel" : "");
  }
  rows.add("best of these convolutions", best, "of the peak", 1,
           "<=", "beyond 1 the kernel of the roofline were not the peak");
  rows.inform("convolutions, median", convolution_share(profile), "of the peak",
              profile.device.runtime);
  if (const auto slow = slow_runtime(profile))
    fmt::print(stderr, "{}; remedy: {}\n", slow->what, slow->remedy);
}

}  // namespace

int main(int argc, char** argv) {
  return run_benchmark("roofline [SECONDS]", 1, argc, argv, measure_roofline);
}
