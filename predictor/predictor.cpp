#include "predictor/predictor.hpp"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "predictor/least_squares.hpp"
#include "space/error.hpp"

namespace cpubone {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr int most_image_channels = 4;
// Share of an operator's error that the others of its network have too: equal operators repeat.
constexpr double shared_variance = 0.3;
constexpr double correction_pivot_ns = 100e3;

struct LawNs {
  double compute = 0;
  double memory = 0;
  double overhead = 0;
  double total() const { return compute + memory + overhead; }
};

LawNs law_ns(const Law& law, const Work& w) {
  return {w.padded_macs * law.ns_per_mac + w.passes * law.ns_per_pass,
          w.weight_bytes * law.ns_per_weight_byte + w.streamed_bytes * law.ns_per_streamed_byte +
              w.streamed_far_bytes * law.ns_per_streamed_far_byte +
              w.activation_bytes * law.ns_per_activation_byte +
              w.activation_bytes_beyond_l2 * law.ns_per_activation_byte_beyond_l2 +
              w.activation_bytes_beyond_llc * law.ns_per_activation_byte_beyond_llc,
          law.ns_per_run};
}

Bound bound_of(const LawNs& ns) {
  if (ns.compute >= ns.memory && ns.compute >= ns.overhead) return Bound::compute;
  return ns.memory >= ns.overhead ? Bound::memory : Bound::overhead;
}

using Records = std::vector<const OpRecord*>;

/// Costs of `Work`'s quantities by least squares of relative errors. `prior` counts as much as two
/// operators, so that a class of few is not read into its noise.
Law fit_law(const Records& records, const CpuTraits& cpu, const Law* prior) {
  constexpr Index terms = 8;
  const auto n = static_cast<Index>(records.size());
  MatrixXd relative(n, terms);  // each term of the law over the measured latency
  for (Index i = 0; i < n; ++i) {
    const OpRecord& record = *records[static_cast<std::size_t>(i)];
    const Work w = work(record.op, cpu);
    relative.row(i) << w.padded_macs, w.passes, w.weight_bytes, w.streamed_bytes,
        w.streamed_far_bytes, w.activation_bytes, w.activation_bytes_beyond_l2, 1.0;
    relative.row(i) /= record.timing.median_ns;
  }
  // In units of each column, so that a class without MACs keeps a term of 0.
  const VectorXd squares = relative.colwise().squaredNorm();
  VectorXd expected = VectorXd::Zero(terms);
  VectorXd ridge = 1e-4 * squares;
  if (prior != nullptr) {
    expected << prior->ns_per_mac, prior->ns_per_pass, prior->ns_per_weight_byte,
        prior->ns_per_streamed_byte, prior->ns_per_streamed_far_byte, prior->ns_per_activation_byte,
        prior->ns_per_activation_byte_beyond_l2, prior->ns_per_run;
    ridge += 0.05 * squares / static_cast<double>(n);
  }
  const VectorXd w = non_negative_least_squares(relative, VectorXd::Ones(n), ridge, expected);
  return {w(0), w(1), w(2), w(3), w(4), w(5), w(6), std::max(w(7), 1.0)};
}

ClassModel fit_class(const std::string& name, const Records& records, const CpuTraits& cpu,
                     const Law* prior) {
  ClassModel model;
  model.name = name;
  model.engine = records[0]->engine;
  model.operators = static_cast<int>(records.size());
  model.law = fit_law(records, cpu, prior);
  const auto n = static_cast<Index>(records.size());
  MatrixXd inputs(n, static_cast<Index>(feature_names().size()));
  VectorXd outputs(n);
  VectorXd variances(n);
  for (Index i = 0; i < n; ++i) {
    const OpRecord& record = *records[static_cast<std::size_t>(i)];
    const std::vector<double> x = features(record.op, cpu);
    inputs.row(i) = Eigen::Map<const VectorXd>(x.data(), static_cast<Index>(x.size()));
    outputs(i) =
        std::log(record.timing.median_ns / law_ns(model.law, work(record.op, cpu)).total());
    const double standard_error =
        (record.timing.high_ns - record.timing.median_ns) / 1.96 / record.timing.median_ns;
    variances(i) = standard_error * standard_error;
  }
  FitReport report;
  model.factor = fit_gaussian_process(inputs, outputs, variances, &report);
  for (Index i = 0; i < n; ++i) {
    const double left_out = std::abs(std::expm1(report.left_out_residuals(i)));
    model.train_mape += std::abs(std::expm1(report.train_residuals(i))) / static_cast<double>(n);
    model.test_mape += left_out / static_cast<double>(n);
    model.test_within_10 += (left_out <= 0.1 ? 1.0 : 0.0) / static_cast<double>(n);
  }
  return model;
}

const ClassModel& model_of(const Predictor& predictor, const Op& op) {
  const std::string wanted = op_class(op);
  for (const ClassModel& model : predictor.classes)
    if (model.name == wanted) return model;
  throw Error(
      fmt::format("op \"{}\": the predictor has no model of class \"{}\"; measure some with "
                  "cpubone-profile --ops and fit again",
                  text(op), wanted));
}

double correction_log(const Correction& c, double ns, double memory, double overhead) {
  return c.offset + c.per_doubling * std::log2(ns / correction_pivot_ns) + c.memory * memory +
         c.overhead * overhead;
}

OpEstimate estimate_of(const ClassModel& model, const CpuTraits& cpu, const Op& op, const Work& w) {
  const std::vector<double> x = features(op, cpu);
  const Prediction factor =
      predict(model.factor, Eigen::Map<const VectorXd>(x.data(), static_cast<Index>(x.size())));
  const LawNs law = law_ns(model.law, w);
  OpEstimate e;
  e.memory_share = law.memory / law.total();
  e.overhead_share = law.overhead / law.total();
  e.weights_share = w.weight_bytes * model.law.ns_per_weight_byte / law.total();
  e.bound = bound_of(law);
  e.ns = law.total() * std::exp(factor.mean);
  if (model.correction != Correction{})
    e.ns *= std::exp(correction_log(model.correction, e.ns, e.memory_share, e.overhead_share));
  e.spread_ns = e.ns * std::hypot(factor.spread, model.correction.spread);
  return e;
}

LatencyTerms terms_of(const ClassModel& model, const CpuTraits& cpu, const Op& op) {
  const Work w = work(op, cpu);
  const OpEstimate e = estimate_of(model, cpu, op, w);
  const double spread_ns = model.network_scale * e.spread_ns;
  LatencyTerms t;
  t.ops_ns = model.network_scale * e.ns;
  t.weights_ns = t.ops_ns * e.weights_share;
  t.far_bytes = w.activation_bytes_beyond_l2;
  t.independent_ns2 = (1 - shared_variance) * spread_ns * spread_ns;
  t.shared_ns = std::sqrt(shared_variance) * spread_ns;
  t.nodes = 1;
  if (op.inputs[0].c <= most_image_channels) t.image_bytes = static_cast<double>(input_bytes(op));
  t.macs = w.macs;
  t.weight_bytes = w.weight_bytes;
  t.activation_bytes = static_cast<double>(input_bytes(op) + output_bytes(op));
  return t;
}

LatencyTerms network_terms(const Predictor& predictor, const Network& network) {
  const CpuTraits cpu = cpu_traits(predictor.device);
  LatencyTerms total;
  for (const Node& node : split_activations(network).nodes)
    total += terms_of(model_of(predictor, node.op), cpu, node.op);
  return total;
}

double relative_spread(const LatencyTerms& t) {
  return t.ops_ns > 0 ? std::sqrt(t.independent_ns2 + t.shared_ns * t.shared_ns) / t.ops_ns : 0;
}

double network_ns(const Predictor& predictor, const LatencyTerms& t) {
  const NetworkModel& m = predictor.network;
  const double ns = t.ops_ns + m.ns_per_node * t.nodes + m.ns_per_image_byte * t.image_bytes +
                    m.ns_per_far_byte * t.far_bytes -
                    m.saved_share * t.weights_ns * held_share(t.weight_bytes, m.resident_bytes);
  return std::max(ns, 0.1 * t.ops_ns);
}

}  // namespace

