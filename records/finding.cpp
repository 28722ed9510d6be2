#include "records/finding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

namespace cpubone {
namespace {

constexpr std::array<std::string_view, 3> bound_names{"compute", "memory", "overhead"};

bool present(const JsonReader& json, std::string_view key) {
  return json.has(key) && !json.at(key).json().is_null();
}

std::optional<bool> read_holds(const JsonReader& json) {
  if (!present(json, "holds")) return std::nullopt;
  return json.at("holds").boolean();
}

Interval read_interval(const JsonReader& json) {
  const Interval interval{json.at("value").number(), json.at("low").number(),
                          json.at("high").number()};
  if (interval.low > interval.value || interval.high < interval.value)
    json.fail_because(fmt::format("expected low <= value <= high, got {} <= {} <= {}", interval.low,
                                  interval.value, interval.high));
  return interval;
}

nlohmann::json holds_json(const std::optional<bool>& holds) {
  return holds ? nlohmann::json(*holds) : nlohmann::json();
}

nlohmann::json interval_json(const Interval& interval) {
  return {{"value", interval.value}, {"low", interval.low}, {"high", interval.high}};
}

GainFinding read_gain(const JsonReader& json) {
  json.expect_keys({"kind", "network", "top1", "proposal", "latency_ratio", "holds"});
  GainFinding gain;
  gain.network = json.at("network").string();
  gain.top1 = json.at("top1").number(0, 100);
  if (present(json, "proposal")) gain.proposal = json.at("proposal").string();
  if (present(json, "latency_ratio")) {
    const JsonReader ratio = json.at("latency_ratio");
    ratio.expect_keys({"value", "low", "high"});
    gain.latency_ratio = read_interval(ratio);
  }
  gain.holds = read_holds(json);
  return gain;
}

PredictionFinding read_prediction(const JsonReader& json) {
  json.expect_keys({"kind", "networks", "mean_error", "worst_error", "holds"});
  return {static_cast<int>(json.at("networks").integer(0, std::numeric_limits<int>::max())),
          json.at("mean_error").number(), json.at("worst_error").number(), read_holds(json)};
}

LostTimeFinding read_lost_time(const JsonReader& json) {
  json.expect_keys({"kind", "network", "best_gmacps", "network_ms", "network_lost_ms", "stage",
                    "stage_ms", "stage_lost_ms", "op_class", "op_class_lost_ms", "bound"});
  const std::string bound = json.at("bound").string();
  const auto found = std::find(bound_names.begin(), bound_names.end(), bound);
  if (found == bound_names.end())
    json.at("bound").fail(fmt::format("one of \"{}\"", fmt::join(bound_names, "\", \"")));
  return {json.at("network").string(),
          json.at("best_gmacps").number(),
          json.at("network_ms").number(),
          json.at("network_lost_ms").number(),
          json.at("stage").string(),
          json.at("stage_ms").number(),
          json.at("stage_lost_ms").number(),
          json.at("op_class").string(),
          json.at("op_class_lost_ms").number(),
          static_cast<Bound>(found - bound_names.begin())};
}

nlohmann::json finding_json(const GainFinding& gain) {
  return {
      {"kind", "gain"},
      {"network", gain.network},
      {"top1", gain.top1},
      {"proposal", gain.proposal},
      {"latency_ratio", gain.latency_ratio ? interval_json(*gain.latency_ratio) : nlohmann::json()},
      {"holds", holds_json(gain.holds)}};
}

nlohmann::json finding_json(const PredictionFinding& prediction) {
  return {{"kind", "prediction"},
          {"networks", prediction.networks},
          {"mean_error", prediction.mean_error},
          {"worst_error", prediction.worst_error},
          {"holds", holds_json(prediction.holds)}};
}

nlohmann::json finding_json(const LostTimeFinding& lost) {
  return {{"kind", "lost-time"},
          {"network", lost.network},
          {"best_gmacps", lost.best_gmacps},
          {"network_ms", lost.network_ms},
          {"network_lost_ms", lost.network_lost_ms},
          {"stage", lost.stage},
          {"stage_ms", lost.stage_ms},
          {"stage_lost_ms", lost.stage_lost_ms},
          {"op_class", lost.op_class},
          {"op_class_lost_ms", lost.op_class_lost_ms},
          {"bound", name(lost.bound)}};
}

}  // namespace

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
  if (kind == "gain") return read_gain(json);
  if (kind == "prediction") return read_prediction(json);
  if (kind == "lost-time") return read_lost_time(json);
  json.at("kind").fail("one of \"gain\", \"prediction\", \"lost-time\"");
}

Study read_study(const JsonReader& json) {
  json.expect_keys({"name", "predicted", "holds", "columns", "rows", "numbers"});
  Study study;
  study.name = json.at("name").string();
  const auto in_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  if (study.name.empty() || !std::all_of(study.name.begin(), study.name.end(), in_name))
    json.at("name").fail("a name of a-z, 0-9 and dashes");
  study.predicted = json.at("predicted").boolean();
  study.holds = read_holds(json);
  json.at("columns").each([&](const JsonReader& column) {
    column.expect_keys({"name", "unit"});
    study.columns.push_back({column.at("name").string(), column.at("unit").string()});
  });
  json.at("rows").each([&](const JsonReader& row) {
    if (row.size() != study.columns.size())
      row.fail(fmt::format("{} cells, one a column", study.columns.size()));
    study.rows.emplace_back();
    row.each([&](const JsonReader& cell) {
      if (cell.json().is_structured()) cell.fail("text, a number, true, false or null");
      study.rows.back().push_back(cell.json());
    });
  });
  json.at("numbers").each([&](const JsonReader& number) {
    number.expect_keys({"name", "value", "low", "high"});
    study.numbers.push_back({number.at("name").string(), read_interval(number)});
  });
  return study;
}

nlohmann::json to_json(const Finding& finding) {
  return std::visit([](const auto& kind) { return finding_json(kind); }, finding);
}

nlohmann::json to_json(const Study& study) {
  nlohmann::json json{{"name", study.name},
                      {"predicted", study.predicted},
                      {"holds", holds_json(study.holds)},
                      {"columns", nlohmann::json::array()},
                      {"rows", nlohmann::json::array()},
                      {"numbers", nlohmann::json::array()}};
  for (const StudyColumn& column : study.columns)
    json["columns"].push_back({{"name", column.name}, {"unit", column.unit}});
  for (const auto& row : study.rows) json["rows"].push_back(row);
  for (const StudyNumber& number : study.numbers) {
    nlohmann::json value = interval_json(number.value);
    value["name"] = number.name;
    json["numbers"].push_back(std::move(value));
  }
  return json;
}

}  // namespace cpubone
