#pragma once
#include <array>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "graph/network.hpp"

namespace cpubone {

/// A network's measured latency beside what was predicted for it.
struct Comparison {
  std::string network;
  double measured_ms = 0;
  double predicted_ms = 0;
  double low_ms = 0;  ///< 90 % interval of the prediction
  double high_ms = 0;
  bool operator==(const Comparison&) const = default;
};

/// How good predictions are; errors are fractions of the measured latency.
struct PredictionQuality {
  int count = 0;
  double rmspe = 0;  ///< root of the mean squared percentage error
  double mape = 0;   ///< mean absolute percentage error
  double bias = 0;   ///< mean of (predicted - measured) / measured
  double worst = 0;  ///< largest absolute error
  double within_5 = 0;
  double within_10 = 0;  ///< share of networks within 10 %
  double spearman = 0;   ///< correlation of ranks, ties averaged; NaN for fewer than two
  double kendall = 0;    ///< tau-b
  double covered = 0;    ///< share whose measured latency is in the interval
  bool operator==(const PredictionQuality&) const = default;
};

/// Throws std::invalid_argument where there is none or a measured latency is not positive.
PredictionQuality prediction_quality(std::span<const Comparison> comparisons);

/// Rank correlations of two equally long lists.
double spearman(std::span<const double> a, std::span<const double> b);
double kendall(std::span<const double> a, std::span<const double> b);

/// What is commonly used instead of a predictor: latency = weights times (MACs, activation bytes,
/// parameters, 1), by least squares of relative errors.
struct Baseline {
  std::array<double, 4> ns{};  ///< per MAC, activation byte, parameter, run
  bool operator==(const Baseline&) const = default;
};
enum class BaselineKind {
  constant_macps,  ///< latency = MACs / MACpS
  linear,          ///< in MACs, activations and parameters
};
/// Fits it to measured networks; throws std::invalid_argument where there is none.
Baseline fit_baseline(BaselineKind kind, std::span<const Network> networks,
                      std::span<const double> measured_ns);
double predict_ms(const Baseline& baseline, const Network& network);

}  // namespace cpubone
