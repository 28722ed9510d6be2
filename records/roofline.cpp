#include "records/roofline.hpp"

namespace cpubone {
namespace {

constexpr double well_used = 0.5;  // of the peak
constexpr double data_share = 0.5;

bool is_dense(const Op& op) {
  return op.dtype() == DType::f32 && !op.dynamic &&
         (op.kind == OpKind::linear || (op.kind == OpKind::conv2d && op.groups == 1));
}

}  // namespace

void rescale(Roofline& roofline, double factor) {
  for (double* rate : {&roofline.f32_macps, &roofline.l1_bytes_per_s, &roofline.l2_bytes_per_s,
                       &roofline.llc_bytes_per_s, &roofline.memory_bytes_per_s})
    *rate /= factor;
}

double share_of_peak(const Roofline& roofline, const Op& op, double ns) {
  if (roofline.f32_macps <= 0 || op.dtype() != DType::f32 || op.dynamic || ns <= 0) return 0;
  return static_cast<double>(macs(op)) / (roofline.f32_macps * ns * 1e-9);
}

bool data_allows_peak(const Roofline& roofline, const Op& op) {
  if (roofline.f32_macps <= 0 || roofline.llc_bytes_per_s <= 0 || roofline.memory_bytes_per_s <= 0)
    return false;
  const double data_s =
      static_cast<double>(weight_bytes(op)) / roofline.memory_bytes_per_s +
      static_cast<double>(input_bytes(op) + output_bytes(op)) / roofline.llc_bytes_per_s;
  return data_s < data_share * static_cast<double>(macs(op)) / roofline.f32_macps;
}

bool limited_by_kernel(const Roofline& roofline, const Op& op, double ns) {
  return is_dense(op) && data_allows_peak(roofline, op) &&
         share_of_peak(roofline, op, ns) < well_used;
}

}  // namespace cpubone
