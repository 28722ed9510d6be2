#include "cli/terminal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <stdexcept>

#include "graph/error.hpp"

namespace cpubone::cli {
namespace {

using std::chrono::duration;
using std::chrono::steady_clock;

bool is_plain(int file) {
  const char* term = std::getenv("TERM");
  return ::isatty(file) == 0 || (term != nullptr && std::string_view(term) == "dumb");
}

bool no_colour() {
  const char* value = std::getenv("NO_COLOR");
  return value != nullptr && *value != '\0';
}

std::size_t terminal_columns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

bool starts_code_point(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

/// The first `columns` code points.
std::string_view shortened(std::string_view text, std::size_t columns) {
  std::size_t seen = 0;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (starts_code_point(text[i]) && ++seen > columns) return text.substr(0, i);
  return text;
}

/// Messages that cannot be written are no reason to fail.
void write_error(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

/// A line of a message. Names and texts of files are in it, which must not steer the terminal.
void print_error(std::string_view line) {
  write_error(escape_terminal(line) + "\n");
}

/// Keeps files from being opened as a standard stream that the caller closed: what is written to
/// that stream would end up in them. Writing to the stream still fails.
void hold_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(stream, F_GETFD) < 0)
      ::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

}  // namespace

Format parse_format(std::string_view text) {
  if (text == "table") return Format::table;
  if (text == "json") return Format::json;
  if (text == "csv") return Format::csv;
  throw std::invalid_argument(
      fmt::format("--format: expected table, json or csv, got \"{}\"", text));
}

std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), starts_code_point));
}

std::string aligned(const Table& table, bool colour) {
  std::vector<std::size_t> widths;
  for (const Column& column : table.columns) widths.push_back(width(column.title));
  auto rows = table.rows;
  for (auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) {
      row[i] = escape_terminal(row[i]);
      widths[i] = std::max(widths[i], width(row[i]));
    }
  std::string text;
  const auto append = [&](std::size_t i, std::string_view cell) {
    const std::string pad(widths[i] - width(cell), ' ');
    if (i > 0) text += "  ";
    if (table.columns[i].is_number) text += pad;
    text += cell;
    if (!table.columns[i].is_number && i + 1 < widths.size()) text += pad;
  };
  if (colour) text += "\x1b[2m";
  for (std::size_t i = 0; i < widths.size(); ++i) append(i, table.columns[i].title);
  if (colour) text += "\x1b[0m";
  text += '\n';
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) append(i, row[i]);
    text += '\n';
  }
  return text;
}

nlohmann::json to_json(const Table& table) {
  nlohmann::json rows = nlohmann::json::array();
  for (const auto& row : table.rows) {
    nlohmann::json object = nlohmann::json::object();
    for (std::size_t i = 0; i < row.size(); ++i) object[table.columns[i].title] = row[i];
    rows.push_back(object);
  }
  return rows;
}

std::string clock_text(double seconds) {
  const auto whole = static_cast<long>(std::ceil(std::max(0.0, seconds)));
  if (whole >= 3600)
    return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

Terminal::Terminal(bool quiet)
    : quiet_(quiet),
      colour_(!is_plain(STDOUT_FILENO) && !no_colour()),
      bars_(!quiet && !is_plain(STDERR_FILENO)) {}

void Terminal::print(std::string_view text) const {
  // A full disk or a closed pipe must not look like success.
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    throw Error(fmt::format("stdout: cannot write: {}", std::strerror(errno)));
}

void Terminal::line(std::string_view text) const {
  print(escape_terminal(text) + "\n");
}

void Terminal::print(const Table& table, Format format) const {
  if (format == Format::csv)
    print(to_csv(table));
  else if (format == Format::json)
    print(to_json(table).dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  else
    print(aligned(table, colour_));
}

void Terminal::note(std::string_view text) const {
  if (!quiet_) print_error(text);
}

void Terminal::warn(std::string_view text) const {
  print_error(fmt::format("warning: {}", text));
}

std::string progress_line(std::string_view what, double done, double total, double seconds,
                          std::string_view detail, std::size_t columns) {
  const double share = total > 0 ? std::clamp(done / total, 0.0, 1.0) : 0.0;
  constexpr std::size_t cells = 24;
  const auto filled = static_cast<std::size_t>(std::lround(share * cells));
  std::string bar;
  for (std::size_t i = 0; i < cells; ++i) bar += i < filled ? "█" : "░";
  std::string line = fmt::format("{} {} {:3.0f} %", what, bar, share * 100);
  // Before a hundredth is done, what remains is a guess.
  if (share > 0.01 && share < 1)
    line += fmt::format("  {} left", clock_text(seconds / share * (1 - share)));
  if (!detail.empty()) line += fmt::format("  {}", detail);
  return std::string(shortened(escape_terminal(line), columns));
}

Progress::Progress(const Terminal& terminal, std::string what)
    : terminal_(&terminal), what_(std::move(what)), start_(steady_clock::now()), shown_(start_) {}

Progress::~Progress() {
  if (drawn_) write_error("\r\x1b[K");
}

void Progress::update(double done, double total, std::string_view detail) {
  if (terminal_->quiet()) return;
  const auto now = steady_clock::now();
  const double since_start = duration<double>(now - start_).count();
  const double since_shown = duration<double>(now - shown_).count();
  if (terminal_->bars()) {
    if (drawn_ && since_shown < 0.1 && done < total) return;
    write_error("\r\x1b[K" +
                progress_line(what_, done, total, since_start, detail, terminal_columns() - 1));
    drawn_ = true;
  } else {
    if (since_shown < 10) return;
    print_error(fmt::format("{}: {:.0f} %, {} so far", what_, total > 0 ? done / total * 100 : 0.0,
                            clock_text(since_start)));
  }
  shown_ = now;
}

int run(std::string_view tool, const std::function<void()>& body) {
  const auto failed = [&](const std::exception& e, int code) {
    print_error(fmt::format("{}: {}", tool, e.what()));
    return code;
  };
  try {
    body();
    return 0;
  } catch (const std::invalid_argument& e) {
    return failed(e, 2);
  } catch (const std::exception& e) {
    return failed(e, 1);
  }
}

int run_tool(CLI::App& app, int argc, char** argv, const std::function<void()>& body) {
  hold_standard_streams();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    std::ostringstream out;
    std::stringstream error;
    const int code = app.exit(e, out, error);
    for (std::string line; std::getline(error, line);) print_error(line);
    return code == 0 ? run(app.get_name(), [&] { Terminal().print(out.str()); }) : 2;
  }
  return run(app.get_name(), body);
}

}  // namespace cpubone::cli
