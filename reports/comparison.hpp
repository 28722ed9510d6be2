#pragma once
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "records/result.hpp"
#include "reports/table.hpp"
#include "reports/words.hpp"

namespace cpubone {

/// Networks that several results have, of the same name where published and of the same
/// configuration where proposed, with accuracy and the latency on each.
Table comparison_table(std::span<const Result> results);

/// A network that two results of one device have. Pointers are into the results.
struct LatencyChange {
  const ResultNetwork* before = nullptr;
  const ResultNetwork* after = nullptr;
  Interval ratio;  ///< latency after over before, with what both intervals leave possible
  /// Whether it changed beyond both intervals, both being measured undisturbed or both predicted;
  /// `none` where they are not comparable.
  Verdict verdict = Verdict::none;
};
/// In the order of the first result's latencies.
std::vector<LatencyChange> latency_changes(const Result& before, const Result& after);

/// What changed from one result to a later one of the same device, and what of it is more than
/// noise.
struct Changes {
  std::vector<std::string> sentences;
  Table latencies;  ///< of the networks that both have, those first that changed most for sure
  std::size_t latencies_changed = 0;  ///< the first rows of it, which did by more than noise
  Table conditions;  ///< what was set, or found out of device and accuracy, differently
  Table proposals;   ///< those that one result alone has, and what the other has instead
};
/// Nothing unless there are two results of a device of one name.
std::optional<Changes> changes(std::span<const Result> results);
/// How they are to be read.
std::string_view change_introduction();

}  // namespace cpubone
