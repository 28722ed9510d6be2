#include "records/profile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "graph/hash.hpp"
#include "graph/json_file.hpp"
#include "graph/passes.hpp"

namespace cpubone {
namespace {

constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();

Op op_at(const JsonReader& json) {
  try {
    return parse_op(json.string());
  } catch (const std::invalid_argument& e) {
    json.fail_because(e.what());
  }
}

nlohmann::json to_json(const Timing& timing) {
  return {{"median_ns", timing.median_ns},   {"low_ns", timing.low_ns},
          {"high_ns", timing.high_ns},       {"mdape", timing.mdape},
          {"samples_ns", timing.samples_ns}, {"runs_per_sample", timing.runs_per_sample},
          {"disturbed", timing.disturbed}};
}

Timing timing_from_json(const JsonReader& json) {
  json.expect_keys(
      {"median_ns", "low_ns", "high_ns", "mdape", "samples_ns", "runs_per_sample", "disturbed"});
  constexpr double longest_ns = 1e15;
  Timing timing;
  timing.median_ns = json.at("median_ns").number(0, longest_ns);
  timing.low_ns = json.at("low_ns").number(0, longest_ns);
  timing.high_ns = json.at("high_ns").number(0, longest_ns);
  timing.mdape = json.at("mdape").number(0, 1e9);
  json.at("samples_ns").each([&](const JsonReader& item) {
    timing.samples_ns.push_back(item.number(0, longest_ns));
  });
  timing.runs_per_sample = static_cast<int>(json.at("runs_per_sample").integer(1, 1 << 30));
  timing.disturbed = json.at("disturbed").boolean();
  return timing;
}

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

std::string_view name(CacheMode mode) {
  return mode == CacheMode::cold ? "cold" : "hot";
}

std::string hash_text(std::string_view bytes) {
  return fmt::format("{:016x}", fnv1a(bytes));
}

namespace {

/// What must agree, as label and value.
std::vector<std::pair<std::string, std::string>> identity(const Device& d,
                                                          const MeasureSettings& s) {
  return {{"CPU", d.cpu},
          {"architecture", d.architecture},
          {"CPU features", fmt::format("{}", fmt::join(d.features, " "))},
          {"cores", fmt::format("{}", d.cores)},
          {"L1 data cache", fmt::format("{}", d.l1d_bytes)},
          {"L2 cache", fmt::format("{}", d.l2_bytes)},
          {"last-level cache", fmt::format("{}", d.llc_bytes)},
          {"runtime", d.runtime},
          {"runtime library", d.runtime_hash},
          {"threads", fmt::format("{}", s.threads)},
          {"precision", std::string(name(s.dtype))},
          {"cache mode", std::string(name(s.cache))},
          {"pinned CPUs", fmt::format("{}", fmt::join(s.cpus, ","))}};
}

}  // namespace

std::string fingerprint(const Device& device, const MeasureSettings& settings) {
  std::string text;
  for (const auto& [label, value] : identity(device, settings))
    text += fmt::format("{}={}\n", label, value);
  return hash_text(text);
}

double faster(double ns, double other_ns) {
  return ns > 0 && other_ns > 0 ? std::min(ns, other_ns) : std::max(ns, other_ns);
}

double best_calibration_ns(const Profile& profile) {
  return profile.tool_version == version() ? profile.calibration_ns : 0;
}

std::string structure_hash(const Network& network) {
  // Apart, whatever a backend fuses.
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
  profile.created = std::max(profile.created, other.created);
}

nlohmann::json to_json(const Device& d) {
  return {{"name", d.name},
          {"cpu", d.cpu},
          {"architecture", d.architecture},
          {"features", d.features},
          {"cores", d.cores},
          {"l1d_bytes", d.l1d_bytes},
          {"l2_bytes", d.l2_bytes},
          {"llc_bytes", d.llc_bytes},
          {"memory_bytes", d.memory_bytes},
          {"runtime", d.runtime},
          {"runtime_hash", d.runtime_hash},
          {"kernel", d.kernel},
          {"governor", d.governor},
          {"frequency_mhz", d.frequency_mhz},
          {"compiler", d.compiler}};
}

Device device_from_json(const JsonReader& json) {
  json.expect_keys({"name", "cpu", "architecture", "features", "cores", "l1d_bytes", "l2_bytes",
                    "llc_bytes", "memory_bytes", "runtime", "runtime_hash", "kernel", "governor",
                    "frequency_mhz", "compiler"});
  Device d;
  d.name = json.at("name").string();
  d.cpu = json.at("cpu").string();
  d.architecture = json.at("architecture").string();
  json.at("features").each([&](const JsonReader& item) { d.features.push_back(item.string()); });
  d.cores = static_cast<int>(json.at("cores").integer(1, 1 << 16));
  d.l1d_bytes = json.at("l1d_bytes").integer(0, most);
  d.l2_bytes = json.at("l2_bytes").integer(0, most);
  d.llc_bytes = json.at("llc_bytes").integer(0, most);
  d.memory_bytes = json.at("memory_bytes").integer(0, most);
  d.runtime = json.at("runtime").string();
  d.runtime_hash = json.at("runtime_hash").string();
  d.kernel = json.at("kernel").string();
  d.governor = json.at("governor").string();
  d.frequency_mhz = json.at("frequency_mhz").number(0, 1e6);
  d.compiler = json.at("compiler").string();
  return d;
}

nlohmann::json to_json(const MeasureSettings& s) {
  return {{"threads", s.threads},
          {"precision", name(s.dtype)},
          {"cache", name(s.cache)},
          {"cpus", s.cpus}};
}

MeasureSettings settings_from_json(const JsonReader& json) {
  json.expect_keys({"threads", "precision", "cache", "cpus"});
  MeasureSettings s;
  s.threads = static_cast<int>(json.at("threads").integer(1, 1024));
  try {
    s.dtype = parse_dtype(json.at("precision").string());
  } catch (const std::invalid_argument& e) {
    json.at("precision").fail_because(e.what());
  }
  const std::string cache = json.at("cache").string();
  if (cache != "cold" && cache != "hot") json.at("cache").fail("\"cold\" or \"hot\"");
  s.cache = cache == "cold" ? CacheMode::cold : CacheMode::hot;
  json.at("cpus").each([&](const JsonReader& item) {
    s.cpus.push_back(static_cast<int>(item.integer(0, 1 << 16)));
  });
  return s;
}

nlohmann::json to_json(const OpRecord& record) {
  nlohmann::json json = to_json(record.timing);
  json["op"] = text(record.op);
  json["engine"] = record.engine;
  return json;
}

OpRecord op_record_from_json(const JsonReader& json) {
  json.expect_keys({"op", "engine", "median_ns", "low_ns", "high_ns", "mdape", "samples_ns",
                    "runs_per_sample", "disturbed"});
  nlohmann::json timing = json.json();
  timing.erase("op");
  timing.erase("engine");
  return {op_at(json.at("op")), json.at("engine").string(),
          timing_from_json(JsonReader(timing, json.where()))};
}

nlohmann::json to_json(const NetworkRecord& record) {
  nlohmann::json ops = nlohmann::json::array();
  for (const NetworkRecord::Part& part : record.ops)
    ops.push_back({{"op", text(part.op)},
                   {"stage", part.stage},
                   {"engine", part.engine},
                   {"latency_ns", part.latency_ns}});
  nlohmann::json json = {{"name", record.name},   {"params", record.params},
                         {"macs", record.macs},   {"timing", to_json(record.timing)},
                         {"ops", std::move(ops)}, {"peak_memory_bytes", record.peak_memory_bytes}};
  if (!record.structure.empty()) json["structure"] = record.structure;
  return json;
}

NetworkRecord network_record_from_json(const JsonReader& json) {
  json.expect_keys({"name", "structure", "params", "macs", "timing", "ops", "peak_memory_bytes"});
  NetworkRecord record;
  record.name = json.at("name").string();
  if (json.has("structure")) record.structure = json.at("structure").string();
  record.params = json.at("params").integer(0, most);
  record.macs = json.at("macs").integer(0, most);
  record.timing = timing_from_json(json.at("timing"));
  record.peak_memory_bytes = json.at("peak_memory_bytes").integer(0, most);
  json.at("ops").each([&](const JsonReader& item) {
    item.expect_keys({"op", "stage", "engine", "latency_ns"});
    record.ops.push_back({op_at(item.at("op")), item.at("stage").string(),
                          item.at("engine").string(), item.at("latency_ns").number(0, 1e15)});
  });
  return record;
}

nlohmann::json to_json(const Profile& profile) {
  nlohmann::json ops = nlohmann::json::array();
  for (const OpRecord& record : profile.ops) ops.push_back(to_json(record));
  nlohmann::json networks = nlohmann::json::array();
  for (const NetworkRecord& record : profile.networks) networks.push_back(to_json(record));
  nlohmann::json warnings = nlohmann::json::array();
  for (const Warning& warning : profile.warnings)
    warnings.push_back({{"what", warning.what}, {"remedy", warning.remedy}});
  return {{"schema", "cpubone/profile/1"},
          {"fingerprint", fingerprint(profile.device, profile.settings)},
          {"device", to_json(profile.device)},
          {"settings", to_json(profile.settings)},
          {"tool_version", profile.tool_version},
          {"created", profile.created},
          {"seconds", profile.seconds},
          {"calibration_ns", profile.calibration_ns},
          {"ops", std::move(ops)},
          {"networks", std::move(networks)},
          {"warnings", std::move(warnings)}};
}

Profile profile_from_json(const JsonReader& json) {
  json.expect_schema("profile");
  json.expect_keys({"schema", "fingerprint", "device", "settings", "tool_version", "created",
                    "seconds", "calibration_ns", "ops", "networks", "warnings"});
  Profile profile;
  profile.device = device_from_json(json.at("device"));
  profile.settings = settings_from_json(json.at("settings"));
  const std::string expected = fingerprint(profile.device, profile.settings);
  if (json.at("fingerprint").string() != expected)
    json.at("fingerprint")
        .fail_because(fmt::format(
            "the fingerprint does not belong to this device and settings: expected {}, got {}",
            expected, json.at("fingerprint").string()));
  profile.tool_version = json.at("tool_version").string();
  profile.created = json.at("created").string();
  profile.seconds = json.at("seconds").number(0, 1e9);
  if (json.has("calibration_ns"))  // older ones know it not
    profile.calibration_ns = json.at("calibration_ns").number(0, 1e9);
  json.at("ops").each(
      [&](const JsonReader& item) { profile.ops.push_back(op_record_from_json(item)); });
  json.at("networks").each([&](const JsonReader& item) {
    profile.networks.push_back(network_record_from_json(item));
  });
  json.at("warnings").each([&](const JsonReader& item) {
    item.expect_keys({"what", "remedy"});
    profile.warnings.push_back({item.at("what").string(), item.at("remedy").string()});
  });
  return profile;
}

Profile load_profile(const std::filesystem::path& path) {
  return load(path, profile_from_json);
}

void save_profile(const Profile& profile, const std::filesystem::path& path) {
  write_json_file(to_json(profile), path);
}

}  // namespace cpubone
