#pragma once

namespace cpubone {

/// 90 % of a normal distribution are within so many standard deviations of its mean.
inline constexpr double z90 = 1.645;

}  // namespace cpubone
