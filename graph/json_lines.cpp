#include "graph/json_lines.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "graph/json_file.hpp"

namespace cpubone {

JsonLines::JsonLines(std::filesystem::path path) : path_(std::move(path)) {
  file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file_ < 0) fail("open");
  try {
    std::ifstream stream(path_, std::ios::binary);
    if (!stream) fail("read");
    std::size_t whole = 0;
    for (std::string line; std::getline(stream, line) && !stream.eof();) {
      lines_.push_back(parse_json(line, fmt::format("{}:{}", path_.string(), lines_.size() + 1)));
      whole += line.size() + 1;
    }
    cut(whole);
  } catch (...) {
    ::close(file_);
    throw;
  }
}

JsonLines::~JsonLines() {
  ::close(file_);
}

void JsonLines::clear() {
  lines_.clear();
  cut(0);
}

void JsonLines::append(const nlohmann::json& line) {
  const std::string text = line.dump() + "\n";
  for (std::string_view rest = text; !rest.empty();) {
    const ssize_t written = ::write(file_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write");
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(file_) != 0) fail("write");
}

void JsonLines::fail(const char* what) const {
  throw Error(fmt::format("{}: cannot {}: {}", path_.string(), what, std::strerror(errno)));
}

void JsonLines::cut(std::size_t bytes) {
  if (::ftruncate(file_, static_cast<off_t>(bytes)) != 0 || ::lseek(file_, 0, SEEK_END) < 0)
    fail("write");
}

}  // namespace cpubone
