#pragma once
#include <Eigen/Core>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "predictor/accuracy_posterior.hpp"
#include "predictor/bayesian_regression.hpp"

namespace cpubone {

/// A trained network.
struct TrainedNetwork {
  std::string network;
  std::string family;        ///< those of one recipe and kind of blocks; one level for all of it
  bool classic = false;      ///< trained by a recipe from before strong augmentation
  bool proxy = false;        ///< of another recipe or data: its order counts, not its level
  bool totals_only = false;  ///< only `macs` and `body_params` of the terms are known
  double top1 = 0;           ///< percent
  double precision = 1;      ///< 0.25: known with twice the usual error
  AccuracyTerms terms;
};

/// What accuracies are learnt from, and what they teach. Throws std::invalid_argument where no
/// network is of either family, or values out of range.
class AccuracyFit {
 public:
  /// Where of all networks of the family only totals are known, their blocks are like those of the
  /// family `like`. A family without networks is like that one, too, at a level and with effects of
  /// its own that are not known: intervals are as wide as families differ.
  AccuracyFit(std::span<const TrainedNetwork> networks, std::string_view family,
              std::string_view like = {});

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

/// What is assumed where next to nothing was published, in sentences.
std::string assumptions();

}  // namespace cpubone
