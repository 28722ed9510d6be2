#include "predictor/co_execution.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "graph/error.hpp"
#include "predictor/calibration.hpp"
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

/// The side that computes longest.
struct LongerPart {
  bool by_cpu = true;
  Op op;
};
LongerPart longer_part(const Op& op, const ChannelSplit& split) {
  const int channels = op.output().c;
  const bool by_cpu = split.cpu_ns >= split.coprocessor_ns;
  const int begin = by_cpu ? 0 : split.cpu_channels;
  const int end = by_cpu ? split.cpu_channels : channels;
  return {by_cpu, end - begin == channels ? op : channel_part(op, begin, end)};
}

}  // namespace

CoExecutionPredictor fit_co_execution(const CoExecutionProfile& profile,
                                      std::span<const Network> calibration) {
  CoExecutionPredictor predictor;
  predictor.cpu = fit_predictor(profile.cpu, calibration);
  predictor.coprocessor = fit_predictor(profile.coprocessor);
  const std::vector<MeasuredSplit> splits = measured_splits(predictor, profile.shared);
  CoExecutionCosts apart = predicted_costs(predictor.cpu, predictor.coprocessor, 0);
  apart.start_ns = predictor.start_ns = profile.start_ns;
  const SharingCosts sharing = fitted_sharing(splits, apart);
  predictor.synchronisation_ns = sharing.synchronisation_ns;
  predictor.unhidden_share = sharing.unhidden_share;
  predictor.shared_layers = static_cast<int>(splits.size());
  predictor.shared_mape = sharing.mape;
  return predictor;
}

Profile published_profile(const DeviceDescription& device, const DeviceCoprocessor& coprocessor) {
  Profile profile;
  profile.device = device.device;
  profile.device.coprocessor = fmt::format("{}, {}", coprocessor.name, coprocessor.runtime);
  profile.settings = device.settings;
  profile.tool_version = version();
  for (const PublishedOperator& published : coprocessor.operators) {
    const double ns = published.latency_us * 1e3;
    profile.ops.push_back({published.op, "coprocessor", {ns, ns, ns, 0, {}, 1, false}});
  }
  return profile;
}

CoExecutionPredictor calibrate_co_execution(const DeviceDescription& device) {
  if (!device.coprocessor)
    throw std::invalid_argument(fmt::format(
        "device \"{}\": its file has no \"coprocessor\", expected one to share layers with "
        "(docs/file-formats.md), as pixel4 has",
        device.device.name));
  const DeviceCoprocessor& coprocessor = *device.coprocessor;
  CoExecutionPredictor predictor;
  predictor.cpu = calibrate(device);
  predictor.coprocessor = fit_predictor(published_profile(device, coprocessor));
  predictor.coprocessor.evidence = Evidence::calibrated;
  predictor.coprocessor.evidence_detail = coprocessor.runtime;
  predictor.wait_ns = 1e3 * coprocessor.wait_us;
  predictor.wait_source = coprocessor.wait_source;
  return predictor;
}

double coprocessor_mape(const CoExecutionPredictor& predictor) {
  double sum = 0;
  int operators = 0;
  for (const ClassModel& model : predictor.coprocessor.classes) {
    sum += model.test_mape * model.operators;
    operators += model.operators;
  }
  return operators == 0 ? 0 : sum / operators;
}

std::string coprocessor_evidence(const CoExecutionPredictor& predictor) {
  if (predictor.coprocessor.evidence == Evidence::measured)
    return fmt::format(
        "starting it {:.1f} us of the CPU, synchronisation {:.1f} us, {:.0f} % of the shorter part "
        "not hidden by the longer, {} "
        "shared layers predicted with a mean error of {:.1f} % each left out",
        predictor.start_ns * 1e-3, predictor.synchronisation_ns * 1e-3,
        100 * predictor.unhidden_share, predictor.shared_layers, 100 * predictor.shared_mape);
  int operators = 0;
  for (const ClassModel& model : predictor.coprocessor.classes) operators += model.operators;
  return fmt::format(
      "the coprocessor is {} of {} operators, predicted with a mean error of {:.1f} % each left "
      "out; no shared layer was measured; {:.0f} us to start an operator and to wait for it "
      "({})",
      evidence_text(predictor.coprocessor), operators, 100 * coprocessor_mape(predictor),
      predictor.wait_ns * 1e-3, predictor.wait_source);
}