Predictor fit_predictor(const Profile& profile, std::span<const Network> calibration) {
  Predictor predictor;
  predictor.device = profile.device;
  predictor.settings = profile.settings;
  predictor.tool_version = version();
  predictor.created = profile.created;
  predictor.evidence = "measured";
  std::map<std::string, Records> by_class;
  Records without_macs;
  std::string training;
  const auto use = [&](const OpRecord& record) {
    by_class[op_class(record.op)].push_back(&record);
    training += fmt::format("{} {}\n", text(record.op), record.timing.median_ns);
  };
  for (const OpRecord& record : profile.ops) {
    if (record.timing.disturbed || !(record.timing.median_ns > 0)) continue;
    use(record);
    predictor.best_macps = std::max(
        predictor.best_macps, static_cast<double>(macs(record.op)) / record.timing.median_ns * 1e9);
    if (macs(record.op) == 0) without_macs.push_back(&record);
  }
  if (by_class.empty())
    throw Error("the profile has no undisturbed operator to fit a predictor to");
  // A class that was disturbed throughout is better known badly than not at all; its operators'
  // intervals say how badly.
  std::map<std::string, Records> disturbed;
  for (const OpRecord& record : profile.ops)
    if (record.timing.disturbed && record.timing.median_ns > 0)
      disturbed[op_class(record.op)].push_back(&record);
  for (const auto& [name, records] : disturbed)
    if (by_class.count(name) == 0)
      for (const OpRecord* record : records) use(*record);
  predictor.training_hash = hash_text(training);
  const CpuTraits cpu = cpu_traits(profile.device);
  const Law moving_data = without_macs.empty() ? Law{} : fit_law(without_macs, cpu, nullptr);
  for (const auto& [name, records] : by_class)
    predictor.classes.push_back(
        fit_class(name, records, cpu, macs(records[0]->op) == 0 ? &moving_data : nullptr));

  std::vector<Network> networks;
  std::vector<double> measured_ns;
  for (const Network& network : calibration)
    for (const NetworkRecord& record : profile.networks)
      if (record.name == network.name && !record.timing.disturbed) {
        networks.push_back(network);
        measured_ns.push_back(record.timing.median_ns);
      }
  fit_network_model(predictor, networks, measured_ns);
  return predictor;
}

