#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "records/result.hpp"

namespace cpubone {

/// A column of a table; numbers stand on the right.
struct Column {
  std::string title;
  bool is_number = false;
};

/// A table of texts that are not escaped yet.
struct Table {
  std::string caption;
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;  ///< one cell a column
};

/// Three significant digits without exponent: `0.123`, `1.23`, `12.3`, `123`, `1234`.
std::string short_number(double value);
/// Millions with one decimal: `10.3 M`.
std::string millions(std::int64_t value);
/// `10.2 (10.1–10.3)`, or `10 (6–15)` where it is known no better: three significant digits at
/// most, and no more than tell the interval's ends from its value. The value alone where it is
/// empty.
std::string with_interval(const Interval& interval);
/// A fraction as percent with one decimal: `0.021` is `2.1 %`.
std::string percent_text(double fraction);
/// A probability in whole percent, as an estimate's is told: `95 %`, but `below 1 %` and `over 99
/// %`, where the page's slider says so too.
std::string probability_text(double probability);

/// `&`, `<`, `>` and quotes as HTML entities.
std::string escape_html(std::string_view text);
/// One line of Markdown in which nothing of `text` is markup.
std::string escape_markdown(std::string_view text);
/// One field as RFC 4180 has it: quoted where it must be. Text that a spreadsheet would take for a
/// formula gets an apostrophe in front.
std::string escape_csv(std::string_view text);
/// Control characters as `\x1b`: what a terminal shows is then only what it says.
std::string escape_terminal(std::string_view text);

/// `<table>` with caption and header cells; `class` attributes mark numbers.
std::string to_html(const Table& table);
/// A pipe table; the caption is left to the caller.
std::string to_markdown(const Table& table);
std::string to_csv(const Table& table);

}  // namespace cpubone
