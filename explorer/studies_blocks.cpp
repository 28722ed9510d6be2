#include "explorer/studies.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "space/blocks.hpp"
#include "space/cpubone.hpp"

namespace cpubone {
namespace {

constexpr std::array channels_range{16, 32, 64, 128, 256, 512};
constexpr std::array resolutions{7, 14, 28, 56, 112};
constexpr std::int64_t most_block_macs = 1'200'000'000;

Network block(int channels, int resolution, bool fused, int groups, int kernel) {
  NetworkBuilder b("block", "study", {1, resolution, resolution, channels});
  b.stage(1);
  MbConv conv{.out_channels = channels,
              .hidden_channels = 4 * channels,
              .kernel = kernel,
              .groups = groups};
  const int out = fused ? fused_mbconv(b, network_input, "block", conv)
                        : mbconv(b, network_input, "block", conv);
  return b.finish(out);
}

/// Blocks over channels and resolutions; `variants` differ in one number, the first is the
/// baseline.
StudyPlan block_study(
    const char* name, const char* column, const std::vector<int>& variants,
    const std::function<Network(int channels, int resolution, bool fused, int variant)>& make) {
  StudyPlan plan;
  plan.name = name;
  plan.label_columns = {{"block", ""}, {"channels", ""}, {"resolution", ""}, {column, ""}};
  for (const bool fused : {true, false})
    for (const int channels : channels_range)
      for (const int resolution : resolutions) {
        if (macs(make(channels, resolution, fused, variants[0])) > most_block_macs) continue;
        const int base = static_cast<int>(plan.subjects.size());
        for (const int variant : variants)
          plan.subjects.push_back({{fused ? "fused" : "unfused", channels, resolution, variant},
                                   make(channels, resolution, fused, variant),
                                   variant == variants[0] ? -1 : base});
      }
  return plan;
}

/// Mean quotients of latency and MACpS of one variant over its baselines.
struct Effect {
  Interval latency;
  Interval macps;
  double macs = 1;
};
Effect effect(Rows rows, const char* block_name, int variant) {
  std::vector<Interval> latency;
  std::vector<Interval> macps;
  double macs = 0;
  for (const StudyRow& row : rows) {
    if (row.subject->baseline < 0 || row.subject->labels[0] != block_name ||
        row.subject->labels[3] != variant)
      continue;
    const StudyRow& base = rows[static_cast<std::size_t>(row.subject->baseline)];
    latency.push_back(ratio(row.ms, base.ms));
    const double fewer = static_cast<double>(row.macs) / static_cast<double>(base.macs);
    const Interval inverse = ratio(base.ms, row.ms);
    macps.push_back({fewer * inverse.value, fewer * inverse.low, fewer * inverse.high});
    macs += std::log(fewer);
  }
  return {mean_ratio(latency), mean_ratio(macps),
          std::exp(macs / static_cast<double>(latency.size()))};
}

}  // namespace

StudyPlan grouping_study() {
  StudyPlan plan = block_study(
      "grouping", "groups", {1, 2, 4, 8},
      [](int c, int r, bool fused, int groups) { return block(c, r, fused, groups, 3); });
  plan.conclude = [](Rows rows, Study& study) {
    const Effect fused = effect(rows, "fused", 2);
    const Effect eight = effect(rows, "fused", 8);
    add(study, "fused_2_macs_ratio", fused.macs);
    add(study, "fused_2_macps_ratio", fused.macps);
    add(study, "fused_2_latency_ratio", fused.latency);
    add(study, "unfused_2_latency_ratio", effect(rows, "unfused", 2).latency);
    add(study, "fused_8_macs_ratio", eight.macs);
    add(study, "fused_8_latency_ratio", eight.latency);
    study.holds = below_one(fused.latency);
  };
  return plan;
}

StudyPlan kernel_study() {
  StudyPlan plan = block_study(
      "kernel", "kernel", {3, 2, 5},
      [](int c, int r, bool fused, int kernel) { return block(c, r, fused, 2, kernel); });
  plan.conclude = [](Rows rows, Study& study) {
    const Effect fused = effect(rows, "fused", 2);
    const Effect unfused = effect(rows, "unfused", 2);
    add(study, "fused_macps_ratio", fused.macps);
    add(study, "unfused_macps_ratio", unfused.macps);
    add(study, "fused_latency_ratio", fused.latency);
    add(study, "unfused_latency_ratio", unfused.latency);
    study.holds = below_one(fused.latency);
  };
  return plan;
}

StudyPlan fusion_study() {
  StudyPlan plan;
  plan.name = "fusion";
  plan.label_columns = {{"resolution", ""}, {"channels", ""}, {"block", ""}};
  for (const int resolution : {7, 14, 28, 56})
    for (const int channels : {16, 32, 48, 64, 96, 128, 192, 256, 384, 512}) {
      if (macs(block(channels, resolution, true, 2, 2)) > most_block_macs) continue;
      const int base = static_cast<int>(plan.subjects.size());
      plan.subjects.push_back(
          {{resolution, channels, "unfused"}, block(channels, resolution, false, 2, 2), -1});
      plan.subjects.push_back(
          {{resolution, channels, "fused"}, block(channels, resolution, true, 2, 2), base});
    }
  plan.conclude = [](Rows rows, Study& study) {
    // For each resolution the widest at which fused is faster, and from which on unfused is.
    bool near_256 = true;
    for (std::size_t i = 0; i + 1 < rows.size();) {
      const nlohmann::json resolution = rows[i].subject->labels[0];
      int last_fused = 0;
      int first_unfused = 0;
      int largest = 0;
      for (; i + 1 < rows.size() && rows[i].subject->labels[0] == resolution; i += 2) {
        const Interval fused = ratio(rows[i + 1].ms, rows[i].ms);
        const int channels = rows[i].subject->labels[1].get<int>();
        largest = channels;
        if (fused.high < 1) {
          last_fused = channels;
          first_unfused = 0;
        } else if (fused.low > 1 && first_unfused == 0) {
          first_unfused = channels;
        }
      }
      add_crossover(study, resolution.get<int>(), last_fused, first_unfused);
      near_256 = near_256 &&
                 (first_unfused == 0 ? largest < 256 : last_fused < 256 && first_unfused >= 192);
    }
    study.holds = near_256;
  };
  return plan;
}

StudyPlan upsampling_study() {
  StudyPlan plan;
  plan.name = "upsampling";
  plan.label_columns = {{"upsampling", ""}};
  CpuboneConfig config = cpubone_config("b1");
  config.upsampling = Upsampling::transposed;
  plan.subjects.push_back({{"transposed"}, build(config), -1});
  config.upsampling = Upsampling::nearest;
  plan.subjects.push_back({{"nearest"}, build(config), 0});
  plan.conclude = [](Rows rows, Study& study) {
    const Interval quotient = ratio(rows[1].ms, rows[0].ms);
    add(study, "latency_ratio", quotient);
    study.holds = below_one(quotient);
  };
  return plan;
}

/// B1 without the attention of some stages.
StudyPlan attention_study() {
  StudyPlan plan;
  plan.name = "attention";
  plan.label_columns = {{"network", ""}, {"resolution", ""}, {"attention in", ""}};
  for (const int resolution : {224, 320}) {
    CpuboneConfig config = cpubone_config("b1");
    config.resolution = resolution;
    const int base = static_cast<int>(plan.subjects.size());
    plan.subjects.push_back({{"B1", resolution, "stages 3 and 4"}, build(config), -1});
    CpuboneConfig late = config;
    late.stages[3].attention = false;
    plan.subjects.push_back({{"B1", resolution, "stage 4"}, build(late), base});
    late.stages[4].attention = false;
    plan.subjects.push_back({{"B1", resolution, "none"}, build(late), base});
  }
  plan.conclude = [](Rows rows, Study& study) {
    add(study, "share_at_224", 1 - ratio(rows[2].ms, rows[0].ms).value);
    add(study, "share_at_320", 1 - ratio(rows[5].ms, rows[3].ms).value);
    add(study, "stage3_share_at_224", 1 - ratio(rows[1].ms, rows[0].ms).value);
    add(study, "stage3_share_at_320", 1 - ratio(rows[4].ms, rows[3].ms).value);
  };
  return plan;
}

}  // namespace cpubone
