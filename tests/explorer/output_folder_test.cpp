#include "explorer/output_folder.hpp"

#include <fstream>

#include "graph/error.hpp"
#include "space/cpubone.hpp"
#include "tests/catch.hpp"
#include "tests/temporary_folder.hpp"

using namespace cpubone;
namespace fs = std::filesystem;

namespace {

fs::path folder(const char* name) {
  const fs::path path = scratch_path(std::string("cpubone-folder-") + name);
  fs::remove_all(path);
  fs::create_directories(path);
  return path;
}

/// A result with so many proposals, and their networks.
std::pair<Result, std::vector<Network>> proposing(int count) {
  Result result;
  result.created = "2026-01-31T12:00:00Z";
  result.tool_version = "0.1.0";
  std::vector<Network> networks;
  for (int i = 1; i <= count; ++i) {
    networks.push_back(build(cpubone_config("nano")));
    networks.back().name = "proposal-" + std::to_string(i);
    ResultNetwork network;
    network.name = networks.back().name;
    network.origin = Origin::proposal;
    result.networks.push_back(network);
  }
  return {result, networks};
}

void save(int proposals, const fs::path& path) {
  const auto [result, networks] = proposing(proposals);
  save_result(result, networks, path);
}

}  // namespace

TEST_CASE("a folder belongs to one exploration at a time", "[explorer]") {
  const fs::path path = folder("lock");
  {
    const FolderLock lock(path);
    CHECK_THROWS_WITH(FolderLock(path),
                      path.string() +
                          ": another exploration is writing there; wait for its end, or "
                          "name another folder");
  }
  CHECK_NOTHROW(FolderLock(path));
  fs::remove_all(path);
}

TEST_CASE("a result with fewer proposals removes the files of those that are gone, and no others",
          "[explorer]") {
  const fs::path path = folder("stale");
  save(3, path);
  std::ofstream(path / "networks" / "proposal-9.json") << "somebody else's";
  save(2, path);
  CHECK(fs::exists(path / "networks" / "proposal-2.json"));
  CHECK_FALSE(fs::exists(path / "networks" / "proposal-3.json"));
  CHECK(fs::exists(path / "networks" / "proposal-9.json"));
  fs::remove_all(path);
}

TEST_CASE("a result of one device removes those of other devices that were there", "[explorer]") {
  const fs::path path = folder("devices");
  auto [result, networks] = proposing(1);
  result.device.name = "pi5";
  Result other = result;
  other.device.name = "pixel7pro";
  result.findings.emplace_back(
      RobustFinding{"b0", 77, "proposal-1", 1, {{"pi5", 1, 1}, {"pixel7pro", 1, 1}}});
  std::ofstream(path / "result-mine.json") << "somebody else's";
  save_result(result, networks, path, std::span(&other, 1));
  CHECK(load_result(path / "result-pixel7pro.json").device.name == "pixel7pro");
  CHECK(load_result(path / "result.json") == result);
  save(1, path);
  CHECK_FALSE(fs::exists(path / "result-pixel7pro.json"));
  CHECK(fs::exists(path / "result-mine.json"));
  fs::remove_all(path);
}

TEST_CASE("a link in the place of the networks' folder is not followed", "[explorer]") {
  const fs::path path = folder("link");
  const fs::path elsewhere = folder("elsewhere");
  fs::create_directory_symlink(elsewhere, path / "networks");
  CHECK_THROWS_WITH(save(2, path),
                    ContainsSubstring("networks: is a symbolic link, expected a folder"));
  CHECK(fs::is_empty(elsewhere));
  fs::remove_all(path);
  fs::remove_all(elsewhere);
}
