#include "reports/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace cpubone {
namespace {

constexpr std::size_t longest_line = 40;  // bytes of a cell that is not wrapped

bool is_number(std::string_view text) {
  if (text[0] == '+') text.remove_prefix(1);
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc{} && end == text.data() + text.size();
}

}  // namespace

std::string short_number(double value) {
  if (!std::isfinite(value)) return "–";
  const double size = std::abs(value);
  // The limits are where rounding to three digits reaches the next power of ten.
  if (size == 0) return "0";
  if (size >= 99.95) return fmt::format("{:.0f}", value);
  if (size >= 9.995) return fmt::format("{:.1f}", value);
  if (size >= 0.9995) return fmt::format("{:.2f}", value);
  if (size >= 0.001) return fmt::format("{:.3f}", value);
  return fmt::format("{:.1e}", value);
}

std::string millions(std::int64_t value) {
  return fmt::format("{:.1f} M", static_cast<double>(value) / 1e6);
}

std::string with_interval(const Interval& interval) {
  const auto [value, low, high] = interval;
  if (low == high) return short_number(value);
  // Two digits of how far the value may be off, or of the value where that is more.
  const double off = std::min(std::max(value - low, high - value), std::abs(value));
  const int decimals = std::isfinite(off) ? 1 - static_cast<int>(std::floor(std::log10(off))) : 9;
  const auto text = [&](double number) {
    const std::string short_text = short_number(number);
    const std::string known = fmt::format("{:.{}f}", number, std::clamp(decimals, 0, 9));
    return known.size() < short_text.size() ? known : short_text;
  };
  return fmt::format("{} ({}–{})", text(value), text(low), text(high));
}

std::string percent_text(double fraction) {
  return fmt::format("{:.1f} %", fraction * 100);
}

std::string probability_text(double probability) {
  if (probability < 0.01) return "below 1 %";
  return probability > 0.99 ? "over 99 %" : fmt::format("{:.0f} %", probability * 100);
}

std::string escape_html(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string escape_markdown(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    if (c == '<') {
      escaped += "&lt;";  // a backslash does not keep every reader from seeing a tag
    } else if (c == '&') {
      escaped += "&amp;";
    } else if (c == '\n' || c == '\r') {
      escaped += ' ';
    } else {
      if (std::string_view("\\`*_[]|#>~!").find(c) != std::string_view::npos) escaped += '\\';
      escaped += c;
    }
  }
  return escaped;
}

std::string escape_csv(std::string_view text) {
  const bool is_formula = !text.empty() &&
                          std::string_view("=+-@\t\r").find(text[0]) != std::string_view::npos &&
                          !is_number(text);
  std::string quoted = is_formula ? "'" : "";
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return quoted + std::string(text);
  quoted.insert(0, 1, '"');
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  quoted += '"';
  return quoted;
}

std::string escape_terminal(std::string_view text) {
  std::string escaped;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    if (c < 0x20 || c == 0x7f) {
      escaped += fmt::format("\\x{:02x}", c);
    } else if (c == 0xc2 && next >= 0x80 && next < 0xa0) {  // U+0080 to U+009F
      escaped += fmt::format("\\x{:02x}", next);
      ++i;
    } else {
      escaped += text[i];
    }
  }
  return escaped;
}

// Without the end tags that HTML leaves to parsers: a tenth of what a table takes, and a report has
// thousands of cells.
std::string to_html(const Table& table) {
  std::string html = "<div class=\"table\" tabindex=\"0\" role=\"region\" aria-label=\"";
  html += escape_html(table.caption) + "\"><table><caption>" + escape_html(table.caption) +
          "</caption><thead><tr>";
  for (const Column& column : table.columns) {
    html += column.is_number ? "<th scope=\"col\" class=\"n\">" : "<th scope=\"col\">";
    html += escape_html(column.title);
  }
  html += "</thead><tbody>";
  for (const auto& row : table.rows) {
    html += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string_view tag = i == 0 ? "th scope=\"row\"" : "td";
      std::string_view kind;
      if (row[i].size() > longest_line)
        kind = " class=\"w\"";
      else if (table.columns[i].is_number)
        kind = " class=\"n\"";
      html += fmt::format("<{}{}>{}", tag, kind, escape_html(row[i]));
    }
  }
  return html + "</table></div>\n";
}

std::string to_markdown(const Table& table) {
  std::string markdown = "|";
  for (const Column& column : table.columns)
    markdown += fmt::format(" {} |", escape_markdown(column.title));
  markdown += "\n|";
  for (const Column& column : table.columns) markdown += column.is_number ? "---:|" : "---|";
  markdown += "\n";
  for (const auto& row : table.rows) {
    markdown += "|";
    for (const std::string& cell : row) markdown += fmt::format(" {} |", escape_markdown(cell));
    markdown += "\n";
  }
  return markdown;
}

std::string to_csv(const Table& table) {
  std::string csv;
  for (std::size_t i = 0; i < table.columns.size(); ++i)
    csv.append(i > 0 ? "," : "").append(escape_csv(table.columns[i].title));
  csv += "\n";
  for (const auto& row : table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i)
      csv.append(i > 0 ? "," : "").append(escape_csv(row[i]));
    csv += "\n";
  }
  return csv;
}

}  // namespace cpubone
