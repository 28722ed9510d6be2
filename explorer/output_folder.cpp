#include "explorer/output_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "graph/error.hpp"

namespace cpubone {

namespace fs = std::filesystem;

FolderLock::FolderLock(const fs::path& folder)
    : folder_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  // A file system without locks keeps nobody out; that is no reason not to work there.
  if (folder_ < 0 || ::flock(folder_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(folder_);
  throw Error(
      fmt::format("{}: another exploration is writing there; wait for its end, or name another "
                  "folder",
                  folder.string()));
}

FolderLock::~FolderLock() {
  if (folder_ >= 0) ::close(folder_);
}

namespace {

/// Names of proposals, and of what to train next, of the result that is there; none where it cannot
/// be read.
std::set<std::string> proposals_in(const fs::path& folder) {
  std::set<std::string> names;
  try {
    const Result result = load_result(folder / "result.json");
    for (const ResultNetwork& network : result.networks)
      if (network.origin == Origin::proposal) names.insert(network.name);
    for (const NextNetwork& network : result.next) names.insert(network.name);
  } catch (const Error&) {
    // There is none, or it is another version's: nothing is known to be one's own.
  }
  return names;
}

}  // namespace

void save_result(const Result& result, std::span<const Network> proposals, const fs::path& folder) {
  const fs::path networks = folder / "networks";
  if (fs::is_symlink(networks))
    throw Error(fmt::format("{}: is a symbolic link, expected a folder", networks.string()));
  std::set<std::string> stale = proposals_in(folder);
  if (!proposals.empty()) fs::create_directories(networks);
  for (const Network& network : proposals) {
    save_network(network, networks / (network.name + ".json"));
    stale.erase(network.name);
  }
  save_result(result, folder / "result.json");
  for (const std::string& name : stale)
    if (fs::path(name).filename() == name) fs::remove(networks / (name + ".json"));
}

}  // namespace cpubone
