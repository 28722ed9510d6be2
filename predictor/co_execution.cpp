#include "predictor/co_execution.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "graph/error.hpp"
#include "runtime/channel_part.hpp"

namespace cpubone {
namespace {

std::vector<MeasuredSplit> measured_splits(const CoExecutionPredictor& predictor,
                                           std::span<const SharedLayerRecord> shared) {
  std::vector<MeasuredSplit> splits;
  for (const SharedLayerRecord& layer : shared) {
    const std::vector<int> possible = candidate_splits(layer.op, 1);
    if (std::find(possible.begin(), possible.end(), layer.cpu_channels) == possible.end())
      throw Error(fmt::format("op \"{}\": {} of its channels are no part of it; profile again",
                              text(layer.op), layer.cpu_channels));
    if (layer.timing.median_ns > 0 && runs_on_coprocessor(predictor, layer.op))
      splits.push_back({layer.op, layer.cpu_channels, layer.timing.median_ns});
  }
  return splits;
}

/// Mean absolute percentage error on layers, each left out of what synchronisation is fitted to.
double left_out_mape(std::span<const MeasuredSplit> splits, CoExecutionCosts costs) {
  double sum = 0;
  for (std::size_t i = 0; i < splits.size(); ++i) {
    std::vector<MeasuredSplit> others(splits.begin(), splits.end());
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
    costs.synchronisation_ns = 0;
    costs.synchronisation_ns = fitted_synchronisation_ns(others, costs);
    sum += std::abs(split_at(splits[i].op, splits[i].cpu_channels, costs).ns / splits[i].ns - 1);
  }
  return splits.empty() ? 0 : sum / static_cast<double>(splits.size());
}

/// Terms of whichever side computes longest, brought to the latency of both.
LatencyTerms terms_of(const CoExecutionPredictor& predictor, const Op& op,
                      const ChannelSplit& split) {
  const int channels = op.output().c;
  const bool by_cpu = split.cpu_ns >= split.coprocessor_ns;
  const int begin = by_cpu ? 0 : split.cpu_channels;
  const int end = by_cpu ? split.cpu_channels : channels;
  const Op part = end - begin == channels ? op : channel_part(op, begin, end);
  LatencyTerms t = terms(by_cpu ? predictor.cpu : predictor.coprocessor, part);
  const double factor = split.ns / t.ops_ns;
  t.ops_ns = split.ns;
  t.independent_ns2 *= factor * factor;
  t.shared_ns *= factor;
  return t;
}

}  // namespace

CoExecutionPredictor fit_co_execution(const CoExecutionProfile& profile,
                                      std::span<const Network> calibration) {
  CoExecutionPredictor predictor;
  predictor.cpu = fit_predictor(profile.cpu, calibration);
  predictor.coprocessor = fit_predictor(profile.coprocessor);
  const std::vector<MeasuredSplit> splits = measured_splits(predictor, profile.shared);
  const CoExecutionCosts apart = predicted_costs(predictor.cpu, predictor.coprocessor, 0);
  predictor.synchronisation_ns = fitted_synchronisation_ns(splits, apart);
  predictor.shared_layers = static_cast<int>(splits.size());
  predictor.shared_mape = left_out_mape(splits, apart);
  return predictor;
}

bool runs_on_coprocessor(const CoExecutionPredictor& predictor, const Op& op) {
  const std::vector<ClassModel>& classes = predictor.coprocessor.classes;
  return std::any_of(classes.begin(), classes.end(),
                     [&](const ClassModel& model) { return model.name == op_class(op); });
}

CoExecutionPrediction predict(const CoExecutionPredictor& predictor, const Network& network) {
  CoExecutionPrediction prediction;
  prediction.cpu_alone = predict(predictor.cpu, network);
  LatencyTerms total;
  for (const OpPrediction& op : prediction.cpu_alone.ops) {
    CoExecutionCosts costs =
        predicted_costs(predictor.cpu, predictor.coprocessor, predictor.synchronisation_ns);
    const double within_network = op.latency_ns / estimate(predictor.cpu, op.op).ns;
    costs.cpu = [&](const Op& part) { return within_network * estimate(predictor.cpu, part).ns; };
    prediction.splits.push_back(runs_on_coprocessor(predictor, op.op)
                                    ? plan_split(op.op, costs)
                                    : split_at(op.op, op.op.output().c, costs));
    total += terms_of(predictor, op.op, prediction.splits.back());
  }
  // What an operator takes less after another is in the splits' latencies.
  NetworkModel model = predictor.cpu.network;
  model.ns_less_per_node = 0;
  prediction.latency = combine(model, total);
  return prediction;
}

}  // namespace cpubone
