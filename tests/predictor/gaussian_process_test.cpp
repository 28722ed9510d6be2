#include "predictor/gaussian_process.hpp"

#include <Eigen/Cholesky>
#include <cmath>
#include <random>

#include "tests/catch.hpp"

using namespace cpubone;
using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

namespace {

/// Uniform in -1..1, the same with every standard library.
double uniform(std::mt19937_64& random) {
  return static_cast<double>(random() >> 11) * 0x1p-52 - 1;
}

MatrixXd random_inputs(Index rows, Index columns, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  MatrixXd x(rows, columns);
  for (Index i = 0; i < rows; ++i)
    for (Index k = 0; k < columns; ++k) x(i, k) = uniform(random);
  return x;
}

VectorXd smooth(const MatrixXd& x) {
  return (2 * x.col(0)).array().sin() + 0.5 * x.col(1).array().square();
}

double matern_of(double r) {
  return (1 + std::sqrt(5.0) * r + 5 * r * r / 3) * std::exp(-std::sqrt(5.0) * r);
}

}  // namespace

TEST_CASE("a process interpolates a smooth function without noise", "[predictor]") {
  const MatrixXd x = random_inputs(120, 3, 1);
  const GaussianProcess process = fit_gaussian_process(x, smooth(x), VectorXd::Zero(120));
  const MatrixXd unseen = random_inputs(50, 3, 2);
  const VectorXd truth = smooth(unseen);
  for (Index i = 0; i < unseen.rows(); ++i)
    CHECK(predict(process, unseen.row(i)).mean == Approx(truth(i)).margin(0.05));
  // The third input has no effect: its length is longer than that of those that have.
  CHECK(process.scale(2) < 0.3 * process.scale(0));
}

TEST_CASE("a process far from its observations returns to zero and is unsure", "[predictor]") {
  const MatrixXd x = random_inputs(40, 2, 3);
  const GaussianProcess process =
      fit_gaussian_process(x, VectorXd(smooth(x).array() + 1), VectorXd::Zero(40));
  const Prediction near = predict(process, x.row(0));
  const Prediction far = predict(process, VectorXd::Constant(2, 1e4));
  CHECK(std::abs(far.mean) < 1e-3);
  CHECK(far.spread > 5 * near.spread);
}

TEST_CASE("one observation is predicted as the kernel says", "[predictor]") {
  // With one observation y at x: mean(x') = y k(r) s / (s + noise), here at the observation itself.
  GaussianProcess process = fit_gaussian_process(MatrixXd::Zero(1, 1), VectorXd::Constant(1, 0.2),
                                                 VectorXd::Constant(1, 0.01));
  const double signal = process.signal;
  CHECK(signal == Approx(0.04));
  CHECK(predict(process, VectorXd::Zero(1)).mean ==
        Approx(0.2 * signal / (signal + process.noise + 0.01)));
  process.scale(0) = 1;  // then at distance 2
  CHECK(predict(process, VectorXd::Constant(1, 2)).mean ==
        Approx(0.2 * matern_of(2) * signal / (signal + process.noise + 0.01)));
}

TEST_CASE("the posterior of two observations is the one worked by hand", "[predictor]") {
  MatrixXd x(2, 1);
  x << 0, 1;
  const VectorXd y{{1.0, -1.0}};
  const Hyperparameters hyper{VectorXd::Zero(1), 0, std::log(0.5)};
  // K = [1.5 k; k 1.5] with k = matern_of(1), plus the priors of length, signal and noise.
  const double k = matern_of(1);
  const double determinant = 1.5 * 1.5 - k * k;
  const double fit = (1.5 + 1.5 + 2 * k) / determinant;  // y' K^-1 y
  const double priors = -std::pow(1.5 / 1.4, 2) / 2 - std::pow(3 / 2.8, 2) / 2 -
                        std::pow((std::log(0.5) + 8) / 2.8, 2) / 2;
  CHECK(log_posterior(x, y, VectorXd::Zero(2), hyper) ==
        Approx(-0.5 * fit - 0.5 * std::log(determinant) + priors));
}

