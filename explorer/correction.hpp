#pragma once
#include <span>
#include <vector>

#include "explorer/objectives.hpp"

namespace cpubone {

/// A network whose latency was predicted from its terms and then measured.
struct Confirmed {
  LatencyTerms terms;
  double predicted_ms = 0;  ///< by the model that is corrected
  double measured_ms = 0;
};

/// The model with a factor that measured networks suggest: the logarithm of measured over predicted
/// as a linear function of latency and of weights, activations and operators per time, shrunk
/// towards no correction. Without measured networks the model itself. Throws std::invalid_argument
/// for latencies that are not positive.
LatencyModel corrected(const LatencyModel& model, std::span<const Confirmed> networks);

}  // namespace cpubone
