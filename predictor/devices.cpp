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
extern const std::string_view device_pixel4_json;
extern const std::string_view device_pixel7pro_json;
extern const std::string_view device_xeon_w2125_json;

namespace {

constexpr int published_resolution = 224;  // of the zoo's networks

bool contains(const std::vector<std::string>& values, const std::string& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

/// The published rows of the selection; `json` is where it stands.
std::vector<PublishedLatencyRow> matching_rows(const PublishedSelection& selection,
                                               const JsonReader& json) {
  std::vector<PublishedLatencyRow> rows;
  for (const PublishedLatencyRow& row : published_latencies())
    if (row.device == selection.device && contains(selection.runtimes, row.runtime) &&
        contains(selection.threads, row.threads) && contains(selection.precisions, row.precision) &&
        !row.zoo_name.empty() && row.exclusion_reason.empty() &&
        (row.resolution == 0 || row.resolution == published_resolution))
      rows.push_back(row);
  if (rows.empty())
    json.fail_because(
        "no published latency of a network of the zoo is of this device, runtime, "
        "threads and precision");
  return rows;
}

PublishedLatencyRow published_row(const DeviceLatency& latency) {
  PublishedLatencyRow row;
  row.network = latency.network;
  row.zoo_name = zoo_name(latency.network);
  row.latency_ms = latency.latency_ms;
  row.runtime = latency.runtime;
  row.threads = latency.threads;
  row.precision = latency.precision;
  row.source = latency.source;
  return row;
}

DeviceDescription embedded(std::string_view text, const char* file) {
  const nlohmann::json json = parse_json(text, file);
  return device_description_from_json(JsonReader(json, std::string(file) + "#"));
}

}  // namespace

DeviceDescription device_description_from_json(const JsonReader& json) {
  const DeviceFile file = read_device_file(json);
  DeviceDescription d;
  d.title = file.title;
  d.device.name = file.name;
  d.device.architecture = file.architecture;
  d.device.features = file.features;
  std::sort(d.device.features.begin(), d.device.features.end());
  d.clusters = file.clusters;
  std::stable_sort(d.clusters.begin(), d.clusters.end(), [](const auto& a, const auto& b) {
    return a.mhz * a.macs_per_cycle > b.mhz * b.macs_per_cycle;
  });
  for (const CoreCluster& cluster : d.clusters) d.device.cores += cluster.count;
  d.device.frequency_mhz = d.clusters.front().mhz;
  d.device.cpu = fmt::format("{} ({})", file.cpu, file.title);
  d.device.l1d_bytes = file.l1d_bytes;
  d.device.l2_bytes = file.l2_bytes;
  d.device.llc_bytes = file.llc_bytes;
  d.memory_bytes_per_s = file.memory_bytes_per_s;
  d.facts = file.facts;
  d.device.runtime = file.runtime;
  d.settings.threads = file.threads;
  d.settings.dtype = file.precision;
  d.note = file.note;
  d.coprocessor = file.coprocessor;
  if (file.published) d.latencies = matching_rows(*file.published, json.at("published"));
  std::size_t index = 0;
  json.at("latencies").each([&](const JsonReader& item) {
    const PublishedLatencyRow row = published_row(file.latencies[index++]);
    if (row.zoo_name.empty()) item.at("network").fail("a network of cpubone-predict --list");
    d.latencies.push_back(row);
  });
  return d;
}

DeviceDescription load_device(const std::filesystem::path& path) {
  return load(path, device_description_from_json);
}

const std::vector<DeviceDescription>& known_devices() {
  static const std::vector<DeviceDescription> all{
      embedded(device_pi5_json, "devices/pi5.json"),
      embedded(device_pi4_json, "devices/pi4.json"),
      embedded(device_pixel4_json, "devices/pixel4.json"),
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
