#pragma once
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "graph/json_file.hpp"
#include "records/bound.hpp"
#include "records/interval.hpp"

/// What an exploration found out, as numbers and names; `reports/` says it in words. `holds` is
/// true where the data support what a finding is about, false where they contradict it, and absent
/// where noise leaves it open.
namespace cpubone {

/// How much time the fastest proposal saves that is, with a probability of 90 %, as accurate as a
/// published network. Holds where it is at least 10 %, measured beyond noise.
struct GainFinding {
  std::string network;                    ///< the published one
  double top1 = 0;                        ///< percent that a proposal must reach
  std::string proposal;                   ///< empty where none reaches it
  std::optional<Interval> latency_ratio;  ///< proposal over network
  std::optional<bool> holds;
  std::optional<double> probability = std::nullopt;  ///< that the proposal reaches `top1`
  bool operator==(const GainFinding&) const = default;
};

/// How far the latencies of proposals were from their predictions; errors are fractions. Holds
/// where none is over 5 %.
struct PredictionFinding {
  int networks = 0;
  double mean_error = 0;
  double worst_error = 0;
  std::optional<bool> holds;
  bool operator==(const PredictionFinding&) const = default;
};

/// What a network takes beyond its MACs at the best MACpS that any part of weight reaches, the
/// stage that loses most of it, and the operator class that loses most of that; as predicted.
struct LostTimeFinding {
  std::string network;
  double best_gmacps = 0;
  double network_ms = 0;
  double network_lost_ms = 0;
  std::string stage;
  double stage_ms = 0;
  double stage_lost_ms = 0;
  std::string op_class;
  double op_class_lost_ms = 0;
  Bound bound = Bound::compute;
  bool operator==(const LostTimeFinding&) const = default;
};

/// A network on one of several devices.
struct LatencyOnDevice {
  std::string device;
  double latency_ms = 0;
  double best_ms = 0;  ///< of the fastest network there at the same accuracy
  bool operator==(const LatencyOnDevice&) const = default;
};

/// The network that is, with a probability of 90 %, as accurate as a published network and whose
/// worst slowdown on several devices is least: its latency over that of the fastest on the device.
struct RobustFinding {
  std::string network;   ///< the published one
  double top1 = 0;       ///< percent that is reached
  std::string proposal;  ///< empty where none reaches it
  double worst_slowdown = 1;
  std::vector<LatencyOnDevice> devices;
  bool operator==(const RobustFinding&) const = default;
};

using Finding = std::variant<GainFinding, PredictionFinding, LostTimeFinding, RobustFinding>;

/// A column of a study's table: `latency` in `ms`.
struct StudyColumn {
  std::string name;
  std::string unit;  ///< empty for text and plain counts
  bool operator==(const StudyColumn&) const = default;
};

/// `latency ms`: what a table or chart calls the column.
std::string title(const StudyColumn& column);

/// A number that a study arrived at, e.g. the ratio of two latencies; `low` and `high` are the
/// value where no interval is known.
struct StudyNumber {
  std::string name;  ///< its unit at the end; e.g. `latency_ratio`
  Interval value;
  bool operator==(const StudyNumber&) const = default;
};

/// A controlled comparison, e.g. of fused and unfused blocks.
struct Study {
  std::string name;        ///< a-z, 0-9 and dashes
  bool predicted = false;  ///< its latencies are predicted, not measured
  std::optional<bool> holds;
  std::vector<StudyColumn> columns;
  std::vector<std::vector<nlohmann::json>> rows;  ///< text, numbers, booleans or null
  std::vector<StudyNumber> numbers;               ///< what follows from the rows, by name
  bool operator==(const Study&) const = default;
};

/// The number of that name, or null.
const Interval* find_number(const Study& study, std::string_view name);

/// Throws cpubone::Error naming the JSON pointer, what was got and what is expected.
Finding read_finding(const JsonReader& json);
nlohmann::json to_json(const Finding& finding);
nlohmann::json to_json(const Study& study);

}  // namespace cpubone
