#include "explorer/correction.hpp"

#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "predictor/normal_interval.hpp"

namespace cpubone {
namespace {

constexpr int columns = 5;
// Standard deviations that are believed before anything is measured, of log(measured / predicted).
constexpr double offset_prior = 0.1;
constexpr double slope_prior = 0.03;  // for a change of a feature by its spread
constexpr double noise = 0.025;       // of a network around the line, and of its measurement
// Spreads of the features over backbones, about. Measured networks that are more alike than these
// say little about a slope, and what is proposed is unlike them.
constexpr std::array<double, columns> usual_spread{1, 1, 0.4, 0.3, 0.1};

using Vector = Eigen::Matrix<double, columns, 1>;
using Matrix = Eigen::Matrix<double, columns, columns>;

Vector features(const LatencyTerms& t, double ms) {
  const double ns = std::max(t.ops_ns, 1.0);
  Vector x;
  x << 1, std::log(ms), std::log1p(t.weight_bytes / ns), std::log1p(t.activation_bytes / ns),
      std::log1p(1e4 * t.nodes / ns);
  return x;
}

}  // namespace

LatencyModel corrected(const LatencyModel& model, std::span<const Confirmed> networks) {
  if (networks.empty()) return model;
  std::vector<Vector> rows;
  for (const Confirmed& n : networks) {
    if (!(n.predicted_ms > 0 && n.measured_ms > 0 && std::isfinite(n.predicted_ms) &&
          std::isfinite(n.measured_ms)))
      throw std::invalid_argument(
          fmt::format("correction: latencies must be positive, got {} ms predicted, {} ms measured",
                      n.predicted_ms, n.measured_ms));
    rows.push_back(features(n.terms, n.predicted_ms));
  }
  Vector mean = Vector::Zero();
  for (const Vector& x : rows) mean += x / static_cast<double>(rows.size());
  Vector spread = Vector::Zero();
  for (const Vector& x : rows) spread += (x - mean).cwiseAbs2() / static_cast<double>(rows.size());
  spread = spread.cwiseSqrt().cwiseMax(Eigen::Map<const Vector>(usual_spread.data()));
  mean(0) = 0;
  spread(0) = 1;
  const auto scaled = [mean, spread](const Vector& x) -> Vector {
    return (x - mean).cwiseQuotient(spread);
  };
  Matrix precision = Matrix::Zero();
  Vector right = Vector::Zero();
  precision(0, 0) = 1 / (offset_prior * offset_prior);
  for (int c = 1; c < columns; ++c) precision(c, c) = 1 / (slope_prior * slope_prior);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Vector x = scaled(rows[i]);
    precision += x * x.transpose() / (noise * noise);
    right += x * std::log(networks[i].measured_ms / networks[i].predicted_ms) / (noise * noise);
  }
  const Matrix covariance = precision.inverse();
  const Vector weights = covariance * right;

  LatencyModel result = model;
  result.combine = [raw = model.combine, scaled, weights, covariance](const LatencyTerms& terms) {
    const LatencyEstimate before = raw(terms);
    const Vector x = scaled(features(terms, before.ms));
    // Far from what was measured a line says nothing: no correction beyond a fifth.
    const double shift = std::clamp(weights.dot(x), -0.2, 0.2);
    const double half = z90 * std::sqrt(x.dot(covariance * x) + noise * noise);
    const double ms = before.ms * std::exp(shift);
    const double low = std::max(before.low_ms / before.ms, std::exp(-half));
    const double high = std::min(before.high_ms / before.ms, std::exp(half));
    return LatencyEstimate{ms, ms * std::min(1.0, low), ms * std::max(1.0, high)};
  };
  return result;
}

}  // namespace cpubone
