#include "graph/json_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <random>
#include <set>
#include <sstream>
#include <utility>

namespace cpubone {
namespace {

constexpr std::size_t max_depth = 64;

[[noreturn]] void fail_system(const std::filesystem::path& path, std::string_view what) {
  throw Error(fmt::format("{}: {}: {}", path.string(), what, std::strerror(errno)));
}

void write_all(int file, std::string_view text, const std::filesystem::path& path) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_system(path, "cannot write");
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

/// Closes and removes the temporary file unless it was renamed.
struct TemporaryFile {
  std::string path;
  int file = -1;
  explicit TemporaryFile(int open_file = -1) : file(open_file) {}
  TemporaryFile(TemporaryFile&& other) noexcept
      : path(std::exchange(other.path, {})), file(std::exchange(other.file, -1)) {}
  TemporaryFile& operator=(TemporaryFile&&) = delete;
  ~TemporaryFile() {
    if (file >= 0) ::close(file);
    if (!path.empty()) ::unlink(path.c_str());
  }
};

/// A new file beside `path`, of the mode that the process's umask leaves it. (`mkstemp` makes
/// private ones, and the umask can only be asked for by setting it, which other threads would
/// notice.)
TemporaryFile make_beside(const std::filesystem::path& path) {
  std::random_device random;
  TemporaryFile temporary;
  for (int attempt = 0; temporary.file < 0 && attempt < 100; ++attempt) {
    temporary.path = fmt::format("{}.{:06x}", path.string(), random() & 0xFFFFFFU);
    temporary.file = ::open(temporary.path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (temporary.file < 0 && errno != EEXIST) break;
  }
  if (temporary.file < 0) {
    temporary.path.clear();
    fail_system(path, "cannot write");
  }
  return temporary;
}

/// Goes through a text before it becomes values: a parser that calls back meanwhile goes through
/// all elements of an array for each of them.
class Checker : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Checker(std::string_view source) : source_(source) {}

  bool start_object(std::size_t) override { return open(); }
  bool start_array(std::size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(std::string& name) override {
    if (!keys_.back().insert(name).second)
      throw Error(fmt::format("{}: the key \"{}\" is given twice in one object", source_, name));
    return true;
  }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(std::int64_t) override { return true; }
  bool number_unsigned(std::uint64_t) override { return true; }
  bool number_float(double, const std::string&) override { return true; }
  bool string(std::string&) override { return true; }
  bool binary(nlohmann::json::binary_t&) override { return true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override {
    return false;  // parsing says it again
  }

 private:
  bool open() {
    keys_.emplace_back();
    if (keys_.size() > max_depth)
      throw Error(fmt::format("{}: nested deeper than {} levels", source_, max_depth));
    return true;
  }
  bool close() {
    keys_.pop_back();
    return true;
  }

  std::string_view source_;
  std::vector<std::set<std::string>> keys_;  ///< of every object and array that is open
};

}  // namespace

nlohmann::json parse_json(std::string_view text, std::string_view source) {
  Checker checker(source);
  nlohmann::json::sax_parse(text, &checker);
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& e) {
    throw Error(fmt::format("{}: not valid JSON: {}", source, e.what()));
  }
}

nlohmann::json read_json_file(const std::filesystem::path& path) {
  std::error_code code;
  if (std::filesystem::is_directory(path, code))
    throw Error(
        fmt::format("{}: cannot read: it is a directory, expected a JSON file", path.string()));
  return parse_json(read_text_file(path), path.string());
}

std::string read_text_file(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) fail_system(path, "cannot read");
  std::ostringstream text;
  text << stream.rdbuf();
  if (stream.bad()) fail_system(path, "cannot read");
  return std::move(text).str();
}

void write_text_file(std::string_view text, const std::filesystem::path& path) {
  // Devices and pipes (/dev/stdout) cannot be renamed onto.
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (file < 0) fail_system(path, "cannot write");
    const TemporaryFile guard(file);
    write_all(file, text, path);
    return;
  }
  TemporaryFile temporary = make_beside(path);
  write_all(temporary.file, text, path);
  if (::fsync(temporary.file) != 0) fail_system(path, "cannot write");
  if (::rename(temporary.path.c_str(), path.c_str()) != 0) fail_system(path, "cannot write");
  temporary.path.clear();
}

void write_json_file(const nlohmann::json& json, const std::filesystem::path& path, int indent) {
  write_text_file(json.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace) + "\n",
                  path);
}

void JsonReader::fail(std::string_view expected) const {
  std::string got = value_->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (got.size() > 60) got = got.substr(0, 57) + "...";
  throw Error(fmt::format("{}: expected {}, got {}", where_, expected, got));
}

void JsonReader::fail_because(std::string_view reason) const {
  throw Error(fmt::format("{}: {}", where_, reason));
}

void JsonReader::expect_keys(std::span<const std::string_view> known) const {
  if (!value_->is_object()) fail("an object");
  for (const auto& [key, unused] : value_->items()) {
    bool found = false;
    for (const std::string_view k : known) found = found || key == k;
    if (!found)
      fail_because(
          fmt::format("unknown key \"{}\", expected one of {}", key, fmt::join(known, ", ")));
  }
}

void JsonReader::expect_schema(std::string_view kind, int version) const {
  if (!value_->is_object()) fail("an object");
  const std::string expected = fmt::format("cpubone/{}/{}", kind, version);
  const auto schema = value_->find("schema");
  if (schema == value_->end())
    fail_because(fmt::format("missing key \"schema\", expected \"{}\"", expected));
  if (*schema != expected) at("schema").fail(fmt::format("\"{}\"", expected));
}

bool JsonReader::has(std::string_view key) const {
  return value_->is_object() && value_->find(key) != value_->end();
}

JsonReader JsonReader::at(std::string_view key) const {
  if (!value_->is_object()) fail("an object");
  const auto member = value_->find(key);
  if (member == value_->end()) fail_because(fmt::format("missing key \"{}\"", key));
  return {*member, fmt::format("{}/{}", where_, key)};
}

void JsonReader::each(const std::function<void(const JsonReader&)>& visit) const {
  if (!value_->is_array()) fail("an array");
  for (std::size_t i = 0; i < value_->size(); ++i)
    visit(JsonReader((*value_)[i], fmt::format("{}/{}", where_, i)));
}

std::size_t JsonReader::size() const {
  if (!value_->is_array()) fail("an array");
  return value_->size();
}

std::string JsonReader::string() const {
  if (!value_->is_string()) fail("a string");
  return value_->get<std::string>();
}

bool JsonReader::boolean() const {
  if (!value_->is_boolean()) fail("true or false");
  return value_->get<bool>();
}

std::int64_t JsonReader::integer(std::int64_t low, std::int64_t high) const {
  const std::string expected = fmt::format("a whole number in {}..{}", low, high);
  if (!value_->is_number_integer()) fail(expected);
  if (value_->is_number_unsigned() &&
      value_->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))
    fail(expected);
  const auto value = value_->get<std::int64_t>();
  if (value < low || value > high) fail(expected);
  return value;
}

double JsonReader::number() const {
  if (!value_->is_number()) fail("a number");
  const auto value = value_->get<double>();
  if (!std::isfinite(value)) fail("a finite number");
  return value;
}

double JsonReader::number(double low, double high) const {
  if (!value_->is_number()) fail(fmt::format("a number in {}..{}", low, high));
  const auto value = value_->get<double>();
  if (!(value >= low && value <= high)) fail(fmt::format("a number in {}..{}", low, high));
  return value;
}

double JsonReader::number_or_null() const {
  return value_->is_null() ? std::nan("") : number();
}

}  // namespace cpubone
