#include "records/precision_comparison.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace cpubone {

bool is_conversion(const PrecisionPart& part) {
  return part.op.kind == OpKind::quantise || part.op.kind == OpKind::dequantise;
}

double conversion_ns(const PrecisionComparison& comparison) {
  double total = 0;
  for (const PrecisionPart& part : comparison.parts)
    if (is_conversion(part)) total += part.int8_ns;
  return total;
}

double fallback_ns(const PrecisionComparison& comparison) {
  double total = 0;
  for (const PrecisionPart& part : comparison.parts)
    if (!part.reason.empty()) total += part.int8_ns;
  return total;
}

std::string fallback_text(const PrecisionComparison& comparison) {
  std::map<std::string, int> counts;
  for (const PrecisionPart& part : comparison.parts)
    if (!part.reason.empty()) ++counts[std::string(name(part.op.kind))];
  std::vector<std::pair<std::string, int>> kinds(counts.begin(), counts.end());
  std::stable_sort(kinds.begin(), kinds.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string text;
  for (const auto& [kind, count] : kinds)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, kind);
  return text;
}

}  // namespace cpubone
