#include "profiler/protocol.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "graph/json_file.hpp"
#include "profiler/host_profile.hpp"

namespace cpubone {
namespace {

using nlohmann::json;

constexpr std::int64_t most_lines = 1'000'000;

/// Names of files end in it.
std::string read_part(const JsonReader& reader) {
  std::string part = reader.string();
  if (std::find(journal_parts.begin(), journal_parts.end(), part) == journal_parts.end())
    reader.fail(fmt::format("one of \"{}\"", fmt::join(journal_parts, "\", \"")));
  return part;
}

std::string read_journal_line(const JsonReader& reader) {
  std::string line = reader.string();
  if (line.find('\n') != std::string::npos) reader.fail("text without line breaks");
  return line;
}

json to_json(const JournalLine& line) {
  return {{"kind", "journal"}, {"part", line.part}, {"index", line.index}, {"line", line.line}};
}

json to_json(const SampleProgress& progress) {
  return {{"kind", "progress"},
          {"fraction", progress.fraction},
          {"remaining_s", progress.remaining_s},
          {"done", progress.done},
          {"tasks", progress.tasks}};
}

json to_json(const AgentFailure& failure) {
  return {{"kind", "error"}, {"what", failure.what}};
}

json message_json(const Profile& profile) {
  return {{"kind", "profile"}, {"profile", cpubone::to_json(profile)}};
}
template <typename Message>
json message_json(const Message& message) {
  return to_json(message);
}

JournalLine journal_line_of(const JsonReader& reader) {
  reader.expect_keys({"kind", "part", "index", "line"});
  return {read_part(reader.at("part")),
          static_cast<std::size_t>(reader.at("index").integer(0, most_lines)),
          read_journal_line(reader.at("line"))};
}

SampleProgress read_progress(const JsonReader& reader) {
  reader.expect_keys({"kind", "fraction", "remaining_s", "done", "tasks"});
  SampleProgress progress;
  progress.fraction = reader.at("fraction").number(0, 1);
  progress.remaining_s = reader.at("remaining_s").number(0, 1e9);
  progress.tasks = static_cast<int>(reader.at("tasks").integer(0, 1 << 30));
  progress.done = static_cast<int>(reader.at("done").integer(0, progress.tasks));
  return progress;
}

JournalLines read_journals(const JsonReader& reader) {
  JournalLines journals;
  if (!reader.json().is_object()) reader.fail("an object");
  for (const auto& [part, unused] : reader.json().items()) {
    std::vector<std::string>& lines = journals[read_part(JsonReader(json(part), reader.where()))];
    reader.at(part).each([&](const JsonReader& line) { lines.push_back(read_journal_line(line)); });
  }
  return journals;
}

}  // namespace

std::string to_line(const AgentRequest& request) {
  json ops = json::array();
  for (const Op& op : request.job.ops) ops.push_back(text(op));
  json networks = json::array();
  for (const Network& network : request.job.networks) networks.push_back(cpubone::to_json(network));
  const json value = {
      {"schema", "cpubone/job/1"},    {"settings", cpubone::to_json(request.settings)},
      {"budget_s", request.budget_s}, {"seed", request.seed},
      {"ops", std::move(ops)},        {"networks", std::move(networks)},
      {"journals", request.journals}};
  return value.dump() + "\n";
}

std::string to_line(const AgentMessage& message) {
  // What a system says may be in any encoding.
  return std::visit([](const auto& m) { return message_json(m); }, message)
             .dump(-1, ' ', false, json::error_handler_t::replace) +
         "\n";
}

AgentRequest parse_request(std::string_view line, const std::string& source) {
  const json value = parse_json(line, source);
  const JsonReader reader(value, source + "#");
  reader.expect_schema("job");
  reader.expect_keys({"schema", "settings", "budget_s", "seed", "ops", "networks", "journals"});
  AgentRequest request;
  request.settings = settings_from_json(reader.at("settings"));
  request.budget_s = reader.at("budget_s").number(0, 1e6);
  request.seed = static_cast<std::uint64_t>(reader.at("seed").integer(0, INT64_MAX));
  request.journals = read_journals(reader.at("journals"));
  reader.at("ops").each([&](const JsonReader& item) {
    try {
      request.job.ops.push_back(parse_op(item.string()));
    } catch (const std::invalid_argument& e) {
      item.fail_because(e.what());
    }
  });
  reader.at("networks").each([&](const JsonReader& item) {
    request.job.networks.push_back(network_from_json(item.json()));
  });
  return request;
}

AgentMessage parse_message(std::string_view line, const std::string& source) {
  const json value = parse_json(line, source);
  const JsonReader reader(value, source + "#");
  const std::string kind = reader.at("kind").string();
  if (kind == "journal") return journal_line_of(reader);
  if (kind == "progress") return read_progress(reader);
  if (kind == "error") return AgentFailure{reader.at("what").string()};
  if (kind == "profile") return profile_from_json(reader.at("profile"));
  reader.at("kind").fail("\"journal\", \"progress\", \"error\" or \"profile\"");
}

}  // namespace cpubone
