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
  plan.reference_columns = {{"i9-9900X (published)", "ms"}, {"Cortex-A72 (published)", "ms"}};
  struct Kind {
    const char* name;
    std::array<std::array<double, 2>, 4> published;
  };
  const std::array<Kind, 4> kinds{
      {{"conv 3x3", {{{35.67, 779.57}, {28.41, 619.64}, {31.85, 595.09}, {62.71, 662.17}}}},
       {"grouped (16)", {{{21.90, 166.30}, {7.58, 96.22}, {4.40, 63.57}, {4.28, 65.20}}}},
       {"depthwise", {{{3.59, 108.70}, {1.97, 82.01}, {1.06, 94.89}, {0.68, 150.89}}}},
       {"partial (1/4)", {{{4.74, 81.70}, {2.38, 62.69}, {3.32, 48.19}, {3.95, 47.52}}}}}};
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
      plan.subjects.push_back({{kinds[k].name, fmt::format("{}x{}²", channels, resolution)},
                               network,
                               k == 0 ? -1 : static_cast<int>(s),
                               {kinds[k].published[s][0], kinds[k].published[s][1]}});
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
  plan.reference_columns = {{"i9-9900X (published)", "ms"}, {"Cortex-A72 (published)", "ms"}};
  const auto add_pair = [&](const std::string& label, auto build_form, std::array<double, 2> split,
                            std::array<double, 2> slice) {
    const auto optional = [](double ms) { return ms > 0 ? std::optional(ms) : std::nullopt; };
    const int base = static_cast<int>(plan.subjects.size());
    plan.subjects.push_back({{label, "split and concatenate"},
                             build_form(PartialForm::split_concat),
                             -1,
                             {split[0], optional(split[1])}});
    plan.subjects.push_back({{label, "slicing"},
                             build_form(PartialForm::slicing),
                             base,
                             {slice[0], optional(slice[1])}});
  };
  const std::array<std::array<double, 4>, 4> stacks{
      {{5.5, 85, 4.7, 82}, {3.1, 66, 2.4, 63}, {3.6, 50, 3.3, 48}, {5.0, 48, 4.0, 48}}};
  for (std::size_t s = 0; s < stacks.size(); ++s) {
    const int channels = fasternet_stages[s].channels;
    const int resolution = fasternet_stages[s].resolution;
    add_pair(fmt::format("10 layers {}x{}²", channels, resolution),
             [&](PartialForm form) {
               return stacked(channels, resolution, 10,
                              [&](NetworkBuilder& b, int x, const std::string& name) {
                                return b.partial_conv2d(x, name, channels / 4, 3, false, form);
                              });
             },
             {stacks[s][0], stacks[s][1]}, {stacks[s][2], stacks[s][3]});
  }
  const std::array<std::array<double, 4>, 6> nets{{{8.5, 140, 8.2, 138},
                                                   {16.9, 284, 16.4, 279},
                                                   {31.8, 494, 30.8, 491},
                                                   {69.3, 1097, 67.9, 1093},
                                                   {125.3, 2087, 123.0, 2085},
                                                   {215.6, 0, 209.6, 0}}};
  for (std::size_t i = 0; i < nets.size(); ++i) {
    const FasterNetSize& size = fasternet_sizes()[i];
    add_pair(size.name, [&](PartialForm form) { return build(size, form); },
             {nets[i][0], nets[i][1]}, {nets[i][2], nets[i][3]});
  }
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
  plan.reference_columns = {{"iPhone 12 (published)", "ms"}};
  const std::array<std::pair<Activation, std::optional<double>>, 5> all{
      {{Activation::relu, 1.53},
       {Activation::relu6, std::nullopt},
       {Activation::hardswish, std::nullopt},
       {Activation::gelu, 1.63},
       {Activation::silu, 2.54}}};
  for (const auto& [activation, published] : all)
    plan.subjects.push_back({{std::string(name(activation))},
                             thirty_layers(activation, false, false),
                             plan.subjects.empty() ? -1 : 0,
                             {published}});
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
  plan.reference_columns = {{"iPhone 12 (published)", "ms"}};
  plan.subjects.push_back(
      {{"baseline"}, thirty_layers(Activation::relu, false, false), -1, {1.53}});
  plan.subjects.push_back(
      {{"with squeeze-excite"}, thirty_layers(Activation::relu, true, false), 0, {2.10}});
  plan.subjects.push_back(
      {{"with skip connections"}, thirty_layers(Activation::relu, false, true), 0, {2.62}});
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
