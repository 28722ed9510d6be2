#pragma once
#include <cstddef>

namespace cpubone {

/// A count or an index, never negative, as containers take it.
constexpr std::size_t z(int value) {
  return static_cast<std::size_t>(value);
}

}  // namespace cpubone
