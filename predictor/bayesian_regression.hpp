#pragma once
#include <Eigen/Core>
#include <span>
#include <vector>

namespace cpubone {

/// What a linear regression is fitted to: y = x w + noise. Weights have normal priors whose
/// variance is learnt, one for each group of columns.
struct RegressionData {
  Eigen::MatrixXd x;           ///< a row an observation
  Eigen::VectorXd y;           ///< of the order of 1
  Eigen::VectorXd precision;   ///< 1: usual noise; 0.25: twice its standard deviation
  std::vector<int> group;      ///< of each column, from 0
  Eigen::VectorXd prior_mean;  ///< of each column's weight
};

/// Variance of a group's weights before any data, and how many weights' worth of evidence that is.
/// With infinite strength it is not learnt.
struct GroupPrior {
  double variance = 1;
  double strength = 1;
};

/// Weights given the data: normal, with variances that maximise the evidence (MacKay, Bayesian
/// interpolation, 1992).
struct BayesianRegression {
  Eigen::VectorXd mean;
  Eigen::MatrixXd covariance;
  double noise = 0;  ///< variance of an observation of precision 1
  std::vector<double> group_variance;
};

/// Throws std::invalid_argument where sizes differ or a group has no prior.
BayesianRegression fit_bayesian_regression(const RegressionData& data,
                                           std::span<const GroupPrior> groups,
                                           const GroupPrior& noise);

/// The same variances on other data, e.g. with some observations left out.
BayesianRegression refit(const BayesianRegression& fitted, const RegressionData& data);

/// Each observation's y predicted without it, at the variances of the fit, and the variance of
/// that prediction, the observation's noise included.
struct CrossValidation {
  Eigen::VectorXd mean;
  Eigen::VectorXd variance;
};
CrossValidation leave_one_out(const BayesianRegression& fitted, const RegressionData& data);

/// What left-out observations say of the variances: where a linear model does not fit, it is off by
/// more the farther an observation is from those that it was fitted to.
struct VarianceFactors {
  double noise = 1;
  double weights = 1;
};
/// Maximises the predictive likelihood of left-out observations, with normal priors around no
/// change of the factors' logarithms.
VarianceFactors fit_variance_factors(const BayesianRegression& fitted, const RegressionData& data);

}  // namespace cpubone
