#include "profiler/protocol.hpp"

#include <nlohmann/json.hpp>

#include "graph/error.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

AgentRequest example() {
  AgentRequest request;
  request.job.ops = {parse_op("linear 1x1x1x64->1x1x1x32 f32")};
  Network network;
  network.name = "one";
  network.inputs = {{{1, 1, 1, 64}}};
  network.nodes = {{"a", "", request.job.ops[0], {network_input}}};
  network.outputs = {0};
  request.job.networks = {network};
  request.settings.threads = 3;
  request.budget_s = 7.5;
  request.seed = 11;
  request.journals = {{".ops", {"{}", "[]"}}};
  return request;
}

std::string refused(const nlohmann::json& message) {
  try {
    parse_message(message.dump(), "pi");
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a request is understood as it was meant", "[protocol]") {
  const std::string line = to_line(example());
  CHECK(line.find('\n') == line.size() - 1);
  const AgentRequest got = parse_request(line, "job");
  CHECK(got.job.ops == example().job.ops);
  CHECK(got.job.networks == example().job.networks);
  CHECK(got.settings == example().settings);
  CHECK(got.budget_s == 7.5);
  CHECK(got.seed == 11);
  CHECK(got.journals == example().journals);
}

TEST_CASE("messages are understood as they were meant", "[protocol]") {
  const JournalLine line{".ops", 3, "{\"seconds\": 1}"};
  CHECK(std::get<JournalLine>(parse_message(to_line(line), "pi")) == line);
  const auto progress =
      std::get<SampleProgress>(parse_message(to_line(SampleProgress{0.5, 2, 3, 4}), "pi"));
  CHECK(progress.fraction == 0.5);
  CHECK(progress.remaining_s == 2);
  CHECK(progress.done == 3);
  CHECK(progress.tasks == 4);
  CHECK(std::get<AgentFailure>(parse_message(to_line(AgentFailure{"why"}), "pi")).what == "why");
  Profile profile;
  profile.device.cores = 1;
  profile.tool_version = version();
  CHECK(std::get<Profile>(parse_message(to_line(profile), "pi")) == profile);
}

TEST_CASE("a failure in no known encoding is told all the same", "[protocol]") {
  CHECK_THAT(std::get<AgentFailure>(parse_message(to_line(AgentFailure{"a\xff"}), "pi")).what,
             ContainsSubstring("a"));
}

TEST_CASE("a journal of a remote device is one of the known files", "[protocol]") {
  for (const char* part : {"/../../.profile", ".txt", "x"}) {
    CHECK(refused({{"kind", "journal"}, {"part", part}, {"index", 0}, {"line", "{}"}}) ==
          std::string("pi#/part: expected one of \"\", \".ops\", \".unsure\", \".networks\", got "
                      "\"") +
              part + "\"");
    nlohmann::json request = nlohmann::json::parse(to_line(example()));
    request["journals"] = {{part, {"{}"}}};
    CHECK_THROWS_WITH(parse_request(request.dump(), "job"),
                      ContainsSubstring("job#/journals: expected one of"));
  }
}

TEST_CASE("a journal's line is one line", "[protocol]") {
  CHECK_THAT(refused({{"kind", "journal"}, {"part", ""}, {"index", 0}, {"line", "{}\n{}"}}),
             ContainsSubstring("pi#/line: expected text without line breaks"));
}

TEST_CASE("what a remote device sends is checked", "[protocol]") {
  CHECK_THAT(refused({{"kind", "greeting"}}),
             ContainsSubstring("pi#/kind: expected \"journal\", \"progress\", \"error\" or"));
  CHECK_THAT(refused({{"kind", "journal"}, {"part", ""}, {"index", -1}, {"line", ""}}),
             ContainsSubstring("pi#/index: expected a whole number"));
  CHECK_THAT(
      refused(
          {{"kind", "progress"}, {"fraction", 2}, {"remaining_s", 0}, {"done", 0}, {"tasks", 0}}),
      ContainsSubstring("pi#/fraction: expected a number in 0..1"));
  CHECK_THAT(refused({{"kind", "profile"}, {"profile", 1}}), ContainsSubstring("pi#/profile"));
  CHECK_THROWS_WITH(parse_message("Welcome!", "pi"), ContainsSubstring("pi: not valid JSON"));
}

TEST_CASE("deeply nested JSON of a remote device is refused", "[protocol]") {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  CHECK_THROWS_WITH(parse_message(R"({"kind": "error", "what": )" + deep + "}", "pi"),
                    "pi: nested deeper than 64 levels");
}
