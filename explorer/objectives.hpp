#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/network.hpp"
#include "predictor/accuracy_posterior.hpp"
#include "predictor/terms.hpp"
#include "records/bound.hpp"

namespace cpubone {

/// Latency as the explorer needs it; all are called from several threads.
struct LatencyModel {
  std::function<LatencyTerms(const Op&)> op_terms;  ///< of an executed operator
  std::function<LatencyEstimate(const LatencyTerms&)> combine;
  /// What limits an executed operator; empty: arithmetic where it has MACs, else memory.
  std::function<Bound(const Op&)> bound;
};

/// All that a search may look at.
struct Evaluation {
  LatencyEstimate latency;
  AccuracyEstimate accuracy;
  std::int64_t macs = 0;
  std::int64_t params = 0;
  std::int64_t weight_bytes = 0;
  std::int64_t peak_activation_bytes = 0;
};

enum class Objective { latency, top1, macs, params, memory, file_size };
inline constexpr int objective_count = 6;

/// `latency`, `top1`, `macs`, `params`, `memory` or `file-size`.
std::string_view name(Objective objective);
/// Throws std::invalid_argument listing the known ones.
Objective parse_objective(std::string_view text);
/// Value for people: ms, % that is assured, millions, millions, MB, MB.
double value(const Evaluation& evaluation, Objective objective);
std::string_view unit(Objective objective);
/// The value as it is minimised: top-1 negated.
double cost(const Evaluation& evaluation, Objective objective);

/// A bound in the objective's unit: at most, of top-1 at least.
struct Constraint {
  Objective objective = Objective::latency;
  double limit = 0;
  bool operator==(const Constraint&) const = default;
};

/// Sum of relative excesses over the constraints; 0 where all hold. A refused estimate adds 1.
double violation(const Evaluation& evaluation, const std::vector<Constraint>& constraints);

}  // namespace cpubone
