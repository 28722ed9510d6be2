#pragma once
#include <string>

namespace cpubone {

/// What is wrong with a number, and what to do about it.
struct Warning {
  std::string what;
  std::string remedy;
  bool operator==(const Warning&) const = default;
};

}  // namespace cpubone
