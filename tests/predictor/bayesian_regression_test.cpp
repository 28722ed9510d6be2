#include "predictor/bayesian_regression.hpp"

#include <cmath>
#include <limits>
#include <random>

#include "tests/catch.hpp"

using namespace cpubone;
using Eigen::MatrixXd;
using Eigen::VectorXd;

namespace {

constexpr double never = std::numeric_limits<double>::infinity();  // learns a variance

RegressionData data_of(const MatrixXd& x, const VectorXd& y, std::vector<int> group) {
  return {x, y, VectorXd::Ones(y.size()), std::move(group), VectorXd::Zero(x.cols())};
}

/// y depends on the first of three columns only.
RegressionData some_data() {
  std::mt19937 rng(3);
  std::uniform_real_distribution<double> uniform(-1, 1);
  MatrixXd x(40, 3);
  VectorXd y(40);
  for (Eigen::Index i = 0; i < 40; ++i) {
    for (Eigen::Index k = 0; k < 3; ++k) x(i, k) = uniform(rng);
    y(i) = 2 * x(i, 0) + 0.1 * uniform(rng);
  }
  return data_of(x, y, {0, 1, 1});
}

const std::vector<GroupPrior> learnt{{1, 0.1}, {1, 0.1}};

}  // namespace

TEST_CASE("a weight's posterior is the normal one of data and prior", "[predictor]") {
  // Precision 2 / 1 + 1 / 1, mean (1 + 3) / 3.
  RegressionData data = data_of(MatrixXd::Ones(2, 1), VectorXd{{1.0, 3.0}}, {0});
  const std::vector<GroupPrior> fixed{{1, never}};
  BayesianRegression r = fit_bayesian_regression(data, fixed, {1, never});
  CHECK(r.mean(0) == Approx(4.0 / 3));
  CHECK(r.covariance(0, 0) == Approx(1.0 / 3));
  // A prior mean of 2 takes the place of 0; a row of precision 0 counts nothing.
  data.prior_mean(0) = 2;
  CHECK(fit_bayesian_regression(data, fixed, {1, never}).mean(0) == Approx(2));
  data.precision(1) = 0;
  r = fit_bayesian_regression(data, fixed, {1, never});
  CHECK(r.mean(0) == Approx(1.5));
  CHECK(r.covariance(0, 0) == Approx(0.5));
}

TEST_CASE("the variances of groups and noise are learnt", "[predictor]") {
  const RegressionData data = some_data();
  const BayesianRegression r = fit_bayesian_regression(data, learnt, {0.01, 0.1});
  CHECK(r.mean(0) == Approx(2).margin(0.05));
  CHECK(r.group_variance[0] > 1);
  CHECK(r.group_variance[1] < 0.1);
  CHECK(std::sqrt(r.noise) == Approx(0.1 / std::sqrt(3)).epsilon(0.3));
}

TEST_CASE("leaving one out in closed form is leaving it out", "[predictor]") {
  const RegressionData data = some_data();
  const BayesianRegression r = fit_bayesian_regression(data, learnt, {0.01, 0.1});
  const CrossValidation left = leave_one_out(r, data);
  for (const Eigen::Index i : {Eigen::Index{0}, Eigen::Index{17}}) {
    RegressionData others = data;
    others.precision(i) = 0;
    const BayesianRegression without = refit(r, others);
    const VectorXd x = data.x.row(i);
    CHECK(left.mean(i) == Approx(x.dot(without.mean)).epsilon(1e-6));
    CHECK(left.variance(i) == Approx(x.dot(without.covariance * x) + r.noise).epsilon(1e-6));
  }
}

TEST_CASE("a regression refuses sizes that do not agree", "[predictor]") {
  RegressionData data = data_of(MatrixXd::Ones(2, 1), VectorXd::Ones(3), {0});
  data.precision = VectorXd::Ones(2);
  CHECK_THROWS_WITH(fit_bayesian_regression(data, learnt, {}),
                    ContainsSubstring("got 2 x 1 inputs with 3 outputs"));
  data = data_of(MatrixXd::Ones(2, 1), VectorXd::Ones(2), {7});
  CHECK_THROWS_WITH(fit_bayesian_regression(data, learnt, {}),
                    ContainsSubstring("group must be in 0..1, got 7"));
}
