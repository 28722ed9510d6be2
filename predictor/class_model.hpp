#pragma once
#include <optional>
#include <span>
#include <string>

#include "predictor/cost_model.hpp"
#include "predictor/gaussian_process.hpp"

namespace cpubone {

/// What an `Adaptation` learnt about a class: what parts of the latency on the new device are times
/// those on the old one, the number of threads allowed for.
struct Correction {
  double compute = 1;
  double memory = 1;
  double far_memory = 1;
  double weights = 1;
  double dispatch = 1;
  double ns_per_synchronisation = 0;  ///< as in `CostModel`, on the new device
  double ns_per_work_item = 0;
  int threads = 1;
  double least_ns_per_mac = 0;  ///< of padded ones: what the hardware's peak allows
  GaussianProcess factor;       ///< on all of it, its logarithm by the features
  double spread = 0;            ///< relative standard deviation that it leaves
  /// How far the logarithms of the first five may be off, alike for all operators: a row for each,
  /// a column for each independent direction, of a standard deviation.
  Eigen::MatrixXd deviations = Eigen::MatrixXd::Zero(5, 5);
};

/// A class of operators: latency = its cost model's, times a factor whose logarithm a Gaussian
/// process predicts from the features.
struct ClassModel {
  std::string name;
  std::string engine;  ///< that ran its operators
  CostModel cost;
  GaussianProcess factor;
  std::optional<Correction> correction;
  double network_scale = 1;   ///< latency within networks over that of the operator alone
  int operators = 0;          ///< measured ones that it was fitted on
  double train_mape = 0;      ///< mean absolute percentage error on them; 0.02 means 2 %
  double test_mape = 0;       ///< the same, each operator left out of the fit in turn
  double test_within_10 = 0;  ///< share of left-out operators within 10 %
};

/// Fits a class to its operators, at least one; `prior` as for `fit_cost_model`.
ClassModel fit_class(const std::string& name, std::span<const MeasuredOp* const> ops, int threads,
                     const CostModel* prior);

/// An operator on its own, as a profile measures it.
struct OpEstimate {
  double ns = 0;
  double spread_ns = 0;          ///< standard deviation
  double shared_spread_ns = 0;   ///< of it, what the operators of a network have together
  double memory_share = 0;       ///< of `ns`, weights included
  double overhead_share = 0;     ///< of `ns`
  Bound bound = Bound::compute;  ///< the largest of its parts
};
OpEstimate estimate(const ClassModel& model, const OpFacts& facts);

/// Whether it is more than twice as large, or less than half as large, as all operators that the
/// class was fitted on, in one of the sizes that its features are logarithms of; a kernel's width
/// or a stride by more than one. Never where nothing was measured.
bool is_beyond_measured(const ClassModel& model, const OpFacts& facts);

/// The parts of an operator's latency on its own.
CostNs parts(const ClassModel& model, const OpFacts& facts);

}  // namespace cpubone
