#pragma once
// One suite for Catch2 2.13 (Debian 12) and 3 (Debian 13).
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
namespace Matchers = Catch::Matchers;
using Matchers::ContainsSubstring;
#else
#include <catch2/catch.hpp>
using Catch::Detail::Approx;  // Catch::Approx is also the name of a matcher in version 2
namespace Matchers = Catch::Matchers;
inline auto ContainsSubstring(const std::string& text) {
  return Matchers::Contains(text);
}
#endif
