#pragma once
#include <filesystem>
#include <vector>

#include "records/profile.hpp"

namespace cpubone {

/// A layer whose output channels CPU and coprocessor computed at once.
struct SharedLayerRecord {
  Op op;
  int cpu_channels = 0;  ///< the first ones; the coprocessor computed the others
  Timing timing;
  bool operator==(const SharedLayerRecord&) const = default;
};

/// What predictions of co-execution rest on, all measured on one machine with the same settings.
struct CoExecutionProfile {
  Profile cpu;
  /// Operators on the coprocessor alone, each until the CPU knows that it is done.
  Profile coprocessor;
  double start_ns = 0;  ///< that the CPU takes to start an operator there, before it can go on
  std::vector<SharedLayerRecord> shared;
  bool operator==(const CoExecutionProfile&) const = default;
};

nlohmann::json to_json(const CoExecutionProfile& profile);
CoExecutionProfile co_execution_profile_from_json(const JsonReader& json);
CoExecutionProfile load_co_execution_profile(const std::filesystem::path& path);
void save_co_execution_profile(const CoExecutionProfile& profile,
                               const std::filesystem::path& path);
/// The fields of such a file in Markdown, as docs/file-formats.md has them, without those of
/// profiles.
std::string describe_co_execution_profile_file();

}  // namespace cpubone
