#pragma once
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "records/result.hpp"

namespace cpubone {

/// A chart of the report. `spec` is Vega-Lite 5 and names its data; `ChartSet::data` has them.
struct Chart {
  std::string name;   ///< of its file and anchor, e.g. `front`
  std::string title;  ///< one line
  std::string alt;    ///< what it shows, for who does not see it
  nlohmann::json spec;
};

/// The charts of a result over shared tables of data.
struct ChartSet {
  nlohmann::json data;  ///< object of tables: `candidates`, `networks`, `front`, ...
  std::vector<Chart> charts;
};

/// Axes and colours that the charts of several results share.
struct ChartFrame {
  double latency_low_ms = 1;
  double latency_high_ms = 100;
  double top1_low = 60;
  double top1_high = 85;
  double macs_low_m = 100;
  double macs_high_m = 10000;
  double gmacps_low = 1;
  double gmacps_high = 100;
  std::size_t candidates = 10000;   ///< most candidates of a result that are drawn
  std::vector<std::string> series;  ///< families; `proposals` first: the order of the colours
};

/// Axes that hold every network and candidate of all results, with some air. 10,000 candidates are
/// drawn in all: more would make the page larger than 2 MB and show nothing else.
ChartFrame chart_frame(std::span<const Result> results);

/// The charts for which the result has data, in the order of the report: `front`, `macs`,
/// `predicted`, `rebuilt`, `time-by-class`, `time-by-stage`, `search`, and one a study that has a
/// chart, named after it.
ChartSet make_charts(const Result& result, const ChartFrame& frame);

/// Of the study's chart.
std::string chart_name(const Study& study);

/// The specification with the data that it names, a size and a plain look: what a notebook, an
/// editor or a renderer shows as it is.
nlohmann::json standalone(const ChartSet& set, const Chart& chart);

}  // namespace cpubone
