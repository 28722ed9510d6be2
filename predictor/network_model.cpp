#include "predictor/network_model.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/passes.hpp"
#include "predictor/least_squares.hpp"
#include "predictor/predictor.hpp"

namespace cpubone {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

// Share of an operator's error that the others of its network have too: equal operators repeat.
constexpr double shared_variance = 0.3;

/// The network model as a linear one: a row for each network, a column for each class, then nodes,
/// image bytes, activation bytes beyond L2 and saved reading of weights; all over the
/// measured latency.
class NetworkFit {
 public:
  NetworkFit(const Predictor& predictor, std::span<const Network> networks,
             std::span<const double> measured_ns, std::span<const double> relative_errors)
      : classes_(static_cast<Index>(predictor.classes.size())) {
    const auto n = static_cast<Index>(networks.size());
    rows_ = MatrixXd::Zero(n, classes_ + 4);
    reading_ = VectorXd::Zero(n);
    weight_bytes_ = VectorXd::Zero(n);
    const CpuTraits cpu = cpu_traits(predictor.device);
    for (Index i = 0; i < n; ++i) {
      const auto k = static_cast<std::size_t>(i);
      LatencyTerms total;
      for (const Node& node : split_activations(networks[k]).nodes) {
        const OpFacts f = facts(node.op, cpu);
        const ClassModel& model = model_of(predictor, node.op, f);
        const LatencyTerms t = terms(model, estimate(model, predictor.settings.threads, f), f);
        rows_(i, &model - predictor.classes.data()) += t.ops_ns;
        total += t;
      }
      rows_.row(i).segment(classes_, 3) << total.nodes, total.image_bytes, total.far_bytes;
      reading_(i) = total.weights_ns;
      weight_bytes_(i) = total.weight_bytes;
      rows_.row(i) /= measured_ns[k];
      reading_(i) /= measured_ns[k];
    }
    weight_ = VectorXd::Ones(n);
    for (std::size_t k = 0; k < relative_errors.size(); ++k)
      weight_(static_cast<Index>(k)) = noise / std::hypot(noise, relative_errors[k]);
    prior_ = VectorXd::Zero(classes_ + 4);
    prior_.head(classes_).setOnes();
    prior_(classes_ + 3) = expected_saved_share;
    ridge_ = VectorXd::Ones(classes_ + 4);
    const auto ridge = [](double deviation) { return noise * noise / (deviation * deviation); };
    ridge_.head(classes_).setConstant(ridge(class_deviation));
    for (Index k = classes_; k < classes_ + 3; ++k) {
      const double size = std::sqrt(rows_.col(k).squaredNorm() / static_cast<double>(n));
      ridge_(k) = ridge(missed_share / std::max(size, 1e-300));
    }
    ridge_(classes_ + 3) = ridge(saved_deviation);
  }

  /// Weights with the caches holding `resident_bytes`, without the network `left_out` (-1: with
  /// all).
  VectorXd solve(double resident_bytes, Index left_out) {
    set_resident(resident_bytes);
    VectorXd targets = weight_;
    if (left_out >= 0) targets(left_out) = 0;
    const MatrixXd rows = targets.asDiagonal() * rows_;
    // A network that the model does not explain counts less (Huber's weights, iterated).
    MatrixXd weighted = rows;
    VectorXd weighted_targets = targets;
    VectorXd w = prior_;
    for (int pass = 0; pass < 4; ++pass) {
      w = non_negative_least_squares(weighted, weighted_targets, ridge_, prior_);
      const VectorXd residuals = rows * w - targets;
      for (Index i = 0; i < rows.rows(); ++i) {
        const double weight = robust_weight(residuals(i), outlier * noise);
        weighted.row(i) = weight * rows.row(i);
        weighted_targets(i) = weight * targets(i);
      }
    }
    return w;
  }

  double objective(double resident_bytes, const VectorXd& w) {
    set_resident(resident_bytes);
    double sum = ((w - prior_).array().square() * ridge_.array()).sum();
    const VectorXd residuals = (rows_ * w).array() - 1;
    for (const double r : weight_.cwiseProduct(residuals)) {
      const double size = std::abs(r);
      const double edge = outlier * noise;
      sum += size <= edge ? size * size : 2 * edge * size - edge * edge;
    }
    return sum;
  }

  /// Predicted over measured latency.
  double ratio(Index network, const VectorXd& w) const { return rows_.row(network).dot(w); }

 private:
  // Relative: what a network's latency deviates by beyond the model, and how far the classes, what
  // is missed and what is saved may be from their expectation.
  static constexpr double noise = 0.015;
  static constexpr double outlier = 2;  ///< times the noise
  static constexpr double class_deviation = 0.03;
  static constexpr double missed_share = 0.02;
  static constexpr double expected_saved_share = 0.5;
  static constexpr double saved_deviation = 0.3;

