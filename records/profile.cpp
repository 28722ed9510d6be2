#include "records/profile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "graph/error.hpp"
#include "graph/hash.hpp"
#include "graph/passes.hpp"

namespace cpubone {
namespace {

/// Replaces the record with the same key or appends.
template <typename Record, typename Key>
void merge_records(std::vector<Record>& records, const std::vector<Record>& others, Key key) {
  std::unordered_map<std::string, std::size_t> index;
  for (std::size_t i = 0; i < records.size(); ++i) index[key(records[i])] = i;
  for (const Record& other : others) {
    const auto [found, is_new] = index.emplace(key(other), records.size());
    if (is_new) {
      records.push_back(other);
    } else {
      records[found->second] = other;
    }
  }
}

}  // namespace

std::string version() {
  return CPUBONE_VERSION;
}

std::string hash_text(std::string_view bytes) {
  return fmt::format("{:016x}", fnv1a(bytes));
}

namespace {

/// What must agree, as label and value.
std::vector<std::pair<std::string, std::string>> identity(const Device& d,
                                                          const MeasureSettings& s) {
  std::vector<std::pair<std::string, std::string>> values{
      {"CPU", d.cpu},
      {"architecture", d.architecture},
      {"CPU features", fmt::format("{}", fmt::join(d.features, " "))},
      {"cores", fmt::format("{}", d.cores)},
      {"L1 data cache", fmt::format("{}", d.l1d_bytes)},
      {"L2 cache", fmt::format("{}", d.l2_bytes)},
      {"last-level cache", fmt::format("{}", d.llc_bytes)},
      {"runtime", d.page_bytes > 0 ? fmt::format("{} in pages of {} bytes", d.runtime, d.page_bytes)
                                   : d.runtime},
      {"runtime library", d.runtime_hash},
      {"threads", fmt::format("{}", s.threads)},
      {"precision", std::string(name(s.dtype))},
      {"cache mode", std::string(name(s.cache))},
      {"pinned CPUs", fmt::format("{}", fmt::join(s.cpus, ","))}};
  if (!d.coprocessor.empty()) values.emplace_back("coprocessor", d.coprocessor);
  return values;
}

}  // namespace

bool Device::has(std::string_view feature) const {
  return std::find(features.begin(), features.end(), feature) != features.end();
}

bool calculates_in_f16(const Device& device) {
  // XNNPACK's kernels for AVX-512 FP16 are newer than 2022-02.
  return device.has("fphp") ||
         (device.has("avx512fp16") && device.runtime.find("git2022") == std::string::npos);
}

std::string fingerprint(const Device& device, const MeasureSettings& settings) {
  std::string text;
  for (const auto& [label, value] : identity(device, settings))
    text += fmt::format("{}={}\n", label, value);
  return hash_text(text);
}

void rescale(Timing& timing, double factor) {
  for (double* ns : {&timing.median_ns, &timing.low_ns, &timing.high_ns}) *ns *= factor;
  for (double& ns : timing.samples_ns) ns *= factor;
}

void rescale(Profile& profile, double factor) {
  for (OpRecord& record : profile.ops) rescale(record.timing, factor);
  for (NetworkRecord& record : profile.networks) {
    rescale(record.timing, factor);
    for (NetworkRecord::Part& part : record.ops) part.latency_ns *= factor;
  }
  rescale(profile.roofline, factor);
}

double faster(double ns, double other_ns) {
  return ns > 0 && other_ns > 0 ? std::min(ns, other_ns) : std::max(ns, other_ns);
}

double best_calibration_ns(const Profile& profile) {
  return profile.tool_version == version() ? profile.calibration_ns : 0;
}

std::string structure_hash(const Network& network) {
  // Whatever a backend fuses, in a form that is the same for all.
  const Network executed = split_activations(network, [](const Op&) { return false; });
  const auto edges = [](const std::vector<Edge>& from) {
    std::string names;
    for (const Edge& edge : from) names += fmt::format(" {}.{}", edge.node, edge.output);
    return names;
  };
  std::string structure;
  for (const Tensor& input : executed.inputs) structure += text(input) + "\n";
  for (const Node& node : executed.nodes) structure += text(node.op) + edges(node.inputs) + "\n";
  structure += edges(executed.outputs);
  return hash_text(structure);
}

const NetworkRecord* find_record(const Profile& profile, const Network& network) {
  if (profile.networks.empty()) return nullptr;
  const std::string structure = structure_hash(with_dtype(network, profile.settings.dtype));
  const auto is_it = [&](const NetworkRecord& record) {
    if (!record.structure.empty()) return record.structure == structure;
    return record.name == network.name && record.params == params(network) &&
           record.macs == macs(network);
  };
  const auto found = std::find_if(profile.networks.rbegin(), profile.networks.rend(), is_it);
  return found == profile.networks.rend() ? nullptr : &*found;
}

void add_warnings(Profile& profile, std::vector<Warning> warnings) {
  const auto without_numbers = [](const Warning& warning) {
    std::string words = warning.what;
    std::erase_if(words, [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
    return words;
  };
  for (Warning& warning : warnings)
    if (std::none_of(profile.warnings.begin(), profile.warnings.end(), [&](const Warning& known) {
          return without_numbers(known) == without_numbers(warning);
        }))
      profile.warnings.push_back(std::move(warning));
}

void merge(Profile& profile, const Profile& other) {
  const auto mine = identity(profile.device, profile.settings);
  const auto theirs = identity(other.device, other.settings);
  for (std::size_t i = 0; i < mine.size(); ++i)
    if (mine[i].second != theirs[i].second)
      throw Error(
          fmt::format("profiles cannot be mixed: {} is \"{}\" in one and \"{}\" in the other",
                      mine[i].first, mine[i].second, theirs[i].second));
  merge_records(profile.ops, other.ops, [](const OpRecord& record) { return text(record.op); });
  merge_records(profile.networks, other.networks,
                [](const NetworkRecord& record) { return record.structure + record.name; });
  for (const Warning& warning : other.warnings)
    if (std::find(profile.warnings.begin(), profile.warnings.end(), warning) ==
        profile.warnings.end())
      profile.warnings.push_back(warning);
  profile.seconds += other.seconds;
  if (other.tool_version == profile.tool_version)
    profile.calibration_ns = faster(profile.calibration_ns, other.calibration_ns);
  if (!other.paces.empty()) profile.paces = other.paces;
  if (other.roofline != Roofline{}) profile.roofline = other.roofline;
  if (other.typical_calibration_ns > 0)
    profile.typical_calibration_ns = other.typical_calibration_ns;
  profile.created = std::max(profile.created, other.created);
}

}  // namespace cpubone
