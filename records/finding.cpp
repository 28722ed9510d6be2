#include "records/finding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "records/tables.hpp"

namespace cpubone {
namespace {

constexpr std::array<std::string_view, bound_count> bound_names{"compute", "memory", "overhead",
                                                                "kernel"};

void check_interval(const Interval& interval, const JsonReader& json) {
  if (interval.low > interval.value || interval.high < interval.value)
    json.fail_because(fmt::format("expected low <= value <= high, got {} <= {} <= {}", interval.low,
                                  interval.value, interval.high));
}

void check_study(const Study& study, const JsonReader& json) {
  const auto in_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  if (study.name.empty() || !std::all_of(study.name.begin(), study.name.end(), in_name))
    json.at("name").fail("a name of a-z, 0-9 and dashes");
  for (std::size_t i = 0; i < study.rows.size(); ++i)
    if (study.rows[i].size() != study.columns.size())
      records::element(json.at("rows"), i)
          .fail(fmt::format("{} cells, one a column", study.columns.size()));
}

}  // namespace

namespace records {

template <>
std::span<const std::string_view> names<Bound>() {
  return bound_names;
}

template <>
const Table<Interval>& table<Interval>() {
  static const Table<Interval> interval{
      "interval",
      {field<&Interval::value>("value", "what is most likely"), field<&Interval::low>("low", ""),
       field<&Interval::high>("high", "`low <= value <= high`")},
      check_interval};
  return interval;
}

template <>
const Table<Warning>& table<Warning>() {
  static const Table<Warning> warning{"warning",
                                      {field<&Warning::what>("what", "is wrong with the numbers"),
                                       optional<&Warning::remedy>("remedy", "what to do")}};
  return warning;
}

template <>
const Table<GainFinding>& table<GainFinding>() {
  using T = GainFinding;
  static const Table<T> gain{
      .name = "finding `gain`",
      .fields = {field<&T::network>("network", "a published one"),
                 field<&T::top1>("top1", "percent that a proposal must reach", percents),
                 optional<&T::proposal>(
                     "proposal",
                     "the fastest that does with a probability of 90 %; empty where none does"),
                 optional<&T::latency_ratio>("latency_ratio", "proposal over network"),
                 optional<&T::holds>("holds",
                                     "it saves at least 10 %, measured beyond noise; null "
                                     "within noise"),
                 optional<&T::probability>("probability", "that the proposal reaches `top1`",
                                           {0, 1})},
      .kind = "gain"};
  return gain;
}

template <>
const Table<PredictionFinding>& table<PredictionFinding>() {
  using T = PredictionFinding;
  static const Table<T> prediction{
      .name = "finding `prediction`",
      .fields = {field<&T::networks>("networks", "proposals measured undisturbed", not_negative),
                 field<&T::mean_error>("mean_error", "of their predictions, a fraction"),
                 field<&T::worst_error>("worst_error", "of their predictions, a fraction"),
                 optional<&T::holds>("holds", "none is over 5 % off")},
      .kind = "prediction"};
  return prediction;
}

template <>
const Table<LostTimeFinding>& table<LostTimeFinding>() {
  using T = LostTimeFinding;
  static const Table<T> lost{
      .name = "finding `lost-time`",
      .fields = {field<&T::network>("network", "one of B0 to B3"),
                 field<&T::best_gmacps>("best_gmacps", "the highest rate of any part of weight"),
                 field<&T::network_ms>("network_ms", "predicted latency"),
                 field<&T::network_lost_ms>("network_lost_ms",
                                            "of it, beyond MACs at the best rate"),
                 field<&T::stage>("stage", "that loses most"), field<&T::stage_ms>("stage_ms", ""),
                 field<&T::stage_lost_ms>("stage_lost_ms", ""),
                 field<&T::op_class>("op_class", "that loses most of the stage"),
                 field<&T::op_class_lost_ms>("op_class_lost_ms", ""),
                 field<&T::bound>("bound", "what limits it")},
      .kind = "lost-time"};
  return lost;
}

template <>
const Table<LatencyOnDevice>& table<LatencyOnDevice>() {
  using T = LatencyOnDevice;
  static const Table<T> latency{
      "latency on a device",
      {field<&T::device>("device", ""), field<&T::latency_ms>("latency_ms", "predicted", positive),
       field<&T::best_ms>("best_ms", "of the fastest network there at the accuracy", positive)}};
  return latency;
}

template <>
const Table<RobustFinding>& table<RobustFinding>() {
  using T = RobustFinding;
  static const Table<T> robust{
      .name = "finding `robust`",
      .fields = {field<&T::network>("network", "a published one"),
                 field<&T::top1>("top1", "percent that is reached with a probability of 90 %",
                                 percents),
                 optional<&T::proposal>("proposal",
                                        "whose worst slowdown is least; empty where none reaches "
                                        "`top1`"),
                 optional<&T::worst_slowdown>("worst_slowdown",
                                              "largest `latency_ms` over `best_ms`", not_negative),
                 optional<&T::devices>("devices", "")},
      .kind = "robust"};
  return robust;
}

template <>
const Table<StudyColumn>& table<StudyColumn>() {
  static const Table<StudyColumn> column{
      "column",
      {field<&StudyColumn::name>("name", "of the quantity"),
       field<&StudyColumn::unit>("unit", "empty for text and counts")}};
  return column;
}

template <>
const Table<StudyNumber>& table<StudyNumber>() {
  static const Table<StudyNumber> number{
      "number",
      {field<&StudyNumber::name>("name", "with its unit at the end"),
       inlined<&StudyNumber::value>()}};
  return number;
}

template <>
const Table<Study>& table<Study>() {
  static const Table<Study> study{
      "study",
      {field<&Study::name>("name", "a–z, 0–9 and dashes"),
       field<&Study::predicted>("predicted", "its latencies are predicted, not measured"),
       optional<&Study::holds>("holds", "what was published or expected; null within noise"),
       field<&Study::columns>("columns", "of the table"),
       field<&Study::rows>("rows", "of the table, one cell a column"),
       field<&Study::numbers>("numbers", "what follows from the rows")},
      check_study};
  return study;
}

}  // namespace records

std::string_view name(Bound bound) {
  return bound_names[static_cast<std::size_t>(bound)];
}

std::string title(const StudyColumn& column) {
  return column.unit.empty() ? column.name : fmt::format("{} {}", column.name, column.unit);
}

const Interval* find_number(const Study& study, std::string_view name) {
  for (const StudyNumber& number : study.numbers)
    if (number.name == name) return &number.value;
  return nullptr;
}

Finding read_finding(const JsonReader& json) {
  const std::string kind = json.at("kind").string();
  if (kind == "gain") return records::read_record<GainFinding>(json);
  if (kind == "prediction") return records::read_record<PredictionFinding>(json);
  if (kind == "lost-time") return records::read_record<LostTimeFinding>(json);
  if (kind == "robust") return records::read_record<RobustFinding>(json);
  json.at("kind").fail("one of \"gain\", \"prediction\", \"lost-time\", \"robust\"");
}

nlohmann::json to_json(const Finding& finding) {
  return std::visit([](const auto& kind) { return records::write_record(kind); }, finding);
}

nlohmann::json to_json(const Study& study) {
  return records::write_record(study);
}

}  // namespace cpubone
