#include "records/co_execution_profile.hpp"

#include <fmt/format.h>

#include "records/tables.hpp"

namespace cpubone {
namespace {

void check_channels(const SharedLayerRecord& layer, const JsonReader& json) {
  const int channels = layer.op.output().c;
  if (layer.cpu_channels < 1 || layer.cpu_channels >= channels)
    json.at("cpu_channels")
        .fail_because(fmt::format("expected 1..{} of the layer's {} channels, got {}", channels - 1,
                                  channels, layer.cpu_channels));
}

void check_settings(const CoExecutionProfile& profile, const JsonReader& json) {
  if (profile.coprocessor.settings != profile.cpu.settings)
    json.at("coprocessor").fail_because("its settings are not those of the CPU's profile");
  if (profile.coprocessor.device.coprocessor.empty())
    json.at("coprocessor")
        .fail_because(
            "its device names no \"coprocessor\"; measure it again with `cpubone-profile --device "
            "host+gpu`");
}

}  // namespace

namespace records {

template <>
const Table<SharedLayerRecord>& table<SharedLayerRecord>() {
  using T = SharedLayerRecord;
  static const Table<T> record{
      .name = "shared layer",
      .fields = {field<&T::op>("op", ""),
                 field<&T::cpu_channels>(
                     "cpu_channels",
                     "output channels that the CPU computed; the coprocessor the "
                     "others, at the same time"),
                 inlined<&T::timing>()},
      .check = check_channels};
  return record;
}

template <>
const Table<CoExecutionProfile>& table<CoExecutionProfile>() {
  using T = CoExecutionProfile;
  static const Table<T> profile{
      .name = "co-execution",
      .fields = {field<&T::cpu>("cpu", "of the CPU alone"),
                 field<&T::coprocessor>("coprocessor",
                                        "operators on it alone, each until the CPU knows that it "
                                        "is done; `device.coprocessor` says which it is"),
                 field<&T::start_ns>("start_ns",
                                     "that the CPU takes to start an operator there, before its "
                                     "own part; median",
                                     not_negative),
                 field<&T::shared>("shared", "in fewer layers: what synchronisation costs")},
      .check = check_settings,
      .schema = "co-execution"};
  return profile;
}

}  // namespace records

CoExecutionProfile co_execution_profile_from_json(const JsonReader& json) {
  return records::read_record<CoExecutionProfile>(json);
}

std::string describe_co_execution_profile_file() {
  return records::describe_all<CoExecutionProfile, SharedLayerRecord>();
}

nlohmann::json to_json(const CoExecutionProfile& profile) {
  return records::write_record(profile);
}

CoExecutionProfile load_co_execution_profile(const std::filesystem::path& path) {
  return load(path, co_execution_profile_from_json);
}

void save_co_execution_profile(const CoExecutionProfile& profile,
                               const std::filesystem::path& path) {
  write_json_file(to_json(profile), path);
}

}  // namespace cpubone
