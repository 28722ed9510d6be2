#include "predictor/devices.hpp"

#include <fstream>
#include <functional>

#include "graph/error.hpp"
#include "graph/json_file.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

nlohmann::json file(const std::string& name) {
  return read_json_file(std::string(CPUBONE_DEVICES) + "/" + name + ".json");
}

DeviceDescription read(const nlohmann::json& json) {
  return device_description_from_json(JsonReader(json, "x.json#"));
}

}  // namespace

TEST_CASE("every device comes with facts and their source", "[predictor]") {
  for (const DeviceDescription& device : known_devices()) {
    CAPTURE(device.device.name);
    CHECK(device.facts.size() >= 2);
    for (const SourcedFact& fact : device.facts) {
      CHECK(!fact.fact.empty());
      CHECK(!fact.source.empty());
    }
    CHECK(!device.note.empty());
    for (const PublishedLatencyRow& row : device.latencies) {
      CHECK(!row.source.empty());
      CHECK(!row.threads.empty());
      CHECK(row.exclusion_reason.empty());
    }
  }
}

TEST_CASE("embedded devices are the files in devices/", "[predictor]") {
  for (const DeviceDescription& device : known_devices()) {
    const DeviceDescription from_file = read(file(device.device.name));
    CHECK(from_file.device == device.device);
    CHECK(from_file.clusters == device.clusters);
    CHECK(from_file.latencies.size() == device.latencies.size());
  }
}

TEST_CASE("the Raspberry Pi 5 is described as its maker does", "[predictor]") {
  const DeviceDescription& pi5 = find_device("pi5");
  CHECK(pi5.device.cores == 4);
  CHECK(pi5.device.l2_bytes == 512 * 1024);
  CHECK(pi5.device.llc_bytes == 2 * 1024 * 1024);
  CHECK(pi5.settings.threads == 4);
  CHECK(peak_macps(pi5) == Approx(4 * 19.2e9));
  CHECK(pi5.latencies.size() == 21);
  for (const PublishedLatencyRow& row : pi5.latencies) {
    CHECK(row.zoo_name != "fasternet-t1");  // looks misplotted
    CHECK(row.runtime.rfind("ONNX Runtime", 0) == 0);
    CHECK(row.precision == "fp32");
  }
}

TEST_CASE("the peak is that of the fastest cores", "[predictor]") {
  DeviceDescription phone = find_device("pixel7pro");
  phone.settings.threads = 3;
  CHECK(peak_macps(phone) == Approx(2 * 2.85e9 * 16 + 2.35e9 * 8));
}

TEST_CASE("an unknown device is answered with the known ones", "[predictor]") {
  CHECK_THROWS_WITH(
      find_device("pi6"),
      "device: got \"pi6\", expected one of pi5, pi4, pixel4, pixel7pro, xeon-w2125, generic-x86");
}

TEST_CASE("a wrong device file says where and why", "[predictor]") {
  const auto message = [](const std::function<void(nlohmann::json&)>& change) {
    nlohmann::json json = file("pi5");
    change(json);
    try {
      read(json);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  CHECK(message([](auto&) {}) == "accepted");
  CHECK(message([](auto& j) { j["schema"] = "cpubone/profile/1"; }) ==
        "x.json#/schema: expected \"cpubone/device/1\", got \"cpubone/profile/1\"");
  CHECK(message([](auto& j) {
          j["colour"] = "green";
        }).rfind("x.json#: unknown key \"colour\"", 0) == 0);
  CHECK(message([](auto& j) { j["clusters"] = nlohmann::json::array(); }) ==
        "x.json#/clusters: expected at least one cluster of cores, got []");
  CHECK(message([](auto& j) { j["clusters"][0]["mhz"] = 0; }) ==
        "x.json#/clusters/0/mhz: expected a number in 1..100000, got 0");
  CHECK(message([](auto& j) { j["threads"] = 5; }) ==
        "x.json#/threads: expected a whole number in 1..4, got 5");
  CHECK(message([](auto& j) { j["precision"] = "f16"; }) ==
        "x.json#/precision: expected \"f32\", got \"f16\"");
  CHECK(message([](auto& j) { j["published"]["runtimes"] = {"ncnn"}; }) ==
        "x.json#/published: no published latency of a network of the zoo is of this device, "
        "runtime, threads and precision");
  CHECK(message([](auto& j) {
          j["latencies"] = {{{"network", "b9"},
                             {"latency_ms", 1},
                             {"runtime", "r"},
                             {"threads", "4"},
                             {"precision", "fp32"},
                             {"source", "s"}}};
        }) ==
        "x.json#/latencies/0/network: expected a network of cpubone-predict --list, got \"b9\"");
}

TEST_CASE("latencies of one's own add to the published ones", "[predictor]") {
  nlohmann::json json = file("pi5");
  json["latencies"] = {{{"network", "B0"},
                        {"latency_ms", 24.9},
                        {"runtime", "ONNX Runtime"},
                        {"threads", "4"},
                        {"precision", "fp32"},
                        {"source", "own measurement"}}};
  const DeviceDescription device = read(json);
  CHECK(device.latencies.size() == 22);
  CHECK(device.latencies.back().zoo_name == "cpubone-b0");
}
