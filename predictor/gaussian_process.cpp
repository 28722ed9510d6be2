#include "predictor/gaussian_process.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "predictor/normal_interval.hpp"

namespace cpubone {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr Index most_fit_points = 240;  // lengths are learnt on so many; all are used to predict
constexpr int iterations = 70;
constexpr double prior_log_length = 1.5;
constexpr double prior_length_deviation = 1.4;
constexpr double prior_log_signal = -3;
constexpr double prior_log_noise = -8;
constexpr double prior_variance_deviation = 2.8;
constexpr double outlier = 4.0;  // left-out residuals beyond so many deviations count less

MatrixXd scaled(const MatrixXd& x, const Hyperparameters& hyper) {
  return x.array().rowwise() / hyper.log_lengths.transpose().array().exp();
}

MatrixXd distances(const MatrixXd& z) {
  const VectorXd squares = z.rowwise().squaredNorm();
  MatrixXd d = -2.0 * z * z.transpose();
  d.colwise() += squares;
  d.rowwise() += squares.transpose();
  return d.cwiseMax(0.0).cwiseSqrt();
}

MatrixXd covariance(const MatrixXd& d, const Hyperparameters& hyper, const VectorXd& variances) {
  MatrixXd k = d.unaryExpr(&matern) * std::exp(hyper.log_signal);
  k.diagonal() += variances;
  k.diagonal().array() += std::exp(hyper.log_noise);
  return k;
}

}  // namespace

double matern(double distance) {
  const double r = std::sqrt(5.0) * distance;
  return (1 + r + r * r / 3) * std::exp(-r);
}

double log_posterior(const MatrixXd& inputs, const VectorXd& outputs, const VectorXd& variances,
                     const Hyperparameters& hyper, Hyperparameters* gradient) {
  const Index n = inputs.rows();
  const MatrixXd z = scaled(inputs, hyper);
  const MatrixXd d = distances(z);
  const Eigen::LLT<MatrixXd> factor(covariance(d, hyper, variances));
  const MatrixXd inverse = factor.solve(MatrixXd::Identity(n, n));
  const VectorXd alpha = inverse * outputs;
  const double log_determinant = 2 * MatrixXd(factor.matrixL()).diagonal().array().log().sum();
  // Weak priors keep everything within reason where there are few observations.
  const auto log_prior = [](double value, double mean, double deviation) {
    return -(value - mean) * (value - mean) / (2 * deviation * deviation);
  };
  double value = -0.5 * outputs.dot(alpha) - 0.5 * log_determinant +
                 log_prior(hyper.log_signal, prior_log_signal, prior_variance_deviation) +
                 log_prior(hyper.log_noise, prior_log_noise, prior_variance_deviation);
  for (const double log_length : hyper.log_lengths)
    value += log_prior(log_length, prior_log_length, prior_length_deviation);
  if (gradient == nullptr) return value;

  const auto slope = [](double at, double mean, double deviation) {
    return -(at - mean) / (deviation * deviation);
  };
  const MatrixXd a = alpha * alpha.transpose() - inverse;
  const double signal = std::exp(hyper.log_signal);
  gradient->log_signal = 0.5 * (a.array() * d.unaryExpr(&matern).array()).sum() * signal +
                         slope(hyper.log_signal, prior_log_signal, prior_variance_deviation);
  gradient->log_noise = 0.5 * a.diagonal().sum() * std::exp(hyper.log_noise) +
                        slope(hyper.log_noise, prior_log_noise, prior_variance_deviation);
  // dk / d log length_i = signal 5/3 (1 + sqrt5 r) exp(-sqrt5 r) (difference_i / length_i)^2
  const MatrixXd common =
      (a.array() * d.unaryExpr([](double r) {
                      return (1 + std::sqrt(5.0) * r) * std::exp(-std::sqrt(5.0) * r);
                    }).array())
          .matrix() *
      (signal * 5.0 / 3.0);
  gradient->log_lengths = VectorXd::Zero(inputs.cols());
  for (Index i = 0; i < inputs.cols(); ++i) {
    const VectorXd zi = z.col(i);
    const VectorXd square = zi.array().square();
    // sum over pairs of common (z_a - z_b)^2
    const double sum = 2.0 * (square.dot(common.rowwise().sum()) - zi.dot(common * zi));
    gradient->log_lengths(i) =
        0.5 * sum + slope(hyper.log_lengths(i), prior_log_length, prior_length_deviation);
  }
  return value;
}

namespace {

/// Ascent with a step of its own for each parameter that grows while its gradient keeps its sign
/// (Rprop): needs no line search and no scale of the objective.
void climb(const MatrixXd& x, const VectorXd& y, const VectorXd& variances,
           Hyperparameters& hyper) {
  const Index count = x.cols() + 2;
  VectorXd step = VectorXd::Constant(count, 0.3);
  VectorXd before = VectorXd::Zero(count);
  for (int i = 0; i < iterations; ++i) {
    Hyperparameters g;
    log_posterior(x, y, variances, hyper, &g);
    VectorXd now(count);
    now << g.log_lengths, g.log_signal, g.log_noise;
    for (Index k = 0; k < count; ++k) {
      const double sign = now(k) * before(k);
      if (sign > 0) step(k) = std::min(step(k) * 1.3, 1.0);
      if (sign < 0) step(k) = std::max(step(k) * 0.5, 1e-3);
      const double move = now(k) > 0 ? step(k) : now(k) < 0 ? -step(k) : 0.0;
      double& parameter = k < x.cols()    ? hyper.log_lengths(k)
                          : k == x.cols() ? hyper.log_signal
                                          : hyper.log_noise;
      parameter += move;
      before(k) = sign < 0 ? 0 : now(k);
    }
    hyper.log_lengths = hyper.log_lengths.cwiseMax(-2.0).cwiseMin(6.0);
    hyper.log_signal = std::clamp(hyper.log_signal, -10.0, 3.0);
    hyper.log_noise = std::clamp(hyper.log_noise, -12.0, 0.0);
  }
}

}  // namespace