  void set_resident(double resident_bytes) {
    for (Index i = 0; i < rows_.rows(); ++i)
      rows_(i, classes_ + 3) = -reading_(i) * held_share(weight_bytes_(i), resident_bytes);
  }

  Index classes_;
  MatrixXd rows_;
  VectorXd reading_;  ///< of weights, over the measured latency
  VectorXd weight_bytes_;
  VectorXd weight_;  ///< less for what is measured badly
  VectorXd prior_;
  VectorXd ridge_;
};

}  // namespace

LatencyTerms terms(const ClassModel& model, const OpEstimate& e, const OpFacts& facts) {
  const double spread_ns = model.network_scale * e.spread_ns;
  LatencyTerms t;
  t.ops_ns = model.network_scale * e.ns;
  t.weights_ns = model.network_scale * e.ns * e.weights_share;
  t.far_bytes = facts.work.activation_bytes_beyond_l2;
  t.independent_ns2 = (1 - shared_variance) * spread_ns * spread_ns;
  t.shared_ns = std::sqrt(shared_variance) * spread_ns;
  t.nodes = 1;
  t.image_bytes = facts.image_bytes;
  t.macs = facts.work.macs;
  t.weight_bytes = facts.work.weight_bytes;
  t.activation_bytes = facts.tensor_bytes;
  return t;
}

double relative_spread(const LatencyTerms& t) {
  return t.ops_ns > 0 ? std::sqrt(t.independent_ns2 + t.shared_ns * t.shared_ns) / t.ops_ns : 0;
}

LatencyEstimate combine(const NetworkModel& m, const LatencyTerms& t) {
  const double ns = t.ops_ns + m.ns_per_node * t.nodes + m.ns_per_image_byte * t.image_bytes +
                    m.ns_per_far_byte * t.far_bytes -
                    m.saved_share * t.weights_ns * held_share(t.weight_bytes, m.resident_bytes);
  const double ms = std::max(ns, 0.1 * t.ops_ns) * 1e-6;
  const double half = m.interval_factor * std::hypot(relative_spread(t), m.least_spread);
  return {ms, ms * std::exp(-half), ms * std::exp(half)};
}

void fit_network_model(Predictor& predictor, std::span<const Network> networks,
                       std::span<const double> measured_ns,
                       std::span<const double> relative_errors) {
  NetworkModel& model = predictor.network;
  model = {};
  for (ClassModel& known : predictor.classes) known.network_scale = 1;
  const auto n = static_cast<Index>(networks.size());
  model.networks = static_cast<int>(n);
  if (n < 4) return;
  NetworkFit fit(predictor, networks, measured_ns, relative_errors);
  double least = std::numeric_limits<double>::infinity();
  for (const double share : {0.25, 0.35, 0.5, 0.7, 1.0, 1.4}) {
    const double resident_bytes = share * cpu_traits(predictor.device).llc_bytes;
    const double objective = fit.objective(resident_bytes, fit.solve(resident_bytes, -1));
    if (objective >= least) continue;
    least = objective;
    model.resident_bytes = resident_bytes;
  }
  std::vector<double> residuals;
  for (Index i = 0; i < n; ++i)
    residuals.push_back(std::abs(fit.ratio(i, fit.solve(model.resident_bytes, i)) - 1));
  const VectorXd w = fit.solve(model.resident_bytes, -1);
  const auto classes = static_cast<Index>(predictor.classes.size());
  for (Index k = 0; k < classes; ++k)
    predictor.classes[static_cast<std::size_t>(k)].network_scale = w(k);
  model.ns_per_node = w(classes);
  model.ns_per_image_byte = w(classes + 1);
  model.ns_per_far_byte = w(classes + 2);
  model.saved_share = w(classes + 3);

  model.test_mape = 0;
  for (const double r : residuals) model.test_mape += r / static_cast<double>(n);
  // The factor that makes 90 % of the left-out networks fall inside; one network more than counted,
  // because few of them say little about the tail.
  std::vector<double> ratios;
  model.least_spread = 0.5 * model.test_mape;
  for (Index i = 0; i < n; ++i)
    ratios.push_back(
        residuals[static_cast<std::size_t>(i)] /
        std::hypot(relative_spread(terms(predictor, networks[static_cast<std::size_t>(i)])),
                   model.least_spread));
  std::sort(ratios.begin(), ratios.end());
  const auto rank = static_cast<std::size_t>(std::ceil(0.9 * static_cast<double>(n + 1)));
  model.interval_factor = std::max(0.5, ratios[std::min(rank, ratios.size()) - 1]);
}

}  // namespace cpubone
