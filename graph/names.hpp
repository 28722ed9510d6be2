#pragma once
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace cpubone {

/// The enumerator at that place of a table of names, which stand in the enumeration's order.
template <typename Enum, std::size_t size>
std::optional<Enum> find_name(const std::array<std::string_view, size>& names,
                              std::string_view wanted) {
  for (std::size_t i = 0; i < size; ++i)
    if (names[i] == wanted) return static_cast<Enum>(i);
  return std::nullopt;
}

template <std::size_t size>
std::string joined(const std::array<std::string_view, size>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace cpubone
