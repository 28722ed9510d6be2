#include "records/profile.hpp"

#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "graph/json_file.hpp"
#include "graph/passes.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

Profile example() {
  Profile profile;
  profile.device = {.name = "host",
                    .cpu = "Cortex-A76",
                    .architecture = "aarch64",
                    .features = {"asimd", "asimddp"},
                    .cores = 4,
                    .l1d_bytes = 65536,
                    .l2_bytes = 524288,
                    .llc_bytes = 2097152,
                    .memory_bytes = 8'000'000'000,
                    .runtime = "XNNPACK x",
                    .runtime_hash = "0123456789abcdef",
                    .coprocessor = "Mali-G710",
                    .tile_channels = 4,
                    .tile_pixels = 8,
                    .kernel = "Linux 6.1",
                    .governor = "performance",
                    .frequency_mhz = 2400,
                    .compiler = "gcc 12"};
  profile.settings = {.threads = 2, .dtype = DType::f32, .cache = CacheMode::cold, .cpus = {0, 1}};
  profile.tool_version = version();
  profile.created = "2026-11-21T12:00:00Z";
  profile.seconds = 12.5;
  profile.calibration_ns = 120e3;
  profile.roofline = {38e9, 76e9, 40e9, 20e9, 9e9};
  const Timing timing{.median_ns = 100,
                      .low_ns = 99,
                      .high_ns = 101.5,
                      .mdape = 0.01,
                      .samples_ns = {99, 100, 101.5},
                      .runs_per_sample = 3,
                      .disturbed = true};
  profile.ops = {{parse_op("linear 1x1x1x64->1x1x1x32 f32"), "xnnpack", timing}};
  profile.networks = {{.name = "tiny",
                       .structure = "00112233445566ff",
                       .params = 2080,
                       .macs = 2048,
                       .timing = timing,
                       .ops = {{parse_op("linear 1x1x1x64->1x1x1x32 f32"), "head", "xnnpack", 100}},
                       .peak_memory_bytes = 9000}};
  profile.warnings = {{"it is warm", "open a window"}};
  return profile;
}

/// A convolution with its activation, another one, and their sum.
Network two_layers() {
  Network network;
  network.name = "two";
  network.inputs = {{{1, 8, 8, 4}}};
  const Op op = parse_op("conv2d 1x8x8x4->1x8x8x4 k1x1 s1 p0,0,0,0 g1 act=hardswish f32");
  network.nodes = {{"a", "", op, {network_input}},
                   {"b", "", op, {0}},
                   {"sum", "", parse_op("add 1x8x8x4,1x8x8x4->1x8x8x4 f32"), {0, 1}}};
  network.outputs = {2};
  check(network);
  return network;
}

/// The example with one value changed, read again.
std::string error_of(const std::string& pointer, const nlohmann::json& value) {
  nlohmann::json json = to_json(example());
  json[nlohmann::json::json_pointer(pointer)] = value;
  try {
    profile_from_json(JsonReader(json, "p.json#"));
  } catch (const Error& e) {
    return e.what();
  }
  return "none";
}

}  // namespace

TEST_CASE("a profile comes back from JSON as it was", "[profile]") {
  const nlohmann::json json = to_json(example());
  CHECK(profile_from_json(JsonReader(json, "p.json#")) == example());
  CHECK(json["schema"] == "cpubone/profile/1");
}

TEST_CASE("a profile comes back from its file as it was", "[profile]") {
  const auto path = std::filesystem::temp_directory_path() /
                    ("cpubone-profile-test-" + std::to_string(::getpid()) + ".json");
  save_profile(example(), path);
  CHECK(load_profile(path) == example());
  std::filesystem::remove(path);
}

