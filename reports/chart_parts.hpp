#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "reports/charts.hpp"

/// What charts are made of: tables of data, and specifications that draw them.
namespace cpubone::chart {

using nlohmann::json;

constexpr const char* proposals = "proposals";

/// Rounded to so many significant digits: what a chart can show, in few bytes.
double rounded(double value, int digits);
/// What a network's colour stands for: its family, or that it is a proposal.
std::string series(const ResultNetwork& network);

json network_rows(const Result& result);
/// Gives every labelled row of `network_rows` a place for its label in the chart `front`, as
/// `label_at`, and as `narrow_label_at` on a phone: none overlaps another, leaves the chart or
/// hides more than one mark. Null where there is no such place.
void place_labels(const ChartFrame& frame, json& networks);
json candidate_rows(const Result& result, std::size_t most);
json front_rows(const Result& result);
/// Latencies of one, two and five times powers of ten whose line crosses the chart.
json iso_rows(const ChartFrame& frame);
json rebuilt_rows(const Result& result);
json breakdown_rows(const Result& result);

json front_spec(const ChartFrame& frame);
json macs_spec(const ChartFrame& frame);
json predicted_spec(const Result& result, const ChartFrame& frame);
json rebuilt_spec(const json& rows);
json breakdown_spec(const json& rows, const std::string& field);
json search_spec(const Result& result);
/// The look of a chart that stands alone; the page has its own for light and dark.
json plain_look();

}  // namespace cpubone::chart
