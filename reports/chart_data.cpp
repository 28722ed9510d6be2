#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reports/chart_parts.hpp"
#include "reports/summary.hpp"

namespace cpubone::chart {
namespace {

/// Networks that are labelled and broken down whether they are on the front or not.
bool is_cpubone(const ResultNetwork& network) {
  return network.family == "CPUBone";
}

/// The networks whose breakdown is drawn: the front and CPUBone; the others are in the table.
std::vector<const ResultNetwork*> broken_down(const Result& result) {
  const auto on_front = front(result);
  std::vector<const ResultNetwork*> networks;
  for (const ResultNetwork& network : result.networks) {
    const bool wanted = is_cpubone(network) ||
                        std::find(on_front.begin(), on_front.end(), &network) != on_front.end();
    if (wanted && !network.breakdown.empty()) networks.push_back(&network);
  }
  if (networks.empty())
    for (const ResultNetwork& network : result.networks)
      if (!network.breakdown.empty()) networks.push_back(&network);
  return networks;
}

}  // namespace

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

json network_rows(const Result& result) {
  const auto on_front = front(result);
  json rows = json::array();
  for (const ResultNetwork& network : result.networks) {
    const auto latency = latency_ms(network);
    if (!latency) continue;
    const bool is_proposal = network.origin == Origin::proposal;
    const bool is_front = std::find(on_front.begin(), on_front.end(), &network) != on_front.end();
    json row = {{"name", network.name},
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
                {"how", latency_source(network)},
                {"front", is_front},
                {"label",
                 is_front || (!is_proposal && is_cpubone(network)) ? network.name : std::string()}};
    row["latency_text"] =
        fmt::format("{} ms, {}", with_interval(*latency), latency_source(network));
    const auto log_sd = log_latency_sd(network);
    row["latency_log_sd"] = log_sd ? json(rounded(*log_sd, 3)) : json();
    row["top1"] = nullptr;
    row["top1_text"] = "not known";
    if (network.top1) {
      const Interval& top = network.top1->percent;
      row["top1"] = rounded(top.value, 4);
      row["top1_low"] = rounded(top.low, 4);
      row["top1_high"] = rounded(top.high, 4);
      row["error_log_sd"] = rounded(log_error_sd(*network.top1), 3);
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

json rebuilt_rows(const Result& result) {
  json rows = json::array();
  for (const ResultNetwork& network : result.networks) {
    if (!network.published) continue;
    if (const auto latency = latency_ms(network))
      rows.push_back({{"name", network.name},
                      {"where", fmt::format("{}, here", device_text(result.device))},
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

}  // namespace cpubone::chart
