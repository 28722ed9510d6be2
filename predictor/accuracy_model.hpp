#pragma once
#include <Eigen/Core>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "predictor/accuracy_terms.hpp"
#include "predictor/bayesian_regression.hpp"

namespace cpubone {

/// A trained network.
struct TrainedNetwork {
  std::string network;
  std::string family;        ///< those of one recipe and kind of blocks; one level for all of it
  bool classic = false;      ///< trained by a recipe from before strong augmentation
  bool proxy = false;        ///< trained by a short recipe: its order counts, not its level
  bool totals_only = false;  ///< only `macs` and `body_params` of the terms are known
  double top1 = 0;           ///< percent
  double precision = 1;      ///< 0.25: known with twice the usual error
  AccuracyTerms terms;
};

/// Estimated top-1 in percent with its 90 % interval.
struct AccuracyEstimate {
  double top1 = 0;
  double low = 0;
  double high = 0;
  bool refused = false;  ///< too far from all that was trained to be estimated
  bool operator==(const AccuracyEstimate&) const = default;
};

/// log(100 - top1) as a linear function of capacity and of what blocks at each place are like, with
/// normal weights. Made for one family; plain numbers, so that estimating takes about 1 us.
struct AccuracyPosterior {
  Eigen::VectorXd centre;  ///< of the plain features
  Eigen::VectorXd scale;   ///< of those whose products count
  Eigen::VectorXf mean;    ///< of the weights, the level last
  Eigen::MatrixXf root;    ///< upper triangular; its square is their covariance
  double noise = 0;        ///< variance of what no feature explains
  double macs_low = 0;     ///< of all networks that it was fitted to
  double macs_high = 0;
  double family_macs_low = 0;
  double family_macs_high = 0;
};

/// Throws std::invalid_argument where no network is of the family, or values out of
/// range.
class AccuracyFit {
 public:
  AccuracyFit(std::span<const TrainedNetwork> networks, std::string_view family);

  const AccuracyPosterior& posterior() const { return posterior_; }
  /// Estimates of networks that were not looked at, with intervals; one a network.
  std::vector<AccuracyEstimate> leave_one_out() const;
  /// The same with none of its family looked at; nothing where there is no other family.
  std::vector<std::optional<AccuracyEstimate>> leave_family_out() const;

 private:
  std::vector<TrainedNetwork> networks_;
  std::string family_;
  AccuracyPosterior posterior_;
  BayesianRegression regression_;
  RegressionData data_;
  double level_ = 0;
};

AccuracyEstimate estimate(const AccuracyPosterior& posterior, const AccuracyTerms& terms);
/// The estimate without its interval: some twenty times as fast.
double estimate_top1(const AccuracyPosterior& posterior, const AccuracyTerms& terms);
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

/// Draws of the true accuracies of several networks from their joint posterior, in percent: a row a
/// draw, a column a network.
Eigen::MatrixXd draw(const AccuracyPosterior& posterior, std::span<const AccuracyTerms> networks,
                     int draws, std::uint64_t seed);

}  // namespace cpubone
