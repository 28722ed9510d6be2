#pragma once
#include <span>
#include <vector>

#include "records/profile.hpp"

namespace cpubone {

/// Median; the mean of the middle two for an even count. Throws std::invalid_argument for none.
double median(std::span<const double> values);

/// Value below which the fraction `q` in [0, 1] of `values` lies, interpolated linearly.
double quantile(std::span<const double> values, double q);

/// The same of values in ascending order. Throws std::invalid_argument for none.
double sorted_quantile(std::span<const double> sorted, double q);

struct Mean {
  double value = 0;
  double squared_error = 0;  ///< square of its standard error
};

/// Of all but the least and the largest hundredth.
Mean trimmed_mean(std::vector<double> values);

/// Median, its 95 % confidence interval and MdAPE of run times; keeps the samples. The interval is
/// that of order statistics, which holds for any distribution: the samples of ranks
/// floor((n - 1.96 sqrt(n)) / 2) and ceil(1 + (n + 1.96 sqrt(n)) / 2), or the outermost ones.
/// Throws std::invalid_argument for no samples.
Timing summarise(std::span<const double> samples_ns, int runs_per_sample);

/// Half the confidence interval relative to the median; infinite for fewer than 5 samples.
double relative_half_width(std::span<const double> samples_ns);

}  // namespace cpubone
