#include "predictor/precision_comparison.hpp"

#include <fmt/format.h>

#include <map>
#include <stdexcept>

#include "runtime/precision.hpp"

namespace cpubone {
namespace {

/// Latency of each node; nodes keep their names in all precisions.
std::map<std::string, double> ns_by_node(const NetworkPrediction& prediction) {
  std::map<std::string, double> ns;
  for (const OpPrediction& op : prediction.ops) ns[op.node] += op.latency_ns;
  return ns;
}

Interval interval_ns(const LatencyEstimate& latency) {
  return {latency.ms * 1e6, latency.low_ms * 1e6, latency.high_ms * 1e6};
}

std::int64_t memory_bytes_in(const Network& network, DType dtype, bool dynamic = false) {
  const Network converted = in_precision(network, dtype, dynamic);
  return weight_bytes(converted) + peak_activation_bytes(converted);
}

}  // namespace

PrecisionComparison predict_precisions(std::span<const Predictor> predictors,
                                       const Network& network) {
  std::map<DType, const Predictor*> in;
  for (const Predictor& predictor : predictors)
    if (!in.emplace(predictor.settings.dtype, &predictor).second)
      throw std::invalid_argument(fmt::format(
          "comparison of precisions: two predictors are of {}, expected one of each precision",
          name(predictor.settings.dtype)));
  if (!in.contains(DType::f32))
    throw std::invalid_argument("comparison of precisions: expected a predictor in f32, got none");
  const Predictor& first = *in[DType::f32];
  for (const Predictor& other : predictors)
    if (other.device.cpu != first.device.cpu || other.settings.threads != first.settings.threads)
      throw std::invalid_argument(fmt::format(
          "comparison of precisions: expected predictors of one device on one number of threads, "
          "got {} on {} and {} on {}",
          first.device.cpu, first.settings.threads, other.device.cpu, other.settings.threads));
  PrecisionComparison result{.network = network.name, .family = network.family};
  const NetworkPrediction f32 = predict(*in[DType::f32], network);
  result.f32_ns = interval_ns(f32.latency);
  result.f32_memory_bytes = memory_bytes_in(network, DType::f32);
  std::map<std::string, double> f32_of = ns_by_node(f32);
  std::map<std::string, double> f16_of;
  if (in.contains(DType::f16)) {
    const Predictor& predictor = *in[DType::f16];
    const NetworkPrediction f16 = predict(predictor, network);
    result.f16_ns = interval_ns(f16.latency);
    result.f16_speedup = ratio(result.f32_ns, result.f16_ns);
    result.f16_emulated = !calculates_in_f16(predictor.device);
    result.f16_memory_bytes = memory_bytes_in(network, DType::f16);
    f16_of = ns_by_node(f16);
  }
  if (in.contains(DType::qs8)) {
    const bool dynamic = knows_dynamic(*in[DType::qs8]);
    std::map<std::string, std::string> reason_of;
    for (const FloatOperator& stays : quantised_for_latency(network, dynamic).floats)
      reason_of[stays.node] = stays.reason;
    const NetworkPrediction int8 = predict(*in[DType::qs8], network);
    result.int8_ns = interval_ns(int8.latency);
    result.speedup = ratio(result.f32_ns, result.int8_ns);
    result.int8_memory_bytes = memory_bytes_in(network, DType::qs8, dynamic);
    for (const OpPrediction& op : int8.ops)
      result.parts.push_back({op.node, op.stage, op.op, op.engine, f32_of[op.node], f16_of[op.node],
                              op.latency_ns, reason_of[op.node]});
  }
  return result;
}

}  // namespace cpubone
