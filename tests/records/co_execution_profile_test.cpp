#include "records/co_execution_profile.hpp"

#include <functional>
#include <nlohmann/json.hpp>

#include "graph/json_file.hpp"
#include "tests/catch.hpp"
#include "tests/temporary_folder.hpp"

using namespace cpubone;

namespace {

CoExecutionProfile shared_linear_layer() {
  const Timing timing{100, 99, 102, 0.01, {99, 100, 102}, 1, false};
  const Op op = parse_op("linear 1x1x1x64->1x1x1x32 f32");
  CoExecutionProfile profile;
  profile.cpu.device.name = "host";
  profile.cpu.device.cores = 2;
  profile.cpu.ops = {{op, "xnnpack", timing}};
  profile.coprocessor = profile.cpu;
  profile.coprocessor.device.coprocessor = "GPU";
  profile.coprocessor.ops = {{op, "co-execution", timing}};
  profile.start_ns = 8000;
  profile.shared = {{op, 16, timing}};
  return profile;
}

}  // namespace

TEST_CASE("a profile of CPU and coprocessor comes back as it was saved", "[records]") {
  const auto path = scratch_path("co-execution.json");
  save_co_execution_profile(shared_linear_layer(), path);
  CHECK(read_json_file(path)["schema"] == "cpubone/co-execution/1");
  CHECK(load_co_execution_profile(path) == shared_linear_layer());
}

TEST_CASE("a profile of CPU and coprocessor that cannot be is refused at its place", "[records]") {
  const auto path = scratch_path("co-execution.json");
  const auto refused = [&](const std::function<void(nlohmann::json&)>& change) -> std::string {
    save_co_execution_profile(shared_linear_layer(), path);
    nlohmann::json json = read_json_file(path);
    change(json);
    try {
      co_execution_profile_from_json(JsonReader(json, "p#"));
    } catch (const Error& e) {
      return e.what();
    }
    return "accepted";
  };
  const auto channels = [](int count) {
    return [count](nlohmann::json& json) { json["shared"][0]["cpu_channels"] = count; };
  };
  CHECK(refused(channels(31)) == "accepted");
  CHECK(refused(channels(32)) ==
        "p#/shared/0/cpu_channels: expected 1..31 of the layer's 32 channels, got 32");
  CHECK_THAT(refused(channels(0)), ContainsSubstring("got 0"));
  CHECK(refused([](nlohmann::json& json) {
          CoExecutionProfile other = shared_linear_layer();
          other.coprocessor.settings.threads = 2;
          json["coprocessor"] = to_json(other.coprocessor);
        }) == "p#/coprocessor: its settings are not those of the CPU's profile");
  CHECK_THAT(refused([](nlohmann::json& json) {
               json["coprocessor"] = to_json(shared_linear_layer().cpu);
             }),
             ContainsSubstring("p#/coprocessor: its device names no \"coprocessor\"; measure"));
}
