#pragma once
#include <string_view>

namespace cpubone {

class JsonReader;

/// What the latencies of a device rest on.
enum class Evidence {
  measured,     ///< on the device
  calibrated,   ///< to latencies of it that others published
  adapted,      ///< from another device's, by few operators measured on this one
  description,  ///< of its hardware alone
};
std::string_view name(Evidence evidence);
/// Throws cpubone::Error listing the names.
Evidence evidence_from_json(const JsonReader& json);

}  // namespace cpubone
