#include "predictor/network_model.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "predictor/least_squares.hpp"
#include "predictor/normal_interval.hpp"
#include "predictor/predictor.hpp"

namespace cpubone {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

// Share of an operator's error that the others of its network have too: equal operators repeat.
constexpr double shared_variance = 0.3;

// Of the last-level cache, what keeps weights from one run to the next: other data, neighbours and
// the order of reading take the rest. Of networks with 6 to 40 MB of weights where it has 32 MB,
// all were faster than their operators by about as much as 9 MB take.
constexpr double kept_share = 0.25;
// Of the operators' sum, what at most is due to weights that are kept.
constexpr double most_less_share = 0.3;

// Networks' latencies are off by so much of the standard errors that their few samples tell: in
// replays of known machines by half to nine tenths.
constexpr double measuring_share = 0.8;

/// Of a network's weights, what the last-level cache keeps.
double kept_bytes(const NetworkModel& model, const LatencyTerms& terms) {
  return std::min(model.most_kept_bytes, terms.weight_bytes);
}

/// The network model as a linear one: a row for each network, a column for each class and one for
/// weights that are kept; all over the measured latency.
class NetworkFit {
 public:
  NetworkFit(const Predictor& predictor, std::span<const Network> networks,
             std::span<const double> measured_ns, std::span<const double> relative_errors)
      : rows_(MatrixXd::Zero(static_cast<Index>(networks.size()),
                             static_cast<Index>(predictor.classes.size()) + 1)),
        weight_(VectorXd::Ones(rows_.rows())) {
    const CpuTraits cpu = cpu_traits(predictor.device);
    for (Index i = 0; i < rows_.rows(); ++i) {
      const auto k = static_cast<std::size_t>(i);
      LatencyTerms all;
      for (const Node& node : lowered(networks[k], predictor).nodes) {
        if (node.op.kind == OpKind::constant) continue;  // nothing runs it
        const OpFacts f = facts(node.op, cpu);
        const ClassModel& model = model_of(predictor, node.op, f);
        const OpEstimate e = estimate(model, f);
        rows_(i, &model - predictor.classes.data()) += e.ns / measured_ns[k];
        all += terms(model, e, f);
      }
      rows_(i, kept()) = -kept_bytes(predictor.network, all) / measured_ns[k];
      if (!relative_errors.empty()) weight_(i) = noise / std::hypot(noise, relative_errors[k]);
    }
    // In units of what is a whole latency on average.
    if (const double mean = std::abs(rows_.col(kept()).mean()); mean > 0) {
      kept_unit_ = 1 / mean;
      rows_.col(kept()) /= mean;
    }
  }

  /// Scale of each class and of weights that are kept, without the network `left_out` (-1: with
  /// all).
  VectorXd solve(Index left_out) const {
    VectorXd targets = weight_;
    if (left_out >= 0) targets(left_out) = 0;
    const MatrixXd rows = targets.asDiagonal() * rows_;
    VectorXd prior = VectorXd::Ones(rows.cols());
    prior(kept()) = 0;
    VectorXd deviation = VectorXd::Constant(rows.cols(), class_deviation);
    deviation(kept()) = kept_deviation;
    const VectorXd ridge = (noise / deviation.array()).square();
    return non_negative_least_squares(rows, targets, ridge, prior);
  }

  /// Predicted over measured latency.
  double ratio(Index network, const VectorXd& scales) const {
    return rows_.row(network).dot(scales);
  }

  void apply(const VectorXd& scales, Predictor& predictor) const {
    for (std::size_t k = 0; k < predictor.classes.size(); ++k)
      predictor.classes[k].network_scale = scales(static_cast<Index>(k));
    predictor.network.ns_less_per_kept_byte = scales(kept()) * kept_unit_;
  }

 private:
  Index kept() const { return rows_.cols() - 1; }

  // Relative: what an exact latency of a network deviates by beyond the model, and how far classes
  // are from their operators' latencies. Of the machines that the predictor was drawn on.
  static constexpr double noise = 0.015;
  static constexpr double class_deviation = 0.03;
  static constexpr double kept_deviation = 0.02;

  MatrixXd rows_;
  VectorXd weight_;  ///< less for what is measured badly
  double kept_unit_ = 1;
};

}  // namespace

