#include "predictor/devices.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "graph/json_file.hpp"
#include "space/zoo.hpp"

namespace cpubone {

extern const std::string_view device_generic_x86_json;
extern const std::string_view device_pi4_json;
extern const std::string_view device_pi5_json;
extern const std::string_view device_pixel7pro_json;
extern const std::string_view device_xeon_w2125_json;

namespace {

constexpr int published_resolution = 224;  // of the zoo's networks

std::vector<std::string> strings(const JsonReader& json) {
  std::vector<std::string> values;
  json.each([&](const JsonReader& item) { values.push_back(item.string()); });
  return values;
}

bool contains(const std::vector<std::string>& values, const std::string& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

/// Published rows that the device's file says are of it.
std::vector<PublishedLatencyRow> matching_rows(const JsonReader& json) {
  json.expect_keys({"device", "runtimes", "threads", "precisions"});
  const std::string device = json.at("device").string();
  const auto runtimes = strings(json.at("runtimes"));
  const auto threads = strings(json.at("threads"));
  const auto precisions = strings(json.at("precisions"));
  std::vector<PublishedLatencyRow> rows;
  for (const PublishedLatencyRow& row : published_latencies())
    if (row.device == device && contains(runtimes, row.runtime) && contains(threads, row.threads) &&
        contains(precisions, row.precision) && !row.zoo_name.empty() &&
        row.exclusion_reason.empty() &&
        (row.resolution == 0 || row.resolution == published_resolution))
      rows.push_back(row);
  if (rows.empty())
    json.fail_because(
        "no published latency of a network of the zoo is of this device, runtime, "
        "threads and precision");
  return rows;
}

PublishedLatencyRow row_from_json(const JsonReader& json) {
  json.expect_keys({"network", "latency_ms", "runtime", "threads", "precision", "source"});
  PublishedLatencyRow row;
  row.network = json.at("network").string();
  row.zoo_name = zoo_name(row.network);
  if (row.zoo_name.empty()) json.at("network").fail("a network of cpubone-predict --list");
  row.latency_ms = json.at("latency_ms").number(1e-3, 1e6);
  row.runtime = json.at("runtime").string();
  row.threads = json.at("threads").string();
  row.precision = json.at("precision").string();
  row.source = json.at("source").string();
  return row;
}

CoreCluster cluster_from_json(const JsonReader& json) {
  json.expect_keys({"core", "count", "mhz", "macs_per_cycle"});
  return {json.at("core").string(), static_cast<int>(json.at("count").integer(1, 4096)),
          json.at("mhz").number(1, 1e5), json.at("macs_per_cycle").number(0.1, 4096)};
}

DeviceDescription embedded(std::string_view text, const char* file) {
  const nlohmann::json json = parse_json(text, file);
  return device_description_from_json(JsonReader(json, std::string(file) + "#"));
}

}  // namespace

DeviceDescription device_description_from_json(const JsonReader& json) {
  json.expect_schema("device");
  json.expect_keys({"schema", "name", "title", "cpu", "architecture", "features", "clusters",
                    "l1d_bytes", "l2_bytes", "llc_bytes", "memory_bytes_per_s", "facts", "runtime",
                    "threads", "precision", "note", "published", "latencies"});
  constexpr std::int64_t most_bytes = std::int64_t{1} << 40;
  DeviceDescription d;
  d.title = json.at("title").string();
  d.device.name = json.at("name").string();
  d.device.architecture = json.at("architecture").string();
  d.device.features = strings(json.at("features"));
  std::sort(d.device.features.begin(), d.device.features.end());
  json.at("clusters").each([&](const JsonReader& item) {
    d.clusters.push_back(cluster_from_json(item));
  });
  if (d.clusters.empty()) json.at("clusters").fail("at least one cluster of cores");
  std::stable_sort(d.clusters.begin(), d.clusters.end(), [](const auto& a, const auto& b) {
    return a.mhz * a.macs_per_cycle > b.mhz * b.macs_per_cycle;
  });
  for (const CoreCluster& cluster : d.clusters) d.device.cores += cluster.count;
  d.device.frequency_mhz = d.clusters.front().mhz;
  d.device.cpu = fmt::format("{} ({})", json.at("cpu").string(), d.title);
  d.device.l1d_bytes = json.at("l1d_bytes").integer(1, most_bytes);
  d.device.l2_bytes = json.at("l2_bytes").integer(1, most_bytes);
  d.device.llc_bytes = json.at("llc_bytes").integer(1, most_bytes);
  d.memory_bytes_per_s = json.at("memory_bytes_per_s").number(1e6, 1e15);
  json.at("facts").each([&](const JsonReader& item) {
    item.expect_keys({"fact", "source"});
    d.facts.push_back({item.at("fact").string(), item.at("source").string()});
  });
  d.device.runtime = json.at("runtime").string();
  d.settings.threads = static_cast<int>(json.at("threads").integer(1, d.device.cores));
  if (json.at("precision").string() != "f32") json.at("precision").fail("\"f32\"");
  d.note = json.at("note").string();
  if (!json.at("published").json().is_null()) d.latencies = matching_rows(json.at("published"));
  json.at("latencies").each([&](const JsonReader& item) {
    d.latencies.push_back(row_from_json(item));
  });
  return d;
}

DeviceDescription load_device(const std::filesystem::path& path) {
  return load(path, device_description_from_json);
}

const std::vector<DeviceDescription>& known_devices() {
  static const std::vector<DeviceDescription> all{
      embedded(device_pi5_json, "devices/pi5.json"), embedded(device_pi4_json, "devices/pi4.json"),
      embedded(device_pixel7pro_json, "devices/pixel7pro.json"),
      embedded(device_xeon_w2125_json, "devices/xeon-w2125.json"),
      embedded(device_generic_x86_json, "devices/generic-x86.json")};
  return all;
}

const DeviceDescription& find_device(std::string_view name) {
  std::string names;
  for (const DeviceDescription& device : known_devices()) {
    if (device.device.name == name) return device;
    names += (names.empty() ? "" : ", ") + device.device.name;
  }
  throw std::invalid_argument(fmt::format("device: got \"{}\", expected one of {}", name, names));
}

double peak_macps(const DeviceDescription& device) {
  double peak = 0;
  int left = device.settings.threads;
  for (const CoreCluster& cluster : device.clusters) {
    const int used = std::min(left, cluster.count);
    peak += used * cluster.mhz * 1e6 * cluster.macs_per_cycle;
    left -= used;
  }
  return peak;
}

std::string hardware_text(const DeviceDescription& device) {
  std::string text;
  for (const CoreCluster& cluster : device.clusters)
    text += fmt::format("{} x {} at {:g} GHz, ", cluster.count, cluster.core, cluster.mhz / 1000);
  return text + fmt::format("{:.0f} GB/s", device.memory_bytes_per_s / 1e9);
}

}  // namespace cpubone
