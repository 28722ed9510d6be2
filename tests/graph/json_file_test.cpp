#include "graph/json_file.hpp"

#include <dlfcn.h>
#include <sys/stat.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "tests/catch.hpp"
#include "tests/temporary_folder.hpp"

using namespace cpubone;
namespace fs = std::filesystem;

namespace {
int umask_calls = 0;
}

TEST_CASE("a JSON file is replaced whole and nothing is left beside it", "[space]") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "a.json";
  write_json_file({{"x", 1}}, path);
  write_json_file({{"x", 2}}, path);
  CHECK(read_json_file(path) == nlohmann::json{{"x", 2}});
  CHECK(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator{}) == 1);
}

/// The C library's, counted: a library that sets it does so for all threads.
extern "C" mode_t umask(mode_t mask) {
  ++umask_calls;
  static const auto of_library = reinterpret_cast<mode_t (*)(mode_t)>(::dlsym(RTLD_NEXT, "umask"));
  return of_library(mask);
}

TEST_CASE("a written file has the mode of any new one, and the umask stays", "[json]") {
  const TemporaryFolder folder;
  const mode_t before = ::umask(027);
  umask_calls = 0;
  write_text_file("x", folder / "a.txt");
  CHECK(umask_calls == 0);
  ::umask(before);
  CHECK(fs::status(folder / "a.txt").permissions() == fs::perms{0640});
}

TEST_CASE("non-finite numbers are written as null", "[space]") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "a.json";
  write_json_file({std::nan(""), std::numeric_limits<double>::infinity()}, path);
  CHECK(read_json_file(path).dump() == "[null,null]");
}

TEST_CASE("a file that cannot be written names its path and leaves the old one", "[space]") {
  CHECK_THROWS_WITH(write_json_file({}, "/nonexistent/folder/a.json"),
                    ContainsSubstring("/nonexistent/folder/a.json: cannot write: No such file"));
  CHECK_THROWS_WITH(write_json_file({1, 2, 3}, "/dev/full"),
                    ContainsSubstring("/dev/full: cannot write: No space left on device"));
}

TEST_CASE("a file that is not JSON names its path and the place", "[space]") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "a.json";
  std::ofstream(path) << "{\"x\": [1, 2";
  CHECK_THROWS_WITH(read_json_file(path), ContainsSubstring("a.json: not valid JSON"));
  std::ofstream(path) << std::string(100000, '[');
  CHECK_THROWS_WITH(read_json_file(path), ContainsSubstring("nested deeper than 64"));
  std::ofstream(path) << "{\"a\": {\"x\": 1}, \"b\": [{\"x\": 1}, {\"x\": 1, \"y\": 2, \"x\": 3}]}";
  CHECK_THROWS_WITH(read_json_file(path),
                    ContainsSubstring("a.json: the key \"x\" is given twice in one object"));
  CHECK(parse_json("{\"a\": {\"x\": 1}, \"x\": [{\"x\": 1}, {\"x\": 1}]}", "text").size() == 2);
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  CHECK_NOTHROW(parse_json(nested(64), "text"));
  CHECK_THROWS_WITH(parse_json(nested(65), "text"), "text: nested deeper than 64 levels");
  CHECK_THROWS_WITH(read_json_file(folder.path()), ContainsSubstring("it is a directory"));
  CHECK_THROWS_WITH(read_json_file(folder.path() / "none"), ContainsSubstring("No such file"));
}

TEST_CASE("readers name pointer, expected and got", "[space]") {
  const nlohmann::json json = {{"a", {1, "x"}}, {"b", -1}, {"c", 18446744073709551615ULL}};
  const JsonReader reader(json, "f.json#");
  CHECK_THROWS_WITH(reader.at("z"), ContainsSubstring("f.json#: missing key \"z\""));
  CHECK_THROWS_WITH(reader.at("a").number(), ContainsSubstring("f.json#/a: expected a number"));
  CHECK_THROWS_WITH(reader.at("b").integer(0, 9),
                    ContainsSubstring("f.json#/b: expected a whole number in 0..9, got -1"));
  CHECK_THROWS_WITH(reader.at("c").integer(0, 9), ContainsSubstring("whole number"));
  CHECK_THROWS_WITH(reader.at("b").each([](const JsonReader&) {}), ContainsSubstring("an array"));
  CHECK_THROWS_WITH(reader.expect_keys({"a", "b"}),
                    ContainsSubstring("unknown key \"c\", expected one of a, b"));
}
