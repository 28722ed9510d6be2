#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "reports/chart_parts.hpp"
#include "reports/summary.hpp"

namespace cpubone::chart {
namespace {

json data_name(const char* name) {
  return {{"name", name}};
}

json axis(const char* title, int ticks = 6) {
  return {{"title", title}, {"tickCount", ticks}};
}

json quantity(const char* field, const char* title, double low, double high, bool log) {
  json scale = {{"type", log ? "log" : "linear"}, {"domain", {low, high}}, {"nice", false}};
  return {{"field", field}, {"type", "quantitative"}, {"scale", scale}, {"axis", axis(title)}};
}

/// Another edge of what `quantity` places.
json edge(const char* field) {
  return {{"field", field}};
}

json tooltip(const char* field, const char* title, const char* type = "quantitative") {
  return {{"field", field}, {"title", title}, {"type", type}};
}

json network_tooltip() {
  return json::array({tooltip("name", "network", "nominal"), tooltip("family", "family", "nominal"),
                      tooltip("latency_text", "latency", "nominal"),
                      tooltip("top1_text", "top-1", "nominal"), tooltip("macs_m", "MACs, M"),
                      tooltip("params_m", "parameters, M"), tooltip("gmacps", "GMACpS"),
                      tooltip("description", "configuration", "nominal")});
}

json candidate_tooltip() {
  return json::array({tooltip("l", "predicted latency, ms"), tooltip("a", "estimated top-1, %"),
                      tooltip("m", "MACs, M"), tooltip("p", "parameters, M")});
}

json shown_series() {
  return {{"filter", "indexof(hidden, datum.series) < 0"}};
}

/// How many families differ by colour alone.
constexpr std::size_t family_colours = 7;

const char* series_shape(std::size_t index) {
  constexpr std::array<const char*, 4> shapes{"circle", "square", "triangle-up", "cross"};
  return index == 0 ? "diamond" : shapes[(index - 1) / family_colours % shapes.size()];
}

json series_scale(const ChartFrame& frame, json range) {
  return {{"domain", frame.series}, {"range", std::move(range)}};
}

json colour(const ChartFrame& frame) {
  return {{"field", "series"},
          {"type", "nominal"},
          {"scale", series_scale(frame, "ordinal")},
          {"legend", {{"title", nullptr}, {"orient", "bottom"}, {"columns", 5}}}};
}

/// Proposals are diamonds. There are not enough colours that anybody can tell apart: families of
/// one colour differ in shape.
json shape(const ChartFrame& frame) {
  json shapes = json::array();
  for (std::size_t i = 0; i < frame.series.size(); ++i) shapes.push_back(series_shape(i));
  json encoding = colour(frame);
  encoding["scale"] = series_scale(frame, shapes);
  return encoding;
}

json cloud_layer(json x, json y) {
  return {{"name", "cloud"},
          {"data", data_name("candidates")},
          {"mark", {{"type", "circle"}, {"style", "cloud"}, {"clip", true}}},
          {"encoding", {{"x", x}, {"y", y}, {"tooltip", candidate_tooltip()}}}};
}

json zoom() {
  return {{"name", "view"}, {"select", "interval"}, {"bind", "scales"}};
}

/// A point a network; hollow where its latency was not measured.
json network_points(const ChartFrame& r, const json& x, const json& y, const json& transform,
                    const json& tooltips) {
  const json solid = {{"condition", {{"test", "datum.how === 'predicted'"}, {"value", 0}}},
                      {"value", 1}};
  return {{"data", data_name("networks")},
          {"transform", transform},
          {"mark", {{"type", "point"}, {"style", "network"}, {"clip", true}}},
          {"encoding",
           {{"x", x},
            {"y", y},
            {"color", colour(r)},
            {"fill", colour(r)},
            {"fillOpacity", solid},
            {"shape", shape(r)},
            {"tooltip", tooltips}}}};
}

}  // namespace

json front_spec(const ChartFrame& r) {
  const json x = quantity("latency", "latency, ms (less is better)", r.latency_low_ms,
                          r.latency_high_ms, true);
  const json y =
      quantity("top1", "ImageNet top-1, % (more is better)", r.top1_low, r.top1_high, false);
  json cloud_x = x;
  json cloud_y = y;
  cloud_x["field"] = "l";
  cloud_y["field"] = "a";
  const json within = {{"condition", {{"test", "datum.latency <= budget"}, {"value", 1}}},
                       {"value", 0.22}};
  const json known = {{"filter", "datum.top1 !== null"}};
  json layers = json::array();
  layers.push_back(cloud_layer(cloud_x, cloud_y));
  layers.push_back(
      {{"data", data_name("front")},
       {"mark",
        {{"type", "line"}, {"interpolate", "step-after"}, {"style", "front"}, {"clip", true}}},
       {"encoding", {{"x", x}, {"y", y}, {"order", {{"field", "latency"}}}}}});
  for (const bool across : {true, false}) {
    json encoding = {{"x", x}, {"y", y}, {"color", colour(r)}, {"opacity", within}};
    if (across) {
      encoding["x"]["field"] = "latency_low";
      encoding["x2"] = edge("latency_high");
    } else {
      encoding["y"]["field"] = "top1_low";
      encoding["y2"] = edge("top1_high");
    }
    layers.push_back({{"data", data_name("networks")},
                      {"transform", {known, shown_series()}},
                      {"mark", {{"type", "rule"}, {"style", "interval"}, {"clip", true}}},
                      {"encoding", encoding}});
  }
  json points = network_points(r, x, y, {known, shown_series()}, network_tooltip());
  points["name"] = "points";
  points["encoding"]["opacity"] = within;
  layers.push_back(points);
  const auto placed = [](const char* what) {
    return json{{"expr", fmt::format("datum.label_at.{}", what)}};
  };
  layers.push_back({{"data", data_name("networks")},
                    {"transform", {known, shown_series(), {{"filter", "datum.label_at"}}}},
                    {"mark",
                     {{"type", "text"},
                      {"style", "label"},
                      {"clip", true},
                      {"align", placed("align")},
                      {"dx", placed("dx")},
                      {"dy", placed("dy")}}},
                    {"encoding",
                     {{"x", x},
                      {"y", y},
                      {"text", {{"field", "label"}, {"type", "nominal"}}},
                      {"opacity", within}}}});
  json budget_x = x;
  budget_x["field"] = "at";
  layers.push_back({{"data", {{"values", json::array({{{"budget", 0}}})}}},
                    {"transform", json::array({{{"calculate", "budget"}, {"as", "at"}}})},
                    {"mark", {{"type", "rule"}, {"style", "budget"}, {"clip", true}}},
                    {"encoding", {{"x", budget_x}}}});
  layers[0]["params"] = json::array({zoom()});
  return {{"params",
           {{{"name", "budget"}, {"value", r.latency_high_ms}},
            {{"name", "hidden"}, {"value", json::array()}}}},
          {"height", 420},
          {"layer", layers}};
}

json macs_spec(const ChartFrame& r) {
  const json x = quantity("macs_m", "MACs, millions", r.macs_low_m, r.macs_high_m, true);
  const json y = quantity("gmacps", "GMACpS", r.gmacps_low, r.gmacps_high, true);
  json cloud_x = x;
  json cloud_y = y;
  cloud_x["field"] = "m";
  cloud_y["field"] = "g";
  json cloud = cloud_layer(cloud_x, cloud_y);
  json layers = json::array();
  layers.push_back(
      {{"data", data_name("iso")},
       {"mark", {{"type", "line"}, {"style", "iso"}, {"clip", true}}},
       {"encoding",
        {{"x", cloud_x}, {"y", cloud_y}, {"detail", {{"field", "label"}, {"type", "nominal"}}}}}});
  layers.push_back(
      {{"data", data_name("iso")},
       {"transform", json::array({{{"filter", "datum.end"}}})},
       {"mark", {{"type", "text"}, {"style", "iso-label"}}},
       {"encoding",
        {{"x", cloud_x}, {"y", cloud_y}, {"text", {{"field", "label"}, {"type", "nominal"}}}}}});
  layers.push_back(cloud);
  layers.push_back(network_points(r, x, y, {{{"filter", "datum.gmacps !== null"}}, shown_series()},
                                  network_tooltip()));
  return {{"params", json::array({{{"name", "hidden"}, {"value", json::array()}}})},
          {"height", 380},
          {"layer", layers}};
}

json predicted_spec(const Result& result, const ChartFrame& r) {
  double low = std::numeric_limits<double>::infinity();
  double high = 0;
  for (const ResultNetwork& network : result.networks) {
    if (!network.measured_ms || !network.predicted_ms) continue;
    low = std::min({low, network.measured_ms->ms.value, network.predicted_ms->low});
    high = std::max({high, network.measured_ms->ms.value, network.predicted_ms->high});
  }
  if (!(low < high)) low = r.latency_low_ms, high = r.latency_high_ms;
  low = rounded(low * 0.85, 2);
  high = rounded(high * 1.2, 2);
  const json x = quantity("measured", "measured, ms", low, high, true);
  const json y = quantity("predicted", "predicted, ms", low, high, true);
  const json diagonal = {
      {{"measured", low}, {"predicted", low}, {"under", low * 0.9}, {"over", low * 1.1}},
      {{"measured", high}, {"predicted", high}, {"under", high * 0.9}, {"over", high * 1.1}}};
  json band_y = y;
  band_y["field"] = "under";
  json interval_y = y;
  interval_y["field"] = "predicted_low";
  const json both = {{"filter", "isValid(datum.measured)"}};
  json layers = json::array();
  layers.push_back({{"data", {{"values", diagonal}}},
                    {"mark", {{"type", "area"}, {"style", "band"}, {"clip", true}}},
                    {"encoding", {{"x", x}, {"y", band_y}, {"y2", edge("over")}}}});
  layers.push_back({{"data", {{"values", diagonal}}},
                    {"mark", {{"type", "line"}, {"style", "iso"}, {"clip", true}}},
                    {"encoding", {{"x", x}, {"y", y}}}});
  layers.push_back(
      {{"data", data_name("networks")},
       {"transform", json::array({both})},
       {"mark", {{"type", "rule"}, {"style", "interval"}, {"clip", true}}},
       {"encoding",
        {{"x", x}, {"y", interval_y}, {"y2", edge("predicted_high")}, {"color", colour(r)}}}});
  layers.push_back(network_points(
      r, x, y, json::array({both}),
      {tooltip("name", "network", "nominal"), tooltip("measured", "measured, ms"),
       tooltip("predicted", "predicted, ms"), tooltip("error", "error", "nominal")}));
  return {{"height", 380}, {"layer", layers}};
}

json rebuilt_spec(const json& rows) {
  std::set<std::string> names;
  double low = std::numeric_limits<double>::infinity();
  double high = 0;
  for (const json& row : rows) {
    names.insert(row["name"].get<std::string>());
    low = std::min(low, row["latency"].get<double>());
    high = std::max(high, row["latency"].get<double>());
  }
  const json x =
      quantity("latency", "latency, ms", rounded(low / 1.2, 2), rounded(high * 1.2, 2), true);
  const json y = {{"field", "name"},
                  {"type", "nominal"},
                  {"sort", {{"field", "macs"}, {"op", "min"}}},
                  {"axis", {{"title", nullptr}, {"grid", true}, {"ticks", false}}}};
  return {{"height", std::max<std::size_t>(140, names.size() * 34)},
          {"data", data_name("rebuilt")},
          {"mark", {{"type", "point"}, {"style", "network"}, {"filled", true}, {"size", 90}}},
          {"encoding",
           {{"x", x},
            {"y", y},
            {"color",
             {{"field", "where"},
              {"type", "nominal"},
              {"legend", {{"title", nullptr}, {"orient", "bottom"}, {"columns", 2}}}}},
            {"shape",
             {{"field", "here"},
              {"type", "nominal"},
              {"scale", {{"domain", {true, false}}, {"range", {"diamond", "circle"}}}},
              {"legend", nullptr}}},
            {"tooltip",
             {tooltip("name", "network", "nominal"), tooltip("where", "device", "nominal"),
              tooltip("latency", "latency, ms")}}}}};
}

json breakdown_spec(const json& rows, const std::string& field) {
  std::set<std::string> networks;
  std::vector<std::string> domain;
  for (const json& row : rows) {
    networks.insert(row["name"].get<std::string>());
    const auto value = row[field].get<std::string>();
    if (std::find(domain.begin(), domain.end(), value) == domain.end()) domain.push_back(value);
  }
  const std::string order = field + "_order";
  return {{"height", std::max<std::size_t>(120, networks.size() * 26)},
          {"data", data_name("breakdown")},
          {"mark", {{"type", "bar"}, {"style", "part"}}},
          {"encoding",
           {{"x",
             {{"field", "ms"},
              {"type", "quantitative"},
              {"aggregate", "sum"},
              {"stack", "normalize"},
              {"axis", {{"title", "share of the latency"}, {"format", "%"}, {"tickCount", 5}}}}},
            {"y",
             {{"field", "name"},
              {"type", "nominal"},
              {"sort", {{"field", "macs"}, {"op", "min"}}},
              {"axis", {{"title", nullptr}, {"ticks", false}, {"domain", false}}}}},
            {"color",
             {{"field", field},
              {"type", "nominal"},
              {"scale", {{"domain", domain}}},
              {"legend", {{"title", nullptr}, {"orient", "bottom"}, {"columns", 7}}}}},
            {"order", {{"field", order}, {"type", "quantitative"}}},
            {"tooltip",
             {tooltip("name", "network", "nominal"),
              tooltip(field.c_str(), field.c_str(), "nominal"),
              {{"field", "ms"},
               {"aggregate", "sum"},
               {"type", "quantitative"},
               {"title", "latency, ms"},
               {"format", ".3~r"}}}}}}};
}

json search_spec(const Result& result) {
  json rows = json::array();
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (const HypervolumePoint& point : result.search->hypervolume) {
    rows.push_back({{"evaluations", point.evaluations}, {"hypervolume", point.value}});
    low = std::min(low, point.value);
    high = std::max(high, point.value);
  }
  return {{"height", 220},
          {"data", {{"values", rows}}},
          {"mark", {{"type", "line"}, {"style", "front"}, {"point", true}}},
          {"encoding",
           {{"x",
             {{"field", "evaluations"},
              {"type", "quantitative"},
              {"axis", axis("networks evaluated")}}},
            {"y",
             {{"field", "hypervolume"},
              {"type", "quantitative"},
              {"scale", {{"zero", false}}},
              {"axis", axis("hypervolume of the front")}}},
            {"tooltip",
             {tooltip("evaluations", "evaluations"), tooltip("hypervolume", "hypervolume")}}}}};
}

namespace {

/// That of proposals, then those of families, again and again.
json series_colours(const char* of_proposals,
                    const std::array<const char*, family_colours>& of_families) {
  json colours = json::array({of_proposals});
  for (int repeat = 0; repeat < 4; ++repeat)
    for (const char* colour : of_families) colours.push_back(colour);
  return colours;
}

}  // namespace

json plain_look() {
  return {{"background", "#ffffff"},
          {"font", "system-ui, DejaVu Sans, sans-serif"},
          {"view", {{"stroke", nullptr}}},
          {"axis",
           {{"gridColor", "#e4e7e6"},
            {"domainColor", "#9aa5a3"},
            {"tickColor", "#9aa5a3"},
            {"labelColor", "#46524f"},
            {"titleColor", "#46524f"},
            {"titleFontWeight", "normal"}}},
          {"range",
           {{"category",
             {"#0f766e", "#c2410c", "#4f46e5", "#a16207", "#be185d", "#0369a1", "#4d7c0f",
              "#7e22ce", "#57534e", "#b91c1c", "#0891b2", "#65a30d"}},
            {"ordinal", series_colours("#0f766e", {"#c2410c", "#2563eb", "#9333ea", "#a16207",
                                                   "#db2777", "#57534e", "#4d7c0f"})}}},
          {"style",
           {{"cloud", {{"color", "#7c8a87"}, {"size", 9}, {"opacity", 0.28}}},
            {"front", {{"color", "#0f766e"}, {"strokeWidth", 1.6}, {"opacity", 0.75}}},
            {"interval", {{"strokeWidth", 1.2}}},
            {"network", {{"filled", false}, {"strokeWidth", 1.6}, {"size", 60}, {"opacity", 1}}},
            {"label", {{"fontSize", 10}, {"color", "#24302d"}}},
            {"budget", {{"color", "#c2410c"}, {"strokeDash", {5, 4}}}},
            {"iso", {{"color", "#c6cbc6"}, {"strokeWidth", 1}}},
            {"iso-label",
             {{"color", "#5d6a67"}, {"fontSize", 10}, {"align", "right"}, {"dx", -4}, {"dy", 11}}},
            {"band", {{"color", "#7c8a87"}, {"opacity", 0.14}}},
            {"part", {{"stroke", "#ffffff"}, {"strokeWidth", 0.5}}}}}};
}

}  // namespace cpubone::chart
