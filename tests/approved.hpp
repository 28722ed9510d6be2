#pragma once
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "tests/catch.hpp"

namespace cpubone {

/// Compares what is told with tests/fixtures/approved/<name>, which somebody has read and found
/// good. Where it should be otherwise, run the test with CPUBONE_APPROVE=1 and read the difference.
inline void check_approved(const std::string& name, const std::string& text) {
  const std::filesystem::path path =
      std::filesystem::path(CPUBONE_SOURCE_DIR) / "tests/fixtures/approved" / name;
  if (std::getenv("CPUBONE_APPROVE")) std::ofstream(path) << text;
  std::ifstream file(path);
  std::istringstream told(text);
  int line = 0;
  for (std::string expected, got; ++line;) {
    const bool more = static_cast<bool>(std::getline(file, expected));
    const bool more_told = static_cast<bool>(std::getline(told, got));
    INFO(path.string() << ":" << line);
    REQUIRE(more == more_told);
    if (!more) return;
    REQUIRE(got == expected);
  }
}

/// Numbers to four digits: the last ones are the compiler's.
inline void round_numbers(nlohmann::json& json) {
  if (json.is_structured())
    for (auto& part : json) round_numbers(part);
  else if (json.is_number_float())
    json = std::stod(fmt::format("{:.3e}", json.get<double>()));
}

}  // namespace cpubone
