#include "profiler/archive.hpp"

#include <fmt/format.h>

#include <string>

#include "graph/error.hpp"
#include "profiler/process.hpp"
#include "tests/catch.hpp"
#include "tests/temporary_folder.hpp"

using namespace cpubone;
namespace fs = std::filesystem;

namespace {

void unpack(const std::string& archive, const fs::path& folder) {
  fs::create_directories(folder);
  const std::string script =
      fmt::format("head -c {} | tar -xf - -C '{}'", archive.size(), folder.string());
  const ProcessEnd end = converse({"sh", "-c", script},
                                  {.input = archive, .on_line = [](const auto&) { return false; }});
  INFO(end.errors);
  REQUIRE(end.status == 0);
}

}  // namespace

TEST_CASE("tar unpacks what an archive has, with its modes", "[archive]") {
  const TemporaryFolder folder;
  const std::string bytes(513, 'b');
  const std::string end(1024, '\0');
  unpack(tar_entry("a", bytes, 0755) + tar_entry("empty", "", 0644) + end, folder.path());
  CHECK(read_bytes(folder / "a") == bytes);
  CHECK(fs::file_size(folder / "empty") == 0);
  CHECK((fs::status(folder / "a").permissions() & fs::perms::owner_exec) != fs::perms::none);
  CHECK((fs::status(folder / "empty").permissions() & fs::perms::owner_exec) == fs::perms::none);
}

TEST_CASE("a name that an archive would cut is refused", "[archive]") {
  const std::string name(100, 'n');
  CHECK_THROWS_WITH(tar_entry(name, "", 0644),
                    fmt::format("{}: its name is too long for an archive", name));
}

TEST_CASE("an agent is the files of its folder", "[archive]") {
  const TemporaryFolder folder;
  write_bytes(folder / "agent/cpubone-profile", "program");
  write_bytes(folder / "agent/libx.so.1", "library");
  unpack(agent_archive(folder / "agent", "riscv64"), folder / "there");
  CHECK(read_bytes(folder / "there/cpubone-profile") == "program");
  CHECK(read_bytes(folder / "there/libx.so.1") == "library");
  CHECK_THROWS_WITH(agent_archive(folder / "there/..", "riscv64"),
                    ContainsSubstring("no agent there: expected a folder with cpubone-profile"));
}

TEST_CASE("a device of another architecture needs an agent built for it", "[archive]") {
  CHECK_THROWS_WITH(
      agent_archive("", "riscv64"),
      "its architecture is riscv64, and there is no agent for it: build one (see the preset "
      "aarch64) and name its folder with --agent");
}

TEST_CASE("an architecture is no path", "[archive]") {
  const TemporaryFolder folder;
  write_bytes(folder / "cpubone-profile", "program");
  const fs::path here = fs::read_symlink("/proc/self/exe").parent_path();
  fs::create_directories(here / "agent-");
  const fs::path path = fs::relative(folder.path(), here / "agent-");
  CHECK_THROWS_WITH(agent_archive("", fmt::format("/{}", path.string())),
                    ContainsSubstring("there is no agent for it"));
  fs::remove(here / "agent-");
}
