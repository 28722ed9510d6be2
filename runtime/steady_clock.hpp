#pragma once
#include <chrono>

namespace cpubone {

/// Nanoseconds on the monotonic clock, from an arbitrary start.
inline double steady_now_ns() {
  return std::chrono::duration<double, std::nano>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace cpubone
