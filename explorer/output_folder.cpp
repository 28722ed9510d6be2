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

std::string result_file(const std::string& device) {
  return fmt::format("result-{}.json", device);
}

/// Files that belong to the result that is there, beside itself; none where it cannot be read.
std::set<fs::path> files_in(const fs::path& folder) {
  std::set<fs::path> files;
  const auto add = [&](const fs::path& parent, const std::string& file) {
    if (fs::path(file).filename() == file) files.insert(parent / file);
  };
  try {
    const Result result = load_result(folder / "result.json");
    for (const ResultNetwork& network : result.networks)
      if (network.origin == Origin::proposal) add(folder / "networks", network.name + ".json");
    for (const NextNetwork& network : result.next) add(folder / "networks", network.name + ".json");
    for (const Finding& finding : result.findings)
      if (const auto* robust = std::get_if<RobustFinding>(&finding))
        for (const LatencyOnDevice& on : robust->devices)
          if (on.device != result.device.name) add(folder, result_file(on.device));
  } catch (const Error&) {
    // There is none, or it is another version's: nothing is known to be one's own.
  }
  return files;
}

}  // namespace

void save_result(const Result& result, std::span<const Network> proposals, const fs::path& folder,
                 std::span<const Result> elsewhere) {
  const fs::path networks = folder / "networks";
  if (fs::is_symlink(networks))
    throw Error(fmt::format("{}: is a symbolic link, expected a folder", networks.string()));
  std::set<fs::path> stale = files_in(folder);
  if (!proposals.empty()) fs::create_directories(networks);
  for (const Network& network : proposals) {
    const fs::path file = networks / (network.name + ".json");
    save_network(network, file);
    stale.erase(file);
  }
  for (const Result& other : elsewhere) {
    const fs::path file = folder / result_file(other.device.name);
    save_result(other, file);
    stale.erase(file);
  }
  save_result(result, folder / "result.json");
  for (const fs::path& file : stale) fs::remove(file);
}

}  // namespace cpubone
