#pragma once
#include <string_view>

namespace cpubone {

/// What limits an operator or a part of a network.
enum class Bound { compute, memory, overhead };
std::string_view name(Bound bound);

}  // namespace cpubone
