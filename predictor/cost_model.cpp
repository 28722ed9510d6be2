#include "predictor/cost_model.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <numbers>

#include "predictor/least_squares.hpp"

namespace cpubone {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

// Relative: what a cost model leaves of exact measurements.
constexpr double model_error = 0.05;
// By how much operators of a class may be slower or faster than those that they resemble.
constexpr double most_pace = 100;
// By how much its pace, and each of its costs at that pace, differ from theirs, as a share of them.
constexpr double prior_deviation = 1;

/// Of the standard normal distribution, above 0.5 (Abramowitz and Stegun 26.2.23).
double normal_quantile(double probability) {
  const double t = std::sqrt(-2 * std::log(1 - probability));
  return t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                 (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
}

/// Of the interval that `summarise` gives the median of so many normal samples, from the median to
/// its upper end, in standard errors of the median: few samples have wide ones.
double half_width(std::size_t samples) {
  constexpr double of_many = 1.96;
  if (samples < 2) return of_many;
  const auto n = static_cast<double>(samples);
  const double rank = std::min(n, std::ceil(1 + (n + of_many * std::sqrt(n)) / 2));
  const double expected = normal_quantile((rank - 0.375) / (n + 0.25));  // Blom
  const double standard_error = std::sqrt(std::numbers::pi / 2 / n);
  return expected / standard_error;
}

}  // namespace

double relative_error(const Timing& timing) {
  return (timing.high_ns - timing.median_ns) / half_width(timing.samples_ns.size()) /
         timing.median_ns;
}

MeasuredOp measured_op(const OpRecord& record, const CpuTraits& cpu) {
  return {facts(record.op, cpu), record.engine, record.timing.median_ns,
          relative_error(record.timing)};
}

double work_items(const Work& work, std::string_view engine) {
  return engine == "eigen" ? work.eigen_work_items : work.work_items;
}

double busiest_share(double work_items, int threads) {
  return std::ceil(work_items / threads) / work_items;
}

CostNs cost_ns(const CostModel& cost, const Work& w, double work_items) {
  const double share = busiest_share(work_items, cost.threads);
  CostNs ns;
  ns.compute = share * (w.padded_macs * cost.ns_per_mac + w.loop_starts * cost.ns_per_loop_start);
  ns.memory = share * (w.streamed_bytes * cost.ns_per_streamed_byte +
                       w.activation_bytes * cost.ns_per_activation_byte);
  ns.far_memory = share * (w.activation_bytes_beyond_l2 * cost.ns_per_activation_byte_beyond_l2 +
                           w.activation_bytes_beyond_llc * cost.ns_per_activation_byte_beyond_llc);
  ns.weights = w.weight_bytes * cost.ns_per_weight_byte;
  ns.dispatch = cost.ns_per_dispatch;
  if (cost.threads > 1 && work_items > 1)
    ns.synchronisation = cost.ns_per_synchronisation + work_items * cost.ns_per_work_item;
  return ns;
}

Bound bound_of(const CostNs& ns) {
  const double memory = ns.memory + ns.far_memory + ns.weights;
  const double overhead = ns.dispatch + ns.synchronisation;
  if (ns.compute >= memory && ns.compute >= overhead) return Bound::compute;
  return memory >= overhead ? Bound::memory : Bound::overhead;
}

CostModel fit_cost_model(std::span<const MeasuredOp* const> ops, int threads,
                         const CostModel* prior) {
  enum Term : Index {
    mac,
    loop_start,
    weight,
    streamed,
    activation,
    beyond_l2,
    dispatch,
    dispatch_and_synchronisation,
    work_item,
    terms
  };
  const auto n = static_cast<Index>(ops.size());
  MatrixXd relative(n, terms);  // each term of the cost model over the measured latency,
  VectorXd targets(n);          // ... times a weight
  for (Index i = 0; i < n; ++i) {
    const MeasuredOp& op = *ops[static_cast<std::size_t>(i)];
    const Work& w = op.facts.work;
    const double items = work_items(w, op.engine);
    const double share = busiest_share(items, threads);
    const bool synchronises = threads > 1 && items > 1;
    relative.row(i) << share * w.padded_macs, share * w.loop_starts, w.weight_bytes,
        share * w.streamed_bytes, share * w.activation_bytes, share * w.activation_bytes_beyond_l2,
        synchronises ? 0.0 : 1.0, synchronises ? 1.0 : 0.0, synchronises ? items : 0.0;
    targets(i) = model_error / std::hypot(model_error, op.relative_error);
    relative.row(i) *= targets(i) / op.ns;
  }
  // In units of each column, so that a class without MACs keeps a term of 0.
  const VectorXd squares = relative.colwise().squaredNorm();
  VectorXd expected = VectorXd::Zero(terms);
  VectorXd ridge = 1e-4 * squares;
  if (prior != nullptr) {
    expected << prior->ns_per_mac, prior->ns_per_loop_start, prior->ns_per_weight_byte,
        prior->ns_per_streamed_byte, prior->ns_per_activation_byte,
        prior->ns_per_activation_byte_beyond_l2, prior->ns_per_dispatch,
        prior->ns_per_dispatch + prior->ns_per_synchronisation, prior->ns_per_work_item;
    // The few weights that norms have tell nothing about those of others.
    if (ops[0]->facts.work.macs == 0) expected(weight) = 0;
    // A class has a pace of its own, as far as its operators tell; far memory and calls cost about
    // the same in all.
    const VectorXd work = relative.leftCols(beyond_l2) * expected.head(beyond_l2);
    const VectorXd rest = relative.rightCols(terms - beyond_l2) * expected.tail(terms - beyond_l2);
    const double own = std::pow(model_error / prior_deviation, 2);
    expected.head(beyond_l2) *= std::clamp(
        (work.dot(targets - rest) + own) / (work.squaredNorm() + own), 1 / most_pace, most_pace);
    ridge += 0.05 * squares / static_cast<double>(n);
    // What takes next to nothing of all that was measured, such as a few bytes beyond L2 of one
    // operator, does not explain its error.
    for (Index term = 0; term < terms; ++term)
      if (expected(term) > 0)
        ridge(term) += std::pow(model_error / (prior_deviation * expected(term)), 2);
  }
  const VectorXd w = non_negative_least_squares(relative, targets, ridge, expected);
  CostModel cost;
  cost.ns_per_mac = w(mac);
  cost.ns_per_loop_start = w(loop_start);
  cost.ns_per_weight_byte = w(weight);
  cost.ns_per_streamed_byte = w(streamed);
  cost.ns_per_activation_byte = w(activation);
  cost.ns_per_activation_byte_beyond_l2 = w(beyond_l2);
  cost.ns_per_dispatch = std::max(w(dispatch), 1.0);
  cost.ns_per_synchronisation =
      std::max(0.0, w(dispatch_and_synchronisation) - cost.ns_per_dispatch);
  cost.ns_per_work_item = w(work_item);
  cost.threads = threads;
  return cost;
}

}  // namespace cpubone
