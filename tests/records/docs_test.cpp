#include <fstream>
#include <sstream>

#include "records/co_execution_profile.hpp"
#include "records/device_file.hpp"
#include "records/profile.hpp"
#include "records/result.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

const std::string path = CPUBONE_SOURCE_DIR "/docs/file-formats.md";

std::string read_docs() {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// The text with what stands between `<!-- KIND -->` and `<!-- end -->` made anew.
std::string renewed(std::string text) {
  const std::pair<std::string, std::string> kinds[] = {
      {"result", describe_result_file()},
      {"profile", describe_profile_file()},
      {"co-execution", describe_co_execution_profile_file()},
      {"device", describe_device_file()}};
  for (const auto& [kind, tables] : kinds) {
    INFO(kind);
    const std::string begin = "<!-- " + kind + " -->\n";
    const std::size_t from = text.find(begin);
    const std::size_t to = text.find("\n<!-- end -->", from);
    REQUIRE(from != std::string::npos);
    REQUIRE(to != std::string::npos);
    text = text.substr(0, from + begin.size()) + tables + text.substr(to);
  }
  return text;
}

}  // namespace

TEST_CASE("the documentation of file formats has the fields that are read and written",
          "[records]") {
  const std::string text = read_docs();
  INFO("to renew docs/file-formats.md: test_records \"[.docs]\"");
  CHECK(text == renewed(text));
}

TEST_CASE("docs/file-formats.md is renewed", "[.docs]") {
  const std::string text = renewed(read_docs());
  std::ofstream(path) << text;
}
