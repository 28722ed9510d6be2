#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <map>
#include <sstream>
#include <string_view>

#include "explorer/accuracy.hpp"
#include "graph/error.hpp"
#include "space/published.hpp"

namespace cpubone {
namespace {

/// Trained by recipes from before strong augmentation and long schedules.
constexpr std::array<std::string_view, 10> classic_families{
    "EfficientNet", "GhostNet",    "MNASNet",     "MixNet",      "MobileFormer",
    "MobileNeXt",   "MobileNetV1", "MobileNetV2", "MobileNetV3", "ShuffleNetV2"};

/// Parameters of the linear layer that most published networks end in: 1280 x 1000.
constexpr double usual_classifier_m = 1.28;

AccuracyPoint point_of(const CpuboneConfig& config, double top1, const std::string& source) {
  const Capacity c = capacity(build(config));
  AccuracyPoint point;
  point.network = config.name;
  point.family = "CPUBone";
  point.macs = c.macs;
  point.body_params = c.body_params;
  point.depth = c.depth;
  point.top1 = top1;
  point.source = source;
  return point;
}

}  // namespace

std::vector<AccuracyPoint> published_accuracy_points() {
  std::vector<AccuracyPoint> points;
  for (const CpuboneConfig& member : cpubone_family())
    if (const auto row = published_accuracy(member.name))
      points.push_back(point_of(member, row->top1, row->source));
  // The paper's ablation of groups, known second-hand: differences to groups 2.
  for (const auto& [groups, difference] : {std::pair{4, -0.3}, std::pair{8, -0.7}}) {
    CpuboneConfig config = cpubone_config("b0");
    for (CpuboneStage& stage : config.stages) stage.groups = groups;
    config.name = fmt::format("cpubone-b0 with groups {}", groups);
    AccuracyPoint point =
        point_of(config, 77.6 + difference, "CPUBone's ablation of groups, second-hand");
    point.weak = true;
    points.push_back(point);
  }
  for (const PublishedAccuracyRow& row : published_accuracies()) {
    if (row.family == "CPUBone" || !row.exclusion_reason.empty()) continue;
    AccuracyPoint point;
    point.network = row.network;
    point.family = row.family;
    point.classic = std::find(classic_families.begin(), classic_families.end(), row.family) !=
                    classic_families.end();
    point.macs = row.macs_m * 1e6;
    point.body_params = (row.params_m - std::min(usual_classifier_m, row.params_m / 3)) * 1e6;
    point.top1 = row.top1;
    point.source = row.source;
    points.push_back(point);
  }
  return points;
}

std::vector<AccuracyPoint> load_accuracy_points(const std::filesystem::path& path) {
  std::ifstream in(path);
  if (!in) throw Error(fmt::format("{}: cannot be read", path.string()));
  const auto split = [](std::string line) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    std::vector<std::string> cells;
    std::stringstream stream(line);
    std::string cell;
    while (std::getline(stream, cell, ',')) {
      const auto first = cell.find_first_not_of(" \t");
      const auto last = cell.find_last_not_of(" \t");
      cells.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
    }
    if (!line.empty() && line.back() == ',') cells.emplace_back();
    return cells;
  };
  std::string line;
  std::getline(in, line);
  const std::vector<std::string> header = split(line);
  const std::vector<std::string> known{"network", "params_m",      "macs_m",
                                       "top1",    "head_params_m", "family"};
  std::map<std::string, std::size_t> column;
  for (std::size_t k = 0; k < header.size(); ++k) {
    if (std::find(known.begin(), known.end(), header[k]) == known.end())
      throw Error(fmt::format("{}:1: unknown column \"{}\", expected among {}", path.string(),
                              header[k], fmt::join(known, ", ")));
    if (!column.emplace(header[k], k).second)
      throw Error(fmt::format("{}:1: column \"{}\" is there twice", path.string(), header[k]));
  }
  for (const char* needed : {"network", "params_m", "macs_m", "top1"})
    if (!column.contains(needed))
      throw Error(fmt::format("{}:1: missing column \"{}\", expected network,params_m,macs_m,top1",
                              path.string(), needed));

  std::vector<AccuracyPoint> points;
  for (int number = 2; std::getline(in, line); ++number) {
    if (line.empty() || line == "\r") continue;
    const std::vector<std::string> cells = split(line);
    if (cells.size() != header.size())
      throw Error(fmt::format("{}:{}: got {} cells, expected {}", path.string(), number,
                              cells.size(), header.size()));
    const auto real = [&](const std::string& name, double low, double high) {
      const std::string& cell = cells[column.at(name)];
      double v = 0;
      const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), v);
      if (error != std::errc() || end != cell.data() + cell.size() || !(v > low && v < high))
        throw Error(fmt::format("{}:{}: {} must be a number between {} and {}, got \"{}\"",
                                path.string(), number, name, low, high, cell));
      return v;
    };
    AccuracyPoint p;
    p.network = cells[column.at("network")];
    const bool has_family = column.contains("family") && !cells[column.at("family")].empty();
    p.family = has_family ? cells[column.at("family")] : "own";
    p.top1 = real("top1", 0, 100);
    p.macs = real("macs_m", 0, 1e6) * 1e6;
    const double params_m = real("params_m", 0, 1e5);
    const bool has_head =
        column.contains("head_params_m") && !cells[column.at("head_params_m")].empty();
    const double head_m =
        has_head ? real("head_params_m", -1e-9, params_m) : std::min(1.28, params_m / 3);
    p.params = params_m * 1e6;
    p.body_params = (params_m - head_m) * 1e6;
    p.source = path.string();
    points.push_back(p);
  }
  if (points.empty()) throw Error(fmt::format("{}: no networks below the header", path.string()));
  return points;
}

}  // namespace cpubone
