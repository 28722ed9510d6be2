#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "graph/json_lines.hpp"
#include "graph/network.hpp"
#include "records/profile.hpp"

namespace cpubone {

/// What an exploration has measured so far (docs/file-formats.md), so that the same exploration,
/// started again after it was killed, measures nothing twice. It makes the same choices again, and
/// finds what it then asks for.
class ExplorationJournal {
 public:
  /// A measurement that is known, and the seconds that it took.
  template <typename Record>
  struct Known {
    std::vector<Record> records;
    double seconds = 0;
  };

  /// Goes on with the journal at `path`; one of another machine, settings or version is emptied, as
  /// is any where `afresh`. An empty path: nothing is kept.
  ExplorationJournal(const std::filesystem::path& path, const std::string& fingerprint,
                     bool afresh = false);

  /// Measurements that are known.
  std::size_t size() const { return entries_.size(); }
  /// What measuring these networks together, or these operators, gave; each entry is found once.
  std::optional<Known<NetworkRecord>> find(std::span<const Network> networks);
  std::optional<Known<OpRecord>> find(std::span<const Op> ops);
  void add(std::span<const Network> networks, std::span<const NetworkRecord> records,
           double seconds);
  void add(std::span<const Op> ops, std::span<const OpRecord> records, double seconds);
  /// The exploration is complete and saved.
  void remove();

 private:
  const nlohmann::json* find(const std::string& kind, const std::string& key);

  std::unique_ptr<JsonLines> file_;      ///< null: nothing is kept
  std::vector<nlohmann::json> entries_;  ///< known before
  std::set<std::size_t> used_;
};

}  // namespace cpubone
