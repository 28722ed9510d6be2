#pragma once
#include <Eigen/Core>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "predictor/predictor.hpp"

namespace cpubone {

/// How few latencies of another device, of networks or of single operators, turn a predictor into
/// one of that device. What an operator takes there is
///     the sum over parts of (its latency by the base times e^part) times e^factor(operator)
/// with Gaussian priors: each part (arithmetic, near and far memory, weights, dispatch, ...) and
/// all together scale by about what they do from one device to another, and the factor is a
/// Gaussian process over the shapes of a class's operators. Latencies are sums of operators, so
/// that networks tell of their operators; logarithms keep all costs positive. The most probable
/// values are found by Gauss-Newton steps in the space of observations (Rasmussen and Williams,
/// chapters 2 and 3), with Student-t noise of a size that the evidence chooses.
class Adaptation {
 public:
  /// Operators that are executed one after the other.
  struct Subject {
    std::vector<Op> ops;
    bool network = true;  ///< else measured alone
  };
  struct Observation {
    std::size_t subject = 0;
    double ns = 0;
    double relative_error = 0;  ///< standard error of `ns` over `ns`, where it is known
  };
  /// The most probable values, and what their uncertainty follows from.
  struct Fit {
    Eigen::VectorXd log_parts;
    Eigen::VectorXd log_factors;   ///< by operator
    Eigen::VectorXd coefficients;  ///< of the Gaussian process, by operator
    double noise = 0;              ///< relative, of an observation
    double log_evidence = 0;       ///< up to a constant
    Eigen::MatrixXd part_slopes;   ///< of the observations' logarithms
    Eigen::MatrixXd op_slopes;     ///< transposed: a column for each observation
    Eigen::MatrixXd inverse;       ///< of the observations' covariance
  };

  /// `threads` share an operator on the new device, as in `Correction`. Throws cpubone::Error for
  /// an operator that `base` has no model of.
  Adaptation(const Predictor& base, const Device& device, int threads,
             std::span<const Subject> subjects);

  /// With the noise that the observations make most probable; the prior where there are none.
  Fit fit(std::span<const Observation> known) const;
  Fit fit(std::span<const Observation> known, double noise) const;

  /// What a subject takes.
  double ns(const Fit& fit, std::size_t subject) const;

  /// Of the candidates, some of which may be known, the one whose latency would tell most about the
  /// targets: by which the sum of the variances of their logarithms falls most. Throws
  /// std::invalid_argument where all are known.
  std::size_t most_informative(std::span<const std::size_t> candidates,
                               std::span<const std::size_t> targets,
                               std::span<const Observation> known) const;

  /// The base with the corrections that follow; what it stands on is for the caller to say.
  Predictor predictor(const Fit& fit) const;

 private:
  struct Linear;
  struct ClassRange {
    Eigen::Index model;
    Eigen::Index begin;
    Eigen::Index count;
  };

  Eigen::MatrixXd rows(std::span<const std::size_t> subjects) const;
  Linear linearise(const Eigen::MatrixXd& counts, const Fit& at) const;
  Eigen::MatrixXd covariance(const Linear& a, const Linear& b) const;
  Eigen::MatrixXd times_covariance(const Eigen::MatrixXd& op_slopes) const;

  const Predictor& base_;
  int threads_;
  std::vector<ClassRange> ranges_;  ///< operators are ordered by class
  Eigen::MatrixXd features_;        ///< a column for each operator
  Eigen::MatrixXd parts_ns_;        ///< by the base, a row for each operator
  Eigen::MatrixXd counts_;          ///< a row for each subject, a column for each operator
  std::vector<Eigen::MatrixXd> covariances_;  ///< of the factors, by range
};

/// What is executed of a network in a precision.
Adaptation::Subject subject_of(const Network& network, DType dtype = DType::f32,
                               bool dynamic = false);

}  // namespace cpubone
