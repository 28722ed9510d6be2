#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "records/device_file.hpp"
#include "records/profile.hpp"
#include "space/published.hpp"

namespace cpubone {

/// A device that need not be at hand: its hardware, and latencies that others measured on it.
struct DeviceDescription {
  std::string title;         ///< for people, e.g. `Raspberry Pi 5`
  Device device;             ///< its runtime is the one of `latencies`
  MeasureSettings settings;  ///< threads and data type of `latencies`
  std::vector<CoreCluster> clusters;
  double memory_bytes_per_s = 0;  ///< peak
  std::vector<SourcedFact> facts;
  std::string note;  ///< what to know about `latencies`
  /// Networks of the zoo only, without those excluded from fits.
  std::vector<PublishedLatencyRow> latencies;
  std::optional<DeviceCoprocessor> coprocessor;
};

/// The devices that come with the toolkit, in devices/.
const std::vector<DeviceDescription>& known_devices();

/// The device of that name. Throws std::invalid_argument listing the names that there are.
const DeviceDescription& find_device(std::string_view name);

/// Reads a file `cpubone/device/1` (docs/file-formats.md). Throws cpubone::Error naming the path
/// and the JSON pointer.
DeviceDescription load_device(const std::filesystem::path& path);
DeviceDescription device_description_from_json(const JsonReader& json);

/// f32 MACs per second of the fastest `threads` cores.
double peak_macps(const DeviceDescription& device);

/// Cores, clock and memory in a line, e.g. `4 x Cortex-A76 at 2.4 GHz, 17 GB/s`.
std::string hardware_text(const DeviceDescription& device);

}  // namespace cpubone
