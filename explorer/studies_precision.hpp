#pragma once
#include <span>
#include <string_view>

#include "explorer/known_accuracies.hpp"
#include "records/precision_comparison.hpp"
#include "records/result.hpp"

/// The study of what precisions gain and cost.
namespace cpubone {

/// No study of `study_names`: it needs latencies in several precisions.
inline constexpr std::string_view precision_study_name = "precision";

/// Networks in f32 beside f16 and int8, those that are known: latency, what stays f32 in int8, what
/// that and conversions cost, and memory. Of what was `measured` and `predicted`, which are of the
/// same networks in the same order, one may be empty. `int8_top1` is a user's, of networks in int8;
/// without it, what int8 loses is not told. Throws std::invalid_argument for no network, lists of
/// different networks, and where no network is known in another precision than f32.
Study precision_study(std::span<const PrecisionComparison> measured,
                      std::span<const PrecisionComparison> predicted,
                      std::span<const OwnTop1> int8_top1 = {});

}  // namespace cpubone
