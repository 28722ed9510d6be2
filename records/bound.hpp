#pragma once
#include <cstddef>
#include <string_view>

namespace cpubone {

/// What limits an operator or a part of a network. `kernel`: the runtime's kernel, which leaves
/// half of the CPU's arithmetic unused although the operator's data would allow more.
enum class Bound { compute, memory, overhead, kernel };
constexpr std::size_t bound_count = 4;
std::string_view name(Bound bound);

}  // namespace cpubone