TEST_CASE("what is wrong in a profile is named with its place", "[profile]") {
  CHECK(error_of("/schema", "cpubone/profile/2").find("p.json#/schema: ") == 0);
  CHECK_THAT(error_of("/surprise", 1), ContainsSubstring("surprise"));
  CHECK_THAT(error_of("/ops/0/op", "linear 1x1"), ContainsSubstring("p.json#/ops/0/op: "));
  CHECK_THAT(error_of("/ops/0/median_ns", nullptr),
             ContainsSubstring("p.json#/ops/0/median_ns: expected a"));
  CHECK_THAT(error_of("/ops/0/runs_per_sample", 0),
             ContainsSubstring("p.json#/ops/0/runs_per_sample: expected a whole number in 1"));
  CHECK_THAT(error_of("/networks/0/timing/samples_ns/1", "x"),
             ContainsSubstring("p.json#/networks/0/timing/samples_ns/1: expected a number"));
  CHECK_THAT(
      error_of("/settings/cache", "warm"),
      ContainsSubstring("p.json#/settings/cache: expected one of \"cold\", \"hot\", got \"warm\""));
  CHECK_THAT(error_of("/settings/precision", "f64"), ContainsSubstring("f64"));
}

TEST_CASE("a profile whose device was edited is refused", "[profile]") {
  CHECK_THAT(
      error_of("/device/cores", 8),
      ContainsSubstring(
          "p.json#/fingerprint: the fingerprint does not belong to this device and settings"));
  CHECK_THAT(error_of("/settings/threads", 1), ContainsSubstring("#/fingerprint"));
}

TEST_CASE("half precision is calculated in where CPU and XNNPACK have it", "[profile]") {
  Device device;
  device.features = {"avx512bw", "avx512f"};
  device.runtime = "XNNPACK 0.0~git20241108.4ea82e5-3, Eigen 3.4.0";
  CHECK_FALSE(calculates_in_f16(device));
  device.features = {"avx512bw", "avx512f", "avx512fp16"};
  CHECK(calculates_in_f16(device));
  device.runtime = "XNNPACK 0.0~git20220216.ae108ef-2, Eigen 3.4.0";
  CHECK_FALSE(calculates_in_f16(device));
  device.features = {"asimd", "asimddp", "fphp"};
  CHECK(calculates_in_f16(device));
}

TEST_CASE("a fingerprint is of what latencies depend on, and of nothing else", "[profile]") {
  const Profile profile = example();
  const std::string original = fingerprint(profile.device, profile.settings);
  Device other = profile.device;
  other.kernel = "Linux 6.6";
  other.governor = "powersave";
  other.frequency_mhz = 1500;
  other.compiler = "clang 14";
  other.name = "pi5";
  CHECK(fingerprint(other, profile.settings) == original);
  other = profile.device;
  other.runtime_hash = "fedcba9876543210";
  CHECK(fingerprint(other, profile.settings) != original);
  MeasureSettings settings = profile.settings;
  settings.cpus = {0};
  CHECK(fingerprint(profile.device, settings) != original);
  other = profile.device;
  other.coprocessor = "a GPU";
  CHECK(fingerprint(other, profile.settings) != original);
}

TEST_CASE("merging takes the newer of two records and appends the others", "[profile]") {
  Profile profile = example();
  Profile newer = example();
  newer.created = "2026-11-22T12:00:00Z";
  newer.calibration_ns = 110e3;
  newer.ops[0].timing.median_ns = 90;
  newer.ops.push_back({parse_op("linear 1x1x1x64->1x1x1x16 f32"), "xnnpack", {}});
  newer.networks[0].structure = "another";
  newer.warnings.push_back({"it is dark", "switch the light on"});
  merge(profile, newer);
  REQUIRE(profile.ops.size() == 2);
  CHECK(profile.ops[0].timing.median_ns == 90);
  CHECK(profile.networks.size() == 2);
  CHECK(profile.warnings.size() == 2);
  CHECK(profile.seconds == 25);
  CHECK(profile.calibration_ns == 110e3);
  CHECK(profile.created == "2026-11-22T12:00:00Z");
}

