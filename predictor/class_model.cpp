#include "predictor/class_model.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <vector>

namespace cpubone {
namespace {

// Relative, of operators of a class of which one has been measured; of n the n-th part, beside what
// they themselves show. So nine tenths of left-out operators are within their intervals.
constexpr double spread_of_one = 1;

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

Eigen::Map<const VectorXd> inputs_of(const OpFacts& facts) {
  return {facts.features.data(), static_cast<Index>(facts.features.size())};
}

CostNs parts(const ClassModel& model, const OpFacts& facts, double factor) {
  const double items = work_items(facts.work, model.engine);
  CostNs ns = cost_ns(model.cost, facts.work, items);
  const auto scale = [&](double by) {
    for (double* part :
         {&ns.compute, &ns.memory, &ns.far_memory, &ns.weights, &ns.dispatch, &ns.synchronisation})
      *part *= by;
  };
  scale(factor);
  if (!model.correction) return ns;
  const Correction& c = *model.correction;
  const double ratio = busiest_share(items, c.threads) / busiest_share(items, model.cost.threads);
  ns.compute *= c.compute * ratio;
  ns.memory *= c.memory * ratio;
  ns.far_memory *= c.far_memory * ratio;
  ns.weights *= c.weights;
  ns.dispatch *= c.dispatch;
  const bool shared = c.threads > 1 && items > 1;
  ns.synchronisation = shared ? c.ns_per_synchronisation + items * c.ns_per_work_item : 0;
  scale(std::exp(predict(c.factor, inputs_of(facts)).mean));
  if (facts.work.macs > 0)
    ns.compute = std::max(ns.compute, facts.work.padded_macs * c.least_ns_per_mac);
  return ns;
}

/// What nine tenths of values are at most, of their sizes.
double quantile_90(VectorXd values) {
  values = values.cwiseAbs();
  std::sort(values.begin(), values.end());
  return values(static_cast<Index>(std::ceil(0.9 * static_cast<double>(values.size()))) - 1);
}

/// Logarithms of what the cost model makes of each operator when it does not know it, over what
/// `cost` does.
VectorXd shifts_without(std::span<const MeasuredOp* const> ops, const CostModel& cost,
                        const CostModel* prior) {
  VectorXd shifts = VectorXd::Zero(static_cast<Index>(ops.size()));
  if (ops.size() < 2) return shifts;
  std::vector<const MeasuredOp*> others(ops.begin() + 1, ops.end());
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const Work& work = ops[i]->facts.work;
    const double items = work_items(work, ops[i]->engine);
    const CostModel without = fit_cost_model(others, cost.threads, prior);
    shifts(static_cast<Index>(i)) =
        std::log(cost_ns(without, work, items).total() / cost_ns(cost, work, items).total());
    if (i < others.size()) others[i] = ops[i];
  }
  return shifts;
}

}  // namespace

ClassModel fit_class(const std::string& name, std::span<const MeasuredOp* const> ops, int threads,
                     const CostModel* prior) {
  ClassModel model;
  model.name = name;
  model.engine = ops[0]->engine;
  model.operators = static_cast<int>(ops.size());
  model.cost = fit_cost_model(ops, threads, prior);
  const auto n = static_cast<Index>(ops.size());
  MatrixXd inputs(n, static_cast<Index>(op_feature_count));
  VectorXd outputs(n);
  VectorXd variances(n);
  for (Index i = 0; i < n; ++i) {
    const MeasuredOp& op = *ops[static_cast<std::size_t>(i)];
    const Work& work = op.facts.work;
    inputs.row(i) = inputs_of(op.facts);
    outputs(i) =
        std::log(op.ns / cost_ns(model.cost, work, work_items(work, model.engine)).total());
    variances(i) = op.relative_error * op.relative_error;
  }
  FitReport report;
  model.factor = fit_gaussian_process(inputs, outputs, variances, &report);
  const VectorXd residuals = report.left_out_residuals + shifts_without(ops, model.cost, prior);
  // The process takes the cost model as given, which few operators do not.
  constexpr double most_wider = 20;
  if (const double taken = quantile_90(report.left_out_residuals); taken > 0)
    model.factor.spread_factor *= std::clamp(quantile_90(residuals) / taken, 1.0, most_wider);
  for (Index i = 0; i < n; ++i) {
    const double left_out = std::abs(std::expm1(residuals(i)));
    model.train_mape += std::abs(std::expm1(report.train_residuals(i))) / static_cast<double>(n);
    model.test_mape += left_out / static_cast<double>(n);
    model.test_within_10 += (left_out <= 0.1 ? 1.0 : 0.0) / static_cast<double>(n);
  }
  return model;
}

CostNs parts(const ClassModel& model, const OpFacts& facts) {
  return parts(model, facts, std::exp(predict(model.factor, inputs_of(facts)).mean));
}

bool is_beyond_measured(const ClassModel& model, const OpFacts& facts) {
  const GaussianProcess& known = model.factor;
  if (known.size() == 0) return false;
  const VectorXd input = inputs_of(facts);
  for (Index i = 0; i < input.size(); ++i) {
    const double scale = known.scale(i);  // 0: alike in all
    const auto row = known.points.row(i);
    const auto at = [&](float point) { return known.centre(i) + (scale > 0 ? point / scale : 0); };
    if (input(i) < at(row.minCoeff()) - 1 || input(i) > at(row.maxCoeff()) + 1) return true;
  }
  return false;
}

OpEstimate estimate(const ClassModel& model, const OpFacts& facts) {
  const Prediction factor = predict(model.factor, inputs_of(facts));
  const CostNs ns = parts(model, facts, std::exp(factor.mean));
  OpEstimate e;
  e.ns = ns.total();
  e.memory_share = (ns.memory + ns.far_memory + ns.weights) / e.ns;
  e.overhead_share = (ns.dispatch + ns.synchronisation) / e.ns;
  e.bound = bound_of(ns);
  // None: it is of published latencies, with a spread of their own.
  double spread = model.operators > 0 ? std::hypot(factor.spread, spread_of_one / model.operators)
                                      : factor.spread;
  if (model.correction) {
    Eigen::Matrix<double, 5, 1> scaled;
    scaled << ns.compute, ns.memory, ns.far_memory, ns.weights, ns.dispatch;
    e.shared_spread_ns = (model.correction->deviations.transpose() * scaled).norm();
    spread = std::hypot(spread, model.correction->spread);
  }
  e.spread_ns = std::hypot(e.ns * spread, e.shared_spread_ns);
  return e;
}

}  // namespace cpubone
