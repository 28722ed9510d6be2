#include "predictor/evaluation.hpp"

#include <fmt/format.h>

#include <Eigen/Core>
#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

namespace cpubone {
namespace {

/// Ranks from 1, equal values sharing the mean of theirs.
std::vector<double> ranks(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> rank(values.size());
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin;
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (std::size_t i = begin; i < end; ++i)
      rank[order[i]] = static_cast<double>(begin + 1 + end) / 2;
    begin = end;
  }
  return rank;
}

void check_pair(std::span<const double> a, std::span<const double> b) {
  if (a.size() != b.size())
    throw std::invalid_argument(fmt::format(
        "rank correlation: lists must be equally long, got {} and {}", a.size(), b.size()));
}

Eigen::RowVector4d quantities(const Network& network) {
  double activation_bytes = 0;
  for (const Node& node : network.nodes)
    activation_bytes += static_cast<double>(output_bytes(node.op));
  return {static_cast<double>(macs(network)), activation_bytes,
          static_cast<double>(params(network)), 1.0};
}

}  // namespace

double spearman(std::span<const double> a, std::span<const double> b) {
  check_pair(a, b);
  const std::vector<double> x = ranks(a);
  const std::vector<double> y = ranks(b);
  const double mean = (static_cast<double>(a.size()) + 1) / 2;
  double xy = 0;
  double xx = 0;
  double yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  return xy / std::sqrt(xx * yy);
}

double kendall(std::span<const double> a, std::span<const double> b) {
  check_pair(a, b);
  const auto sign = [](double d) { return d > 0 ? 1 : d < 0 ? -1 : 0; };
  double agreement = 0;
  double pairs_a = 0;
  double pairs_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = i + 1; j < a.size(); ++j) {
      const int x = sign(a[i] - a[j]);
      const int y = sign(b[i] - b[j]);
      agreement += x * y;
      pairs_a += x * x;
      pairs_b += y * y;
    }
  return agreement / std::sqrt(pairs_a * pairs_b);
}

PredictionQuality prediction_quality(std::span<const Comparison> comparisons) {
  if (comparisons.empty()) throw std::invalid_argument("no networks to compare");
  PredictionQuality result;
  result.count = static_cast<int>(comparisons.size());
  const auto n = static_cast<double>(comparisons.size());
  std::vector<double> measured;
  std::vector<double> predicted;
  for (const Comparison& c : comparisons) {
    if (!(c.measured_ms > 0))
      throw std::invalid_argument(fmt::format(
          "network \"{}\": measured latency must be > 0, got {}", c.network, c.measured_ms));
    measured.push_back(c.measured_ms);
    predicted.push_back(c.predicted_ms);
    const double error = c.predicted_ms / c.measured_ms - 1;
    result.rmspe += error * error / n;
    result.mape += std::abs(error) / n;
    result.bias += error / n;
    result.worst = std::max(result.worst, std::abs(error));
    result.within_5 += (std::abs(error) <= 0.05 ? 1.0 : 0.0) / n;
    result.within_10 += (std::abs(error) <= 0.10 ? 1.0 : 0.0) / n;
    result.covered += (c.low_ms <= c.measured_ms && c.measured_ms <= c.high_ms ? 1.0 : 0.0) / n;
  }
  result.rmspe = std::sqrt(result.rmspe);
  result.spearman = spearman(predicted, measured);
  result.kendall = kendall(predicted, measured);
  return result;
}

Baseline fit_baseline(BaselineKind kind, std::span<const Network> networks,
                      std::span<const double> measured_ns) {
  if (networks.empty() || networks.size() != measured_ns.size())
    throw std::invalid_argument(
        fmt::format("baseline: expected as many latencies as networks, at least one, got {} and {}",
                    measured_ns.size(), networks.size()));
  const auto n = static_cast<Eigen::Index>(networks.size());
  Eigen::MatrixXd relative(n, 4);
  for (Eigen::Index i = 0; i < n; ++i) {
    const auto k = static_cast<std::size_t>(i);
    relative.row(i) = quantities(networks[k]) / measured_ns[k];
  }
  const Eigen::VectorXd ones = Eigen::VectorXd::Ones(n);
  Eigen::Vector4d w = Eigen::Vector4d::Zero();
  if (kind == BaselineKind::constant_macps) {
    w(0) = relative.col(0).sum() / relative.col(0).squaredNorm();
  } else {
    // Columns of length 1: MACs outnumber runs by ten powers of ten.
    const Eigen::RowVector4d lengths = relative.colwise().norm().cwiseMax(1e-300);
    const Eigen::MatrixXd scaled = relative.array().rowwise() / lengths.array();
    w = scaled.completeOrthogonalDecomposition().solve(ones).cwiseQuotient(lengths.transpose());
  }
  return {{w(0), w(1), w(2), w(3)}};
}

double predict_ms(const Baseline& baseline, const Network& network) {
  const Eigen::Map<const Eigen::Vector4d> ns(baseline.ns.data());
  return quantities(network).dot(ns) * 1e-6;
}

}  // namespace cpubone
