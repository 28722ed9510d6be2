#include "reports/charts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include "reports/summary.hpp"
#include "reports/words.hpp"

namespace cpubone {
namespace {

using nlohmann::json;

constexpr const char* schema = "https://vega.github.io/schema/vega-lite/v5.json";
constexpr const char* proposals = "proposals";

/// Rounded to so many significant digits: what a chart can show, in few bytes.
double rounded(double value, int digits) {
  if (value == 0 || !std::isfinite(value)) return value;
  const double power = digits - 1 - std::floor(std::log10(std::abs(value)));
  // Dividing by a whole power of ten gives the double that prints shortest.
  if (power < 0) return std::round(value * std::pow(10.0, power)) * std::pow(10.0, -power);
  return std::round(value * std::pow(10.0, power)) / std::pow(10.0, power);
}

std::string series(const ResultNetwork& network) {
  if (network.origin == Origin::proposal) return proposals;
  return network.family.empty() ? "other" : network.family;
}

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

json colour(const ChartFrame& frame) {
  return {{"field", "series"},
          {"type", "nominal"},
          {"scale", {{"domain", frame.series}}},
          {"legend", {{"title", nullptr}, {"orient", "bottom"}, {"columns", 5}}}};
}

json network_rows(const Result& result) {
  const auto on_front = front(result);
  json rows = json::array();
  for (const ResultNetwork& network : result.networks) {
    const auto latency = latency_ms(network);
    if (!latency) continue;
    const bool is_proposal = network.origin == Origin::proposal;
    const bool is_front = std::find(on_front.begin(), on_front.end(), &network) != on_front.end();
    json row = {
        {"name", network.name},
        {"family", network.family},
        {"description", network.description},
        {"series", series(network)},
        {"origin", name(network.origin)},
        {"latency", rounded(latency->value, 4)},
        {"latency_low", rounded(latency->low, 4)},
        {"latency_high", rounded(latency->high, 4)},
        {"macs_m", rounded(static_cast<double>(network.macs) / 1e6, 4)},
        {"params_m", rounded(static_cast<double>(network.params) / 1e6, 4)},
        {"gmacps", network.gmacps ? json(rounded(*network.gmacps, 3)) : json()},
        {"how", network.measured_ms ? "measured" : "predicted"},
        {"front", is_front},
        {"label",
         is_front || (!is_proposal && network.family == "cpubone") ? network.name : std::string()}};
    row["latency_text"] = fmt::format("{} ms, {}", with_interval(*latency),
                                      network.measured_ms ? "measured" : "predicted");
    row["top1"] = nullptr;
    row["top1_text"] = "not known";
    if (network.top1) {
      const Interval& top = network.top1->percent;
      row["top1"] = rounded(top.value, 4);
      row["top1_low"] = rounded(top.low, 4);
      row["top1_high"] = rounded(top.high, 4);
      row["top1_text"] = network.top1->estimated ? fmt::format("{:.1f} % estimated ({:.1f}–{:.1f})",
                                                               top.value, top.low, top.high)
                                                 : fmt::format("{:.1f} % published", top.value);
    }
    if (network.measured_ms && network.predicted_ms) {
      row["measured"] = rounded(network.measured_ms->ms.value, 4);
      row["predicted"] = rounded(network.predicted_ms->value, 4);
      row["predicted_low"] = rounded(network.predicted_ms->low, 4);
      row["predicted_high"] = rounded(network.predicted_ms->high, 4);
      row["error"] = fmt::format(
          "{:+.1f} %", (network.predicted_ms->value / network.measured_ms->ms.value - 1) * 100);
    }
    rows.push_back(row);
  }
  return rows;
}

json candidate_rows(const Result& result, std::size_t most) {
  json rows = json::array();
  const std::size_t all = result.candidates.size();
  const std::size_t drawn = std::min(all, most);
  for (std::size_t i = 0; i < drawn; ++i) {
    const Candidate& c = result.candidates[i * all / drawn];  // evenly over the search
    rows.push_back({{"l", rounded(c.latency_ms, 4)},
                    {"a", rounded(c.top1, 4)},
                    {"m", rounded(static_cast<double>(c.macs) / 1e6, 4)},
                    {"p", rounded(static_cast<double>(c.params) / 1e6, 3)},
                    {"g", rounded(static_cast<double>(c.macs) / c.latency_ms / 1e6, 3)}});
  }
  return rows;
}

json front_rows(const Result& result) {
  json rows = json::array();
  for (const ResultNetwork* network : front(result))
    rows.push_back({{"latency", rounded(latency_ms(*network)->value, 4)},
                    {"top1", rounded(network->top1->percent.value, 4)}});
  return rows;
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

json shape() {
  return {{"field", "origin"},
          {"type", "nominal"},
          {"scale", {{"domain", {"published", "proposal"}}, {"range", {"circle", "diamond"}}}},
          {"legend", nullptr}};
}

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
  layers.push_back({{"name", "points"},
                    {"data", data_name("networks")},
                    {"transform", {known, shown_series()}},
                    {"mark", {{"type", "point"}, {"style", "network"}, {"clip", true}}},
                    {"encoding",
                     {{"x", x},
                      {"y", y},
                      {"color", colour(r)},
                      {"shape", shape()},
                      {"opacity", within},
                      {"tooltip", network_tooltip()}}}});
  // A label that would leave the chart on the right stands on the left of its point.
  const double edge_ms = r.latency_high_ms / std::pow(r.latency_high_ms / r.latency_low_ms, 0.16);
  const auto beside = [&](const char* at_edge, const char* elsewhere) {
    const char* quote = std::isalpha(static_cast<unsigned char>(*elsewhere)) != 0 ? "'" : "";
    return json{{"expr", fmt::format("datum.latency > {} ? {}{}{} : {}{}{}", rounded(edge_ms, 3),
                                     quote, at_edge, quote, quote, elsewhere, quote)}};
  };
  // Proposals are labelled above on the left and published ones below on the right: they are close.
  for (const bool is_proposal : {true, false}) {
    const char* kind = is_proposal ? "datum.label !== '' && datum.origin === 'proposal'"
                                   : "datum.label !== '' && datum.origin === 'published'";
    json mark = {{"type", "text"},
                 {"style", "label"},
                 {"clip", true},
                 {"align", is_proposal ? json("right") : beside("right", "left")},
                 {"dx", is_proposal ? json(-5) : beside("-5", "7")},
                 {"dy", is_proposal ? -9 : 9}};
    layers.push_back({{"data", data_name("networks")},
                      {"transform", {known, shown_series(), {{"filter", kind}}}},
                      {"mark", mark},
                      {"encoding",
                       {{"x", x},
                        {"y", y},
                        {"text", {{"field", "label"}, {"type", "nominal"}}},
                        {"opacity", within}}}});
  }
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

/// Latencies of one, two and five times powers of ten whose line crosses the chart.
json iso_rows(const ChartFrame& r) {
  json rows = json::array();
  for (int power = -3; power <= 5; ++power) {
    for (const double step : {1.0, 2.0, 5.0}) {
      const double ms = step * std::pow(10.0, power);
      // gmacps = macs_m / ms: the part of that line inside the chart.
      const double left = std::max(r.macs_low_m, r.gmacps_low * ms);
      const double right = std::min(r.macs_high_m, r.gmacps_high * ms);
      if (left >= right) continue;
      const std::string label = fmt::format("{:g} ms", ms);
      rows.push_back({{"m", left}, {"g", left / ms}, {"label", label}, {"end", false}});
      rows.push_back({{"m", right}, {"g", right / ms}, {"label", label}, {"end", true}});
    }
  }
  return rows;
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
  layers.push_back({{"data", data_name("networks")},
                    {"transform", {{{"filter", "datum.gmacps !== null"}}, shown_series()}},
                    {"mark", {{"type", "point"}, {"style", "network"}, {"clip", true}}},
                    {"encoding",
                     {{"x", x},
                      {"y", y},
                      {"color", colour(r)},
                      {"shape", shape()},
                      {"tooltip", network_tooltip()}}}});
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
  layers.push_back(
      {{"data", data_name("networks")},
       {"transform", json::array({both})},
       {"mark", {{"type", "point"}, {"style", "network"}, {"clip", true}}},
       {"encoding",
        {{"x", x},
         {"y", y},
         {"color", colour(r)},
         {"shape", shape()},
         {"tooltip",
          {tooltip("name", "network", "nominal"), tooltip("measured", "measured, ms"),
           tooltip("predicted", "predicted, ms"), tooltip("error", "error", "nominal")}}}}});
  return {{"height", 380}, {"layer", layers}};
}

json rebuilt_rows(const Result& result) {
  json rows = json::array();
  for (const ResultNetwork& network : result.networks) {
    if (!network.published) continue;
    if (const auto latency = latency_ms(network))
      rows.push_back({{"name", network.name},
                      {"where", fmt::format("{}, here", result.device.name)},
                      {"latency", rounded(latency->value, 4)},
                      {"here", true},
                      {"macs", network.macs}});
    for (const PublishedLatency& row : network.published->latency)
      rows.push_back({{"name", network.name},
                      {"where", row.device},
                      {"latency", row.latency_ms},
                      {"here", false},
                      {"macs", network.macs}});
  }
  return rows;
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
          {"mark", {{"type", "point"}, {"style", "network"}, {"size", 90}}},
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

/// The networks whose breakdown is drawn: the front and CPUBone; the others are in the table.
std::vector<const ResultNetwork*> broken_down(const Result& result) {
  const auto on_front = front(result);
  std::vector<const ResultNetwork*> networks;
  for (const ResultNetwork& network : result.networks) {
    const bool wanted = network.family == "cpubone" ||
                        std::find(on_front.begin(), on_front.end(), &network) != on_front.end();
    if (wanted && !network.breakdown.empty()) networks.push_back(&network);
  }
  if (networks.empty())
    for (const ResultNetwork& network : result.networks)
      if (!network.breakdown.empty()) networks.push_back(&network);
  return networks;
}

json breakdown_rows(const Result& result) {
  json rows = json::array();
  std::vector<std::string> stages;
  std::vector<std::string> classes;
  const auto place = [](std::vector<std::string>& seen, const std::string& name) {
    const auto found = std::find(seen.begin(), seen.end(), name);
    if (found != seen.end()) return found - seen.begin();
    seen.push_back(name);
    return static_cast<std::ptrdiff_t>(seen.size()) - 1;
  };
  for (const ResultNetwork* network : broken_down(result))
    for (const BreakdownRow& row : network->breakdown)
      rows.push_back({{"name", network->name},
                      {"stage", row.stage},
                      {"stage_order", place(stages, row.stage)},
                      {"class", row.op_class},
                      {"class_order", place(classes, row.op_class)},
                      {"ms", rounded(row.latency_ms, 4)},
                      {"macs", network->macs}});
  return rows;
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

std::string front_alt(const Result& result) {
  const auto networks = front(result);
  if (networks.empty()) return "Latency against accuracy; no network has both.";
  return fmt::format(
      "Latency against accuracy of {} networks and {} candidates on {}. The front goes from {} "
      "({} ms, {:.1f} %) to {} ({} ms, {:.1f} %). The table below lists it.",
      result.networks.size(), result.candidates.size(), result.device.name, networks.front()->name,
      short_number(latency_ms(*networks.front())->value), networks.front()->top1->percent.value,
      networks.back()->name, short_number(latency_ms(*networks.back())->value),
      networks.back()->top1->percent.value);
}

/// The look of a chart that stands alone; the page has its own for light and dark.
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
              "#7e22ce", "#57534e", "#b91c1c", "#0891b2", "#65a30d"}}}},
          {"style",
           {{"cloud", {{"color", "#7c8a87"}, {"size", 9}, {"opacity", 0.28}}},
            {"front", {{"color", "#0f766e"}, {"strokeWidth", 1.6}, {"opacity", 0.75}}},
            {"interval", {{"strokeWidth", 1.2}}},
            {"network", {{"filled", true}, {"size", 70}, {"opacity", 1}}},
            {"label", {{"fontSize", 10}, {"color", "#24302d"}}},
            {"budget", {{"color", "#c2410c"}, {"strokeDash", {5, 4}}}},
            {"iso", {{"color", "#c6cbc6"}, {"strokeWidth", 1}}},
            {"iso-label",
             {{"color", "#5d6a67"}, {"fontSize", 10}, {"align", "right"}, {"dx", -4}, {"dy", 11}}},
            {"band", {{"color", "#7c8a87"}, {"opacity", 0.14}}},
            {"part", {{"stroke", "#ffffff"}, {"strokeWidth", 0.5}}}}}};
}

}  // namespace

