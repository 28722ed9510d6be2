#pragma once
#include <functional>
#include <span>
#include <string_view>

#include "explorer/known_accuracies.hpp"
#include "explorer/workflow.hpp"
#include "graph/network.hpp"
#include "predictor/predictor.hpp"
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

/// Measures a network in all precisions here.
using ComparePrecisions = std::function<PrecisionComparison(const Network&)>;
/// What measuring each of so many networks may take, where all of the study may take `budget_s`.
double comparison_s(double budget_s, std::size_t networks);

/// The study of these networks as `predictors`, of one device in several precisions, tell them and,
/// where `compare` is not empty, as they are measured here. Throws as the other one and
/// `predict_precisions` do, and cpubone::Error where it is interrupted.
Study run_precision_study(std::span<const Predictor> predictors, std::span<const Network> networks,
                          const ComparePrecisions& compare, std::span<const OwnTop1> int8_top1,
                          const WorkHooks& hooks);

}  // namespace cpubone
