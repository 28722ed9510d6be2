#pragma once
#include <functional>
#include <memory>

#include "runtime/coprocessor.hpp"

namespace cpubone {

/// A processor that is not there: a thread that computes on XNNPACK and is done no earlier than it
/// is told to be.
struct SimulatedCoprocessor {
  /// Duration of an operator's channels, in nanoseconds, asked at each start; what computing takes
  /// longer is not hidden.
  std::function<double(const Op&)> duration_ns = [](const Op&) { return 0.0; };
  /// Whether it fails at a start, which are counted from 0; it never works again.
  std::function<bool(int start)> fails = [](int) { return false; };
};
std::shared_ptr<const Coprocessor> simulated_coprocessor(SimulatedCoprocessor behaviour = {});

}  // namespace cpubone
