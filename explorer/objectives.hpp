#pragma once
#include <array>
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

/// Devices that one search can have latencies of.
inline constexpr std::size_t most_devices = 3;

/// Latency on a device as the explorer needs it; all are called from several threads.
struct LatencyModel {
  std::function<LatencyTerms(const Op&)> op_terms;  ///< of an executed operator
  std::function<LatencyEstimate(const LatencyTerms&)> combine;
  /// What limits an executed operator; empty: arithmetic where it has MACs, else memory.
  std::function<Bound(const Op&)> bound;
  std::string device = {};       ///< its name; may be empty where it is the only one
  DType precision = DType::f32;  ///< that networks run in
  bool dynamic = false;          ///< with dynamic layers where `quantise` makes them
};
/// The network as it is executed there.
Network lowered(const Network& network, const LatencyModel& model);

/// All that a search may look at.
struct Evaluation {
  LatencyEstimate latency;
  std::array<LatencyEstimate, most_devices - 1> elsewhere{};  ///< on the second and third device
  AccuracyEstimate accuracy;
  std::int64_t macs = 0;
  std::int64_t params = 0;
  std::int64_t weight_bytes = 0;
  std::int64_t peak_activation_bytes = 0;
};

/// Latency on a device, counted from 0.
const LatencyEstimate& latency_on(const Evaluation& evaluation, std::size_t device);

enum class Objective { latency, top1, macs, params, memory, file_size, latency_2, latency_3 };
inline constexpr int objective_count = 8;

/// That of the latency on a device, counted from 0.
Objective latency_objective(std::size_t device);
/// The device whose latency it is; 0 for what no device decides.
std::size_t device_of(Objective objective);

/// `latency`, `top1`, `macs`, `params`, `memory` or `file-size`; `latency-2` and `latency-3` are on
/// the second and third device.
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