namespace {

/// The network model as a linear one: a row for each network, a column for each class, then nodes,
/// activation bytes and saved reading of weights; all over the measured latency.
class NetworkFit {
 public:
  NetworkFit(const Predictor& predictor, std::span<const Network> networks,
             std::span<const double> measured_ns)
      : classes_(static_cast<Index>(predictor.classes.size())) {
    const auto n = static_cast<Index>(networks.size());
    rows_ = MatrixXd::Zero(n, classes_ + 4);
    reading_ = VectorXd::Zero(n);
    weight_bytes_ = VectorXd::Zero(n);
    const CpuTraits cpu = cpu_traits(predictor.device);
    for (Index i = 0; i < n; ++i) {
      const auto k = static_cast<std::size_t>(i);
      for (const Node& node : split_activations(networks[k]).nodes) {
        const ClassModel& model = model_of(predictor, node.op);
        const LatencyTerms t = terms_of(model, cpu, node.op);
        rows_(i, &model - predictor.classes.data()) += t.ops_ns;
        rows_(i, classes_) += 1;
        rows_(i, classes_ + 1) += t.image_bytes;
        rows_(i, classes_ + 2) += t.far_bytes;
        reading_(i) += t.weights_ns;
        weight_bytes_(i) += t.weight_bytes;
      }
      rows_.row(i) /= measured_ns[k];
      reading_(i) /= measured_ns[k];
    }
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
    MatrixXd rows = rows_;
    VectorXd targets = VectorXd::Ones(rows.rows());
    if (left_out >= 0) {
      rows.row(left_out).setZero();
      targets(left_out) = 0;
    }
    // A network that the model does not explain counts less (Huber's weights, iterated).
    MatrixXd weighted = rows;
    VectorXd weighted_targets = targets;
    VectorXd w = prior_;
    for (int pass = 0; pass < 4; ++pass) {
      w = non_negative_least_squares(weighted, weighted_targets, ridge_, prior_);
      const VectorXd residuals = rows * w - targets;
      for (Index i = 0; i < rows.rows(); ++i) {
        const double weight =
            std::sqrt(std::min(1.0, outlier * noise / std::max(std::abs(residuals(i)), 1e-12)));
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
    for (const double r : residuals) {
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
  static constexpr double class_deviation = 0.1;
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
  VectorXd prior_;
  VectorXd ridge_;
};

}  // namespace

void fit_network_model(Predictor& predictor, std::span<const Network> networks,
                       std::span<const double> measured_ns) {
  NetworkModel& model = predictor.network;
  model = {};
  for (ClassModel& known : predictor.classes) known.network_scale = 1;
  const auto n = static_cast<Index>(networks.size());
  model.networks = static_cast<int>(n);
  if (n < 4) return;
  NetworkFit fit(predictor, networks, measured_ns);
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
        std::hypot(relative_spread(network_terms(predictor, networks[static_cast<std::size_t>(i)])),
                   model.least_spread));
  std::sort(ratios.begin(), ratios.end());
  const auto rank = static_cast<std::size_t>(std::ceil(0.9 * static_cast<double>(n + 1)));
  model.interval_factor = std::max(0.5, ratios[std::min(rank, ratios.size()) - 1]);
}

Predictor adapt_predictor(const Predictor& base, const Profile& measured, double* expected_error) {
  // Ridge regression of logarithms; deviations are what devices are expected to differ by.
  constexpr double noise = 0.05;
  constexpr double offset_deviation = 2;
  constexpr double per_doubling_deviation = 0.1;
  constexpr double share_deviation = 0.5;
  constexpr double class_deviation = 0.3;
  constexpr Index shared = 4;
  std::vector<const OpRecord*> records;
  for (const OpRecord& record : measured.ops)
    if (record.timing.median_ns > 0) records.push_back(&record);
  const auto n = static_cast<Index>(records.size());
  if (n < 4)
    throw std::invalid_argument(
        fmt::format("adapting a predictor needs at least 4 measured operators, got {}", n));
  const auto classes = static_cast<Index>(base.classes.size());
  MatrixXd x = MatrixXd::Zero(n, shared + classes);
  VectorXd y(n);
  VectorXd weights(n);  // disturbed operators have wide intervals, and so count less
  double best_macps = 0;
  std::string training = base.training_hash + "\n";
  for (Index i = 0; i < n; ++i) {
    const OpRecord& record = *records[static_cast<std::size_t>(i)];
    const OpEstimate e = estimate(base, record.op);
    x.row(i).head(shared) << 1, std::log2(e.ns / correction_pivot_ns), e.memory_share,
        e.overhead_share;
    x(i, shared + (&model_of(base, record.op) - base.classes.data())) = 1;
    y(i) = std::log(record.timing.median_ns / e.ns);
    const double standard_error =
        (record.timing.high_ns - record.timing.median_ns) / 1.96 / record.timing.median_ns;
    weights(i) = 1 / (noise * noise + standard_error * standard_error);
    best_macps =
        std::max(best_macps, static_cast<double>(macs(record.op)) / record.timing.median_ns * 1e9);
    training += fmt::format("{} {}\n", text(record.op), record.timing.median_ns);
  }
  VectorXd precision =
      VectorXd::Constant(shared + classes, 1 / (class_deviation * class_deviation));
  precision.head(shared) << 1 / (offset_deviation * offset_deviation),
      1 / (per_doubling_deviation * per_doubling_deviation),
      1 / (share_deviation * share_deviation), 1 / (share_deviation * share_deviation);
  const MatrixXd inverse =
      (x.transpose() * weights.asDiagonal() * x + MatrixXd(precision.asDiagonal()))
          .ldlt()
          .solve(MatrixXd::Identity(shared + classes, shared + classes));
  const VectorXd w = inverse * (x.transpose() * weights.cwiseProduct(y));
  double error = 0;
  double squares = 0;
  for (Index i = 0; i < n; ++i) {
    const double leverage = (x.row(i) * inverse).dot(x.row(i)) * weights(i);
    const double left_out = (y(i) - x.row(i).dot(w)) / (1 - leverage);
    error += std::abs(std::expm1(left_out)) / static_cast<double>(n);
    squares += left_out * left_out / static_cast<double>(n);
  }
  if (expected_error != nullptr) *expected_error = error;

  Predictor predictor = base;
  predictor.device = measured.device;
  predictor.settings = measured.settings;
  predictor.created = measured.created;
  predictor.tool_version = version();
  predictor.training_hash = hash_text(training);
  predictor.best_macps = best_macps;
  predictor.evidence = fmt::format(
      "adapted from {} ({} thread{}) by {} operators, expected error {:.1f} % an operator",
      base.device.name, base.settings.threads, base.settings.threads == 1 ? "" : "s", n,
      100 * error);
  for (Index k = 0; k < classes; ++k) {
    ClassModel& model = predictor.classes[static_cast<std::size_t>(k)];
    model.correction = {w(0) + w(shared + k), w(1), w(2), w(3), std::sqrt(squares)};
  }
  return predictor;
}

OpEstimate estimate(const Predictor& predictor, const Op& op) {
  const CpuTraits cpu = cpu_traits(predictor.device);
  return estimate_of(model_of(predictor, op), cpu, op, work(op, cpu));
}

std::function<double(const Op&)> spread_of(const Profile& profile) {
  return [predictor = fit_predictor(profile)](const Op& op) {
    const std::string wanted = op_class(op);
    if (std::none_of(predictor.classes.begin(), predictor.classes.end(),
                     [&](const ClassModel& model) { return model.name == wanted; }))
      return 1.0;
    const OpEstimate e = estimate(predictor, op);
    return e.spread_ns / e.ns;
  };
}

LatencyTerms terms(const Predictor& predictor, const Op& op) {
  return terms_of(model_of(predictor, op), cpu_traits(predictor.device), op);
}

LatencyEstimate combine(const Predictor& predictor, const LatencyTerms& t) {
  const NetworkModel& m = predictor.network;
  const double ms = network_ns(predictor, t) * 1e-6;
  const double half = m.interval_factor * std::hypot(relative_spread(t), m.least_spread);
  return {ms, ms * std::exp(-half), ms * std::exp(half)};
}

NetworkPrediction predict(const Predictor& predictor, const Network& network) {
  NetworkPrediction prediction;
  const CpuTraits cpu = cpu_traits(predictor.device);
  const LatencyTerms total = network_terms(predictor, network);
  prediction.latency = combine(predictor, total);
  const double scale = prediction.latency.ms * 1e6 / total.ops_ns;
  for (const Node& node : split_activations(network).nodes) {
    const ClassModel& model = model_of(predictor, node.op);
    const OpEstimate e = estimate_of(model, cpu, node.op, work(node.op, cpu));
    prediction.ops.push_back({node.name, node.stage, node.op, model.engine,
                              e.ns * model.network_scale * scale,
                              e.spread_ns * model.network_scale * scale, e.bound});
  }
  prediction.at_best_macps_ms = static_cast<double>(macs(network)) / predictor.best_macps * 1e3;
  return prediction;
}

}  // namespace cpubone
