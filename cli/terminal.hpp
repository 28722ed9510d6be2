#pragma once
#include <chrono>
#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "reports/table.hpp"

namespace CLI {
class App;
}

/// What the command-line tools share: exit codes, colours, progress and output.
namespace cpubone::cli {

/// How results are printed.
enum class Format { table, json, csv };
/// Throws std::invalid_argument listing the known formats.
Format parse_format(std::string_view text);

/// Columns of a terminal that `text` takes: its code points.
std::size_t width(std::string_view text);

/// Aligned columns, two blanks between; numbers on the right, header dimmed where there is colour.
std::string aligned(const Table& table, bool colour);
/// Rows as a list of objects keyed by the columns' titles.
nlohmann::json to_json(const Table& table);

/// `1:05` or `1:02:03`, rounded up to seconds.
std::string clock_text(double seconds);

/// The two streams of a tool. Results go to stdout; warnings and progress go to stderr.
class Terminal {
 public:
  /// Colour and bars only where the stream is a terminal, TERM is not dumb and NO_COLOR is unset.
  explicit Terminal(bool quiet = false);

  /// Text on stdout, as it is. Throws cpubone::Error where it cannot be written.
  void print(std::string_view text) const;
  void print(const Table& table, Format format) const;
  /// A line of text on stdout; control characters in it do not reach the terminal.
  void line(std::string_view text) const;
  /// A line on stderr, unless quiet.
  void note(std::string_view text) const;
  /// A line on stderr that starts with `warning:`, also when quiet.
  void warn(std::string_view text) const;

  bool quiet() const { return quiet_; }
  bool colour() const { return colour_; }  ///< of stdout
  bool bars() const { return bars_; }      ///< stderr can be drawn over

 private:
  bool quiet_ = false;
  bool colour_ = false;
  bool bars_ = false;
};

/// A bar with the remaining time on a terminal; elsewhere a plain line every ten seconds.
class Progress {
 public:
  Progress(const Terminal& terminal, std::string what);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Removes the bar.
  ~Progress();
  /// `done` of `total`, with what is in work.
  void update(double done, double total, std::string_view detail = {});

 private:
  const Terminal* terminal_;
  std::string what_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point shown_;
  bool drawn_ = false;
};

/// The line of a progress bar that is no wider than `columns`.
std::string progress_line(std::string_view what, double done, double total, double seconds,
                          std::string_view detail, std::size_t columns);

/// Runs a tool and returns its exit code: 0 done; 2 where it throws std::invalid_argument (wrong
/// usage); 1 where it throws anything else. Prints `<tool>: <message>` to stderr.
int run(std::string_view tool, const std::function<void()>& body);

/// A whole tool: reads the arguments, or prints what they ask for (help, version), and runs `body`.
int run_tool(CLI::App& app, int argc, char** argv, const std::function<void()>& body);

}  // namespace cpubone::cli
