#pragma once
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "graph/error.hpp"

namespace cpubone {

/// Parses a JSON file. Throws cpubone::Error naming the path where it cannot be read, is not JSON
/// (with the byte), is nested deeper than 64, or gives a key twice in one object.
nlohmann::json read_json_file(const std::filesystem::path& path);

/// Parses JSON text; `source` names it in errors.
nlohmann::json parse_json(std::string_view text, std::string_view source);

/// Writes atomically: temporary file beside it, fsync, rename. Non-finite numbers become null.
/// Throws cpubone::Error naming the path and the system's reason; the old file is then untouched.
void write_json_file(const nlohmann::json& json, const std::filesystem::path& path, int indent = 1);
void write_text_file(std::string_view text, const std::filesystem::path& path);
/// All bytes of a file. Throws cpubone::Error naming the path and the system's reason.
std::string read_text_file(const std::filesystem::path& path);

/// A JSON value and where it stands, for readers whose errors name path and JSON pointer:
/// `net.json#/nodes/3/op: expected a string, got 12`.
class JsonReader {
 public:
  JsonReader(const nlohmann::json& value, std::string where)
      : value_(&value), where_(std::move(where)) {}

  /// Throws unless this is an object whose keys are all among `known`.
  void expect_keys(std::initializer_list<std::string_view> known) const {
    expect_keys(std::span(known.begin(), known.size()));
  }
  void expect_keys(std::span<const std::string_view> known) const;
  /// Throws unless `schema` is `cpubone/<kind>/<version>`; says which version or kind it got.
  void expect_schema(std::string_view kind, int version = 1) const;

  bool has(std::string_view key) const;
  /// Member of an object; throws where it is missing.
  JsonReader at(std::string_view key) const;
  /// Calls `visit` with each element of an array.
  void each(const std::function<void(const JsonReader&)>& visit) const;
  std::size_t size() const;

  std::string string() const;
  bool boolean() const;
  std::int64_t integer(std::int64_t low, std::int64_t high) const;
  /// A finite number.
  double number() const;
  double number(double low, double high) const;
  /// A finite number, or NaN for null.
  double number_or_null() const;

  const nlohmann::json& json() const { return *value_; }
  const std::string& where() const { return where_; }
  [[noreturn]] void fail(std::string_view expected) const;
  [[noreturn]] void fail_because(std::string_view reason) const;

 private:
  const nlohmann::json* value_;
  std::string where_;
};

/// Reads `path` and hands it to `read`, whose errors then start with the path.
template <typename Read>
auto load(const std::filesystem::path& path, Read read) {
  const nlohmann::json json = read_json_file(path);
  return read(JsonReader(json, path.string() + "#"));
}

}  // namespace cpubone