TEST_CASE("the gradient agrees with finite differences", "[predictor]") {
  const MatrixXd x = random_inputs(12, 3, 4);
  const VectorXd y = smooth(x);
  const VectorXd variances = VectorXd::LinSpaced(12, 0, 0.02);
  const Hyperparameters at{VectorXd{{0.3, -0.2, 1.0}}, -0.5, -4};
  Hyperparameters gradient;
  log_posterior(x, y, variances, at, &gradient);
  const auto difference = [&](auto change) {
    constexpr double h = 1e-5;
    Hyperparameters up = at;
    Hyperparameters down = at;
    change(up, h);
    change(down, -h);
    return (log_posterior(x, y, variances, up) - log_posterior(x, y, variances, down)) / (2 * h);
  };
  for (Index i = 0; i < 3; ++i)
    CHECK(gradient.log_lengths(i) == Approx(difference([&](Hyperparameters& p, double h) {
                                       p.log_lengths(i) += h;
                                     })).epsilon(1e-5));
  CHECK(gradient.log_signal ==
        Approx(difference([](Hyperparameters& p, double h) { p.log_signal += h; })).epsilon(1e-5));
  CHECK(gradient.log_noise ==
        Approx(difference([](Hyperparameters& p, double h) { p.log_noise += h; })).epsilon(1e-5));
}

TEST_CASE("left-out residuals are those of a fit without the observation", "[predictor]") {
  const MatrixXd x = random_inputs(30, 2, 5);
  VectorXd y = smooth(x);
  std::mt19937_64 random(6);
  for (double& value : y) value += 0.05 * uniform(random);
  FitReport report;
  const GaussianProcess all = fit_gaussian_process(x, y, VectorXd::Zero(30), &report);
  // Solve the system of the others with the same kernel.
  const auto covariance = [&](Index i, Index j) {
    const double r =
        ((x.row(i) - x.row(j)).transpose().array() * all.scale.array()).matrix().norm();
    return all.signal * matern_of(r) + (i == j ? all.noise : 0.0);
  };
  for (const Index left_out : {Index{0}, Index{7}, Index{29}}) {
    MatrixXd k(29, 29);
    VectorXd others(29);
    VectorXd to(29);
    const auto index = [&](Index i) { return i < left_out ? i : i + 1; };
    for (Index i = 0; i < 29; ++i) {
      others(i) = y(index(i));
      to(i) = covariance(index(i), left_out);
      for (Index j = 0; j < 29; ++j) k(i, j) = covariance(index(i), index(j));
    }
    const double mean = to.dot(k.ldlt().solve(others));
    CHECK(report.left_out_residuals(left_out) == Approx(mean - y(left_out)).margin(1e-7));
  }
}

TEST_CASE("spreads of observations with noise hold nine tenths of unseen ones", "[predictor]") {
  const auto noisy = [](const MatrixXd& x, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    VectorXd y = smooth(x);
    // Sum of twelve uniform values: close to normal, deviation 0.1.
    for (double& value : y) {
      double sum = 0;
      for (int i = 0; i < 12; ++i) sum += uniform(random);
      value += 0.1 * sum / 2;
    }
    return y;
  };
  const MatrixXd x = random_inputs(200, 3, 7);
  const GaussianProcess process = fit_gaussian_process(x, noisy(x, 8), VectorXd::Zero(200));
  const MatrixXd unseen = random_inputs(400, 3, 9);
  const VectorXd truth = noisy(unseen, 10);
  int held = 0;
  for (Index i = 0; i < unseen.rows(); ++i) {
    const Prediction p = predict(process, unseen.row(i));
    held += std::abs(p.mean - truth(i)) <= 1.645 * p.spread ? 1 : 0;
  }
  CHECK(held >= 340);
  CHECK(held <= 380);
}

TEST_CASE("a wild observation does not bend the function", "[predictor]") {
  const MatrixXd x = random_inputs(80, 2, 11);
  VectorXd y = smooth(x);
  y(40) += 3;
  const GaussianProcess process = fit_gaussian_process(x, y, VectorXd::Zero(80));
  CHECK(predict(process, x.row(40)).mean == Approx(y(40) - 3).margin(0.3));
}

TEST_CASE("the same observations give the same process", "[predictor]") {
  const MatrixXd x = random_inputs(50, 3, 12);
  const GaussianProcess a = fit_gaussian_process(x, smooth(x), VectorXd::Zero(50));
  const GaussianProcess b = fit_gaussian_process(x, smooth(x), VectorXd::Zero(50));
  CHECK(a.weights == b.weights);
  CHECK(a.scale == b.scale);
  CHECK(a.spread_factor == b.spread_factor);
}

TEST_CASE("a process refuses sizes that differ and no observation at all", "[predictor]") {
  const std::string expected =
      "a Gaussian process needs as many outputs and variances as inputs, at least one";
  CHECK_THROWS_WITH(fit_gaussian_process(MatrixXd(2, 1), VectorXd(3), VectorXd(2)), expected);
  CHECK_THROWS_WITH(fit_gaussian_process(MatrixXd(0, 1), VectorXd(0), VectorXd(0)), expected);
}
