#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "graph/network.hpp"
#include "graph/warning.hpp"
#include "records/roofline.hpp"

namespace cpubone {

class JsonReader;

/// Version of the toolkit, `major.minor.patch`.
std::string version();

/// The hardware and software that decide how long an operator takes. Two profiles may only be
/// mixed where `fingerprint` agrees.
struct Device {
  std::string name;                   ///< `host`, or a name in devices/
  std::string cpu;                    ///< model name, e.g. `Cortex-A76`
  std::string architecture;           ///< `x86_64`, `aarch64`
  std::vector<std::string> features;  ///< instruction sets that kernels choose by, sorted
  int cores = 0;
  std::int64_t l1d_bytes = 0;  ///< of one core; 0 where unknown, as below
  std::int64_t l2_bytes = 0;   ///< of one core
  std::int64_t llc_bytes = 0;  ///< last-level cache
  std::int64_t memory_bytes = 0;
  std::int64_t page_bytes = 0;  ///< of the memory that weights and activations are in
  std::string runtime;          ///< backends, e.g. `XNNPACK 0.0~git20220216.ae108ef-2, Eigen 3.4.0`
  std::string runtime_hash;     ///< of the runtime's library file
  std::string coprocessor;      ///< device and driver that run operators beside it; empty: none
  /// Output channels and pixels that one step of the coprocessor's kernels computes; 0: unknown.
  int tile_channels = 0;
  int tile_pixels = 0;
  // What may change from day to day; recorded, but no part of the fingerprint.
  std::string kernel;
  std::string governor;
  double frequency_mhz = 0;  ///< highest that the CPU offers, 0 where unknown
  std::string compiler;
  /// Whether its CPU has an instruction set, as Linux names it, e.g. `avx2`.
  bool has(std::string_view feature) const;
  bool operator==(const Device&) const = default;
};

/// Whether XNNPACK calculates in half precision on a device; elsewhere it only stores what it
/// calculates in f32 so.
bool calculates_in_f16(const Device& device);

enum class CacheMode {
  cold,  ///< weights out of the caches, activations warm: as in a network
  hot,   ///< everything stays in the caches
};
std::string_view name(CacheMode mode);

struct MeasureSettings {
  int threads = 1;
  DType dtype = DType::f32;
  CacheMode cache = CacheMode::cold;
  std::vector<int> cpus;  ///< pinned to these; empty: not pinned
  bool operator==(const MeasureSettings&) const = default;
};

/// Robust summary of run times.
struct Timing {
  double median_ns = 0;
  double low_ns = 0;  ///< 95 % confidence interval of the median
  double high_ns = 0;
  double mdape = 0;                ///< median absolute percentage error; 0.02 means 2 %
  std::vector<double> samples_ns;  ///< raw; each the mean of a batch of `runs_per_sample`
  int runs_per_sample = 1;
  bool disturbed = false;  ///< interference could not be avoided; see docs/measuring.md
  bool operator==(const Timing&) const = default;
};

void rescale(Timing& timing, double factor);

struct OpRecord {
  Op op;
  std::string engine;  ///< `xnnpack`, `eigen`, `xnnpack+eigen` or `co-execution`
  Timing timing;
  bool operator==(const OpRecord&) const = default;
};

/// A whole network measured as one chain; the operators' latencies sum to the median.
struct NetworkRecord {
  std::string name;
  std::string structure = {};  ///< `structure_hash` of what was measured; empty in older profiles
  std::int64_t params = 0;
  std::int64_t macs = 0;
  Timing timing = {};
  struct Part {
    Op op;
    std::string stage;
    std::string engine;
    double latency_ns = 0;
    bool operator==(const Part&) const = default;
  };
  std::vector<Part> ops = {};
  std::int64_t peak_memory_bytes = 0;  ///< allocated while it runs, 0 where not measured
  bool operator==(const NetworkRecord&) const = default;
};

/// A time during which the machine's pace hardly changed.
struct PaceRegime {
  double seconds = 0;
  double pace = 1;  ///< how much longer than typical everything took
  bool operator==(const PaceRegime&) const = default;
};

struct Profile {
  Device device;
  MeasureSettings settings;
  std::string tool_version;
  std::string created;  ///< ISO 8601, UTC
  double seconds = 0;   ///< that measuring took
  /// What the calibration kernel of this version took where the machine was at its best; 0:
  /// unknown.
  double calibration_ns = 0;
  /// What it took at the machine's typical pace, which the latencies are at; 0: unknown.
  double typical_calibration_ns = 0;
  /// In order of time. Half of the time was spent at pace 1 or faster; all latencies are at pace 1.
  std::vector<PaceRegime> paces;
  Roofline roofline;  ///< at pace 1 too
  std::vector<OpRecord> ops;
  std::vector<NetworkRecord> networks;
  std::vector<Warning> warnings;
  bool operator==(const Profile&) const = default;
};

/// Hexadecimal hash of everything about device and settings that latencies depend on.
std::string fingerprint(const Device& device, const MeasureSettings& settings);

/// 64-bit FNV-1a of `bytes` as 16 hexadecimal digits.
std::string hash_text(std::string_view bytes);

/// `hash_text` of what runs when a network does: input, operators, connections and outputs, but no
/// names. The same network at another resolution, precision or without its head has another.
std::string structure_hash(const Network& network);

/// The profile's record of a network in the profile's precision, whatever its name: the last one of
/// that structure; nullptr where there is none. A record of an older profile, without structure,
/// counts where name, parameters and MACs are the network's.
const NetworkRecord* find_record(const Profile& profile, const Network& network);

/// Adds the records of `other`, the newer of two records of one operator, or of one network's name
/// and structure, winning. Throws cpubone::Error naming what differs where the fingerprints do.
void merge(Profile& profile, const Profile& other);

/// But for those that the profile has, be it with other numbers.
void add_warnings(Profile& profile, std::vector<Warning> warnings);

/// Makes all latencies longer by a factor.
void rescale(Profile& profile, double factor);

/// The smaller of two durations, either of which is 0 where it is not known.
double faster(double ns, double other_ns);
/// The profile's, where it is of this version's kernel; else 0.
double best_calibration_ns(const Profile& profile);

nlohmann::json to_json(const Device& device);
Device device_from_json(const JsonReader& json);
nlohmann::json to_json(const MeasureSettings& settings);
MeasureSettings settings_from_json(const JsonReader& json);
nlohmann::json to_json(const Roofline& roofline);
Roofline roofline_from_json(const JsonReader& json);
nlohmann::json to_json(const OpRecord& record);
OpRecord op_record_from_json(const JsonReader& json);
nlohmann::json to_json(const NetworkRecord& record);
NetworkRecord network_record_from_json(const JsonReader& json);
nlohmann::json to_json(const Profile& profile);
Profile profile_from_json(const JsonReader& json);
Profile load_profile(const std::filesystem::path& path);
void save_profile(const Profile& profile, const std::filesystem::path& path);
/// The fields of such a file in Markdown, as docs/file-formats.md has them.
std::string describe_profile_file();

}  // namespace cpubone
