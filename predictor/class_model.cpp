#include "predictor/class_model.hpp"

#include <Eigen/Core>
#include <cmath>

namespace cpubone {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

Eigen::Map<const VectorXd> inputs_of(const OpFacts& facts) {
  return {facts.features.data(), static_cast<Index>(facts.features.size())};
}

CostNs parts(const ClassModel& model, int threads, const OpFacts& facts, double factor) {
  const double items = work_items(facts.work, model.engine);
  CostNs ns = cost_ns(model.cost, facts.work, items);
  for (double* part : {&ns.compute, &ns.memory, &ns.weights, &ns.dispatch, &ns.synchronisation})
    *part *= factor;
  const Correction& c = model.correction;
  if (c == Correction{}) return ns;
  const bool alone = items == 1;
  const double ratio = busiest_share(items, threads) / busiest_share(items, model.cost.threads);
  ns.compute *= alone ? c.alone : c.shared * ratio;
  ns.memory *= alone ? c.alone : c.shared * ratio;
  ns.weights *= alone ? c.alone : c.weights;
  ns.dispatch *= c.dispatch;
  ns.synchronisation =
      threads > 1 && !alone ? c.ns_per_synchronisation + items * c.ns_per_work_item : 0;
  return ns;
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
  for (Index i = 0; i < n; ++i) {
    const double left_out = std::abs(std::expm1(report.left_out_residuals(i)));
    model.train_mape += std::abs(std::expm1(report.train_residuals(i))) / static_cast<double>(n);
    model.test_mape += left_out / static_cast<double>(n);
    model.test_within_10 += (left_out <= 0.1 ? 1.0 : 0.0) / static_cast<double>(n);
  }
  return model;
}

CostNs parts(const ClassModel& model, int threads, const OpFacts& facts) {
  return parts(model, threads, facts, std::exp(predict(model.factor, inputs_of(facts)).mean));
}

OpEstimate estimate(const ClassModel& model, int threads, const OpFacts& facts) {
  const Prediction factor = predict(model.factor, inputs_of(facts));
  const CostNs ns = parts(model, threads, facts, std::exp(factor.mean));
  OpEstimate e;
  e.ns = ns.total();
  e.memory_share = (ns.memory + ns.weights) / e.ns;
  e.overhead_share = (ns.dispatch + ns.synchronisation) / e.ns;
  e.bound = bound_of(ns);
  const double items = work_items(facts.work, model.engine);
  double squares = 0;
  for (const CostModel& deviation : model.deviations)
    squares += std::pow(cost_ns(deviation, facts.work, items).total(), 2);
  if (squares > 0)
    e.shared_spread_ns = e.ns * std::sqrt(squares) / cost_ns(model.cost, facts.work, items).total();
  e.spread_ns =
      std::hypot(e.ns * std::hypot(factor.spread, model.correction.spread), e.shared_spread_ns);
  return e;
}

}  // namespace cpubone