bool runs_on_coprocessor(const CoExecutionPredictor& predictor, const Op& op) {
  const std::vector<ClassModel>& classes = predictor.coprocessor.classes;
  return std::any_of(classes.begin(), classes.end(),
                     [&](const ClassModel& model) { return model.name == op_class(op); });
}

CoExecutionCosts costs_within_network(const CoExecutionPredictor& predictor) {
  return {[&predictor](const Op& part) { return terms(predictor.cpu, part).ops_ns; },
          [&predictor](const Op& part) {
            return predictor.wait_ns + terms(predictor.coprocessor, part).ops_ns;
          },
          predictor.synchronisation_ns, predictor.unhidden_share, predictor.start_ns};
}

ChannelSplit planned_split(const CoExecutionPredictor& predictor, const Op& op) {
  const CoExecutionCosts costs = costs_within_network(predictor);
  return runs_on_coprocessor(predictor, op) ? plan_split(op, costs)
                                            : split_at(op, op.output().c, costs);
}

LatencyTerms terms(const CoExecutionPredictor& predictor, const Op& op, const ChannelSplit& split) {
  const LongerPart longer = longer_part(op, split);
  LatencyTerms t = terms(longer.by_cpu ? predictor.cpu : predictor.coprocessor, longer.op);
  const double factor = split.ns / t.ops_ns;
  t.ops_ns = split.ns;
  t.independent_ns2 *= factor * factor;
  t.shared_ns *= factor;
  t.nodes = longer.by_cpu ? 1 : 0;
  return t;
}

Bound bound_of(const CoExecutionPredictor& predictor, const Op& op, const ChannelSplit& split) {
  const LongerPart longer = longer_part(op, split);
  return estimate(longer.by_cpu ? predictor.cpu : predictor.coprocessor, longer.op).bound;
}

CoExecutionPrediction predict(const CoExecutionPredictor& predictor, const Network& network) {
  CoExecutionPrediction prediction;
  prediction.cpu_alone = predict(predictor.cpu, network);
  LatencyTerms total;
  double on_cpu_ns = 0;  // of operators that take as long as the CPU's part
  std::vector<bool> on_cpu;
  for (const OpPrediction& op : prediction.cpu_alone.ops) {
    prediction.splits.push_back(planned_split(predictor, op.op));
    const LatencyTerms t = terms(predictor, op.op, prediction.splits.back());
    total += t;
    on_cpu.push_back(t.nodes > 0);
    if (t.nodes > 0) on_cpu_ns += t.ops_ns;
  }
  prediction.latency = combine(predictor.cpu, total);
  // What the CPU takes less after another operator, so that the splits' latencies sum up as well.
  const double less_ns = total.ops_ns - 1e6 * prediction.latency.ms;
  for (std::size_t i = 0; i < on_cpu.size(); ++i) {
    if (!on_cpu[i]) continue;
    const double factor = std::max(0.0, 1 - less_ns / on_cpu_ns);
    prediction.splits[i].ns *= factor;
    prediction.splits[i].cpu_ns *= factor;
  }
  return prediction;
}

SharedNetwork summarise(const std::string& network, const CoExecutionPrediction& prediction) {
  const auto interval = [](const LatencyEstimate& e) {
    return Interval{e.ms, e.low_ms, e.high_ms};
  };
  SharedNetwork shared{network, interval(prediction.latency),
                       interval(prediction.cpu_alone.latency)};
  for (const ChannelSplit& split : prediction.splits) switch (runner_of(split)) {
      case Runner::cpu:
        ++shared.cpu_layers;
        break;
      case Runner::coprocessor:
        ++shared.coprocessor_layers;
        break;
      case Runner::both:
        ++shared.shared_layers;
    }
  return shared;
}

}  // namespace cpubone
