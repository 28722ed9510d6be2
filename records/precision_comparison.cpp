#include "records/precision_comparison.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace cpubone {
namespace {

/// What kernels are chosen by.
std::string kernel_kind(const Op& op) {
  if (op.kind == OpKind::activation) return std::string(name(op.activation));
  std::string kind(name(op.kind));
  if (op.kind != OpKind::conv2d) return kind;
  kind += fmt::format(" {}x{}", op.kernel_h, op.kernel_w);
  if (op.stride_h > 1) kind += fmt::format(" s{}", op.stride_h);
  return kind + (is_depthwise(op) ? " depthwise" : op.groups > 1 ? " grouped" : "");
}

/// Int8's time in the parts that `counts` is true of.
template <typename Counts>
double int8_ns_of(const PrecisionComparison& comparison, Counts counts) {
  double total = 0;
  for (const PrecisionPart& part : comparison.parts)
    if (counts(part)) total += part.int8_ns;
  return total;
}

bool is_dynamic(const PrecisionPart& part) {
  return part.op.dynamic;
}

}  // namespace

bool is_conversion(const PrecisionPart& part) {
  return part.op.kind == OpKind::quantise || part.op.kind == OpKind::dequantise;
}

double conversion_ns(const PrecisionComparison& comparison) {
  return int8_ns_of(comparison, is_conversion);
}

int dynamic_layers(const PrecisionComparison& comparison) {
  return static_cast<int>(
      std::count_if(comparison.parts.begin(), comparison.parts.end(), is_dynamic));
}

double dynamic_ns(const PrecisionComparison& comparison) {
  return int8_ns_of(comparison, is_dynamic);
}

double fallback_ns(const PrecisionComparison& comparison) {
  return int8_ns_of(comparison, [](const PrecisionPart& part) { return !part.reason.empty(); });
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

std::string slower_text(const PrecisionComparison& comparison) {
  constexpr double least_share = 0.01;
  constexpr std::size_t most_kinds = 3;
  std::map<std::string, double> lost_ns;
  for (const PrecisionPart& part : comparison.parts)
    if (part.f32_ns > 0 && part.reason.empty())
      lost_ns[kernel_kind(part.op)] += part.int8_ns - part.f32_ns;
  std::vector<std::pair<std::string, double>> kinds;
  for (const auto& [kind, ns] : lost_ns)
    if (ns >= least_share * comparison.int8_ns.value) kinds.emplace_back(kind, ns);
  std::stable_sort(kinds.begin(), kinds.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  kinds.resize(std::min(kinds.size(), most_kinds));
  std::string text;
  for (const auto& [kind, ns] : kinds)
    text += fmt::format("{}{} +{:.2g} ms", text.empty() ? "" : ", ", kind, ns * 1e-6);
  return text;
}

}  // namespace cpubone