LatencyTerms terms(const ClassModel& model, const OpEstimate& e, const OpFacts& facts) {
  const double shared_ns = model.network_scale * e.shared_spread_ns;
  const double own_ns2 = std::pow(model.network_scale * e.spread_ns, 2) - shared_ns * shared_ns;
  LatencyTerms t;
  t.ops_ns = model.network_scale * e.ns;
  t.independent_ns2 = (1 - shared_variance) * own_ns2;
  t.shared_ns = std::sqrt(shared_variance * own_ns2 + shared_ns * shared_ns);
  t.nodes = 1;
  t.macs = facts.work.macs;
  t.weight_bytes = facts.work.weight_bytes;
  t.activation_bytes = facts.tensor_bytes;
  return t;
}

double relative_spread(const LatencyTerms& t) {
  return t.ops_ns > 0 ? std::sqrt(t.independent_ns2 + t.shared_ns * t.shared_ns) / t.ops_ns : 0;
}

std::array<double, 3> range_position(const LatencyTerms& t) {
  return {std::log(std::max(1.0, t.macs)), std::log(std::max(1.0, t.weight_bytes)),
          std::log(std::max(1.0, t.activation_bytes))};
}

double leverage(const CalibratedRange& range, const LatencyTerms& t) {
  const auto position = range_position(t);
  double squares = 0;
  for (const auto& row : range.scale) {
    double along = 0;
    for (std::size_t i = 0; i < row.size(); ++i) along += row[i] * (position[i] - range.centre[i]);
    squares += along * along;
  }
  return squares;
}

LatencyEstimate combine_part(const LatencyTerms& t) {
  const double ms = t.ops_ns * 1e-6;
  const double half = z90 * relative_spread(t);
  return {ms, ms * std::exp(-half), ms * std::exp(half)};
}

LatencyEstimate combine(const NetworkModel& m, const LatencyTerms& t) {
  const double less_ns =
      std::min(m.ns_less_per_kept_byte * kept_bytes(m, t), most_less_share * t.ops_ns);
  const double ms = (t.ops_ns - less_ns) * 1e-6;
  const double half =
      m.interval_factor *
      std::hypot(relative_spread(t), m.least_spread * std::sqrt(1 + leverage(m.range, t)));
  return {ms, ms * std::exp(-half), ms * std::exp(half)};
}

void fit_network_model(Predictor& predictor, std::span<const Network> networks,
                       std::span<const double> measured_ns,
                       std::span<const double> relative_errors) {
  NetworkModel& model = predictor.network;
  model = {};
  for (ClassModel& known : predictor.classes) known.network_scale = 1;
  const auto n = static_cast<Index>(networks.size());
  if (n < 4) return;
  model.most_kept_bytes = kept_share * cpu_traits(predictor.device).llc_bytes;
  NetworkFit fit(predictor, networks, measured_ns, relative_errors);
  std::vector<double> residuals;
  for (Index i = 0; i < n; ++i) residuals.push_back(fit.ratio(i, fit.solve(i)) - 1);
  fit.apply(fit.solve(-1), predictor);
  calibrate_intervals(predictor, networks, residuals, relative_errors);
}

void calibrate_intervals(Predictor& predictor, std::span<const Network> networks,
                         std::span<const double> errors, std::span<const double> relative_errors) {
  NetworkModel& model = predictor.network;
  const auto n = static_cast<double>(networks.size());
  model.networks = static_cast<int>(networks.size());
  model.range = {};
  model.test_mape = 0;
  for (const double error : errors) model.test_mape += std::abs(error) / n;
  // The factor that makes 90 % of the left-out networks fall inside; one network more than counted,
  // because few of them say little about the tail.
  std::vector<double> ratios;
  model.least_spread = 0.5 * model.test_mape;
  for (std::size_t i = 0; i < networks.size(); ++i) {
    // What measuring adds to an error is no fault of the prediction; half of it always counts.
    const double measuring =
        relative_errors.empty() ? 0 : z90 * measuring_share * relative_errors[i];
    const double error2 = errors[i] * errors[i];
    ratios.push_back(
        std::sqrt(std::max(error2 / 4, error2 - measuring * measuring)) /
        std::hypot(relative_spread(terms(predictor, networks[i])), model.least_spread));
  }
  std::sort(ratios.begin(), ratios.end());
  const auto rank = static_cast<std::size_t>(std::ceil(0.9 * (n + 1)));
  model.interval_factor = std::max(0.5, ratios[std::min(rank, ratios.size()) - 1]);
}

}  // namespace cpubone
