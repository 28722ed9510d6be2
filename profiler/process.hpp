#pragma once
#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace cpubone {

/// How a child process ended.
struct ProcessEnd {
  int status = 0;      ///< exit status, 127 where it could not be started; 128 + signal
  std::string errors;  ///< last 64 KiB of its standard error
};

/// What is said to a child process, and heard from it.
struct Conversation {
  std::string_view input;  ///< goes to its standard input, which then stays open
  /// Takes each line of its standard output, without the line break. True: no more is wanted.
  std::function<bool(const std::string&)> on_line;
  std::function<bool()> cancelled = {};
  /// What the child has to end by itself once its input was closed, because no more is wanted or
  /// the run was cancelled. Then it is sent SIGTERM and, after as long again, SIGKILL.
  std::chrono::milliseconds patience{5000};
};

/// Runs a program with its arguments in a process group of its own until it ends. What `on_line`
/// throws is passed on; the child is then killed. Throws cpubone::Error for a line of its output
/// that exceeds 64 MiB.
ProcessEnd converse(const std::vector<std::string>& command, const Conversation& conversation);

/// The last line of `text` that is not blank; empty where there is none.
std::string last_line(std::string_view text);

/// Writes all of `text`; false where it cannot, as nobody reads any more. Raises no SIGPIPE.
bool write_all(int file, std::string_view text);

}  // namespace cpubone
