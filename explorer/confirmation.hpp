#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "explorer/evaluator.hpp"
#include "records/result.hpp"

/// What an exploration predicted and then measured.
namespace cpubone {

/// A published network that proposals are compared with.
struct Reference {
  std::string name;
  Network network;
  LatencyTerms terms;
  double predicted_ms = 0;
  double top1 = 0;  ///< known, else estimated: what a proposal must reach
  std::vector<MeasuredLatency> measured;
  std::optional<MeasuredLatency> final_measurement;  ///< with all proposals
};

/// A network of the search that was chosen to be confirmed.
struct Pick {
  Genome genome;  ///< canonical
  Network network;
  LatencyTerms terms;
  Evaluation evaluation;      ///< as it was when chosen: before its own measurement
  LatencyEstimate predicted;  ///< then
  double references_ms = 0;   ///< then predicted of the references, geometric mean
  double uncorrected_ms = 0;
  std::vector<MeasuredLatency> measured;
  std::optional<MeasuredLatency>
      final_measurement;  ///< with the references and the other proposals
};

/// Several measurements of one network as one.
MeasuredLatency merged(std::span<const MeasuredLatency> all);
/// What a reader is told: measured together with what it is compared with, where that was done.
std::optional<MeasuredLatency> measured_of(const Reference& reference);
std::optional<MeasuredLatency> measured_of(const Pick& pick);
/// Measured where it was, else predicted.
double latency_of(const Pick& pick);

/// 1 of nothing.
double geometric_mean(std::span<const double> values);

/// Puts a pick's prediction at the pace at which the references, measured in the same rounds, ran.
void rescale(Pick& pick, std::span<const MeasuredLatency> references);

/// The model, corrected by what was measured of references and picks.
LatencyModel corrected(const LatencyModel& model, std::span<const Reference> references,
                       std::span<const Pick> picks);

/// Operators that make the latencies of networks most uncertain, at most so many, worst first.
std::vector<Op> unsure_ops(std::span<const Network> networks, const LatencyModel& model,
                           std::size_t most);

/// Volume of the confirmed networks over the slowest, least accurate of the references, all of
/// which must be measured.
double confirmed_volume(std::span<const Reference> references, std::span<const Pick> picks);

}  // namespace cpubone
