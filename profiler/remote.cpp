#include "profiler/remote.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <optional>
#include <thread>

#include "graph/error.hpp"
#include "profiler/archive.hpp"
#include "profiler/host_profile.hpp"
#include "profiler/process.hpp"

namespace cpubone {
namespace {

namespace fs = std::filesystem;

constexpr int cannot_copy = 90;  // the script's own exit status

/// In a folder of its own that goes away however this ends: takes `bytes` of archive from standard
/// input, and leaves the rest of it to the agent.
std::string script(std::size_t bytes) {
  return fmt::format(
      "d=$(mktemp -d \"${{TMPDIR:-/tmp}}/cpubone.XXXXXX\") || exit {0}; "
      "trap 'cd /; rm -rf \"$d\"' EXIT; trap 'exit 91' HUP INT TERM PIPE; "
      "head -c {1} >\"$d/agent.tar\" && cd \"$d\" && tar -xf agent.tar && rm agent.tar || exit "
      "{0}; "
      "LD_LIBRARY_PATH=\"$d\" TMPDIR=\"$d\" ./cpubone-profile --version && "
      "LD_LIBRARY_PATH=\"$d\" TMPDIR=\"$d\" ./cpubone-profile --serve",
      cannot_copy, bytes);
}

/// Journal files on this side.
class LocalJournals {
 public:
  LocalJournals(fs::path path, bool resume) : path_(std::move(path)) {
    if (path_.empty()) return;
    for (const char* part : journal_parts) {
      std::vector<std::string> lines;
      if (resume) {
        std::ifstream stream(path_.string() + part);
        for (std::string line; std::getline(stream, line);)
          if (!stream.eof()) lines.push_back(line);  // a torn end has no line break
      }
      std::error_code code;
      fs::remove(path_.string() + part, code);
      for (const std::string& line : lines) add({part, lines_[part].size(), line});
    }
  }
  /// Earlier lines are known.
  void add(const JournalLine& got) {
    std::vector<std::string>& lines = lines_[got.part];
    if (got.index < lines.size()) return;
    if (got.index > lines.size())
      throw Error(fmt::format("sent line {} of a journal after line {}", got.index, lines.size()));
    lines.push_back(got.line);
    if (path_.empty()) return;
    const std::string file = path_.string() + got.part;
    std::ofstream stream(file, std::ios::app);
    stream << got.line << '\n' << std::flush;
    if (!stream) throw Error(fmt::format("{}: cannot write: {}", file, std::strerror(errno)));
  }
  const JournalLines& lines() const { return lines_; }

 private:
  fs::path path_;
  JournalLines lines_;
};

std::string reason(const ProcessEnd& end) {
  const std::string line = last_line(end.errors);
  return line.empty() ? fmt::format("exit status {}", end.status) : line;
}

/// One measurement on one device, over as many connections as it takes.
class RemoteRun {
 public:
  RemoteRun(const Transport& transport, const RemoteJob& job, const RemoteOptions& options)
      : transport_(transport),
        job_(job),
        options_(options),
        journals_(options.measure.journal, options.measure.resume) {}

  Profile run() {
    const std::string archive = agent_archive(options_.agent, architecture());
    int losses = 0;
    double wait_s = options_.retry_after_s;
    while (true) {
      progressed_ = false;
      const ProcessEnd end = connect(archive);
      if (cancelled()) throw Error("interrupted");
      if (profile_) return *profile_;
      if (end.status == cannot_copy) throw Error("cannot copy the agent: " + reason(end));
      if (end.status != connection_lost) throw Error("the agent ended: " + reason(end));
      if (progressed_) {
        losses = 0;
        wait_s = options_.retry_after_s;
      }
      if (++losses > options_.retries) throw Error("connection lost: " + reason(end));
      if (options_.on_note)
        options_.on_note(fmt::format("{}: connection lost ({}), trying again in {:g} s",
                                     transport_.name, reason(end), wait_s));
      for (double waited = 0; waited < wait_s && !cancelled(); waited += 0.1)
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      wait_s *= 2;
    }
  }

 private:
  bool cancelled() const { return options_.measure.cancelled && options_.measure.cancelled(); }

  std::vector<std::string> command(const std::string& shell_script) const {
    std::vector<std::string> all = transport_.command;
    all.push_back(shell_script);
    return all;
  }

  std::string architecture() const {
    std::string name;
    const auto on_line = [&](const std::string& line) {
      name = last_line(line);  // without a carriage return
      return true;
    };
    const ProcessEnd end =
        converse(command("uname -m"),
                 {.input = {}, .on_line = on_line, .cancelled = options_.measure.cancelled});
    if (end.status == connection_lost) throw Error("connection lost: " + reason(end));
    if (end.status != 0) throw Error(reason(end));
    return name;
  }

  ProcessEnd connect(const std::string& archive) {
    const MeasureOptions& measure = options_.measure;
    const std::string input =
        archive + to_line(AgentRequest{job_, measure.settings, measure.budget_s, measure.seed,
                                       journals_.lines()});
    bool version_seen = false;
    const auto on_line = [&](const std::string& line) {
      if (version_seen) return take(parse_message(line, "its message"));
      version_seen = true;
      if (line != version())
        throw Error(fmt::format("the agent is of version {:.40}, this is {}: build it again", line,
                                version()));
      return false;
    };
    return converse(command(script(archive.size())),
                    {.input = input, .on_line = on_line, .cancelled = measure.cancelled});
  }

  /// Whether it was the last message.
  bool take(const AgentMessage& message) {
    if (const auto* line = std::get_if<JournalLine>(&message)) {
      progressed_ = true;
      journals_.add(*line);
    } else if (const auto* progress = std::get_if<SampleProgress>(&message)) {
      if (options_.measure.on_progress) options_.measure.on_progress(*progress);
    } else if (const auto* failure = std::get_if<AgentFailure>(&message)) {
      throw Error(failure->what);
    } else {
      profile_ = std::get<Profile>(message);
    }
    return profile_.has_value();
  }

  const Transport& transport_;
  const RemoteJob& job_;
  const RemoteOptions& options_;
  LocalJournals journals_;
  std::optional<Profile> profile_;
  bool progressed_ = false;
};

}  // namespace

Profile measure_remotely(const Transport& transport, const RemoteJob& job,
                         const RemoteOptions& options) {
  try {
    return RemoteRun(transport, job, options).run();
  } catch (const Error& e) {
    throw Error(fmt::format("{}: {}", transport.name, e.what()));
  }
}

}  // namespace cpubone
