#pragma once
#include <Eigen/Core>

namespace cpubone {

/// Weights w >= 0 that minimise |A w - b|^2 + sum ridge_i (w_i - prior_i)^2. Throws
/// std::invalid_argument where sizes differ.
Eigen::VectorXd non_negative_least_squares(const Eigen::MatrixXd& a, const Eigen::VectorXd& b,
                                           const Eigen::VectorXd& ridge,
                                           const Eigen::VectorXd& prior);

}  // namespace cpubone