GaussianProcess fit_gaussian_process(const MatrixXd& inputs, const VectorXd& outputs,
                                     const VectorXd& variances, FitReport* report) {
  const Index n = inputs.rows();
  if (n == 0 || outputs.size() != n || variances.size() != n)
    throw std::invalid_argument(
        "a Gaussian process needs as many outputs and variances as inputs, at least one");
  GaussianProcess process;
  process.centre = inputs.colwise().mean();
  MatrixXd x = inputs.rowwise() - process.centre.transpose();
  const VectorXd deviation = (x.colwise().squaredNorm() / static_cast<double>(n)).cwiseSqrt();
  std::vector<Index> varying;
  for (Index i = 0; i < deviation.size(); ++i)
    if (deviation(i) > 1e-9) varying.push_back(i);
  MatrixXd standard(n, static_cast<Index>(varying.size()));
  for (Index k = 0; k < standard.cols(); ++k) {
    const Index i = varying[static_cast<std::size_t>(k)];
    standard.col(k) = x.col(i) / deviation(i);
  }

  Hyperparameters hyper{VectorXd::Constant(standard.cols(), 1.0),
                        std::log(std::max(outputs.squaredNorm() / static_cast<double>(n), 1e-4)),
                        -7.0};
  VectorXd known = variances;
  if (n >= 4 && standard.cols() > 0) {
    // Every k-th observation: the order of observations is that of a low-discrepancy plan.
    const Index used = std::min(n, most_fit_points);
    MatrixXd xs(used, standard.cols());
    VectorXd ys(used);
    VectorXd vs(used);
    for (Index k = 0; k < used; ++k) {
      const Index from = k * n / used;
      xs.row(k) = standard.row(from);
      ys(k) = outputs(from);
      vs(k) = known(from);
    }
    climb(xs, ys, vs, hyper);
  }
  const MatrixXd d = distances(scaled(standard, hyper));
  VectorXd left_out(n);
  VectorXd alpha;
  MatrixXd inverse;
  for (int pass = 0; pass < 2; ++pass) {
    const Eigen::LLT<MatrixXd> factor(covariance(d, hyper, known));
    inverse = factor.solve(MatrixXd::Identity(n, n));
    alpha = inverse * outputs;
    left_out = -alpha.cwiseQuotient(inverse.diagonal());  // fitted minus observed, R&W (5.12)
    if (pass == 1) break;
    for (Index i = 0; i < n; ++i) {
      const double z = std::abs(left_out(i)) * std::sqrt(inverse(i, i));
      if (z > outlier) known(i) += left_out(i) * left_out(i);
    }
  }

  process.signal = std::exp(hyper.log_signal);
  process.noise = std::exp(hyper.log_noise);
  process.scale = VectorXd::Zero(deviation.size());
  for (Index k = 0; k < standard.cols(); ++k) {
    const Index i = varying[static_cast<std::size_t>(k)];
    process.scale(i) = 1.0 / (deviation(i) * std::exp(hyper.log_lengths(k)));
  }
  process.points = ((inputs.rowwise() - process.centre.transpose()).array().rowwise() *
                    process.scale.transpose().array())
                       .transpose()
                       .cast<float>();
  process.weights = alpha.cast<float>();

  // How far left-out points really are, in units of what the nearest observation promises.
  std::vector<double> ratios;
  const MatrixXd k = d.unaryExpr(&matern);
  for (Index i = 0; i < n; ++i) {
    double nearest = 0;
    for (Index j = 0; j < n; ++j)
      if (j != i) nearest = std::max(nearest, k(i, j));
    const double share = process.signal / (process.signal + process.noise);
    const double variance = process.signal * (1 - nearest * nearest * share) + process.noise;
    ratios.push_back(std::abs(left_out(i)) / std::sqrt(variance));
  }
  std::sort(ratios.begin(), ratios.end());
  // So that nine tenths of left-out points are within 1.645 spreads; few points say little about
  // it.
  constexpr Index few = 10;
  const double quantile_90 = ratios[static_cast<std::size_t>(0.9 * static_cast<double>(n - 1))];
  process.spread_factor = std::clamp(quantile_90 / z90, n < few ? 1.0 : 0.3, 3.0);
  if (report) {
    report->left_out_residuals = left_out;
    report->train_residuals = d.unaryExpr(&matern) * process.signal * alpha - outputs;
  }
  return process;
}

Prediction predict(const GaussianProcess& process, const VectorXd& input) {
  if (process.size() == 0)
    return {0, process.spread_factor * std::sqrt(process.signal + process.noise)};
  const Eigen::VectorXf z =
      ((input - process.centre).array() * process.scale.array()).matrix().cast<float>();
  const Eigen::ArrayXf r =
      (process.points.colwise() - z).colwise().squaredNorm().array().sqrt() * std::sqrt(5.0F);
  const Eigen::ArrayXf k = (1.0F + r + r.square() * (1.0F / 3.0F)) * (-r).exp();
  const double nearest = k.maxCoeff();
  const double share = process.signal / (process.signal + process.noise);
  const double variance = process.signal * (1 - nearest * nearest * share) + process.noise;
  return {process.signal * static_cast<double>(k.matrix().dot(process.weights)),
          process.spread_factor * std::sqrt(std::max(variance, 0.0))};
}

}  // namespace cpubone
