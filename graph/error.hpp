#pragma once
#include <stdexcept>
#include <string>

namespace cpubone {

/// A wrong file, a failing library or system call; the message says what, got and expected.
/// A wrong argument is std::invalid_argument instead.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message) : std::runtime_error(message) {}
};

}  // namespace cpubone
