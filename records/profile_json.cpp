#include <fmt/format.h>

#include <array>

#include "records/profile.hpp"
#include "records/tables.hpp"

namespace cpubone {
namespace {

constexpr std::array<std::string_view, 2> cache_names{"cold", "hot"};

void check_fingerprint(const Profile& profile, const JsonReader& json) {
  const std::string expected = fingerprint(profile.device, profile.settings);
  const JsonReader got = json.at("fingerprint");
  if (got.string() != expected)
    got.fail_because(fmt::format(
        "the fingerprint does not belong to this device and settings: expected {}, got {}",
        expected, got.string()));
}

}  // namespace

std::string_view name(CacheMode mode) {
  return cache_names[static_cast<std::size_t>(mode)];
}

namespace records {

constexpr Range duration_ns{0, 1e15};

template <>
std::span<const std::string_view> names<CacheMode>() {
  return cache_names;
}
template <>
std::span<const std::string_view> names<DType>() {
  return dtype_names();
}

template <>
const Table<Device>& table<Device>() {
  using T = Device;
  static const Table<T> device{
      "device",
      {field<&T::name>("name", "`host`, or of a known device"),
       field<&T::cpu>("cpu", "model, e.g. `Cortex-A76`; of the fingerprint"),
       field<&T::architecture>("architecture", "`x86_64`, `aarch64`; of the fingerprint"),
       field<&T::features>("features",
                           "instruction sets that kernels choose by; of the fingerprint"),
       field<&T::cores>("cores", "of the fingerprint", {1, 1 << 16}),
       field<&T::l1d_bytes>("l1d_bytes", "of one core, 0: unknown; of the fingerprint",
                            not_negative),
       field<&T::l2_bytes>("l2_bytes", "of one core, 0: unknown; of the fingerprint", not_negative),
       field<&T::llc_bytes>("llc_bytes", "last level, 0: unknown; of the fingerprint",
                            not_negative),
       field<&T::memory_bytes>("memory_bytes", "0: unknown", not_negative),
       optional<&T::page_bytes>("page_bytes",
                                "of the memory that weights and activations are in, 0: unknown; "
                                "of the fingerprint",
                                not_negative),
       field<&T::runtime>("runtime",
                          "backends with their versions, e.g. `XNNPACK "
                          "0.0~git20220216.ae108ef-2, Eigen 3.4.0`; of the fingerprint"),
       field<&T::runtime_hash>("runtime_hash", "of the runtime's library file; of the fingerprint"),
       optional<&T::coprocessor>("coprocessor",
                                 "device and driver that run operators beside the CPU; of the "
                                 "fingerprint"),
       optional<&T::tile_channels>("tile_channels",
                                   "output channels that one step of the coprocessor's kernels "
                                   "computes, 0: unknown",
                                   {0, 1 << 16}),
       optional<&T::tile_pixels>("tile_pixels", "the same in pixels", {0, 1 << 16}),
       field<&T::kernel>("kernel", "of the operating system"),
       field<&T::governor>("governor", "of the clock"),
       field<&T::frequency_mhz>("frequency_mhz", "the highest on offer, 0: unknown", {0, 1e6}),
       field<&T::compiler>("compiler", "of the toolkit")}};
  return device;
}

template <>
const Table<MeasureSettings>& table<MeasureSettings>() {
  using T = MeasureSettings;
  static const Table<T> settings{
      "settings",
      {field<&T::threads>("threads", "", {1, 1024}), field<&T::dtype>("precision", ""),
       field<&T::cache>("cache", "cold: weights come from memory, as in a network"),
       field<&T::cpus>("cpus", "pinned to; empty: not pinned", {0, 1 << 16})}};
  return settings;
}

template <>
const Table<Timing>& table<Timing>() {
  using T = Timing;
  static const Table<T> timing{
      "timing",
      {field<&T::median_ns>("median_ns", "", duration_ns),
       field<&T::low_ns>("low_ns", "95 % interval of the median", duration_ns),
       field<&T::high_ns>("high_ns", "95 % interval of the median", duration_ns),
       field<&T::mdape>("mdape", "median absolute percentage error; 0.02 is 2 %", {0, 1e9}),
       field<&T::samples_ns>("samples_ns", "raw; each the mean of `runs_per_sample` runs",
                             duration_ns),
       field<&T::runs_per_sample>("runs_per_sample", "", {1, 1 << 30}),
       field<&T::disturbed>("disturbed", "is no measurement; see docs/measuring.md")}};
  return timing;
}

template <>
const Table<OpRecord>& table<OpRecord>() {
  using T = OpRecord;
  static const Table<T> record{
      "operator",
      {field<&T::op>("op", ""),
       field<&T::engine>("engine", "`xnnpack`, `eigen`, `xnnpack+eigen`, `co-execution`"),
       inlined<&T::timing>()}};
  return record;
}

template <>
const Table<NetworkRecord::Part>& table<NetworkRecord::Part>() {
  using T = NetworkRecord::Part;
  static const Table<T> part{
      "operator of a network",
      {field<&T::op>("op", ""), field<&T::stage>("stage", "a label"),
       field<&T::engine>("engine", "`xnnpack`, `eigen`, `xnnpack+eigen`"),
       field<&T::latency_ns>("latency_ns", "its share of the median", duration_ns)}};
  return part;
}

template <>
const Table<NetworkRecord>& table<NetworkRecord>() {
  using T = NetworkRecord;
  static const Table<T> record{
      "network",
      {field<&T::name>("name", ""),
       optional<&T::structure>("structure", "16 digits, hash of what ran"),
       field<&T::params>("params", "parameters", not_negative),
       field<&T::macs>("macs", "", not_negative), field<&T::timing>("timing", "of the whole"),
       field<&T::ops>("ops", "add up to the median"),
       field<&T::peak_memory_bytes>("peak_memory_bytes", "allocated while it runs; 0: not measured",
                                    not_negative)}};
  return record;
}

template <>
const Table<PaceRegime>& table<PaceRegime>() {
  using T = PaceRegime;
  static const Table<T> regime{
      "pace",
      {field<&T::seconds>("seconds", "that it lasted", {0, 1e9}),
       field<&T::pace>("pace", "how much longer than typical everything took", positive)}};
  return regime;
}

template <>
const Table<Roofline>& table<Roofline>() {
  using T = Roofline;
  static const Table<T> roofline{
      "roofline",
      {field<&T::f32_macps>("f32_macps", "multiply-accumulates per second", not_negative),
       field<&T::l1_bytes_per_s>("l1_bytes_per_s", "", not_negative),
       field<&T::l2_bytes_per_s>("l2_bytes_per_s", "", not_negative),
       field<&T::llc_bytes_per_s>("llc_bytes_per_s", "", not_negative),
       field<&T::memory_bytes_per_s>("memory_bytes_per_s", "", not_negative)}};
  return roofline;
}

template <>
const Table<Profile>& table<Profile>() {
  using T = Profile;
  static const Table<T> profile{
      .name = "profile",
      .fields =
          {{{"fingerprint", "text",
             "16 digits, of what latencies depend on; a file whose device and settings have "
             "another is refused"},
            any_number,
            [](T&, const JsonReader&, const Range&) {},  // checked once all is read
            [](const T& record) {
              return nlohmann::json(fingerprint(record.device, record.settings));
            }},
           field<&T::device>("device", ""),
           field<&T::settings>("settings", ""),
           field<&T::tool_version>("tool_version", ""),
           field<&T::created>("created", "ISO 8601, UTC"),
           field<&T::seconds>("seconds", "that measuring took", {0, 1e9}),
           optional<&T::calibration_ns>("calibration_ns",
                                        "what the calibration kernel of that version took where "
                                        "the machine was at its best; 0: unknown",
                                        {0, 1e9}),
           optional<&T::typical_calibration_ns>(
               "typical_calibration_ns",
               "what it took at the machine's typical pace, which all latencies are at; 0: unknown",
               {0, 1e9}),
           optional<&T::paces>("paces",
                               "in order of time; all latencies are at pace 1, which half of the "
                               "time was at or faster"),
           optional<&T::roofline>("roofline",
                                  "what the CPU does at most, on as many threads and at pace 1; 0: "
                                  "not measured"),
           field<&T::ops>("ops", "each measured alone"),
           field<&T::networks>("networks", "each measured whole"),
           field<&T::warnings>("warnings", "")},
      .check = check_fingerprint,
      .schema = "profile"};
  return profile;
}

}  // namespace records

nlohmann::json to_json(const Device& device) {
  return records::write_record(device);
}
Device device_from_json(const JsonReader& json) {
  return records::read_record<Device>(json);
}

nlohmann::json to_json(const MeasureSettings& settings) {
  return records::write_record(settings);
}
MeasureSettings settings_from_json(const JsonReader& json) {
  return records::read_record<MeasureSettings>(json);
}

nlohmann::json to_json(const Roofline& roofline) {
  return records::write_record(roofline);
}
Roofline roofline_from_json(const JsonReader& json) {
  return records::read_record<Roofline>(json);
}

nlohmann::json to_json(const OpRecord& record) {
  return records::write_record(record);
}
OpRecord op_record_from_json(const JsonReader& json) {
  return records::read_record<OpRecord>(json);
}

nlohmann::json to_json(const NetworkRecord& record) {
  return records::write_record(record);
}
NetworkRecord network_record_from_json(const JsonReader& json) {
  return records::read_record<NetworkRecord>(json);
}

nlohmann::json to_json(const Profile& profile) {
  return records::write_record(profile);
}
Profile profile_from_json(const JsonReader& json) {
  return records::read_record<Profile>(json);
}

std::string describe_profile_file() {
  using namespace records;
  return describe_all<Profile, Device, MeasureSettings, PaceRegime, Roofline, OpRecord, Timing,
                      NetworkRecord, NetworkRecord::Part, Warning>();
}

Profile load_profile(const std::filesystem::path& path) {
  return load(path, profile_from_json);
}

void save_profile(const Profile& profile, const std::filesystem::path& path) {
  write_json_file(to_json(profile), path);
}

}  // namespace cpubone
