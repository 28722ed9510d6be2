#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "explorer/accuracy.hpp"
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

}  // namespace cpubone
