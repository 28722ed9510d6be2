#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "graph/network.hpp"
#include "profiler/sampler.hpp"
#include "records/profile.hpp"

/// What this machine and an agent on another one say to each other, in lines of JSON. Both sides
/// check what they get.
namespace cpubone {

/// What is measured there: these operators, these networks, or where both are empty what
/// `measure_host_profile` does.
struct RemoteJob {
  std::vector<Op> ops;
  std::vector<Network> networks;
};

/// Lines of journals by what is appended to the journal's name (`journal_parts`).
using JournalLines = std::map<std::string, std::vector<std::string>>;

/// The only line that an agent is sent.
struct AgentRequest {
  RemoteJob job;
  MeasureSettings settings;
  double budget_s = 60;
  std::uint64_t seed = 1;
  JournalLines journals;  ///< what earlier runs have measured
};

/// A journal there has got one more line.
struct JournalLine {
  std::string part;  ///< one of `journal_parts`
  std::size_t index = 0;
  std::string line;  ///< without line breaks
  bool operator==(const JournalLine&) const = default;
};

/// The run has failed.
struct AgentFailure {
  std::string what;
};

/// A line of an agent.
using AgentMessage = std::variant<JournalLine, SampleProgress, AgentFailure, Profile>;

/// With its line break.
std::string to_line(const AgentRequest& request);
std::string to_line(const AgentMessage& message);

/// Throw cpubone::Error with `source` and JSON pointer where the line is not one of this protocol.
AgentRequest parse_request(std::string_view line, const std::string& source);
AgentMessage parse_message(std::string_view line, const std::string& source);

}  // namespace cpubone
