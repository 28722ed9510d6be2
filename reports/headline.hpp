#pragma once
#include <string>

#include "records/result.hpp"

namespace cpubone {

/// What a result lets say of its best proposal.
///
/// A proposal reaches the low end of its accuracy's interval with a probability of 95 %, its choice
/// among many allowed for. Every published network that reaches it too could have been used
/// instead; the fastest of them is the proposal's rival. The claim `shown` is made only where the
/// proposal's latency is below the rival's, beyond both intervals, and both were measured
/// undisturbed.
///
/// Where the search was given a limit of latency, accuracy within it is what is asked for: the
/// proposal that reaches most, among those whose interval ends below the limit.
struct Headline {
  const ResultNetwork* proposal = nullptr;  ///< the one that gains most, shown ones first; or null
  const ResultNetwork* rival = nullptr;     ///< its fastest published rival; null: there is none
  double limit_ms = 0;                      ///< that the proposal is within; infinity: none
  /// The most accurate published network within the limit; null: there is none, or no limit.
  const ResultNetwork* published_within = nullptr;
  double at_least = 0;            ///< percent that the proposal reaches at 95 %
  double latency_ratio = 1;       ///< proposal over rival
  double latency_ratio_high = 1;  ///< the same at the intervals' ends
  bool shown = false;
};
Headline headline(const Result& result);

/// The headline in words.
std::string headline_sentence(const Result& result);

}  // namespace cpubone
