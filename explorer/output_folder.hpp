#pragma once
#include <filesystem>
#include <span>

#include "graph/network.hpp"
#include "records/result.hpp"

namespace cpubone {

/// Keeps others that explore out of a folder until it is destroyed, or the process ends.
class FolderLock {
 public:
  /// Throws cpubone::Error where another has the folder.
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int folder_ = -1;
};

/// Writes `result.json` and `networks/<name>.json`, which must be the result's proposals and what
/// to train next, and for each result of another device `result-<device>.json`. Files of proposals
/// and of other devices of the result that was there before, and only these, are removed. Throws
/// cpubone::Error where something cannot be written, or `networks` is a link to elsewhere.
void save_result(const Result& result, std::span<const Network> proposals,
                 const std::filesystem::path& folder, std::span<const Result> elsewhere = {});

}  // namespace cpubone
