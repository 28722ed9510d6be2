#pragma once

namespace cpubone {

/// A value and the interval around it; `low <= value <= high`.
struct Interval {
  double value = 0;
  double low = 0;
  double high = 0;
  bool operator==(const Interval&) const = default;
};

}  // namespace cpubone
