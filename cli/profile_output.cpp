#include "cli/profile_output.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/device.hpp"
#include "predictor/calibration.hpp"
#include "profiler/host.hpp"
#include "profiler/host_profile.hpp"
#include "profiler/roofline.hpp"
#include "profiler/statistics.hpp"

namespace cpubone::cli {
namespace {

double gmacps(std::int64_t macs, double ns) {
  return ns > 0 ? static_cast<double>(macs) / ns : 0;
}

/// Of memory that was not measured, a dash: not every C library tells.
std::string mib(std::int64_t bytes) {
  return bytes == 0 ? "–" : fmt::format("{:.1f}", static_cast<double>(bytes) / (1 << 20));
}

nlohmann::json to_contract(const NetworkRecord& record) {
  nlohmann::json ops = nlohmann::json::array();
  for (const NetworkRecord::Part& part : record.ops)
    ops.push_back({{"op", text(part.op)},
                   {"stage", part.stage},
                   {"engine", part.engine},
                   {"macs", macs(part.op)},
                   {"latency_ms", part.latency_ns * 1e-6}});
  return {{"name", record.name},
          {"params", record.params},
          {"macs", record.macs},
          {"latency_ms", record.timing.median_ns * 1e-6},
          {"latency_low_ms", record.timing.low_ns * 1e-6},
          {"latency_high_ms", record.timing.high_ns * 1e-6},
          {"gmacps", gmacps(record.macs, record.timing.median_ns)},
          {"source", "measured"},
          {"disturbed", record.timing.disturbed},
          {"samples", record.timing.samples_ns.size()},
          {"peak_memory_bytes", record.peak_memory_bytes},
          {"ops", std::move(ops)}};
}

nlohmann::json to_contract(const OpRecord& record) {
  return {{"op", text(record.op)},
          {"engine", record.engine},
          {"macs", macs(record.op)},
          {"latency_ms", record.timing.median_ns * 1e-6},
          {"latency_low_ms", record.timing.low_ns * 1e-6},
          {"latency_high_ms", record.timing.high_ns * 1e-6},
          {"gmacps", gmacps(macs(record.op), record.timing.median_ns)},
          {"source", "measured"},
          {"disturbed", record.timing.disturbed},
          {"samples", record.timing.samples_ns.size()}};
}

std::string state(const Timing& timing) {
  return timing.disturbed ? "disturbed" : "good";
}

Table table_of(const std::vector<NetworkRecord>& networks) {
  Table table{"Networks",
              {{"network"},
               {"params M", true},
               {"MACs M", true},
               {"latency ms", true},
               {"low ms", true},
               {"high ms", true},
               {"GMACpS", true},
               {"memory MiB", true},
               {"samples", true},
               {"state"}},
              {}};
  for (const NetworkRecord& record : networks)
    table.rows.push_back({record.name,
                          fmt::format("{:.2f}", static_cast<double>(record.params) * 1e-6),
                          fmt::format("{:.1f}", static_cast<double>(record.macs) * 1e-6),
                          fmt::format("{:.3f}", record.timing.median_ns * 1e-6),
                          fmt::format("{:.3f}", record.timing.low_ns * 1e-6),
                          fmt::format("{:.3f}", record.timing.high_ns * 1e-6),
                          fmt::format("{:.2f}", gmacps(record.macs, record.timing.median_ns)),
                          mib(record.peak_memory_bytes),
                          fmt::to_string(record.timing.samples_ns.size()), state(record.timing)});
  return table;
}

Table breakdown_of(const NetworkRecord& record) {
  Table table{record.name,
              {{"stage"},
               {"operator"},
               {"engine"},
               {"MACs M", true},
               {"latency us", true},
               {"share %", true},
               {"GMACpS", true}},
              {}};
  for (const NetworkRecord::Part& part : record.ops)
    table.rows.push_back({part.stage, text(part.op), part.engine,
                          fmt::format("{:.2f}", static_cast<double>(macs(part.op)) * 1e-6),
                          fmt::format("{:.1f}", part.latency_ns * 1e-3),
                          fmt::format("{:.1f}", 100 * part.latency_ns / record.timing.median_ns),
                          fmt::format("{:.1f}", gmacps(macs(part.op), part.latency_ns))});
  return table;
}

Table table_of(const std::vector<OpRecord>& ops) {
  Table table{"Operators",
              {{"operator"},
               {"engine"},
               {"MACs M", true},
               {"latency us", true},
               {"low us", true},
               {"high us", true},
               {"GMACpS", true},
               {"samples", true},
               {"state"}},
              {}};
  for (const OpRecord& record : ops)
    table.rows.push_back({text(record.op), record.engine,
                          fmt::format("{:.3f}", static_cast<double>(macs(record.op)) * 1e-6),
                          fmt::format("{:.2f}", record.timing.median_ns * 1e-3),
                          fmt::format("{:.2f}", record.timing.low_ns * 1e-3),
                          fmt::format("{:.2f}", record.timing.high_ns * 1e-3),
                          fmt::format("{:.2f}", gmacps(macs(record.op), record.timing.median_ns)),
                          fmt::to_string(record.timing.samples_ns.size()), state(record.timing)});
  return table;
}

nlohmann::json to_contract(const PrecisionComparison& comparison) {
  nlohmann::json parts = nlohmann::json::array();
  for (const PrecisionPart& part : comparison.parts)
    parts.push_back({{"node", part.node},
                     {"stage", part.stage},
                     {"op", text(part.op)},
                     {"engine", part.engine},
                     {"f32_ms", part.f32_ns * 1e-6},
                     {"f16_ms", part.f16_ns * 1e-6},
                     {"int8_ms", part.int8_ns * 1e-6},
                     {"reason", part.reason}});
  return {{"name", comparison.network},
          {"f32_ms", comparison.f32_ns.value * 1e-6},
          {"f16_ms", comparison.f16_ns.value * 1e-6},
          {"int8_ms", comparison.int8_ns.value * 1e-6},
          {"f16_speedup", comparison.f16_speedup.value},
          {"f16_emulated", comparison.f16_emulated},
          {"speedup", comparison.speedup.value},
          {"conversions_ms", conversion_ns(comparison) * 1e-6},
          {"dynamic_layers", dynamic_layers(comparison)},
          {"dynamic_ms", dynamic_ns(comparison) * 1e-6},
          {"stays_f32_ms", fallback_ns(comparison) * 1e-6},
          {"f32_memory_bytes", comparison.f32_memory_bytes},
          {"f16_memory_bytes", comparison.f16_memory_bytes},
          {"int8_memory_bytes", comparison.int8_memory_bytes},
          {"ops", std::move(parts)}};
}

Table table_of(const std::vector<PrecisionComparison>& comparisons) {
  Table table{"f32 beside f16 and int8",
              {{"network"},
               {"f32 ms", true},
               {"f16 ms", true},
               {"int8 ms", true},
               {"f32 / f16", true},
               {"f32 / int8", true},
               {"conversions %", true},
               {"dynamic %", true},
               {"stays f32 %", true},
               {"f32 MiB", true},
               {"f16 MiB", true},
               {"int8 MiB", true}},
              {}};
  const auto or_dash = [](double value, int decimals) {
    return value == 0 ? "–" : fmt::format("{:.{}f}", value, decimals);
  };
  for (const PrecisionComparison& c : comparisons)
    table.rows.push_back(
        {c.network, fmt::format("{:.3f}", c.f32_ns.value * 1e-6), or_dash(c.f16_ns.value * 1e-6, 3),
         fmt::format("{:.3f}", c.int8_ns.value * 1e-6), or_dash(c.f16_speedup.value, 2),
         fmt::format("{:.2f}", c.speedup.value),
         fmt::format("{:.1f}", 100 * conversion_ns(c) / c.int8_ns.value),
         fmt::format("{:.1f}", 100 * dynamic_ns(c) / c.int8_ns.value),
         fmt::format("{:.1f}", 100 * fallback_ns(c) / c.int8_ns.value), mib(c.f32_memory_bytes),
         c.f16_ns.value == 0 ? "–" : mib(c.f16_memory_bytes), mib(c.int8_memory_bytes)});
  return table;
}

Table breakdown_of(const PrecisionComparison& comparison) {
  Table table{comparison.network,
              {{"node"},
               {"operator"},
               {"engine"},
               {"f32 us", true},
               {"f16 us", true},
               {"int8 us", true},
               {"f32 / int8", true},
               {"remark"}},
              {}};
  for (const PrecisionPart& part : comparison.parts) {
    const bool conversion = is_conversion(part);
    const bool is_new = part.f32_ns == 0;
    table.rows.push_back({part.node, text(part.op), part.engine,
                          is_new ? "" : fmt::format("{:.1f}", part.f32_ns * 1e-3),
                          part.f16_ns == 0 ? "" : fmt::format("{:.1f}", part.f16_ns * 1e-3),
                          fmt::format("{:.1f}", part.int8_ns * 1e-3),
                          is_new ? "" : fmt::format("{:.2f}", part.f32_ns / part.int8_ns),
                          conversion             ? "conversion"
                          : part.op.dynamic      ? "dynamic"
                          : !part.reason.empty() ? "stays f32: " + part.reason
                                                 : ""});
  }
  return table;
}

/// What people call an operator's class in a summary.
std::string class_of(const Op& op) {
  if (op.dynamic) return "linear dynamic";
  if (op.kind != OpKind::conv2d) return std::string(name(op.kind));
  if (is_depthwise(op)) return "conv2d depthwise";
  std::string which =
      is_pointwise(op) ? "conv2d 1x1" : fmt::format("conv2d {}x{}", op.kernel_h, op.kernel_w);
  return which + (op.groups > 1 ? " grouped" : "");
}

/// Of the classes of operators in a profile.
std::vector<std::vector<std::string>> summary_rows(const Profile& profile) {
  std::vector<std::vector<std::string>> rows;
  std::map<std::string, std::vector<const OpRecord*>> classes;
  for (const OpRecord& record : profile.ops) classes[class_of(record.op)].push_back(&record);
  for (const auto& [which, records] : classes) {
    std::vector<double> us;
    std::vector<double> speed;
    std::vector<double> interval;
    int disturbed = 0;
    for (const OpRecord* record : records) {
      const Timing& timing = record->timing;
      us.push_back(timing.median_ns * 1e-3);
      speed.push_back(gmacps(macs(record->op), timing.median_ns));
      interval.push_back(50 * (timing.high_ns - timing.low_ns) / timing.median_ns);
      disturbed += timing.disturbed ? 1 : 0;
    }
    rows.push_back({which, fmt::to_string(records.size()), fmt::format("{:.1f}", median(us)),
                    median(speed) > 0 ? fmt::format("{:.2f}", median(speed)) : "",
                    fmt::format("{:.2f}", median(interval)), fmt::to_string(disturbed)});
  }
  return rows;
}

Table summary_of(const Profile& profile) {
  return {"Profile",
          {{"class"},
           {"operators", true},
           {"median us", true},
           {"median GMACpS", true},
           {"median interval %", true},
           {"disturbed", true}},
          summary_rows(profile)};
}

void note_roofline(const Terminal& terminal, const Profile& profile) {
  const Roofline& r = profile.roofline;
  if (r.f32_macps == 0) return;
  const double share = convolution_share(profile);
  terminal.note(fmt::format(
      "this CPU's peak in f32 is {:.0f} GMACpS; it reads {:.0f} GB/s from L1, {:.0f} from L2, "
      "{:.0f} from its last-level cache and {:.0f} from memory{}",
      r.f32_macps * 1e-9, r.l1_bytes_per_s * 1e-9, r.l2_bytes_per_s * 1e-9,
      r.llc_bytes_per_s * 1e-9, r.memory_bytes_per_s * 1e-9,
      share > 0 ? fmt::format("; dense convolutions reach {:.0f} % of the peak", 100 * share)
                : ""));
}

template <typename Records>
void print_records(const Terminal& terminal, const Records& records, Format format) {
  if (format != Format::json) return terminal.print(table_of(records), format);
  nlohmann::json list = nlohmann::json::array();
  for (const auto& record : records) list.push_back(to_contract(record));
  terminal.print(list.dump(1) + "\n");
}

}  // namespace

void print(const Terminal& terminal, const std::vector<OpRecord>& ops, Format format) {
  print_records(terminal, ops, format);
}

void print(const Terminal& terminal, const std::vector<NetworkRecord>& networks, Format format) {
  print_records(terminal, networks, format);
  if (format != Format::table || networks.size() != 1) return;
  terminal.print("\n");
  terminal.print(breakdown_of(networks[0]), format);
}

void print(const Terminal& terminal, const std::vector<PrecisionComparison>& comparisons,
           Format format) {
  print_records(terminal, comparisons, format);
  if (!comparisons.empty() && comparisons[0].f16_emulated)
    terminal.note(
        "f16 is emulated: this CPU, or XNNPACK on it, calculates in f32 and only stores in f16");
  if (format != Format::table || comparisons.size() != 1) return;
  terminal.print("\n");
  terminal.print(breakdown_of(comparisons[0]), format);
}

void print_summary(const Terminal& terminal, const Profile& profile, Format format) {
  terminal.print(summary_of(profile), format);
  note_roofline(terminal, profile);
}

void print_summary(const Terminal& terminal, const CoExecutionProfile& profile, Format format) {
  Table table = summary_of(profile.cpu);
  table.columns.insert(table.columns.begin(), {"processor"});
  for (std::vector<std::string>& row : table.rows) row.insert(row.begin(), "CPU");
  for (std::vector<std::string>& row : summary_rows(profile.coprocessor)) {
    row.insert(row.begin(), "coprocessor");
    table.rows.push_back(std::move(row));
  }
  terminal.print(table, format);
  note_roofline(terminal, profile.cpu);
}

void print_devices(const Terminal& terminal, Format format) {
  Table table{"Devices",
              {{"device"}, {"hardware"}, {"runtime"}, {"evidence"}, {"expected error %", true}},
              {}};
  const auto percent = [](double error) { return fmt::format("{:.1f}", 100 * error); };
  const auto measured_error = [&](const std::string& device) {
    const NetworkModel model = device_predictor(device, {}, terminal).network;
    return model.networks > 0 ? percent(model.test_mape) : "not known";
  };
  const Device host = describe_host();
  const bool has_profile = find_cache_folder() && std::filesystem::exists(host_profile_path({}));
  table.rows.push_back({host.name, fmt::format("{}, {} cores", host.cpu, host.cores), host.runtime,
                        has_profile ? "measured here, 1 thread" : "none yet: run cpubone-profile",
                        has_profile ? measured_error("host") : "not known"});
  for (const DeviceDescription& known : known_devices()) {
    const auto measured = measured_profile(known.device.name, {});
    const DeviceSummary summary = summarise(known);
    table.rows.push_back(
        {summary.name, fmt::format("{}: {}", summary.title, summary.hardware),
         measured ? measured->device.runtime : known.device.runtime,
         measured
             ? "measured elsewhere, " + measured->created
             : fmt::format("{}{}", summary.evidence,
                           summary.latencies > 0 ? fmt::format(", {} networks", summary.latencies)
                                                 : " only"),
         measured ? measured_error(summary.name) : percent(summary.expected_error)});
  }
  terminal.print(table, format);
}

}  // namespace cpubone::cli