TEST_CASE("what is measured is one network whatever its names are", "[profile]") {
  const Network network = two_layers();
  Network renamed = network;
  renamed.name = "other";
  renamed.nodes[0].name = "first";
  renamed.nodes[0].stage = "stem";
  CHECK(structure_hash(renamed) == structure_hash(network));
  CHECK(structure_hash(network).size() == 16);
  CHECK(structure_hash(split_activations(network, [](const Op&) { return false; })) ==
        structure_hash(network));
}

TEST_CASE("resolution, precision, connections and outputs make another network", "[profile]") {
  const Network network = two_layers();
  const std::string known = structure_hash(network);
  CHECK(structure_hash(with_resolution(network, 16, 8)) != known);
  CHECK(structure_hash(with_dtype(network, DType::f16)) != known);
  Network other = network;
  other.outputs = {0};
  CHECK(structure_hash(other) != known);
  other = network;
  other.nodes[2].inputs = {0, 0};
  CHECK(structure_hash(other) != known);
}

TEST_CASE("a network is found by its structure, in the profile's precision", "[profile]") {
  const Network network = two_layers();
  Profile profile = example();
  profile.settings.dtype = DType::f16;
  CHECK(find_record(profile, network) == nullptr);
  profile.networks = {
      {.name = "two", .structure = structure_hash(with_resolution(network, 16, 16))},
      {.name = "b", .structure = structure_hash(with_dtype(network, DType::f16)), .macs = 1},
      {.name = "c", .structure = structure_hash(with_dtype(network, DType::f16)), .macs = 2}};
  REQUIRE(find_record(profile, network) != nullptr);
  CHECK(find_record(profile, network)->name == "c");
}

TEST_CASE("records of older profiles are found by name, parameters and MACs", "[profile]") {
  const Network network = two_layers();
  Profile profile = example();
  profile.networks = {{.name = "two", .params = params(network), .macs = macs(network)}};
  nlohmann::json json = to_json(profile);
  json["networks"][0].erase("structure");
  profile = profile_from_json(JsonReader(json, "p.json#"));
  CHECK(find_record(profile, network) == &profile.networks[0]);
  CHECK(find_record(profile, with_resolution(network, 16, 16)) == nullptr);
}

TEST_CASE("the best calibration is remembered, of this version's kernel only", "[profile]") {
  CHECK(faster(0, 3) == 3);
  CHECK(faster(4, 0) == 4);
  CHECK(faster(4, 3) == 3);
  Profile profile = example();
  CHECK(best_calibration_ns(profile) == 120e3);
  Profile older = example();
  older.tool_version = "0.0.1";
  older.calibration_ns = 1;
  CHECK(best_calibration_ns(older) == 0);
  merge(profile, older);
  CHECK(profile.calibration_ns == 120e3);
  nlohmann::json json = to_json(profile);
  json.erase("calibration_ns");
  CHECK(profile_from_json(JsonReader(json, "p.json#")).calibration_ns == 0);
}

TEST_CASE("profiles of other machines or settings are not mixed", "[profile]") {
  Profile profile = example();
  const Profile before = profile;
  Profile other = example();
  other.device.cpu = "Cortex-A72";
  CHECK_THROWS_WITH(merge(profile, other),
                    "profiles cannot be mixed: CPU is \"Cortex-A76\" in one and \"Cortex-A72\" in "
                    "the other");
  other = example();
  other.settings.threads = 1;
  CHECK_THROWS_WITH(merge(profile, other),
                    "profiles cannot be mixed: threads is \"2\" in one and \"1\" in the other");
  CHECK(profile == before);
}

TEST_CASE("a warning is not repeated with other numbers", "[records]") {
  Profile profile;
  add_warnings(profile, {{"12.5 % of 3 samples", "wait"}, {"busy", "wait"}});
  add_warnings(profile, {{"7 % of 40 samples", "wait"}, {"busier", "wait"}, {"busy", "wait"}});
  CHECK(profile.warnings == std::vector<Warning>{{"12.5 % of 3 samples", "wait"},
                                                 {"busy", "wait"},
                                                 {"busier", "wait"}});
}
