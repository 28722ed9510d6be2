#pragma once
#include "graph/op.hpp"

namespace cpubone {

/// What a CPU does at most, on as many threads as a profile's operators ran on and at the same
/// pace. 0: not measured.
struct Roofline {
  double f32_macps = 0;  ///< multiply-accumulates of single precision per second
  double l1_bytes_per_s = 0;
  double l2_bytes_per_s = 0;
  double llc_bytes_per_s = 0;
  double memory_bytes_per_s = 0;
  bool operator==(const Roofline&) const = default;
};

/// Makes everything slower by a factor.
void rescale(Roofline& roofline, double factor);

/// Share of the arithmetic peak that an operator of single precision reaches; 0 where the peak is
/// not known, or without MACs.
double share_of_peak(const Roofline& roofline, const Op& op, double ns);

/// Whether reading weights from memory and activations from the last-level cache would take less
/// than half of the time that the MACs take at the peak.
bool data_allows_peak(const Roofline& roofline, const Op& op);

/// Whether the runtime's kernel is what limits an operator of this latency: a dense convolution or
/// linear layer below half of the peak, although data would allow it.
bool limited_by_kernel(const Roofline& roofline, const Op& op, double ns);

}  // namespace cpubone
