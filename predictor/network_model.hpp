#pragma once
#include "predictor/class_model.hpp"
#include "predictor/terms.hpp"

namespace cpubone {

/// A network takes the sum of its operators, each class by its `network_scale`; the network model
/// says how sure that is.
struct NetworkModel {
  double interval_factor = 2;  ///< 90 % of networks are within so many spreads
  double least_spread = 0.01;  ///< relative
  int networks = 0;            ///< that it was fitted on
  double test_mape = 0;        ///< on them, each left out in turn
};

/// Terms within a network of an operator that takes `e` on its own.
LatencyTerms terms(const ClassModel& model, const OpEstimate& e, const OpFacts& facts);

/// Standard deviation of the sum of operators, relative.
double relative_spread(const LatencyTerms& terms);

/// Latency of a network with these terms.
LatencyEstimate combine(const NetworkModel& model, const LatencyTerms& terms);

}  // namespace cpubone
