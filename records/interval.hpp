#pragma once
#include <cmath>

namespace cpubone {

/// A value and the interval around it; `low <= value <= high`.
struct Interval {
  double value = 0;
  double low = 0;
  double high = 0;
  bool operator==(const Interval&) const = default;
};

/// Quotient of two values with the interval that their intervals give it.
inline Interval ratio(const Interval& a, const Interval& b) {
  const auto half = [](const Interval& i) { return 0.5 * std::log(i.high / i.low); };
  const double value = a.value / b.value;
  const double spread = std::hypot(half(a), half(b));
  return {value, value * std::exp(-spread), value * std::exp(spread)};
}

}  // namespace cpubone
