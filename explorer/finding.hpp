#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "records/result.hpp"

namespace cpubone {

/// The fastest proposal of a result that reaches `top1` percent with `claim_probability`, against
/// the published `network`.
GainFinding find_gain(const Result& result, std::string_view network, double top1);

/// How well the measured proposals were predicted; none where none was measured.
std::optional<PredictionFinding> find_prediction_error(const Result& result);

/// Where B0 to B3 lose time, by their breakdowns; one a network that the result has.
std::vector<LostTimeFinding> find_lost_time(const Result& result);

}  // namespace cpubone
