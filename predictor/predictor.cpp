#include "predictor/predictor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "graph/error.hpp"
#include "runtime/precision.hpp"

namespace cpubone {
namespace {

using Ops = std::vector<const MeasuredOp*>;

/// What limits an operator by its cost model, but for kernels that the roofline shows to be slow.
Bound bound_of(const Predictor& predictor, const Op& op, const OpEstimate& e) {
  if (e.bound == Bound::compute && limited_by_kernel(predictor.roofline, op, e.ns))
    return Bound::kernel;
  return e.bound;
}

/// A class of all measured operators without MACs, for those of a kind that none was measured of.
std::string other_class(DType dtype) {
  return dtype == DType::qs8 ? "int8 other" : "other";
}

const ClassModel* find_class(const Predictor& predictor, std::string_view name) {
  for (const ClassModel& model : predictor.classes)
    if (model.name == name) return &model;
  return nullptr;
}

}  // namespace

bool knows_dynamic(const Predictor& predictor) {
  return find_class(predictor, dynamic_class) != nullptr;
}

Network lowered(const Network& network, const Predictor& predictor) {
  return lowered(network, predictor.settings.dtype, knows_dynamic(predictor));
}

const ClassModel& model_of(const Predictor& predictor, const Op& op, const OpFacts& facts) {
  const ClassModel* model = find_class(predictor, facts.op_class);
  if (model == nullptr && facts.work.macs == 0)
    model = find_class(predictor, other_class(op.dtype()));
  if (model != nullptr) return *model;
  const bool int8 = multiplies_int8(op) || op.outputs.at(0).dtype == DType::qs8;
  if (int8 && predictor.settings.dtype != DType::qs8)
    throw Error(
        fmt::format("op \"{}\": it is int8, and the predictor knows {}; a profile that "
                    "cpubone-profile --precision qs8 makes knows int8",
                    text(op), name(predictor.settings.dtype)));
  throw Error(
      fmt::format("op \"{}\": the predictor has no model of class \"{}\"; measure some with "
                  "cpubone-profile --ops and fit again",
                  text(op), facts.op_class));
}

std::string evidence_text(const Predictor& predictor) {
  std::string text(name(predictor.evidence));
  if (!predictor.evidence_detail.empty()) text += " (" + predictor.evidence_detail + ")";
  return text;
}

Predictor fit_predictor(const Profile& profile, std::span<const Network> calibration) {
  Predictor predictor;
  predictor.device = profile.device;
  predictor.settings = profile.settings;
  predictor.tool_version = version();
  predictor.created = profile.created;
  predictor.roofline = profile.roofline;
  const CpuTraits cpu = cpu_traits(profile.device);
  std::vector<MeasuredOp> ops;
  ops.reserve(profile.ops.size());  // pointed to
  std::map<std::string, Ops> by_class;
  std::map<DType, Ops> without_macs;
  std::map<DType, Ops> matrix_products;
  std::map<std::string, DType> dtype_of;  // a class has one
  std::string training;
  for (const OpRecord& record : profile.ops) {
    if (!(record.timing.median_ns > 0)) continue;
    ops.push_back(measured_op(record, cpu));
    const MeasuredOp& op = ops.back();
    by_class[op.facts.op_class].push_back(&op);
    const DType dtype = multiplies_int8(record.op) ? DType::qs8 : record.op.dtype();
    if (op.facts.work.macs == 0) without_macs[dtype].push_back(&op);
    if (op.facts.matrix_product) matrix_products[dtype].push_back(&op);
    dtype_of[op.facts.op_class] = dtype;
    training += fmt::format("{} {}\n", text(record.op), record.timing.median_ns);
    predictor.best_macps = std::max(predictor.best_macps, op.facts.work.macs / op.ns * 1e9);
  }
  if (ops.empty())
    throw Error(
        "the profile has no operator to fit a predictor to; measure it again and allow more time "
        "(--budget)");
  predictor.training_hash = hash_text(training);
  const int threads = profile.settings.threads;
  const auto cost_models_of = [&](const std::map<DType, Ops>& some) {
    std::map<DType, CostModel> models;
    for (const auto& [dtype, alike] : some) models[dtype] = fit_cost_model(alike, threads, nullptr);
    return models;
  };
  const std::map<DType, CostModel> moving_data = cost_models_of(without_macs);
  const std::map<DType, CostModel> multiplying = cost_models_of(matrix_products);
  for (const auto& [name, of_class] : by_class) {
    const OpFacts& f = of_class[0]->facts;
    const DType dtype = dtype_of.at(name);
    const CostModel* prior = f.work.macs == 0   ? &moving_data.at(dtype)
                             : f.matrix_product ? &multiplying.at(dtype)
                                                : nullptr;
    predictor.classes.push_back(fit_class(name, of_class, threads, prior));
  }
  for (const auto& [dtype, ops_of_dtype] : without_macs) {
    // XNNPACK's kinds are all measured, so that others are rather like what it does not run.
    Ops alike;
    std::copy_if(ops_of_dtype.begin(), ops_of_dtype.end(), std::back_inserter(alike),
                 [](const MeasuredOp* op) { return op->engine != "xnnpack"; });
    predictor.classes.push_back(fit_class(other_class(dtype), alike.empty() ? ops_of_dtype : alike,
                                          threads, &moving_data.at(dtype)));
  }

  std::vector<Network> networks;
  std::vector<double> measured_ns;
  std::vector<double> relative_errors;
  for (const Network& network : calibration)
    if (const NetworkRecord* record = find_record(profile, network);
        record != nullptr && record->timing.median_ns > 0) {
      networks.push_back(network);
      measured_ns.push_back(record->timing.median_ns);
      relative_errors.push_back(relative_error(record->timing));
    }
  fit_network_model(predictor, networks, measured_ns, relative_errors);
  return predictor;
}

OpEstimate estimate(const Predictor& predictor, const Op& op) {
  const OpFacts f = facts(op, cpu_traits(predictor.device));
  OpEstimate e = estimate(model_of(predictor, op, f), f);
  e.bound = bound_of(predictor, op, e);
  return e;
}

std::function<double(const Op&)> spread_of(const Profile& profile) {
  return [predictor = fit_predictor(profile)](const Op& op) {
    if (find_class(predictor, op_class(op)) == nullptr) return 1.0;
    const OpEstimate e = estimate(predictor, op);
    return e.spread_ns / e.ns;
  };
}

LatencyTerms terms(const Predictor& predictor, const Op& op) {
  if (op.kind == OpKind::constant) return {};
  const OpFacts f = facts(op, cpu_traits(predictor.device));
  const ClassModel& model = model_of(predictor, op, f);
  return terms(model, estimate(model, f), f);
}

LatencyTerms terms(const Predictor& predictor, const Network& network) {
  LatencyTerms total;
  for (const Node& node : lowered(network, predictor).nodes) total += terms(predictor, node.op);
  return total;
}

LatencyEstimate combine(const Predictor& predictor, const LatencyTerms& terms) {
  return combine(predictor.network, terms);
}

NetworkPrediction predict(const Predictor& predictor, const Network& network) {
  NetworkPrediction prediction;
  const CpuTraits cpu = cpu_traits(predictor.device);
  LatencyTerms total;
  for (const Node& node : lowered(network, predictor).nodes) {
    if (node.op.kind == OpKind::constant) continue;  // nothing runs it
    const OpFacts f = facts(node.op, cpu);
    const ClassModel& model = model_of(predictor, node.op, f);
    const OpEstimate e = estimate(model, f);
    total += terms(model, e, f);
    const double ns = e.ns * model.network_scale;
    prediction.ops.push_back({node.name, node.stage, without_quantisation(node.op), model.engine,
                              ns, ns * e.spread_ns / e.ns, bound_of(predictor, node.op, e),
                              model.name != f.op_class || is_beyond_measured(model, f)});
  }
  prediction.latency = combine(predictor, total);
  const double scale = prediction.latency.ms * 1e6 / total.ops_ns;
  for (OpPrediction& op : prediction.ops) {
    op.latency_ns *= scale;
    op.spread_ns *= scale;
  }
  prediction.at_best_macps_ms = static_cast<double>(macs(network)) / predictor.best_macps * 1e3;
  return prediction;
}

}  // namespace cpubone