ChartFrame chart_frame(std::span<const Result> results) {
  struct Range {
    double low = std::numeric_limits<double>::infinity();
    double high = 0;
    void add(double value) {
      low = std::min(low, value);
      high = std::max(high, value);
    }
  };
  Range latency, accuracy, macs, gmacps;
  std::set<std::string> families;
  for (const Result& result : results) {
    for (const ResultNetwork& network : result.networks) {
      if (network.origin == Origin::published) families.insert(series(network));
      const auto ms = latency_ms(network);
      if (ms && network.top1) {
        latency.add(ms->value);
        accuracy.add(network.top1->percent.value);
      }
      if (network.gmacps && *network.gmacps > 0 && network.macs > 0) {
        gmacps.add(*network.gmacps);
        macs.add(static_cast<double>(network.macs) / 1e6);
      }
    }
    for (const Candidate& c : result.candidates) {
      latency.add(c.latency_ms);
      accuracy.add(c.top1);
      if (c.macs <= 0) continue;
      macs.add(static_cast<double>(c.macs) / 1e6);
      gmacps.add(static_cast<double>(c.macs) / c.latency_ms / 1e6);
    }
  }
  ChartFrame frame;
  frame.candidates /= std::max<std::size_t>(1, results.size());
  frame.series = {proposals};
  frame.series.insert(frame.series.end(), families.begin(), families.end());
  if (latency.high > 0) {
    frame.latency_low_ms = rounded(latency.low / 1.2, 2);
    frame.latency_high_ms = rounded(latency.high * 1.3, 2);
    frame.top1_low = std::floor(accuracy.low - 0.5);
    frame.top1_high = std::min(100.0, std::ceil(accuracy.high + 0.5));
  }
  if (macs.high > 0) {
    frame.macs_low_m = rounded(macs.low / 1.3, 2);
    frame.macs_high_m = rounded(macs.high * 1.3, 2);
    frame.gmacps_low = rounded(gmacps.low / 1.3, 2);
    frame.gmacps_high = rounded(gmacps.high * 1.3, 2);
  }
  return frame;
}

