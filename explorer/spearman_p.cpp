#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "explorer/study.hpp"

namespace cpubone {
namespace {

/// Regularised incomplete beta function by its continued fraction (Numerical Recipes, section 6.4,
/// modified Lentz), for Student's distribution.
double incomplete_beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incomplete_beta(b, a, 1 - x);
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log(1 - x)) /
                       a;
  constexpr double tiny = 1e-300;
  double c = 1;
  double d = 1 / std::max(1 - (a + b) * x / (a + 1), tiny);
  double fraction = d;
  for (int m = 1; m <= 300; ++m) {
    for (const int odd : {0, 1}) {
      const double numerator = odd ? -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
                                   : m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
      d = 1 + numerator * d;
      d = 1 / (std::abs(d) < tiny ? tiny : d);
      c = 1 + numerator / c;
      c = std::abs(c) < tiny ? tiny : c;
      fraction *= c * d;
    }
    if (std::abs(c * d - 1) < 1e-12) break;
  }
  return front * fraction;
}

}  // namespace

double spearman_p(double rho, std::size_t count) {
  if (count < 3)
    throw std::invalid_argument(
        fmt::format("rank correlation: expected at least 3 pairs, got {}", count));
  const double rest = 1 - rho * rho;
  if (rest <= 0) return 0;
  // P(|t| >= t0) = I(df / (df + t0^2), df / 2, 1 / 2), t0^2 = rho^2 df / (1 - rho^2)
  return incomplete_beta((static_cast<double>(count) - 2) / 2, 0.5, rest);
}

}  // namespace cpubone
