#pragma once
#include "predictor/class_model.hpp"
#include "predictor/terms.hpp"

namespace cpubone {

/// What the sum of operators misses: latency = operators (each class by its `network_scale`) +
/// ns_per_node nodes + ns_per_image_byte image bytes + ns_per_far_byte activation bytes beyond L2
/// - saved_share times the reading of weights that a cache of `resident_bytes` holds from the run
/// before.
struct NetworkModel {
  double ns_per_node = 0;
  double ns_per_image_byte = 0;
  double ns_per_far_byte = 0;
  double saved_share = 0;
  double resident_bytes = 1;
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
