#include "reports/charts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include "reports/chart_parts.hpp"
#include "reports/summary.hpp"
#include "reports/tables.hpp"
#include "reports/words.hpp"

namespace cpubone {
namespace {

using namespace chart;

constexpr const char* schema = "https://vega.github.io/schema/vega-lite/v5.json";
std::string front_alt(const Result& result) {
  const auto networks = front(result);
  if (networks.empty()) return "Latency against accuracy; no network has both.";
  return fmt::format(
      "Latency against accuracy of {} networks and {} candidates on {}. The front goes from {} "
      "({} ms, {:.1f} %) to {} ({} ms, {:.1f} %). The table below lists it.",
      result.networks.size(), result.candidates.size(), device_text(result.device),
      networks.front()->name, short_number(latency_ms(*networks.front())->value),
      networks.front()->top1->percent.value, networks.back()->name,
      short_number(latency_ms(*networks.back())->value), networks.back()->top1->percent.value);
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
  place_labels(frame, set.data["networks"]);
  const auto add = [&](std::string name, std::string title, std::string alt, json spec) {
    spec["$schema"] = schema;
    spec["description"] = alt;
    set.charts.push_back({std::move(name), std::move(title), std::move(alt), std::move(spec)});
  };
  std::string front_title = "Accuracy against latency";
  if (result.candidates.size() > frame.candidates)
    front_title +=
        fmt::format(" ({} of {} candidates drawn)", frame.candidates, result.candidates.size());
  if (!only_studies(result)) add("front", front_title, front_alt(result), front_spec(frame));
  if (!macs_table(result).rows.empty())
    add("macs", "MACs against MACpS",
        fmt::format("MACs against GMACpS of the networks on {}, with lines of equal latency: two "
                    "networks on one line are equally fast. The table below lists them.",
                    device_text(result.device)),
        macs_spec(frame));
  if (!prediction_table(result).rows.empty())
    add("predicted", "Predicted against measured latency",
        "Predicted against measured latency; the band is ± 10 %. " + prediction_sentence(result),
        predicted_spec(result, frame));
  if (!set.data["rebuilt"].empty())
    add("rebuilt", "Latency here and as published",
        fmt::format("Latency of the rebuilt networks on {} beside what was published on other "
                    "devices. The tables below list them.",
                    device_text(result.device)),
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
      add(chart_name(study), said.title, said.sentence, std::move(chart));
    }
  return set;
}

std::string chart_name(const Study& study) {
  return "study-" + study.name;
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
