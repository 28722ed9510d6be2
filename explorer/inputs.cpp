#include "explorer/inputs.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <stdexcept>
#include <utility>

#include "space/zoo.hpp"

namespace cpubone {

LatencyModel latency_model(Predictor predictor) {
  const auto shared = std::make_shared<const Predictor>(std::move(predictor));
  return {[shared](const Op& op) { return terms(*shared, op); },
          [shared](const LatencyTerms& t) { return combine(*shared, t); },
          [shared](const Op& op) { return estimate(*shared, op).bound; },
          {},
          shared->settings.dtype,
          knows_dynamic(*shared)};
}

LatencyModel latency_model(CoExecutionPredictor predictor) {
  const auto shared = std::make_shared<const CoExecutionPredictor>(std::move(predictor));
  return {[shared](const Op& op) { return terms(*shared, op, planned_split(*shared, op)); },
          [shared](const LatencyTerms& t) { return combine(shared->cpu, t); },
          [shared](const Op& op) { return bound_of(*shared, op, planned_split(*shared, op)); },
          {},
          shared->cpu.settings.dtype,
          knows_dynamic(shared->cpu)};
}

CoExecutionSummary summarise(const CoExecutionPredictor& predictor,
                             std::span<const Network> networks) {
  CoExecutionSummary summary{predictor.coprocessor.device.coprocessor,
                             1e-3 * predictor.synchronisation_ns,
                             predictor.unhidden_share,
                             predictor.shared_layers,
                             predictor.shared_mape,
                             {},
                             {}};
  if (predictor.coprocessor.evidence != Evidence::measured)
    summary.published = coprocessor_evidence(predictor);
  for (const Network& network : networks)
    summary.networks.push_back(summarise(network.name, predict(predictor, network)));
  return summary;
}

MeasuredLatency measured_latency(const Timing& timing) {
  return {{timing.median_ns * 1e-6, timing.low_ns * 1e-6, timing.high_ns * 1e-6},
          static_cast<int>(timing.samples_ns.size()),
          timing.disturbed};
}

std::vector<MeasuredLatency> measured_latencies(std::span<const Timing> timings) {
  std::vector<MeasuredLatency> latencies;
  for (const Timing& timing : timings) latencies.push_back(measured_latency(timing));
  return latencies;
}

std::vector<Network> compared_networks(const NetworkForm& form, std::span<const Network> own) {
  std::vector<Network> networks = published_networks(form);
  for (const Network& network : own) {
    for (const Network& other : networks)
      if (other.name == network.name)
        throw std::invalid_argument(fmt::format(
            "networks to compare with: two are called \"{}\"; rename a file", network.name));
    networks.push_back(network);
  }
  return networks;
}

std::vector<KnownLatency> known_latencies(const Profile& profile,
                                          std::span<const Network> networks) {
  std::vector<KnownLatency> known;
  for (const Network& network : networks)
    if (const NetworkRecord* record = find_record(profile, network))
      known.push_back({network.name, measured_latency(record->timing)});
  return known;
}

void describe_predictor(Result& result, const Predictor& predictor) {
  const Device& device = predictor.device;
  result.device.name = device.name;
  result.device.model = device.cpu;
  result.device.evidence = predictor.evidence;
  result.device.runtime = device.runtime;
  result.device.threads = predictor.settings.threads;
  result.device.precision = std::string(name(predictor.settings.dtype));
  result.device.emulated = predictor.settings.dtype == DType::f16 && !calculates_in_f16(device);
  const auto add = [&](const char* label, const std::string& text) {
    if (!text.empty()) result.device.conditions.push_back({label, text});
  };
  const auto mebibytes = [](std::int64_t bytes) {
    return bytes > 0 ? fmt::format("{:.2f} MiB", static_cast<double>(bytes) / (1 << 20))
                     : std::string();
  };
  add("cores", fmt::format("{}", device.cores));
  add("L1 data cache of a core", mebibytes(device.l1d_bytes));
  add("L2 cache of a core", mebibytes(device.l2_bytes));
  add("last-level cache", mebibytes(device.llc_bytes));
  add("CPU features", fmt::format("{}", fmt::join(device.features, " ")));
  add("governor", device.governor);
  add("kernel", device.kernel);
  add("compiler", device.compiler);
  add("weights", predictor.settings.cache == CacheMode::cold ? "out of the caches, as in a network"
                                                             : "in the caches");
  add("evidence", evidence_text(predictor));
  PredictorSummary summary;
  if (predictor.roofline.f32_macps > 0 && predictor.settings.dtype == DType::f32)
    summary.peak_gmacps = predictor.roofline.f32_macps * 1e-9;
  for (const ClassModel& model : predictor.classes) {
    summary.operators_measured += model.operators;
    summary.classes.push_back({model.name, model.operators, model.train_mape, model.test_mape});
  }
  result.predictor = std::move(summary);
}

}  // namespace cpubone
