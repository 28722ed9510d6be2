#include "records/fields.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace cpubone::records {
namespace {

constexpr std::int64_t largest_count = std::int64_t{1} << 53;  // exact in a JSON reader's double

std::int64_t whole(const JsonReader& json, const Range& range, std::int64_t least,
                   std::int64_t most) {
  const auto low = std::max(static_cast<double>(least), range.low);
  const auto high = std::min(static_cast<double>(most), range.high);
  return json.integer(static_cast<std::int64_t>(low), static_cast<std::int64_t>(high));
}

std::vector<std::string_view> keys_of(const std::vector<Row>& rows) {
  std::vector<std::string_view> keys;
  for (const Row& row : rows) keys.push_back(row.key);
  return keys;
}

}  // namespace

JsonReader element(const JsonReader& json, std::size_t index) {
  return {json.json()[index], fmt::format("{}/{}", json.where(), index)};
}

void expect_rows(const JsonReader& json, const std::vector<Row>& rows, std::string_view kind,
                 std::string_view schema) {
  std::vector<std::string_view> keys = keys_of(rows);
  if (!kind.empty()) keys.emplace_back("kind");
  if (!schema.empty()) keys.emplace_back("schema");
  json.expect_keys(keys);
}

void expect_length(const JsonReader& json, const std::vector<Row>& rows) {
  if (!json.json().is_array() || json.size() != rows.size())
    json.fail(fmt::format("a list of {}: {}", rows.size(), fmt::join(keys_of(rows), ", ")));
}

std::size_t read_name(const JsonReader& json, std::span<const std::string_view> names) {
  const std::string text = json.string();
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) json.fail(fmt::format("one of \"{}\"", fmt::join(names, "\", \"")));
  return static_cast<std::size_t>(found - names.begin());
}

bool is_present(const JsonReader& json, std::string_view key) {
  return json.has(key) && !json.at(key).json().is_null();
}

std::string list_type(std::string_view of) {
  return fmt::format("list of {}", of);
}

std::string describe(std::string_view name, const std::vector<Row>& rows, bool as_list) {
  std::string text = as_list
                         ? fmt::format("**{}**: `[{}]`\n\n", name, fmt::join(keys_of(rows), ", "))
                         : fmt::format("**{}**\n\n", name);
  text += "| key | value | meaning |\n|---|---|---|\n";
  for (const Row& row : rows)
    text += fmt::format("| `{}`{} | {} | {} |\n", row.key, row.required ? "" : " (optional)",
                        row.type, row.meaning);
  return text;
}

void Codec<std::string>::read(const JsonReader& json, std::string& value, const Range&) {
  value = json.string();
}
nlohmann::json Codec<std::string>::write(const std::string& value) {
  return value;
}
std::string Codec<std::string>::type() {
  return "text";
}

void Codec<bool>::read(const JsonReader& json, bool& value, const Range&) {
  value = json.boolean();
}
nlohmann::json Codec<bool>::write(const bool& value) {
  return value;
}
std::string Codec<bool>::type() {
  return "true or false";
}

void Codec<int>::read(const JsonReader& json, int& value, const Range& range) {
  value = static_cast<int>(
      whole(json, range, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()));
}
nlohmann::json Codec<int>::write(const int& value) {
  return value;
}
std::string Codec<int>::type() {
  return "whole number";
}

void Codec<std::int64_t>::read(const JsonReader& json, std::int64_t& value, const Range& range) {
  value = range == any_number ? json.integer(std::numeric_limits<std::int64_t>::min(),
                                             std::numeric_limits<std::int64_t>::max())
                              : whole(json, range, -largest_count, largest_count);
}
nlohmann::json Codec<std::int64_t>::write(const std::int64_t& value) {
  return value;
}
std::string Codec<std::int64_t>::type() {
  return "whole number";
}

void Codec<double>::read(const JsonReader& json, double& value, const Range& range) {
  value = std::isfinite(range.high) ? json.number(range.low, range.high) : json.number();
  if (range.without_low && value <= range.low) json.fail("a positive number");
  if (value < range.low) json.fail("a number that is not negative");
}
nlohmann::json Codec<double>::write(const double& value) {
  return value;
}
std::string Codec<double>::type() {
  return "number";
}

void Codec<nlohmann::json>::read(const JsonReader& json, nlohmann::json& value, const Range&) {
  if (json.json().is_structured()) json.fail("text, a number, true, false or null");
  value = json.json();
}
nlohmann::json Codec<nlohmann::json>::write(const nlohmann::json& value) {
  return value;
}
std::string Codec<nlohmann::json>::type() {
  return "text, number, true, false or null";
}

}  // namespace cpubone::records
