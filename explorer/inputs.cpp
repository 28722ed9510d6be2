#include "explorer/inputs.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "predictor/features.hpp"
#include "space/zoo.hpp"

namespace cpubone {

LatencyModel latency_model(const Predictor& predictor) {
  return {[&predictor](const Op& op) { return terms(predictor, op); },
          [&predictor](const LatencyTerms& t) { return combine(predictor, t); }};
}

std::vector<BreakdownRow> break_down(const Network& network, const Predictor& predictor) {
  std::vector<BreakdownRow> rows;
  std::map<std::pair<std::string, std::string>, std::array<double, 3>> bounds;  // ns by bound
  for (const OpPrediction& op : predict(predictor, network).ops) {
    const std::string which = op_class(op.op);
    auto row = std::find_if(rows.begin(), rows.end(), [&](const BreakdownRow& r) {
      return r.stage == op.stage && r.op_class == which;
    });
    if (row == rows.end()) row = rows.insert(rows.end(), {op.stage, which, 0, 0, Bound::compute});
    row->macs += macs(op.op);
    row->latency_ms += op.latency_ns * 1e-6;
    auto& by_bound = bounds[{op.stage, which}];
    by_bound[static_cast<std::size_t>(op.bound)] += op.latency_ns;
    row->bound =
        static_cast<Bound>(std::max_element(by_bound.begin(), by_bound.end()) - by_bound.begin());
  }
  return rows;
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

std::vector<KnownLatency> known_latencies(const Profile& profile) {
  std::vector<KnownLatency> known;
  for (const NetworkRecord& record : profile.networks)
    if (!zoo_name(record.name).empty())
      known.push_back({record.name, measured_latency(record.timing)});
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
  for (const ClassModel& model : predictor.classes) {
    summary.operators_measured += model.operators;
    summary.classes.push_back({model.name, model.operators, model.train_mape, model.test_mape});
  }
  result.predictor = std::move(summary);
}

}  // namespace cpubone
