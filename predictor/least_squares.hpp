#pragma once
#include <Eigen/Core>

namespace cpubone {

/// Weights w >= 0 that minimise |A w - b|^2 + sum ridge_i (w_i - prior_i)^2. Throws
/// std::invalid_argument where sizes differ.
Eigen::VectorXd non_negative_least_squares(const Eigen::MatrixXd& a, const Eigen::VectorXd& b,
                                           const Eigen::VectorXd& ridge,
                                           const Eigen::VectorXd& prior);

/// What the row of a residual is multiplied by so that it counts less beyond `edge`: the square
/// root of Huber's weight.
double robust_weight(double residual, double edge);

}  // namespace cpubone
