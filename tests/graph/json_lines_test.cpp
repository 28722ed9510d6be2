#include "graph/json_lines.hpp"

#include <filesystem>
#include <fstream>

#include "graph/error.hpp"
#include "tests/catch.hpp"
#include "tests/temporary_folder.hpp"

using namespace cpubone;

namespace {

std::filesystem::path file(const char* name) {
  const auto path = scratch_path(std::string("cpubone-lines-") + name);
  std::filesystem::remove(path);
  return path;
}

}  // namespace

TEST_CASE("lines are there when a file is opened again", "[graph]") {
  const auto path = file("again");
  {
    JsonLines lines(path);
    CHECK(lines.lines().empty());
    lines.append({{"a", 1}});
    lines.append({{"b", 2}});
  }
  JsonLines lines(path);
  REQUIRE(lines.lines().size() == 2);
  CHECK(lines.lines()[1]["b"] == 2);
  lines.clear();
  lines.append({{"c", 3}});
  CHECK(JsonLines(path).lines() == std::vector<nlohmann::json>{{{"c", 3}}});
  std::filesystem::remove(path);
}

TEST_CASE("a torn end is cut off, and lines go on behind the whole ones", "[graph]") {
  const auto path = file("torn");
  std::ofstream(path) << "{\"a\":1}\n{\"b\":";
  {
    JsonLines lines(path);
    CHECK(lines.lines().size() == 1);
    lines.append({{"c", 3}});
  }
  const JsonLines lines(path);
  REQUIRE(lines.lines().size() == 2);
  CHECK(lines.lines()[1]["c"] == 3);
  std::filesystem::remove(path);
}

TEST_CASE("a line that is no JSON is named, and so is a file that cannot be opened", "[graph]") {
  const auto path = file("wrong");
  std::ofstream(path) << "{\"a\":1}\nnonsense\n";
  CHECK_THROWS_WITH(JsonLines(path), ContainsSubstring("cpubone-lines-wrong:2: not valid JSON"));
  CHECK_THROWS_WITH(JsonLines("/none/lines"),
                    "/none/lines: cannot open: No such file or directory");
  std::filesystem::remove(path);
}
