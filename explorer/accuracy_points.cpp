#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "explorer/accuracy.hpp"

namespace cpubone {
namespace {

constexpr bool classic = true;
constexpr bool modern = false;
constexpr std::string_view faster = "FasterNet (CVPR 2023), table 3";
constexpr std::string_view mobileone = "MobileOne (CVPR 2023), table 8";
constexpr std::string_view figure = "CPUBone (arXiv 2603.26425), figure 1";
constexpr std::string_view lowformer = "LowFormer README";

struct Row {
  std::string_view network;
  std::string_view family;
  bool recipe;
  double params_m;
  double macs_m;
  double top1;
  std::string_view source;
};

constexpr Row rows[] = {
    {"ConViT-tiny", "ConViT", modern, 5.7, 1000, 73.1, mobileone},
    {"ConvNeXt-T", "ConvNeXt", modern, 28.6, 4470, 82.1, faster},
    {"CycleMLP-B1", "CycleMLP", modern, 15.2, 2100, 79.1, faster},
    {"CycleMLP-B2", "CycleMLP", modern, 26.8, 3900, 81.6, faster},
    {"DeiT-tiny", "DeiT", modern, 5.9, 1300, 72.2, mobileone},
    {"EdgeNeXt-XXS", "EdgeNeXt", modern, 1.3, 260, 71.2, faster},
    {"EdgeNeXt-XS", "EdgeNeXt", modern, 2.3, 540, 75, faster},
    {"EdgeNeXt-S", "EdgeNeXt", modern, 5.6, 1260, 79.4, faster},
    {"EfficientMod-xxs", "EfficientMod", modern, 4.7, 600, 76, figure},
    {"EfficientMod-xs", "EfficientMod", modern, 6.6, 800, 78.3, figure},
    {"EfficientMod-s", "EfficientMod", modern, 12.9, 1400, 81, figure},
    {"EfficientNet-B0", "EfficientNet", classic, 5.3, 390, 77.1, mobileone},
    {"FastViT-T8", "FastViT", modern, 4, 700, 75.6, figure},
    {"FastViT-T12", "FastViT", modern, 7.5, 1420, 79.1, figure},
    {"FastViT-SA12", "FastViT", modern, 11.6, 1960, 80.6, figure},
    {"FastViT-SA24", "FastViT", modern, 21.6, 3800, 82.6, figure},
    {"FasterNet-T0", "FasterNet", modern, 3.9, 340, 71.9, faster},
    {"FasterNet-T1", "FasterNet", modern, 7.6, 850, 76.2, faster},
    {"FasterNet-T2", "FasterNet", modern, 15, 1900, 78.9, faster},
    {"FasterNet-S", "FasterNet", modern, 31.1, 4550, 81.3, faster},
    {"FasterNet-M", "FasterNet", modern, 53.5, 8720, 83, faster},
    {"FasterNet-L", "FasterNet", modern, 93.4, 15490, 83.5, faster},
    {"GhostNet-x1.3", "GhostNet", classic, 7.3, 230, 75.7, faster},
    {"LowFormer-B0", "LowFormer", modern, 14.1, 944, 78.4, lowformer},
    {"LowFormer-B1", "LowFormer", modern, 17.9, 1410, 79.9, lowformer},
    {"LowFormer-B1.5", "LowFormer", modern, 33.9, 2573, 81.2, lowformer},
    {"LowFormer-B3", "LowFormer", modern, 57.1, 6098, 83.6, lowformer},
    {"MNASNet-A1", "MNASNet", classic, 3.9, 312, 75.2, mobileone},
    {"MixNet-S", "MixNet", classic, 4.1, 256, 75.8, mobileone},
    {"MobileFormer-52", "MobileFormer", classic, 3.6, 52, 68.7, mobileone},
    {"MobileFormer-96", "MobileFormer", classic, 4.6, 96, 72.8, mobileone},
    {"MobileNeXt-x1.0", "MobileNeXt", classic, 3.4, 311, 74, mobileone},
    {"MobileNeXt-x1.4", "MobileNeXt", classic, 6.1, 590, 76.1, mobileone},
    {"MobileNetV1", "MobileNetV1", classic, 4.2, 575, 70.6, mobileone},
    {"MobileNetV2-x1.0", "MobileNetV2", classic, 3.4, 300, 72, mobileone},
    {"MobileNetV2-x1.4", "MobileNetV2", classic, 6.9, 585, 74.7, mobileone},
    {"MobileNetV3-S", "MobileNetV3", classic, 2.5, 56, 67.4, mobileone},
    {"MobileNetV3-L", "MobileNetV3", classic, 5.4, 219, 75.2, mobileone},
    {"MobileOne-S0", "MobileOne", modern, 2.1, 275, 71.4, mobileone},
    {"MobileOne-S1", "MobileOne", modern, 4.8, 825, 75.9, mobileone},
    {"MobileOne-S2", "MobileOne", modern, 7.8, 1299, 77.4, mobileone},
    {"MobileOne-S3", "MobileOne", modern, 10.1, 1896, 78.1, mobileone},
    {"MobileOne-S4", "MobileOne", modern, 14.8, 2978, 79.4, mobileone},
    {"MobileViT-XXS", "MobileViT", modern, 1.3, 373, 69, mobileone},
    {"MobileViT-XS", "MobileViT", modern, 2.3, 941, 74.8, mobileone},
    {"MobileViT-S", "MobileViT", modern, 5.6, 1792, 78.4, mobileone},
    {"PVT-Tiny", "PVT", modern, 13.2, 1940, 75.1, faster},
    {"PVT-Small", "PVT", modern, 24.5, 3830, 79.8, faster},
    {"PiT-ti", "PiT", modern, 4.9, 710, 71.3, mobileone},
    {"PiT-xs", "PiT", modern, 10.6, 1400, 72.4, mobileone},
    {"PoolFormer-S12", "PoolFormer", modern, 11.9, 1820, 77.2, faster},
    {"PoolFormer-S24", "PoolFormer", modern, 21.4, 3410, 80.3, faster},
    {"PoolFormer-S36", "PoolFormer", modern, 30.9, 5000, 81.4, faster},
    {"RepViT-M0.9", "RepViT", modern, 5.1, 830, 77.4, figure},
    {"RepViT-M1.1", "RepViT", modern, 8.2, 1360, 79.4, figure},
    {"RepViT-M1.5", "RepViT", modern, 14, 2310, 81.2, figure},
    {"RepViT-M2.3", "RepViT", modern, 22.9, 4570, 82.5, figure},
    {"ResNet50", "ResNet50", modern, 25.5, 4090, 78.8, faster},
    {"ShuffleNetV2-x1.0", "ShuffleNetV2", classic, 2.3, 146, 69.4, mobileone},
    {"ShuffleNetV2-x1.5", "ShuffleNetV2", classic, 3.5, 300, 72.6, faster},
    {"ShuffleNetV2-x2.0", "ShuffleNetV2", classic, 7.4, 591, 74.9, mobileone},
    {"Swin-T", "Swin", modern, 28.3, 4510, 81.3, faster},
};

struct Member {
  std::string_view config;
  double top1;
};

/// Top-1 of the CPUBone README; 300 epochs at 224 pixels.
constexpr std::array<Member, 7> members{{{"nano", 72.67},
                                         {"t0", 74.85},
                                         {"s0", 75.89},
                                         {"b0", 77.6},
                                         {"b1", 78.7},
                                         {"b2", 80.3},
                                         {"b3", 83.1}}};

/// Parameters of the linear layer that most published networks end in: 1280 x 1000.
constexpr double usual_classifier_m = 1.28;

AccuracyPoint point_of(const CpuboneConfig& config, double top1) {
  const Capacity c = capacity(build(config));
  return {.network = config.name,
          .family = "CPUBone",
          .macs = c.macs,
          .body_params = c.body_params,
          .grouped_macs = c.grouped_macs,
          .top1 = top1,
          .source = "CPUBone README"};
}

}  // namespace

std::vector<AccuracyPoint> published_accuracy_points() {
  std::vector<AccuracyPoint> points;
  for (const Member& member : members)
    points.push_back(point_of(cpubone_config(member.config), member.top1));
  // The paper's ablation of groups, known second-hand: differences to groups 2.
  for (const auto& [groups, difference] : {std::pair{4, -0.3}, std::pair{8, -0.7}}) {
    CpuboneConfig config = cpubone_config("b0");
    for (CpuboneStage& stage : config.stages) stage.groups = groups;
    config.name = fmt::format("cpubone-b0 with groups {}", groups);
    AccuracyPoint point = point_of(config, 77.6 + difference);
    point.weak = true;
    point.source = "CPUBone's ablation of groups, second-hand";
    points.push_back(point);
  }
  for (const Row& row : rows)
    points.push_back(
        {.network = std::string(row.network),
         .family = std::string(row.family),
         .classic = row.recipe,
         .macs = row.macs_m * 1e6,
         .body_params = (row.params_m - std::min(usual_classifier_m, row.params_m / 3)) * 1e6,
         .top1 = row.top1,
         .source = std::string(row.source)});
  return points;
}

}  // namespace cpubone
