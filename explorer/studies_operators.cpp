#include "explorer/studies.hpp"

#include <fmt/format.h>

#include <array>

#include "space/blocks.hpp"
#include "space/fasternet.hpp"

namespace cpubone {
namespace {

struct Stage {
  int channels;
  int resolution;
};
constexpr std::array<Stage, 4> fasternet_stages{{{96, 56}, {192, 28}, {384, 14}, {768, 7}}};

/// MobileOne's 30-layer network is not published in detail: 30 layers of 3x3 convolutions over four
/// stages with about the latency scale of its Table 3.
Network thirty_layers(Activation activation, bool squeeze, bool skip) {
  NetworkBuilder b("thirty", "study", {1, 112, 112, 3});
  int x = network_input;
  int layer = 0;
  for (const auto& [channels, layers] :
       {std::pair{32, 6}, std::pair{64, 8}, std::pair{128, 10}, std::pair{256, 6}}) {
    b.stage(channels / 32);
    for (int i = 0; i < layers; ++i, ++layer) {
      const int before = x;
      const std::string name = fmt::format("layer{}", layer);
      x = b.conv2d(x, name,
                   {.out_channels = channels,
                    .kernel = 3,
                    .stride = i == 0 ? 2 : 1,
                    .activation = activation});
      if (squeeze)
        x = squeeze_excite(b, x, name + ".se", channels / 16, Activation::relu,
                           Activation::sigmoid);
      if (skip && b.shape(before) == b.shape(x)) x = b.add(x, before, name + ".add");
    }
  }
  return b.finish(x);
}

}  // namespace

StudyPlan operators_study() {
  StudyPlan plan;
  plan.name = "operators";
  plan.label_columns = {{"operator", ""}, {"input", ""}};
  constexpr std::array kinds{"conv 3x3", "grouped (16)", "depthwise", "partial (1/4)"};
  for (std::size_t k = 0; k < kinds.size(); ++k)
    for (std::size_t s = 0; s < fasternet_stages.size(); ++s) {
      const int channels = fasternet_stages[s].channels;
      const int resolution = fasternet_stages[s].resolution;
      const Network network =
          stacked(channels, resolution, 10, [&](NetworkBuilder& b, int x, const std::string& name) {
            if (k == 2) return b.depthwise(x, name, {.kernel = 3, .bias = false});
            if (k == 3) return b.partial_conv2d(x, name, channels / 4, 3);
            return b.conv2d(
                x, name,
                {.out_channels = channels, .kernel = 3, .groups = k == 1 ? 16 : 1, .bias = false});
          });
      plan.subjects.push_back({{kinds[k], fmt::format("{}x{}²", channels, resolution)},
                               network,
                               k == 0 ? -1 : static_cast<int>(s)});
    }
  plan.conclude = [](Rows rows, Study& study) {
    std::array<double, 4> gmacps{};
    for (std::size_t i = 0; i < rows.size(); ++i) gmacps[i / 4] += rows[i].gmacps / 4;
    add(study, "dense_gmacps", gmacps[0]);
    add(study, "grouped_gmacps", gmacps[1]);
    add(study, "depthwise_gmacps", gmacps[2]);
    add(study, "partial_gmacps", gmacps[3]);
    study.holds = gmacps[3] > gmacps[2] && gmacps[0] > gmacps[1];
  };
  return plan;
}

StudyPlan partial_conv_study() {
  StudyPlan plan;
  plan.name = "partial-conv";
  plan.label_columns = {{"network", ""}, {"form", ""}};
  const auto add_pair = [&](const std::string& label, auto build_form) {
    const int base = static_cast<int>(plan.subjects.size());
    plan.subjects.push_back(
        {{label, "split and concatenate"}, build_form(PartialForm::split_concat)});
    plan.subjects.push_back({{label, "slicing"}, build_form(PartialForm::slicing), base});
  };
  for (const auto& [channels, resolution] : fasternet_stages)
    add_pair(fmt::format("10 layers {}x{}²", channels, resolution),
             [channels = channels, resolution = resolution](PartialForm form) {
               return stacked(channels, resolution, 10,
                              [&](NetworkBuilder& b, int x, const std::string& name) {
                                return b.partial_conv2d(x, name, channels / 4, 3, false, form);
                              });
             });
  for (const FasterNetSize& size : fasternet_sizes())
    add_pair(size.name, [&](PartialForm form) { return build(size, form); });
  plan.conclude = [](Rows rows, Study& study) {
    std::vector<Interval> stacks_ratio;
    std::vector<Interval> nets_ratio;
    for (std::size_t i = 0; i + 1 < rows.size(); i += 2)
      (i < 8 ? stacks_ratio : nets_ratio).push_back(ratio(rows[i + 1].ms, rows[i].ms));
    const Interval all = mean_ratio(stacks_ratio);
    add(study, "stacks_latency_ratio", all);
    add(study, "networks_latency_ratio", mean_ratio(nets_ratio));
    study.holds = below_one(all);
  };
  return plan;
}

StudyPlan activations_study() {
  StudyPlan plan;
  plan.name = "activations";
  plan.label_columns = {{"activation", ""}};
  for (const Activation activation : {Activation::relu, Activation::relu6, Activation::hardswish,
                                      Activation::gelu, Activation::silu})
    plan.subjects.push_back({{std::string(name(activation))},
                             thirty_layers(activation, false, false),
                             plan.subjects.empty() ? -1 : 0});
  plan.conclude = [](Rows rows, Study& study) {
    const Interval silu = ratio(rows[4].ms, rows[0].ms);
    add(study, "hardswish_latency_ratio", ratio(rows[2].ms, rows[0].ms));
    add(study, "gelu_latency_ratio", ratio(rows[3].ms, rows[0].ms));
    add(study, "silu_latency_ratio", silu);
    if (const auto faster = below_one(silu)) study.holds = !*faster;
  };
  return plan;
}

StudyPlan blocks_study() {
  StudyPlan plan;
  plan.name = "blocks";
  plan.label_columns = {{"network", ""}};
  plan.subjects.push_back({{"baseline"}, thirty_layers(Activation::relu, false, false), -1});
  plan.subjects.push_back(
      {{"with squeeze-excite"}, thirty_layers(Activation::relu, true, false), 0});
  plan.subjects.push_back(
      {{"with skip connections"}, thirty_layers(Activation::relu, false, true), 0});
  plan.conclude = [](Rows rows, Study& study) {
    const Interval squeeze = ratio(rows[1].ms, rows[0].ms);
    const Interval skip = ratio(rows[2].ms, rows[0].ms);
    add(study, "squeeze_excite_latency_ratio", squeeze);
    add(study, "skip_latency_ratio", skip);
    const auto s = below_one(squeeze);
    const auto k = below_one(skip);
    if (s && k) study.holds = !*s && !*k;
  };
  return plan;
}

}  // namespace cpubone
