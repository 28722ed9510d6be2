#include "predictor/least_squares.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace cpubone {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

VectorXd non_negative_least_squares(const MatrixXd& a, const VectorXd& b, const VectorXd& ridge,
                                    const VectorXd& prior) {
  if (a.rows() != b.size() || a.cols() != ridge.size() || a.cols() != prior.size())
    throw std::invalid_argument(
        fmt::format("least squares: {} x {} matrix with {} targets, {} ridges and {} priors",
                    a.rows(), a.cols(), b.size(), ridge.size(), prior.size()));
  // Cyclic coordinate descent: the objective is convex and the problem tiny.
  const MatrixXd gram = a.transpose() * a + MatrixXd(ridge.asDiagonal());
  const VectorXd target = a.transpose() * b + ridge.cwiseProduct(prior);
  VectorXd w = prior.cwiseMax(0.0);
  for (int sweep = 0; sweep < 2000; ++sweep) {
    double moved = 0;
    for (Index i = 0; i < w.size(); ++i) {
      if (gram(i, i) <= 0) continue;
      const double next = std::max(0.0, w(i) + (target(i) - gram.row(i).dot(w)) / gram(i, i));
      moved = std::max(moved, std::abs(next - w(i)) * std::sqrt(gram(i, i)));
      w(i) = next;
    }
    if (moved < 1e-12) break;
  }
  return w;
}

double robust_weight(double residual, double edge) {
  return std::sqrt(std::min(1.0, edge / std::max(std::abs(residual), 1e-12)));
}

}  // namespace cpubone
