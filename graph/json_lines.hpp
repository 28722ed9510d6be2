#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

namespace cpubone {

/// A file that grows by lines of JSON. Whatever ends the process, or the machine, leaves whole
/// lines and at most one torn end, which the next who opens it cuts off.
class JsonLines {
 public:
  /// Opens the file, or creates it. Throws cpubone::Error where it cannot be read or written, or
  /// naming the line that is no JSON.
  explicit JsonLines(std::filesystem::path path);
  ~JsonLines();
  JsonLines(const JsonLines&) = delete;
  JsonLines& operator=(const JsonLines&) = delete;

  /// Lines that were there when it was opened.
  const std::vector<nlohmann::json>& lines() const { return lines_; }
  const std::filesystem::path& path() const { return path_; }
  /// Removes all lines.
  void clear();
  /// Adds a line; it is on the disk when this returns.
  void append(const nlohmann::json& line);

 private:
  [[noreturn]] void fail(const char* what) const;
  void cut(std::size_t bytes);

  std::filesystem::path path_;
  int file_ = -1;
  std::vector<nlohmann::json> lines_;
};

}  // namespace cpubone
