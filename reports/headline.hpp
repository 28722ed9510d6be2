#pragma once
#include <string>

#include "records/result.hpp"

namespace cpubone {

/// What a result lets say of its best proposal.
///
/// A proposal is compared with every published network whose top-1 is not below the low end of what
/// the proposal's is estimated to be, of which the fastest is its rival: were the estimate as wrong
/// as its interval allows, that is what one could have used instead. The best of n proposals is the
/// luckiest as well, so both its intervals are first widened to hold for all n at once (Šidák: each
/// at the level `level^(1/n)`). The claim `shown` is made only where the proposal's latency is then
/// below the rival's, beyond both intervals, and both were measured undisturbed.
struct Headline {
  const ResultNetwork* proposal = nullptr;  ///< the one that gains most, shown ones first; or null
  const ResultNetwork* rival = nullptr;     ///< its fastest published rival; null: there is none
  Interval top1;                            ///< of the proposal, widened, in percent
  double latency_ratio = 1;                 ///< proposal over rival
  double latency_ratio_high = 1;            ///< the same at the intervals' ends
  int proposals = 0;                        ///< among which it was chosen
  bool shown = false;
};
Headline headline(const Result& result);

/// The headline in words.
std::string headline_sentence(const Result& result);

}  // namespace cpubone
