#include "predictor/predictor.hpp"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <map>

#include "predictor/least_squares.hpp"
#include "space/error.hpp"

namespace cpubone {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

// Share of an operator's error that the others of its network have too: equal operators repeat.
constexpr double shared_variance = 0.3;

struct LawNs {
  double compute = 0;
  double memory = 0;
  double overhead = 0;
  double total() const { return compute + memory + overhead; }
};

LawNs law_ns(const Law& law, const Work& w) {
  return {w.padded_macs * law.ns_per_mac + w.passes * law.ns_per_pass,
          w.weight_bytes * law.ns_per_weight_byte + w.streamed_bytes * law.ns_per_streamed_byte +
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
  constexpr Index terms = 7;
  const auto n = static_cast<Index>(records.size());
  MatrixXd relative(n, terms);  // each term of the law over the measured latency
  for (Index i = 0; i < n; ++i) {
    const OpRecord& record = *records[static_cast<std::size_t>(i)];
    const Work w = work(record.op, cpu);
    relative.row(i) << w.padded_macs, w.passes, w.weight_bytes, w.streamed_bytes,
        w.activation_bytes, w.activation_bytes_beyond_l2, 1.0;
    relative.row(i) /= record.timing.median_ns;
  }
  // In units of each column, so that a class without MACs keeps a term of 0.
  const VectorXd squares = relative.colwise().squaredNorm();
  VectorXd expected = VectorXd::Zero(terms);
  VectorXd ridge = 1e-4 * squares;
  if (prior != nullptr) {
    expected << prior->ns_per_mac, prior->ns_per_pass, prior->ns_per_weight_byte,
        prior->ns_per_streamed_byte, prior->ns_per_activation_byte,
        prior->ns_per_activation_byte_beyond_l2, prior->ns_per_run;
    ridge += 0.05 * squares / static_cast<double>(n);
  }
  const VectorXd w = non_negative_least_squares(relative, VectorXd::Ones(n), ridge, expected);
  return {w(0), w(1), w(2), w(3), w(4), w(5), std::max(w(6), 1.0)};
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

struct OpLatency {
  double ns = 0;
  double spread_ns = 0;
  Bound bound = Bound::compute;
  std::string_view engine;
};

OpLatency op_latency(const Predictor& predictor, const CpuTraits& cpu, const Op& op) {
  const ClassModel& model = model_of(predictor, op);
  const Work w = work(op, cpu);
  const std::vector<double> x = features(op, cpu);
  const Prediction factor =
      predict(model.factor, Eigen::Map<const VectorXd>(x.data(), static_cast<Index>(x.size())));
  const LawNs law = law_ns(model.law, w);
  const double ns = law.total() * std::exp(factor.mean);
  return {ns, ns * factor.spread, bound_of(law), model.engine};
}

LatencyTerms terms_of(const Op& op, const OpLatency& latency) {
  LatencyTerms t;
  t.ops_ns = latency.ns;
  t.independent_ns2 = (1 - shared_variance) * latency.spread_ns * latency.spread_ns;
  t.shared_ns = std::sqrt(shared_variance) * latency.spread_ns;
  t.nodes = 1;
  t.macs = static_cast<double>(macs(op));
  t.weight_bytes = static_cast<double>(weight_bytes(op));
  t.activation_bytes = static_cast<double>(input_bytes(op) + output_bytes(op));
  return t;
}

LatencyTerms network_terms(const Predictor& predictor, const Network& network) {
  const CpuTraits cpu = cpu_traits(predictor.device);
  LatencyTerms total;
  for (const Node& node : split_activations(network).nodes)
    total += terms_of(node.op, op_latency(predictor, cpu, node.op));
  return total;
}

/// Weight bytes, weighted with how far the network is from filling the last-level cache.
double resident_bytes(const Predictor& predictor, double weight_bytes) {
  const double llc = cpu_traits(predictor.device).llc_bytes;
  return weight_bytes * std::max(0.0, 1.0 - weight_bytes / llc);
}

double relative_spread(const LatencyTerms& t) {
  return t.ops_ns > 0 ? std::sqrt(t.independent_ns2 + t.shared_ns * t.shared_ns) / t.ops_ns : 0;
}

double network_ns(const Predictor& predictor, const LatencyTerms& t) {
  const NetworkModel& m = predictor.network;
  const double ns = m.scale * t.ops_ns + m.ns_per_node * t.nodes +
                    m.ns_per_activation_byte * t.activation_bytes -
                    m.ns_saved_per_weight_byte * resident_bytes(predictor, t.weight_bytes);
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
  for (const OpRecord& record : profile.ops) {
    if (record.timing.disturbed || !(record.timing.median_ns > 0)) continue;
    by_class[op_class(record.op)].push_back(&record);
    predictor.best_macps = std::max(
        predictor.best_macps, static_cast<double>(macs(record.op)) / record.timing.median_ns * 1e9);
    if (macs(record.op) == 0) without_macs.push_back(&record);
    training += fmt::format("{} {}\n", text(record.op), record.timing.median_ns);
  }
  if (by_class.empty())
    throw Error("the profile has no undisturbed operator to fit a predictor to");
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

void fit_network_model(Predictor& predictor, std::span<const Network> networks,
                       std::span<const double> measured_ns) {
  NetworkModel& model = predictor.network;
  model = {};
  const auto n = static_cast<Index>(networks.size());
  model.networks = static_cast<int>(n);
  if (n < 4) return;
  std::vector<LatencyTerms> network_terms_;
  MatrixXd a(n, 4);
  for (Index i = 0; i < n; ++i) {
    const LatencyTerms t = network_terms(predictor, networks[static_cast<std::size_t>(i)]);
    network_terms_.push_back(t);
    a.row(i) << t.ops_ns, t.nodes, t.activation_bytes, -resident_bytes(predictor, t.weight_bytes);
    a.row(i) /= measured_ns[static_cast<std::size_t>(i)];
  }
  // Priors: the sum of operators is right to 3 %, and what it misses is of that order.
  constexpr double noise = 0.02;
  VectorXd prior(4);
  prior << 1, 0, 0, 0;
  VectorXd ridge(4);
  for (Index k = 0; k < 4; ++k) {
    const double size = std::sqrt(a.col(k).squaredNorm() / static_cast<double>(n));
    const double deviation = k == 0 ? 0.03 : 0.05 / std::max(size, 1e-300);
    ridge(k) = size > 0 ? noise * noise / (deviation * deviation) : 1.0;
  }
  const auto fit = [&](const MatrixXd& rows) {
    return non_negative_least_squares(rows, VectorXd::Ones(rows.rows()), ridge, prior);
  };
  const auto use = [&](const VectorXd& w) {
    model.scale = w(0);
    model.ns_per_node = w(1);
    model.ns_per_activation_byte = w(2);
    model.ns_saved_per_weight_byte = w(3);
  };
  std::vector<double> residuals;
  for (Index i = 0; i < n; ++i) {
    MatrixXd others(n - 1, 4);
    others << a.topRows(i), a.bottomRows(n - 1 - i);
    use(fit(others));
    const double truth = measured_ns[static_cast<std::size_t>(i)];
    residuals.push_back(
        std::abs(network_ns(predictor, network_terms_[static_cast<std::size_t>(i)]) / truth - 1));
  }
  use(fit(a));
  model.test_mape = 0;
  for (const double r : residuals) model.test_mape += r / static_cast<double>(n);
  // The factor that makes 90 % of the left-out networks fall inside; one network more than counted,
  // because few of them say little about the tail.
  std::vector<double> ratios;
  model.least_spread = 0.5 * model.test_mape;
  for (Index i = 0; i < n; ++i)
    ratios.push_back(residuals[static_cast<std::size_t>(i)] /
                     std::hypot(relative_spread(network_terms_[static_cast<std::size_t>(i)]),
                                model.least_spread));
  std::sort(ratios.begin(), ratios.end());
  const auto rank = static_cast<std::size_t>(std::ceil(0.9 * static_cast<double>(n + 1)));
  model.interval_factor = std::max(0.5, ratios[std::min(rank, ratios.size()) - 1]);
}

LatencyTerms terms(const Predictor& predictor, const Op& op) {
  return terms_of(op, op_latency(predictor, cpu_traits(predictor.device), op));
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
    const OpLatency latency = op_latency(predictor, cpu, node.op);
    prediction.ops.push_back({node.name, node.stage, node.op, std::string(latency.engine),
                              latency.ns * scale, latency.spread_ns * scale, latency.bound});
  }
  prediction.at_best_macps_ms = static_cast<double>(macs(network)) / predictor.best_macps * 1e3;
  return prediction;
}

}  // namespace cpubone