ChartSet make_charts(const Result& result, const ChartFrame& frame) {
  ChartSet set;
  set.data = {
      {"networks", network_rows(result)}, {"candidates", candidate_rows(result, frame.candidates)},
      {"front", front_rows(result)},      {"iso", iso_rows(frame)},
      {"rebuilt", rebuilt_rows(result)},  {"breakdown", breakdown_rows(result)}};
  const auto add = [&](std::string name, std::string title, std::string alt, json spec) {
    spec["$schema"] = schema;
    spec["description"] = alt;
    set.charts.push_back({std::move(name), std::move(title), std::move(alt), std::move(spec)});
  };
  std::string front_title = "Accuracy against latency";
  if (result.candidates.size() > frame.candidates)
    front_title +=
        fmt::format(" ({} of {} candidates drawn)", frame.candidates, result.candidates.size());
  add("front", front_title, front_alt(result), front_spec(frame));
  if (!macs_table(result).rows.empty())
    add("macs", "MACs against MACpS",
        fmt::format("MACs against GMACpS of the networks on {}, with lines of equal latency: two "
                    "networks on one line are equally fast. The table below lists them.",
                    result.device.name),
        macs_spec(frame));
  if (!prediction_table(result).rows.empty())
    add("predicted", "Predicted against measured latency",
        "Predicted against measured latency; the band is ± 10 %. " + prediction_sentence(result),
        predicted_spec(result, frame));
  if (!set.data["rebuilt"].empty())
    add("rebuilt", "Latency here and as published",
        fmt::format("Latency of the rebuilt networks on {} beside what was published on other "
                    "devices. The tables below list them.",
                    result.device.name),
        rebuilt_spec(set.data["rebuilt"]));
  if (!set.data["breakdown"].empty()) {
    add("time-by-class", "Share of latency by class of operator",
        "Share of each network's latency by class of operator. The table below lists it.",
        breakdown_spec(set.data["breakdown"], "class"));
    add("time-by-stage", "Share of latency by stage",
        "Share of each network's latency by stage. The table below lists it.",
        breakdown_spec(set.data["breakdown"], "stage"));
  }
  if (result.search && result.search->hypervolume.size() > 1)
    add("search", "Hypervolume over the search",
        "Hypervolume of the front against the number of networks evaluated.", search_spec(result));
  for (const Study& study : result.studies)
    if (json chart = study_chart(study); chart.is_object()) {
      const Statement said = statement(study, result.device);
      add("study-" + study.name, said.title, said.sentence, std::move(chart));
    }
  return set;
}

json standalone(const ChartSet& set, const Chart& chart) {
  json spec = chart.spec;
  // Data are looked for anywhere in the specification, because studies bring their own layering.
  std::set<std::string> names;
  const std::function<void(const json&)> collect = [&](const json& value) {
    if (value.is_object()) {
      const auto data = value.find("data");
      if (data != value.end() && data->is_object() && data->contains("name") &&
          data->at("name").is_string())
        names.insert(data->at("name").get<std::string>());
    }
    if (value.is_structured())
      for (const json& child : value) collect(child);
  };
  collect(spec);
  for (const std::string& name : names)
    if (set.data.contains(name) && !(spec.contains("datasets") && spec["datasets"].contains(name)))
      spec["datasets"][name] = set.data[name];
  if (!spec.contains("width")) spec["width"] = 640;
  if (!spec.contains("title")) spec["title"] = chart.title;
  if (!spec.contains("config")) spec["config"] = plain_look();
  return spec;
}

}  // namespace cpubone
