#pragma once
#include <Eigen/Core>
#include <cstdint>
#include <span>
#include <vector>

#include "predictor/accuracy_terms.hpp"
#include "records/result.hpp"

namespace cpubone {

/// Estimated top-1 in percent with its 90 % interval.
struct AccuracyEstimate {
  double top1 = 0;
  double low = 0;
  double high = 0;
  double assured = 0;    ///< reached with `claim_probability`
  bool refused = false;  ///< too far from all that was trained to be estimated
  bool operator==(const AccuracyEstimate&) const = default;
};

/// log(100 - top1) as a linear function of capacity and of what blocks at each place are like, with
/// normal weights. Made for one family; plain numbers, so that estimating takes some microseconds.
/// Effects are credited within what was trained, and cost beyond it; doubt grows with the distance.
struct AccuracyPosterior {
  Eigen::VectorXd centre;  ///< of the plain features
  Eigen::VectorXd scale;   ///< of those whose products count
  Eigen::VectorXd low;     ///< of centred plain features, as networks of all families have them
  Eigen::VectorXd high;
  double ratio_low = 0;  ///< the same of log(parameters / MACs)
  double ratio_high = 0;
  Eigen::VectorXf trend;  ///< weights of the features in what is squared, in tenths
  double trend_low = 0;   ///< within which it is squared
  double trend_high = 0;
  Eigen::VectorXf mean;             ///< of the weights, the level last
  std::vector<Eigen::Index> known;  ///< weights of what networks of the family have
  Eigen::MatrixXf root;             ///< upper triangular; its square is the covariance of these
  Eigen::VectorXf doubt;            ///< standard deviations of the others, 0 for these
  double noise = 0;                 ///< variance of what no feature explains
  double macs_low = 0;              ///< of all networks that it was fitted to
  double macs_high = 0;
  double family_macs_low = 0;
  double family_macs_high = 0;
};

/// Of what log(100 - top1) is known to be by mean and variance.
AccuracyEstimate estimate_of(double mean, double variance);
AccuracyEstimate estimate(const AccuracyPosterior& posterior, const AccuracyTerms& terms);
/// Whether a network is too far from all that was trained to be estimated.
bool refuses(const AccuracyPosterior& posterior, const AccuracyTerms& terms);

/// How far estimates of networks that were chosen for them flatter these, in standard deviations of
/// what is not known of the weights: the mean, and how much wider it spreads.
struct SelectionEffect {
  double bias = 0;
  double spread = 1;
};

/// Simulates the choice: were the estimates of all networks that were compared true, and one made
/// again by weights drawn from their joint posterior, how far would the members of its front be off
/// (the winner's curse)? `costs` are what the front weighs accuracy against, e.g. latencies. Throws
/// std::invalid_argument where the lists differ in length or are empty.
SelectionEffect selection_effect(const AccuracyPosterior& posterior,
                                 std::span<const AccuracyTerms> compared,
                                 std::span<const double> costs, int draws, std::uint64_t seed);

/// The estimate of a network that was chosen.
AccuracyEstimate estimate(const AccuracyPosterior& posterior, const AccuracyTerms& terms,
                          const SelectionEffect& effect);
/// Probability that a network that was chosen reaches an accuracy.
double probability_of(const AccuracyPosterior& posterior, const AccuracyTerms& terms,
                      const SelectionEffect& effect, double top1);

/// Standard normal numbers, the same on every platform.
std::vector<double> normal_numbers(int count, std::uint64_t seed);

/// Draws of the true accuracies of several networks from their joint posterior, in percent: a row a
/// draw, a column a network.
Eigen::MatrixXd draw(const AccuracyPosterior& posterior, std::span<const AccuracyTerms> networks,
                     int draws, std::uint64_t seed);

}  // namespace cpubone
