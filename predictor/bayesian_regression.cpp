#include "predictor/bayesian_regression.hpp"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace cpubone {
namespace {

constexpr int most_updates = 60;
constexpr double settled = 1e-3;  // change of the logarithm of every variance
constexpr double least_variance = 1e-8;

void check(const RegressionData& d, std::size_t groups) {
  const auto rows = d.x.rows();
  const auto columns = d.x.cols();
  if (rows == 0 || d.y.size() != rows || d.precision.size() != rows ||
      static_cast<Eigen::Index>(d.group.size()) != columns || d.prior_mean.size() != columns)
    throw std::invalid_argument(fmt::format(
        "regression: got {} x {} inputs with {} outputs, {} precisions, {} groups and {} prior "
        "means, expected as many as rows and columns",
        rows, columns, d.y.size(), d.precision.size(), d.group.size(), d.prior_mean.size()));
  for (const int g : d.group)
    if (g < 0 || static_cast<std::size_t>(g) >= groups)
      throw std::invalid_argument(
          fmt::format("regression: group must be in 0..{}, got {}", groups - 1, g));
}

/// Sums over the observations that do not change with the variances.
struct NormalEquations {
  explicit NormalEquations(const RegressionData& d)
      : residual(d.y - d.x * d.prior_mean),
        gram(d.x.transpose() * d.precision.asDiagonal() * d.x),
        right(d.x.transpose() * (d.precision.array() * residual.array()).matrix()) {}
  Eigen::VectorXd residual;  ///< of the prior means
  Eigen::MatrixXd gram;
  Eigen::VectorXd right;
};

/// Sets mean (of the difference to the prior's) and covariance.
void solve(const NormalEquations& normal, const std::vector<int>& group, BayesianRegression& r) {
  Eigen::MatrixXd precision = normal.gram / r.noise;
  for (std::size_t c = 0; c < group.size(); ++c) {
    const auto i = static_cast<Eigen::Index>(c);
    precision(i, i) += 1 / r.group_variance[static_cast<std::size_t>(group[c])];
  }
  const auto size = precision.rows();
  r.covariance = precision.llt().solve(Eigen::MatrixXd::Identity(size, size));
  r.mean = r.covariance * normal.right / r.noise;
}

}  // namespace

BayesianRegression fit_bayesian_regression(const RegressionData& data,
                                           std::span<const GroupPrior> groups,
                                           const GroupPrior& noise) {
  check(data, groups.size());
  const NormalEquations normal(data);
  BayesianRegression r;
  r.noise = noise.variance;
  for (const GroupPrior& g : groups) r.group_variance.push_back(g.variance);
  // Columns without any evidence tell nothing about their group.
  std::vector<double> squares(groups.size());
  std::vector<double> determined(groups.size());
  for (int update = 0; update < most_updates; ++update) {
    solve(normal, data.group, r);
    std::fill(squares.begin(), squares.end(), 0);
    std::fill(determined.begin(), determined.end(), 0);
    double all_determined = 0;
    for (std::size_t c = 0; c < data.group.size(); ++c) {
      const auto i = static_cast<Eigen::Index>(c);
      const auto g = static_cast<std::size_t>(data.group[c]);
      const double share = 1 - r.covariance(i, i) / r.group_variance[g];
      squares[g] += r.mean(i) * r.mean(i);
      determined[g] += share;
      all_determined += share;
    }
    double change = 0;
    const auto set = [&](double& variance, const GroupPrior& prior, double square, double count) {
      if (!std::isfinite(prior.strength)) return;
      const double now = std::max(
          least_variance, (square + prior.strength * prior.variance) / (count + prior.strength));
      change = std::max(change, std::abs(std::log(now / variance)));
      variance = now;
    };
    for (std::size_t g = 0; g < groups.size(); ++g)
      set(r.group_variance[g], groups[g], squares[g], determined[g]);
    const Eigen::VectorXd left = normal.residual - data.x * r.mean;
    set(r.noise, noise, (data.precision.array() * left.array().square()).sum(),
        std::max(1.0, static_cast<double>(data.x.rows()) - all_determined));
    if (change < settled) break;
  }
  solve(normal, data.group, r);
  r.mean += data.prior_mean;
  return r;
}

BayesianRegression refit(const BayesianRegression& fitted, const RegressionData& data) {
  check(data, fitted.group_variance.size());
  BayesianRegression r = fitted;
  solve(NormalEquations(data), data.group, r);
  r.mean += data.prior_mean;
  return r;
}

CrossValidation leave_one_out(const BayesianRegression& fitted, const RegressionData& data) {
  check(data, fitted.group_variance.size());
  CrossValidation out{data.x * fitted.mean, Eigen::VectorXd(data.x.rows())};
  for (Eigen::Index i = 0; i < data.x.rows(); ++i) {
    const double noise = fitted.noise / data.precision(i);
    const double spread = data.x.row(i).dot(fitted.covariance * data.x.row(i).transpose());
    const double leverage = spread / noise;
    const double residual = (data.y(i) - out.mean(i)) / (1 - leverage);
    out.mean(i) = data.y(i) - residual;
    out.variance(i) = noise / (1 - leverage);
  }
  return out;
}

VarianceFactors fit_variance_factors(const BayesianRegression& fitted, const RegressionData& data) {
  const CrossValidation left = leave_one_out(fitted, data);
  VarianceFactors best;
  double best_score = -std::numeric_limits<double>::infinity();
  for (const double log_noise : {-0.6, -0.3, 0.0, 0.3, 0.6})
    for (const double log_weights : {0.0, 0.35, 0.7, 1.05, 1.4}) {
      double score = -0.5 * (std::pow(log_noise / 0.5, 2) + std::pow(log_weights / 0.7, 2));
      for (Eigen::Index i = 0; i < left.mean.size(); ++i) {
        const double noise = fitted.noise / data.precision(i);
        const double variance =
            noise * std::exp(log_noise) + (left.variance(i) - noise) * std::exp(log_weights);
        score -= 0.5 * (std::log(variance) + std::pow(data.y(i) - left.mean(i), 2) / variance);
      }
      if (score <= best_score) continue;
      best_score = score;
      best = {std::exp(log_noise), std::exp(log_weights)};
    }
  return best;
}

}  // namespace cpubone
