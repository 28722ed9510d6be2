#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "reports/words.hpp"

namespace cpubone {
namespace {

/// An axis of a study's chart: a column by its title.
struct Axis {
  std::string_view field;
  std::string_view type = "quantitative";
  std::string_view scale = "";
};

struct StudyChart {
  std::string_view study;
  std::string_view mark;
  Axis x;
  Axis y;
  Axis colour;
  std::string_view beside = "";  ///< bars of this column stand side by side
  std::string_view shape = "";   ///< column that points take their shape from
  std::string_view filter = "";
  std::string_view points = "";  ///< column that is drawn as points over the lines of `y`
};

constexpr StudyChart latency_against_split(std::string_view study) {
  return {.study = study,
          .mark = "line",
          .x = {"on the CPU %"},
          .y = {"predicted ms", "quantitative", "log"},
          .colour = {"layer", "nominal"},
          .points = "measured ms"};
}

constexpr std::array<StudyChart, 15> all_charts{{
    {"operators",
     "bar",
     {"input", "nominal"},
     {"rate GMACpS"},
     {"operator", "nominal"},
     "operator"},
    {"partial-conv", "bar", {"network", "nominal"}, {"latency ×"}, {"form", "nominal"}},
    {"grouping", "point", {"MACs ×"}, {"latency ×"}, {"groups", "nominal"}, "", "block"},
    {"kernel", "point", {"MACs ×"}, {"latency ×"}, {"kernel", "nominal"}, "", "block"},
    {"fusion",
     "line",
     {"channels", "quantitative", "log"},
     {"latency ×"},
     {"resolution", "nominal"},
     "",
     "",
     "datum.block == 'fused'"},
    {"attention",
     "bar",
     {"attention in", "nominal"},
     {"latency ms"},
     {"resolution", "nominal"},
     "resolution"},
    {"activations", "bar", {"activation", "nominal"}, {"latency ms"}, {"activation", "nominal"}},
    {"blocks", "bar", {"network", "nominal"}, {"latency ms"}, {"network", "nominal"}},
    {"correlation",
     "point",
     {"MACs M", "quantitative", "log"},
     {"latency ms", "quantitative", "log"},
     {"family", "nominal"}},
    {"mac-efficiency",
     "point",
     {"MACs M", "quantitative", "log"},
     {"rate GMACpS"},
     {"family", "nominal"}},
    {"threads", "line", {"threads"}, {"latency ms", "quantitative", "log"}, {"subject", "nominal"}},
    latency_against_split("co-execution-linear"),
    latency_against_split("co-execution-conv"),
    {"precision",
     "point",
     {"f32 ms", "quantitative", "log"},
     {"f32 / int8"},
     {"family", "nominal"}},
    {"crossover",
     "line",
     {"channels", "quantitative", "log"},
     {"fused / unfused"},
     {"resolution", "ordinal"}},
}};

nlohmann::json encoding(const Axis& axis) {
  nlohmann::json json{{"field", axis.field}, {"type", axis.type}, {"title", axis.field}};
  if (!axis.scale.empty()) json["scale"] = {{"type", axis.scale}};
  return json;
}

}  // namespace

nlohmann::json study_chart(const Study& study) {
  const auto chart = std::find_if(all_charts.begin(), all_charts.end(),
                                  [&](const StudyChart& c) { return c.study == study.name; });
  const auto has = [&](std::string_view wanted) {
    return std::any_of(study.columns.begin(), study.columns.end(),
                       [&](const StudyColumn& column) { return title(column) == wanted; });
  };
  if (chart == all_charts.end() || !has(chart->x.field) || !has(chart->y.field) ||
      !has(chart->colour.field))
    return nullptr;
  nlohmann::json spec{
      {"$schema", "https://vega.github.io/schema/vega-lite/v5.json"},
      {"mark", {{"type", chart->mark}, {"tooltip", true}}},
      {"encoding",
       {{"x", encoding(chart->x)}, {"y", encoding(chart->y)}, {"color", encoding(chart->colour)}}}};
  if (chart->mark == "line") spec["mark"]["point"] = true;
  if (!chart->beside.empty()) spec["encoding"]["xOffset"] = {{"field", chart->beside}};
  if (!chart->shape.empty()) spec["encoding"]["shape"] = {{"field", chart->shape}};
  if (!chart->filter.empty())
    spec["transform"] = nlohmann::json::array({{{"filter", chart->filter}}});
  if (!chart->points.empty() && has(chart->points)) {
    // A layer each, on the same axes.
    nlohmann::json line{{"mark", {{"type", "line"}, {"tooltip", true}}},
                        {"encoding", spec["encoding"]}};
    nlohmann::json points{{"mark", {{"type", "point"}, {"filled", true}, {"tooltip", true}}},
                          {"encoding", spec["encoding"]}};
    points["encoding"]["y"]["field"] = chart->points;
    line["encoding"]["y"]["title"] = points["encoding"]["y"]["title"] =
        fmt::format("{} (lines), {} (points)", chart->y.field, chart->points);
    spec.erase("mark");
    spec.erase("encoding");
    spec["layer"] = {line, points};
  }
  nlohmann::json values = nlohmann::json::array();
  for (const auto& row : study.rows) {
    nlohmann::json value;
    for (std::size_t i = 0; i < row.size(); ++i) value[title(study.columns[i])] = row[i];
    values.push_back(std::move(value));
  }
  spec["data"] = {{"values", std::move(values)}};
  return spec;
}

}  // namespace cpubone
