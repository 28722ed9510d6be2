#pragma once
#include <Eigen/Core>
#include <cstddef>

namespace cpubone {

/// Regression by a Gaussian process with a Matern 5/2 kernel and one length for each input:
/// Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), chapters 2, 4 and 5.
/// Inputs are standardised; outputs are taken as they are, with mean zero.
struct GaussianProcess {
  Eigen::VectorXd centre;  ///< of each input
  Eigen::VectorXd
      scale;          ///< standard deviation over length, by input; 0 where an input is constant
  double signal = 0;  ///< variance of the function
  double noise = 0;   ///< variance of an observation
  double spread_factor = 1;  ///< calibrates `spread` on residuals of left-out points
  Eigen::MatrixXf points;    ///< inputs x observations, standardised and divided by lengths
  Eigen::VectorXf weights;   ///< of each observation

  std::size_t size() const { return static_cast<std::size_t>(points.cols()); }
};

/// Correlation of the function at two points that are so many lengths apart.
double matern(double distance);

/// Mean and standard deviation of a prediction, the observation's noise included.
struct Prediction {
  double mean = 0;
  double spread = 0;
};

struct FitReport {
  Eigen::VectorXd train_residuals;     ///< of each observation, fitted minus observed
  Eigen::VectorXd left_out_residuals;  ///< the same with the observation left out of the fit
};

/// What is learnt: logarithms of each input's length (in standard deviations of it), of the
/// signal's variance and of the noise's.
struct Hyperparameters {
  Eigen::VectorXd log_lengths;
  double log_signal = 0;
  double log_noise = 0;
};

/// Logarithm, up to a constant, of the marginal likelihood of standardised observations times the
/// prior of the hyperparameters; its gradient with respect to them where wanted.
double log_posterior(const Eigen::MatrixXd& inputs, const Eigen::VectorXd& outputs,
                     const Eigen::VectorXd& variances, const Hyperparameters& hyper,
                     Hyperparameters* gradient = nullptr);

/// Fits lengths, signal and noise by the marginal likelihood, deterministic. `inputs` has one row
/// for each observation; `variances` is the known noise of each, on top of the fitted one. Throws
/// std::invalid_argument where sizes differ or there is no observation.
GaussianProcess fit_gaussian_process(const Eigen::MatrixXd& inputs, const Eigen::VectorXd& outputs,
                                     const Eigen::VectorXd& variances, FitReport* report = nullptr);

/// The spread is that of a process that knows the nearest observation only: never below the exact
/// one, and as cheap as the mean; `spread_factor` calibrates it.
Prediction predict(const GaussianProcess& process, const Eigen::VectorXd& input);

}  // namespace cpubone
