#pragma once
#include <span>

#include "predictor/predictor.hpp"
#include "records/precision_comparison.hpp"

namespace cpubone {

/// A network in f32, and in those of f16 and int8 that these predictors of one device are of.
/// Memory is what weights and activations take. Throws std::invalid_argument where no predictor is
/// of f32, two are of the same precision, or of different devices or numbers of threads,
/// cpubone::Error as `predict` does.
PrecisionComparison predict_precisions(std::span<const Predictor> predictors,
                                       const Network& network);

}  // namespace cpubone
