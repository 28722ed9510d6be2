#pragma once
#include <array>

#include "predictor/class_model.hpp"
#include "predictor/terms.hpp"

namespace cpubone {

/// Where the networks are that a calibration rests on: logarithms of MACs, bytes of weights and
/// bytes of activations.
struct CalibratedRange {
  std::array<double, 3> centre{};
  /// Rows of a matrix; the squared length of its product with the distance from the centre is the
  /// leverage of a network, by which variances grow. 0: nothing is far away.
  std::array<std::array<double, 3>, 3> scale{};
  bool operator==(const CalibratedRange&) const = default;
};

/// A network takes the sum of its operators, each class by its `network_scale`, and less for
/// weights that the last-level cache keeps from one run to the next, where operators find theirs in
/// memory. The network model says how much that is, and how sure the sum.
struct NetworkModel {
  double ns_less_per_kept_byte = 0;
  double most_kept_bytes = 0;  ///< of weights
  double interval_factor = 2;  ///< 90 % of networks are within so many spreads
  double least_spread = 0.01;  ///< relative
  CalibratedRange range;       ///< of calibrated devices
  int networks = 0;            ///< that it was fitted on; 0: fewer than four, which tell nothing
  double test_mape = 0;        ///< on them, each left out in turn
};

/// Terms within a network of an operator that takes `e` on its own.
LatencyTerms terms(const ClassModel& model, const OpEstimate& e, const OpFacts& facts);

/// Standard deviation of the sum of operators, relative.
double relative_spread(const LatencyTerms& terms);

/// Where a network is, as `CalibratedRange` has it.
std::array<double, 3> range_position(const LatencyTerms& terms);
/// 0 at the centre of the range.
double leverage(const CalibratedRange& range, const LatencyTerms& terms);

/// Latency of some operators of a network.
LatencyEstimate combine_part(const LatencyTerms& terms);

/// Latency of a network with all of these terms.
LatencyEstimate combine(const NetworkModel& model, const LatencyTerms& terms);

}  // namespace cpubone
