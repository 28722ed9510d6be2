#include "predictor/predictor.hpp"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "graph/error.hpp"
#include "predictor/least_squares.hpp"
#include "runtime/xnnpack_traits.hpp"

namespace cpubone {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr int most_image_channels = 4;
// Share of an operator's error that the others of its network have too: equal operators repeat.
constexpr double shared_variance = 0.3;

/// Factor on the row of a residual (Huber's weight is its square): beyond the edge it counts less.
double robust_weight(double residual, double edge) {
  return std::sqrt(std::min(1.0, edge / std::max(std::abs(residual), 1e-12)));
}

struct CostNs {
  double compute = 0;
  double memory = 0;   ///< but for weights
  double weights = 0;  ///< reading them once
  double dispatch = 0;
  double synchronisation = 0;  ///< of threads, and handing out work items
  double total() const { return compute + memory + weights + dispatch + synchronisation; }
};

/// Pieces that threads share.
double work_items_of(const ClassModel& model, const Work& w) {
  return model.engine == "eigen" ? 1 : w.work_items;
}

/// Of all work items, those of the busiest of so many threads.
double busiest_share(double work_items, int threads) {
  return std::ceil(work_items / threads) / work_items;
}

CostNs cost_ns(const CostModel& cost, const Work& w, double work_items) {
  const double share = busiest_share(work_items, cost.threads);
  CostNs ns;
  ns.compute = share * (w.padded_macs * cost.ns_per_mac + w.loop_starts * cost.ns_per_loop_start);
  ns.memory =
      share * (w.streamed_bytes * cost.ns_per_streamed_byte +
               w.streamed_far_bytes * cost.ns_per_streamed_far_byte +
               w.activation_bytes * cost.ns_per_activation_byte +
               w.activation_bytes_beyond_l2 * cost.ns_per_activation_byte_beyond_l2 +
               w.activation_bytes_beyond_llc_share * cost.ns_per_activation_byte_beyond_llc_share +
               w.activation_bytes_beyond_llc * cost.ns_per_activation_byte_beyond_llc);
  ns.weights = w.weight_bytes * cost.ns_per_weight_byte;
  ns.dispatch = cost.ns_per_dispatch;
  if (cost.threads > 1 && work_items > 1)
    ns.synchronisation = cost.ns_per_synchronisation + work_items * cost.ns_per_work_item;
  return ns;
}

Bound bound_of(const CostNs& ns) {
  const double memory = ns.memory + ns.weights;
  const double overhead = ns.dispatch + ns.synchronisation;
  if (ns.compute >= memory && ns.compute >= overhead) return Bound::compute;
  return memory >= overhead ? Bound::memory : Bound::overhead;
}

using Records = std::vector<const OpRecord*>;

/// Costs of `Work`'s quantities by least squares of relative errors. `prior` is what costs are near
/// to: a class of few operators is not read into its noise, and one without large ones knows from
/// the others what large ones cost.
CostModel fit_cost_model(const Records& records, const CpuTraits& cpu, int threads,
                         const CostModel* prior) {
  enum Term : Index {
    mac,
    loop_start,
    weight,
    streamed,
    streamed_far,
    activation,
    beyond_l2,
    beyond_llc_share,
    dispatch,
    dispatch_and_synchronisation,
    work_item,
    terms
  };
  const auto n = static_cast<Index>(records.size());
  MatrixXd relative(n, terms);  // each term of the cost model over the measured latency
  for (Index i = 0; i < n; ++i) {
    const OpRecord& record = *records[static_cast<std::size_t>(i)];
    const Work w = work(record.op, cpu);
    const double work_items = record.engine == "eigen" ? 1 : w.work_items;
    const double share = busiest_share(work_items, threads);
    const bool synchronises = threads > 1 && work_items > 1;
    relative.row(i) << share * w.padded_macs, share * w.loop_starts, w.weight_bytes,
        share * w.streamed_bytes, share * w.streamed_far_bytes, share * w.activation_bytes,
        share * w.activation_bytes_beyond_l2, share * w.activation_bytes_beyond_llc_share,
        synchronises ? 0.0 : 1.0, synchronises ? 1.0 : 0.0, synchronises ? work_items : 0.0;
    relative.row(i) /= record.timing.median_ns;
  }
  // In units of each column, so that a class without MACs keeps a term of 0.
  const VectorXd squares = relative.colwise().squaredNorm();
  VectorXd expected = VectorXd::Zero(terms);
  VectorXd ridge = 1e-4 * squares;
  if (prior != nullptr) {
    expected << prior->ns_per_mac, prior->ns_per_loop_start, prior->ns_per_weight_byte,
        prior->ns_per_streamed_byte, prior->ns_per_streamed_far_byte, prior->ns_per_activation_byte,
        prior->ns_per_activation_byte_beyond_l2, prior->ns_per_activation_byte_beyond_llc_share,
        prior->ns_per_dispatch, prior->ns_per_dispatch + prior->ns_per_synchronisation,
        prior->ns_per_work_item;
    ridge += 0.05 * squares / static_cast<double>(n);
    // A cost model leaves some percent; what bytes beyond a cache cost differs little from class to
    // class.
    constexpr double noise = 0.05;
    constexpr double deviation = 0.3;
    for (const Term beyond : {streamed, streamed_far, beyond_l2, beyond_llc_share}) {
      const double within = expected(beyond < activation ? weight : activation);
      const double known = deviation * std::max(expected(beyond), deviation * within);
      if (known > 0) ridge(beyond) += noise * noise / (known * known);
    }
  }
  const VectorXd w = non_negative_least_squares(relative, VectorXd::Ones(n), ridge, expected);
  CostModel cost;
  cost.ns_per_mac = w(mac);
  cost.ns_per_loop_start = w(loop_start);
  cost.ns_per_weight_byte = w(weight);
  cost.ns_per_streamed_byte = w(streamed);
  cost.ns_per_streamed_far_byte = w(streamed_far);
  cost.ns_per_activation_byte = w(activation);
  cost.ns_per_activation_byte_beyond_l2 = w(beyond_l2);
  cost.ns_per_activation_byte_beyond_llc_share = w(beyond_llc_share);
  cost.ns_per_dispatch = std::max(w(dispatch), 1.0);
  cost.ns_per_synchronisation =
      std::max(0.0, w(dispatch_and_synchronisation) - cost.ns_per_dispatch);
  cost.ns_per_work_item = w(work_item);
  cost.threads = threads;
  return cost;
}

/// By XNNPACK's kernels for matrix products, which all read their weights alike.
bool multiplies_matrices(const Op& op) {
  const std::string name = op_class(op);
  return macs(op) > 0 && name != "depthwise" && name != "attention";
}

ClassModel fit_class(const std::string& name, const Records& records, const CpuTraits& cpu,
                     int threads, const CostModel* prior) {
  ClassModel model;
  model.name = name;
  model.engine = records[0]->engine;
  model.operators = static_cast<int>(records.size());
  model.cost = fit_cost_model(records, cpu, threads, prior);
  const auto n = static_cast<Index>(records.size());
  MatrixXd inputs(n, static_cast<Index>(feature_names().size()));
  VectorXd outputs(n);
  VectorXd variances(n);
  for (Index i = 0; i < n; ++i) {
    const OpRecord& record = *records[static_cast<std::size_t>(i)];
    const std::vector<double> x = features(record.op, cpu);
    inputs.row(i) = Eigen::Map<const VectorXd>(x.data(), static_cast<Index>(x.size()));
    const Work w = work(record.op, cpu);
    outputs(i) =
        std::log(record.timing.median_ns / cost_ns(model.cost, w, work_items_of(model, w)).total());
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

/// The parts of an operator's latency on its own.
CostNs parts_of(const ClassModel& model, const Work& w, double work_items, double factor,
                int threads) {
  CostNs ns = cost_ns(model.cost, w, work_items);
  for (double* part : {&ns.compute, &ns.memory, &ns.weights, &ns.dispatch, &ns.synchronisation})
    *part *= factor;
  const Correction& c = model.correction;
  if (c == Correction{}) return ns;
  const bool alone = work_items == 1;
  const double ratio =
      busiest_share(work_items, threads) / busiest_share(work_items, model.cost.threads);
  ns.compute *= alone ? c.alone : c.shared * ratio;
  ns.memory *= alone ? c.alone : c.shared * ratio;
  ns.weights *= alone ? c.alone : c.weights;
  ns.dispatch *= c.dispatch;
  ns.synchronisation =
      threads > 1 && !alone ? c.ns_per_synchronisation + work_items * c.ns_per_work_item : 0;
  return ns;
}

double factor_of(const ClassModel& model, const CpuTraits& cpu, const Op& op, double* spread) {
  const std::vector<double> x = features(op, cpu);
  const Prediction factor =
      predict(model.factor, Eigen::Map<const VectorXd>(x.data(), static_cast<Index>(x.size())));
  if (spread != nullptr) *spread = factor.spread;
  return std::exp(factor.mean);
}

OpEstimate estimate_of(const ClassModel& model, const CpuTraits& cpu, int threads, const Op& op,
                       const Work& w) {
  const double work_items = work_items_of(model, w);
  double spread = 0;
  const double factor = factor_of(model, cpu, op, &spread);
  const CostNs parts = parts_of(model, w, work_items, factor, threads);
  OpEstimate e;
  e.ns = parts.total();
  e.memory_share = (parts.memory + parts.weights) / e.ns;
  e.overhead_share = (parts.dispatch + parts.synchronisation) / e.ns;
  e.weights_share = parts.weights / e.ns;
  e.bound = bound_of(parts);
  e.spread_ns = e.ns * std::hypot(spread, model.correction.spread);
  return e;
}

LatencyTerms terms_of(const ClassModel& model, const CpuTraits& cpu, int threads, const Op& op) {
  const Work w = work(op, cpu);
  const OpEstimate e = estimate_of(model, cpu, threads, op, w);
  const double spread_ns = model.network_scale * e.spread_ns;
  LatencyTerms t;
  t.ops_ns = model.network_scale * e.ns;
  t.weights_ns = model.network_scale * e.ns * e.weights_share;
  t.far_bytes = w.activation_bytes_beyond_l2;
  t.independent_ns2 = (1 - shared_variance) * spread_ns * spread_ns;
  t.shared_ns = std::sqrt(shared_variance) * spread_ns;
  t.nodes = 1;
  if (op.input().c <= most_image_channels) t.image_bytes = static_cast<double>(input_bytes(op));
  t.macs = w.macs;
  t.weight_bytes = w.weight_bytes;
  t.activation_bytes = static_cast<double>(input_bytes(op) + output_bytes(op));
  return t;
}

LatencyTerms network_terms(const Predictor& predictor, const Network& network) {
  const CpuTraits cpu = cpu_traits(predictor.device);
  LatencyTerms total;
  for (const Node& node : lowered(network).nodes)
    total += terms_of(model_of(predictor, node.op), cpu, predictor.settings.threads, node.op);
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
  Records matrix_products;
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
    if (multiplies_matrices(record.op)) matrix_products.push_back(&record);
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
  const int threads = profile.settings.threads;
  const auto cost_model_of = [&](const Records& records) {
    return records.empty() ? CostModel{} : fit_cost_model(records, cpu, threads, nullptr);
  };
  const CostModel moving_data = cost_model_of(without_macs);
  const CostModel multiplying = cost_model_of(matrix_products);
  for (const auto& [name, records] : by_class) {
    const Op& op = records[0]->op;
    const CostModel* prior = macs(op) == 0             ? &moving_data
                             : multiplies_matrices(op) ? &multiplying
                                                       : nullptr;
    predictor.classes.push_back(fit_class(name, records, cpu, threads, prior));
  }

  std::vector<Network> networks;
  std::vector<double> measured_ns;
  for (const Network& network : calibration)
    if (const NetworkRecord* record = find_record(profile, network);
        record != nullptr && !record->timing.disturbed) {
      networks.push_back(network);
      measured_ns.push_back(record->timing.median_ns);
    }
  fit_network_model(predictor, networks, measured_ns);
  return predictor;
}

namespace {

/// The network model as a linear one: a row for each network, a column for each class, then nodes,
/// image bytes, activation bytes beyond L2 and saved reading of weights; all over the
/// measured latency.
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
      LatencyTerms total;
      for (const Node& node : lowered(networks[k]).nodes) {
        const ClassModel& model = model_of(predictor, node.op);
        const LatencyTerms t = terms_of(model, cpu, predictor.settings.threads, node.op);
        rows_(i, &model - predictor.classes.data()) += t.ops_ns;
        total += t;
      }
      rows_.row(i).segment(classes_, 3) << total.nodes, total.image_bytes, total.far_bytes;
      reading_(i) = total.weights_ns;
      weight_bytes_(i) = total.weight_bytes;
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

namespace {

/// Threads that a predictor's latencies know to share operators.
int sharing_threads(const Predictor& predictor) {
  if (predictor.classes.empty()) return 1;
  const ClassModel& model = predictor.classes[0];
  return model.correction == Correction{} ? model.cost.threads : predictor.settings.threads;
}

/// How few operators scale the parts of a predictor's cost models: a linear model of the new
/// latency, a row for each operator, and a factor for each class.
class Adaptation {
 public:
  enum Part : Index { shared, weights, alone, dispatch, synchronisation, work_item, parts };

  Adaptation(const Predictor& base, const Records& records, int threads)
      : base_threads_(sharing_threads(base)), classes_(static_cast<Index>(base.classes.size())) {
    const CpuTraits cpu = cpu_traits(base.device);
    const auto n = static_cast<Index>(records.size());
    rows_ = MatrixXd::Zero(n, parts);
    noise_ = VectorXd(n);
    size_ns_ = VectorXd(n);
    for (Index i = 0; i < n; ++i) {
      const OpRecord& record = *records[static_cast<std::size_t>(i)];
      const ClassModel& model = model_of(base, record.op);
      class_.push_back(&model - base.classes.data());
      const Work w = work(record.op, cpu);
      const double work_items = work_items_of(model, w);
      const CostNs ns = parts_of(model, w, work_items, factor_of(model, cpu, record.op, nullptr),
                                 base.settings.threads);
      const double ratio =
          busiest_share(work_items, threads) / busiest_share(work_items, base_threads_);
      if (work_items == 1) {
        rows_(i, alone) = ns.compute + ns.memory + ns.weights;
      } else {
        rows_(i, shared) = ratio * (ns.compute + ns.memory);
        rows_(i, weights) = ns.weights;
      }
      rows_(i, dispatch) = ns.dispatch;
      if (threads > 1 && work_items > 1) {
        rows_(i, synchronisation) = 1;
        rows_(i, work_item) = work_items;
      }
      size_ns_(i) = ns.total();
      rows_.row(i) /= record.timing.median_ns;
      // Disturbed operators have wide intervals, and so count less.
      const double standard_error =
          (record.timing.high_ns - record.timing.median_ns) / 1.96 / record.timing.median_ns;
      noise_(i) = std::hypot(noise, standard_error);
    }
  }

  int base_threads() const { return base_threads_; }

  struct Fit {
    VectorXd parts;
    VectorXd log_classes;  ///< logarithm of each class's factor

    double log_ratio(const Adaptation& a, Index i) const {
      return std::log(std::max(a.rows_.row(i).dot(parts), 1e-6)) +
             log_classes(a.class_[static_cast<std::size_t>(i)]);
    }
  };

  /// Without the operator `left_out` (-1: with all).
  Fit fit(double class_deviation, Index left_out) const {
    const Index n = rows_.rows();
    // How much faster or slower all is, by the larger half of the operators: the smaller ones tell
    // what dispatch and synchronisation cost.
    std::vector<Index> by_size;
    for (Index i = 0; i < n; ++i)
      if (i != left_out) by_size.push_back(i);
    std::sort(by_size.begin(), by_size.end(),
              [&](Index a, Index b) { return size_ns_(a) > size_ns_(b); });
    std::vector<double> ratios;
    for (std::size_t k = 0; 2 * k < by_size.size(); ++k)
      ratios.push_back(1 / rows_.row(by_size[k]).head(synchronisation).sum());
    std::nth_element(ratios.begin(),
                     ratios.begin() + static_cast<std::ptrdiff_t>(ratios.size() / 2), ratios.end());
    const double all = ratios[ratios.size() / 2];

    VectorXd prior = VectorXd::Constant(parts, all);
    prior(synchronisation) = prior(work_item) = 0;
    VectorXd deviation(parts);
    deviation << part_deviation * all, part_deviation * all, part_deviation * all,
        dispatch_deviation * all, synchronisation_deviation_ns, work_item_deviation_ns;
    const VectorXd ridge = deviation.array().square().inverse();
    VectorXd weight = noise_.array().inverse();
    if (left_out >= 0) weight(left_out) = 0;
    VectorXd robust = weight;
    Fit fit{prior, VectorXd::Zero(classes_)};
    for (int pass = 0; pass < 4; ++pass) {
      fit.parts = non_negative_least_squares(robust.asDiagonal() * rows_, robust, ridge, prior);
      const VectorXd residuals = weight.cwiseProduct(rows_ * fit.parts - VectorXd::Ones(n));
      for (Index i = 0; i < n; ++i) robust(i) = weight(i) * robust_weight(residuals(i), outlier);
    }
    VectorXd sums = VectorXd::Zero(classes_);
    VectorXd precisions = VectorXd::Constant(classes_, 1 / (class_deviation * class_deviation));
    for (Index i = 0; i < n; ++i) {
      const double precision = robust(i) * robust(i);
      sums(class_[static_cast<std::size_t>(i)]) -= precision * fit.log_ratio(*this, i);
      precisions(class_[static_cast<std::size_t>(i)]) += precision;
    }
    fit.log_classes = sums.cwiseQuotient(precisions);
    return fit;
  }

  /// Logarithm of predicted over measured latency of each operator, left out of the fit.
  VectorXd left_out(double class_deviation) const {
    VectorXd residuals(rows_.rows());
    for (Index i = 0; i < rows_.rows(); ++i)
      residuals(i) = fit(class_deviation, i).log_ratio(*this, i);
    return residuals;
  }

 private:
  // Relative deviations of what devices differ by beyond a common factor.
  static constexpr double noise = 0.05;
  static constexpr double outlier = 2;  ///< times the noise
  static constexpr double part_deviation = 0.25;
  static constexpr double dispatch_deviation = 3;
  static constexpr double synchronisation_deviation_ns = 100e3;
  static constexpr double work_item_deviation_ns = 10;

  int base_threads_;
  Index classes_;
  MatrixXd rows_;  ///< over the measured latency
  VectorXd noise_;
  VectorXd size_ns_;
  std::vector<Index> class_;
};

}  // namespace

Predictor adapt_predictor(const Predictor& base, const Profile& measured, double* expected_error) {
  Records records;
  for (const OpRecord& record : measured.ops)
    if (record.timing.median_ns > 0) records.push_back(&record);
  const auto n = static_cast<Index>(records.size());
  if (n < 4)
    throw std::invalid_argument(
        fmt::format("adapting a predictor needs at least 4 measured operators, got {}", n));
  Predictor predictor = base;
  std::string training = base.training_hash + "\n";
  predictor.best_macps = 0;
  for (const OpRecord* record : records) {
    predictor.best_macps = std::max(predictor.best_macps, static_cast<double>(macs(record->op)) /
                                                              record->timing.median_ns * 1e9);
    training += fmt::format("{} {}\n", text(record->op), record->timing.median_ns);
  }
  const Adaptation adaptation(base, records, measured.settings.threads);
  // How far classes differ beyond the parts of their cost models is what left-out operators say.
  double class_deviation = 0.03;
  VectorXd residuals;
  for (const double deviation : {0.02, 0.05, 0.1, 0.2, 0.4}) {
    const VectorXd left_out = adaptation.left_out(deviation);
    if (residuals.size() > 0 && left_out.cwiseAbs().sum() >= residuals.cwiseAbs().sum()) continue;
    residuals = left_out;
    class_deviation = deviation;
  }
  double error = 0;
  for (const double r : residuals) error += std::abs(std::expm1(r)) / static_cast<double>(n);
  if (expected_error != nullptr) *expected_error = error;

  const Adaptation::Fit fit = adaptation.fit(class_deviation, -1);
  predictor.device = measured.device;
  predictor.settings = measured.settings;
  predictor.created = measured.created;
  predictor.tool_version = version();
  predictor.training_hash = hash_text(training);
  predictor.evidence = fmt::format(
      "adapted from {} ({} thread{}) by {} operators, expected error {:.1f} % an operator",
      base.device.name, base.settings.threads, base.settings.threads == 1 ? "" : "s", n,
      100 * error);
  using Part = Adaptation::Part;
  const VectorXd& w = fit.parts;
  for (std::size_t k = 0; k < predictor.classes.size(); ++k) {
    Correction& c = predictor.classes[k].correction;
    const double factor = std::exp(fit.log_classes(static_cast<Index>(k)));
    c.shared *= factor * w(Part::shared);
    c.weights *= factor * w(Part::weights);
    c.alone *= factor * w(Part::alone);
    c.dispatch *= factor * w(Part::dispatch);
    c.ns_per_synchronisation = factor * w(Part::synchronisation);
    c.ns_per_work_item = factor * w(Part::work_item);
    c.spread = std::hypot(c.spread, std::sqrt(residuals.squaredNorm() / static_cast<double>(n)));
  }
  NetworkModel& network = predictor.network;
  network.ns_per_node *= w(Part::dispatch);
  network.ns_per_image_byte *= w(Part::shared);
  network.ns_per_far_byte *= w(Part::shared);
  // Weights that a cache holds are read by each thread on its own, as fast as it calculates.
  const double of_cache = w(Part::shared) * adaptation.base_threads() / measured.settings.threads;
  if (network.saved_share > 0 && w(Part::weights) > 0)
    network.saved_share =
        std::clamp(1 - (1 - network.saved_share) * of_cache / w(Part::weights), 0.0, 1.0);
  return predictor;
}

OpEstimate estimate(const Predictor& predictor, const Op& op) {
  const CpuTraits cpu = cpu_traits(predictor.device);
  return estimate_of(model_of(predictor, op), cpu, predictor.settings.threads, op, work(op, cpu));
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
  return terms_of(model_of(predictor, op), cpu_traits(predictor.device), predictor.settings.threads,
                  op);
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
  for (const Node& node : lowered(network).nodes) {
    const ClassModel& model = model_of(predictor, node.op);
    const OpEstimate e =
        estimate_of(model, cpu, predictor.settings.threads, node.op, work(node.op, cpu));
    const double ns = e.ns * model.network_scale * scale;
    prediction.ops.push_back(
        {node.name, node.stage, node.op, model.engine, ns, ns * e.spread_ns / e.ns, e.bound});
  }
  prediction.at_best_macps_ms = static_cast<double>(macs(network)) / predictor.best_macps * 1e3;
  return prediction;
}

}  // namespace cpubone
