#include "explorer/exploration_journal.hpp"

#include <fmt/format.h>

#include "graph/json_file.hpp"

namespace cpubone {
namespace {

/// Names the networks that are measured together; what they are called does not matter.
std::string key_of(std::span<const Network> networks) {
  std::string all;
  for (const Network& network : networks) {
    nlohmann::json json = to_json(network);
    json.erase("name");
    json.erase("family");
    all += json.dump() + "\n";
  }
  return hash_text(all);
}

std::string key_of(std::span<const Op> ops) {
  std::string all;
  for (const Op& op : ops) all += text(op) + "\n";
  return hash_text(all);
}

template <typename Record>
nlohmann::json entry(const char* kind, const std::string& key, std::span<const Record> records,
                     double seconds) {
  nlohmann::json list = nlohmann::json::array();
  for (const Record& record : records) list.push_back(to_json(record));
  return {{"kind", kind}, {"key", key}, {"seconds", seconds}, {"records", std::move(list)}};
}

template <typename Record, typename Read>
ExplorationJournal::Known<Record> known(const nlohmann::json& entry, const std::string& where,
                                        Read read) {
  ExplorationJournal::Known<Record> result;
  const JsonReader reader(entry, where);
  result.seconds = reader.at("seconds").number(0, 1e9);
  reader.at("records").each([&](const JsonReader& r) { result.records.push_back(read(r)); });
  return result;
}

}  // namespace

ExplorationJournal::ExplorationJournal(const std::filesystem::path& path,
                                       const std::string& fingerprint, bool afresh) {
  if (path.empty()) return;
  file_ = std::make_unique<JsonLines>(path);
  const nlohmann::json header = {{"schema", "cpubone/exploration-journal/1"},
                                 {"fingerprint", fingerprint},
                                 {"tool_version", version()}};
  const auto& lines = file_->lines();
  if (!afresh && !lines.empty() && lines[0] == header) {
    entries_.assign(lines.begin() + 1, lines.end());
  } else {
    file_->clear();
    file_->append(header);
  }
}

const nlohmann::json* ExplorationJournal::find(const std::string& kind, const std::string& key) {
  for (std::size_t i = 0; i < entries_.size(); ++i)
    if (entries_[i].value("kind", "") == kind && entries_[i].value("key", "") == key &&
        used_.insert(i).second)
      return &entries_[i];
  return nullptr;
}

std::optional<ExplorationJournal::Known<NetworkRecord>> ExplorationJournal::find(
    std::span<const Network> networks) {
  const nlohmann::json* found = find("networks", key_of(networks));
  if (!found) return std::nullopt;
  auto result =
      known<NetworkRecord>(*found, file_->path().string() + "#", network_record_from_json);
  if (result.records.size() != networks.size()) return std::nullopt;
  return result;
}

std::optional<ExplorationJournal::Known<OpRecord>> ExplorationJournal::find(
    std::span<const Op> ops) {
  const nlohmann::json* found = find("ops", key_of(ops));
  if (!found) return std::nullopt;
  return known<OpRecord>(*found, file_->path().string() + "#", op_record_from_json);
}

void ExplorationJournal::add(std::span<const Network> networks,
                             std::span<const NetworkRecord> records, double seconds) {
  if (file_) file_->append(entry("networks", key_of(networks), records, seconds));
}

void ExplorationJournal::add(std::span<const Op> ops, std::span<const OpRecord> records,
                             double seconds) {
  if (file_) file_->append(entry("ops", key_of(ops), records, seconds));
}

void ExplorationJournal::remove() {
  if (!file_) return;
  std::filesystem::remove(file_->path());
  file_.reset();
}

}  // namespace cpubone
