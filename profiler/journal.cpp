#include "profiler/journal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "graph/json_file.hpp"

namespace cpubone {
namespace {

constexpr double longest_ns = 1e15;
constexpr double longest_s = 1e9;
constexpr double sync_interval_s = 1;  // on an SD card it takes some 10 ms

std::vector<Sample> read_samples(const JsonReader& json, std::size_t tasks) {
  std::vector<Sample> samples;
  json.each([&](const JsonReader& item) {
    std::vector<JsonReader> parts;
    item.each([&](const JsonReader& part) { parts.push_back(part); });
    if (parts.size() != 5) item.fail("[task, ns, calibration_ns, interrupted, at_s]");
    samples.push_back({static_cast<int>(parts[0].integer(0, static_cast<std::int64_t>(tasks) - 1)),
                       parts[1].number(0, longest_ns), parts[2].number(0, longest_ns),
                       parts[3].boolean(), parts[4].number(0, longest_s)});
  });
  return samples;
}

/// Which member of the header differs.
std::string difference(const nlohmann::json& got, const nlohmann::json& expected) {
  for (const auto& [key, value] : expected.items())
    if (!got.is_object() || !got.contains(key) || got[key] != value)
      return fmt::format(
          "the journal is of a run with another \"{}\"; delete it, or start without --resume", key);
  return "the journal is of another run; delete it, or start without --resume";
}

}  // namespace

Journal::Journal(const std::filesystem::path& path, const nlohmann::json& header, bool resume)
    : path_(path) {
  if (path.empty()) return;
  const std::size_t keep = resume && std::filesystem::exists(path) ? read(header) : 0;
  file_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (file_ < 0 || ::ftruncate(file_, static_cast<off_t>(keep)) != 0 ||
      ::lseek(file_, 0, SEEK_END) < 0)
    fail();
  if (keep == 0) append(header);
  sync();
}

Journal::~Journal() {
  if (file_ >= 0) ::close(file_);
}

void Journal::append(std::span<const Sample> samples, double seconds) {
  if (file_ < 0) return;
  nlohmann::json list = nlohmann::json::array();
  for (const Sample& sample : samples)
    list.push_back(
        {sample.task, sample.ns, sample.calibration_ns, sample.interrupted, sample.at_s});
  append(nlohmann::json{{"seconds", known_s_ + seconds}, {"samples", std::move(list)}});
  if (seconds - synced_s_ < sync_interval_s) return;
  synced_s_ = seconds;
  sync();
}

void Journal::fail() const {
  throw Error(
      fmt::format("{}: cannot write the journal: {}", path_.string(), std::strerror(errno)));
}

void Journal::append(const nlohmann::json& line) {
  const std::string text = line.dump() + "\n";
  for (std::string_view rest = text; !rest.empty();) {
    const ssize_t written = ::write(file_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail();
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

void Journal::sync() {
  if (::fsync(file_) != 0 && errno != EINVAL) fail();  // pipes and devices need none
}

/// Returns the length of the whole lines.
std::size_t Journal::read(const nlohmann::json& header) {
  std::ifstream stream(path_, std::ios::binary);
  if (!stream) throw Error(fmt::format("{}: cannot read the journal", path_.string()));
  std::size_t length = 0;
  int number = 0;
  for (std::string line; std::getline(stream, line) && !stream.eof();) {
    const std::string where = fmt::format("{}:{}", path_.string(), ++number);
    const nlohmann::json json = parse_json(line, where);
    if (number == 1) {
      if (json != header) throw Error(fmt::format("{}: {}", where, difference(json, header)));
    } else {
      const JsonReader reader(json, where + "#");
      reader.expect_keys({"seconds", "samples"});
      known_s_ = reader.at("seconds").number(0, longest_s);
      const auto samples = read_samples(reader.at("samples"), header.at("tasks").size());
      known_.insert(known_.end(), samples.begin(), samples.end());
    }
    length += line.size() + 1;
  }
  return length;
}

}  // namespace cpubone
