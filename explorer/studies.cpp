#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "explorer/study.hpp"
#include "space/blocks.hpp"
#include "space/cpubone.hpp"
#include "space/fasternet.hpp"
#include "space/zoo.hpp"

namespace cpubone {
namespace {

using Rows = std::span<const StudyRow>;
using nlohmann::json;

constexpr std::string_view fasternet_paper = "FasterNet (arXiv 2303.03667)";
constexpr std::string_view mobileone_paper = "MobileOne (arXiv 2206.04040)";
constexpr std::string_view cpubone_paper = "CPUBone (arXiv 2603.26425)";

std::string percent(double fraction) {
  return fmt::format("{:+.0f} %", 100 * fraction);
}

/// `a takes x % less time than b` with the spread, or that the difference is within noise.
std::string compare(std::string_view a, std::string_view b, const Interval& quotient) {
  const double half = 50 * (quotient.high - quotient.low) / quotient.value;
  if (quotient.low <= 1 && 1 <= quotient.high)
    return fmt::format("{} and {} take the same time within noise ({} ± {:.0f} %)", a, b,
                       percent(quotient.value - 1), half);
  const double change = 100 * (quotient.value - 1);
  return fmt::format("{} takes {:.0f} % {} time than {} (± {:.0f} %)", a, std::abs(change),
                     change < 0 ? "less" : "more", b, half);
}

/// Whether a quotient lies on one side of 1 beyond noise; none within noise.
std::optional<bool> below_one(const Interval& quotient) {
  if (quotient.low <= 1 && 1 <= quotient.high) return std::nullopt;
  return quotient.high < 1;
}

/// Geometric mean of quotients, its interval from their scatter and their own intervals.
Interval mean_ratio(const std::vector<Interval>& quotients) {
  const auto n = static_cast<double>(quotients.size());
  double mean = 0;
  for (const Interval& q : quotients) mean += std::log(q.value) / n;
  double variance = 0;
  for (const Interval& q : quotients) {
    variance += std::pow(std::log(q.value) - mean, 2) / std::max(1.0, n * (n - 1));
    variance += std::pow(0.25 * std::log(q.high / q.low), 2) / (n * n);
  }
  const double half = 1.96 * std::sqrt(variance);
  return {std::exp(mean), std::exp(mean - half), std::exp(mean + half)};
}

json axis(const char* field, const char* type, const char* scale = nullptr) {
  json encoding{{"field", field}, {"type", type}};
  if (scale) encoding["scale"] = {{"type", scale}};
  return encoding;
}

json chart(const char* mark, json x, json y, json color) {
  return {{"mark", {{"type", mark}, {"tooltip", true}}},
          {"encoding", {{"x", std::move(x)}, {"y", std::move(y)}, {"color", std::move(color)}}}};
}

/// `layers` convolutions of the same shape one after the other.
template <typename Append>
Network stacked(int channels, int resolution, int layers, Append append) {
  NetworkBuilder b("stack", "study", {1, resolution, resolution, channels});
  b.stage("stage1");
  int x = network_input;
  for (int i = 0; i < layers; ++i) x = append(b, x, fmt::format("layer{}", i));
  return b.finish(x);
}

struct Stage {
  int channels;
  int resolution;
};
constexpr std::array<Stage, 4> fasternet_stages{{{96, 56}, {192, 28}, {384, 14}, {768, 7}}};

StudyPlan operators_study() {
  StudyPlan plan;
  plan.name = "operators";
  plan.title = "Ten stacked layers: convolution, grouped, depthwise, partial";
  plan.source = fmt::format("{}, Table 1", fasternet_paper);
  plan.label_columns = {"operator", "input"};
  plan.reference_columns = {"i9-9900X ms (published)", "Cortex-A72 ms (published)"};
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
  plan.conclude = [](Rows rows, const StudyContext& context) {
    std::array<double, 4> gmacps{};
    for (std::size_t i = 0; i < rows.size(); ++i) gmacps[i / 4] += rows[i].gmacps / 4;
    Finding finding;
    finding.sentence = fmt::format(
        "On {} depthwise convolutions reach {:.1f} GMACpS on average, partial ones {:.1f}, grouped "
        "ones {:.1f} and dense ones "
        "{:.1f}; published: partial 6.5 times (i9-9900X) and 22.7 times (Cortex-A72) the rate of "
        "depthwise, here {:.1f} times.",
        context.device, gmacps[2], gmacps[3], gmacps[1], gmacps[0], gmacps[3] / gmacps[2]);
    finding.holds = gmacps[3] > gmacps[2] && gmacps[0] > gmacps[1];
    return finding;
  };
  plan.chart = chart("bar", axis("input", "nominal"), axis("GMACpS", "quantitative"),
                     axis("operator", "nominal"));
  plan.chart["encoding"]["xOffset"] = {{"field", "operator"}};
  return plan;
}

StudyPlan partial_conv_study() {
  StudyPlan plan;
  plan.name = "partial-conv";
  plan.title = "Partial convolution: slicing against split and concatenate";
  plan.source = fmt::format("{}, Table 9", fasternet_paper);
  plan.label_columns = {"network", "form"};
  plan.reference_columns = {"i9-9900X ms (published)", "Cortex-A72 ms (published)"};
  const auto add = [&](const std::string& label, auto build_form, std::array<double, 2> split,
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
    add(fmt::format("10 layers {}x{}²", channels, resolution),
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
    add(size.name, [&](PartialForm form) { return build(size, form); }, {nets[i][0], nets[i][1]},
        {nets[i][2], nets[i][3]});
  }
  plan.conclude = [](Rows rows, const StudyContext& context) {
    std::vector<Interval> stacks_ratio;
    std::vector<Interval> nets_ratio;
    for (std::size_t i = 0; i + 1 < rows.size(); i += 2)
      (i < 8 ? stacks_ratio : nets_ratio).push_back(ratio(rows[i + 1].ms, rows[i].ms));
    const Interval all = mean_ratio(stacks_ratio);
    Finding finding;
    finding.sentence = fmt::format(
        "On {} {}; on whole FasterNets {}. Published: slicing is 7 to 23 % faster in stacks and 2 "
        "to 4 % in networks.",
        context.device, compare("slicing in stacks of ten layers", "split and concatenate", all),
        compare("slicing", "split and concatenate", mean_ratio(nets_ratio)));
    finding.holds = below_one(all);
    return finding;
  };
  plan.chart = chart("bar", axis("network", "nominal"), axis("latency ×", "quantitative"),
                     axis("form", "nominal"));
  return plan;
}

constexpr std::array channels_range{16, 32, 64, 128, 256, 512};
constexpr std::array resolutions{7, 14, 28, 56, 112};
constexpr std::int64_t most_block_macs = 1'200'000'000;

Network block(int channels, int resolution, bool fused, int groups, int kernel) {
  NetworkBuilder b("block", "study", {1, resolution, resolution, channels});
  b.stage("stage1");
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
    const char* name, const char* title, const char* column, const std::vector<int>& variants,
    const std::function<Network(int channels, int resolution, bool fused, int variant)>& make) {
  StudyPlan plan;
  plan.name = name;
  plan.title = title;
  plan.source = cpubone_paper;
  plan.label_columns = {"block", "channels", "resolution", column};
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
  plan.chart = chart("point", axis("MACs ×", "quantitative"), axis("latency ×", "quantitative"),
                     axis(column, "nominal"));
  plan.chart["encoding"]["shape"] = {{"field", "block"}};
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

StudyPlan grouping_study() {
  StudyPlan plan = block_study(
      "grouping", "What groups buy in MACs and cost in MACpS", "groups", {1, 2, 4, 8},
      [](int c, int r, bool fused, int groups) { return block(c, r, fused, groups, 3); });
  plan.conclude = [](Rows rows, const StudyContext& context) {
    const Effect fused = effect(rows, "fused", 2);
    const Effect unfused = effect(rows, "unfused", 2);
    const Effect eight = effect(rows, "fused", 8);
    Finding finding;
    finding.sentence = fmt::format(
        "On {} two groups leave {:.2f} of a fused block's MACs at {} of its MACpS, so {} latency; "
        "in unfused blocks {} latency; eight "
        "groups leave {:.2f} of the MACs and change latency by {}. Published: two groups leave "
        "0.55 of the MACs at nearly the same MACpS.",
        context.device, fused.macs, percent(fused.macps.value - 1),
        percent(fused.latency.value - 1), percent(unfused.latency.value - 1), eight.macs,
        percent(eight.latency.value - 1));
    finding.holds = below_one(fused.latency);
    return finding;
  };
  return plan;
}

StudyPlan kernel_study() {
  StudyPlan plan = block_study(
      "kernel", "What smaller kernels buy in MACs and cost in MACpS", "kernel", {3, 2, 5},
      [](int c, int r, bool fused, int kernel) { return block(c, r, fused, 2, kernel); });
  plan.conclude = [](Rows rows, const StudyContext& context) {
    const Effect fused = effect(rows, "fused", 2);
    const Effect unfused = effect(rows, "unfused", 2);
    Finding finding;
    finding.sentence = fmt::format(
        "On {} kernels of 2x2 instead of 3x3 change the MACpS of fused blocks by {} and of unfused "
        "ones by {}, and latency by {} and "
        "{}. Second-hand: 2x2 kernels have 5 to 42 % higher MACpS on Arm.",
        context.device, percent(fused.macps.value - 1), percent(unfused.macps.value - 1),
        percent(fused.latency.value - 1), percent(unfused.latency.value - 1));
    finding.holds = below_one(fused.latency);
    return finding;
  };
  return plan;
}

StudyPlan fusion_study() {
  StudyPlan plan;
  plan.name = "fusion";
  plan.title = "Where fused blocks stop beating unfused ones";
  plan.source = fmt::format("{}: fused below 256 channels", cpubone_paper);
  plan.label_columns = {"resolution", "channels", "block"};
  for (const int resolution : {7, 14, 28, 56})
    for (const int channels : {16, 32, 48, 64, 96, 128, 192, 256, 384, 512}) {
      if (macs(block(channels, resolution, true, 2, 2)) > most_block_macs) continue;
      const int base = static_cast<int>(plan.subjects.size());
      plan.subjects.push_back(
          {{resolution, channels, "unfused"}, block(channels, resolution, false, 2, 2), -1});
      plan.subjects.push_back(
          {{resolution, channels, "fused"}, block(channels, resolution, true, 2, 2), base});
    }
  plan.conclude = [](Rows rows, const StudyContext& context) {
    // For each resolution the channels from which unfused is faster, and between which it is
    // uncertain.
    std::string sentence = fmt::format(
        "On {} the unfused block (groups 2, kernel 2) is the faster one ", context.device);
    std::string parts;
    bool near_256 = true;
    for (std::size_t i = 0; i + 1 < rows.size();) {
      const json resolution = rows[i].subject->labels[0];
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
      if (!parts.empty()) parts += ", ";
      if (first_unfused == 0) {
        parts += fmt::format("nowhere up to {} channels at {}²", largest, resolution.get<int>());
        near_256 = near_256 && largest < 256;
      } else {
        parts += last_fused == 0 ? fmt::format("at every width from {} channels at {}²",
                                               first_unfused, resolution.get<int>())
                                 : fmt::format("from between {} and {} channels at {}²", last_fused,
                                               first_unfused, resolution.get<int>());
        near_256 = near_256 && last_fused < 256 && first_unfused >= 192;
      }
    }
    return Finding{sentence + parts + "; the paper's rule is 256 at every resolution.", near_256};
  };
  plan.chart = chart("line", axis("channels", "quantitative", "log"),
                     axis("latency ×", "quantitative"), axis("resolution", "nominal"));
  plan.chart["transform"] = json::array({{{"filter", "datum.block == 'fused'"}}});
  return plan;
}

StudyPlan upsampling_study() {
  StudyPlan plan;
  plan.name = "upsampling";
  plan.title = "B1 with nearest and with transposed upsampling";
  plan.source =
      fmt::format("{}, second-hand: 33.5 ms against 39.7 ms on a Raspberry Pi 5", cpubone_paper);
  plan.label_columns = {"upsampling"};
  plan.reference_columns = {"Pi 5 ms (published)"};
  CpuboneConfig config = cpubone_config("b1");
  config.upsampling = Upsampling::transposed;
  plan.subjects.push_back({{"transposed"}, build(config), -1, {39.7}});
  config.upsampling = Upsampling::nearest;
  plan.subjects.push_back({{"nearest"}, build(config), 0, {33.5}});
  plan.conclude = [](Rows rows, const StudyContext& context) {
    const Interval quotient = ratio(rows[1].ms, rows[0].ms);
    return Finding{fmt::format("On {} {}; published: -16 %.", context.device,
                               compare("B1 with nearest upsampling",
                                       "B1 with transposed convolution", quotient)),
                   below_one(quotient)};
  };
  return plan;
}

/// B1 without the attention of some stages.
StudyPlan attention_study() {
  StudyPlan plan;
  plan.name = "attention";
  plan.title = "What attention costs, by stage and resolution";
  plan.source = cpubone_paper;
  plan.label_columns = {"network", "resolution", "attention in"};
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
  plan.conclude = [](Rows rows, const StudyContext& context) {
    const Interval small = ratio(rows[2].ms, rows[0].ms);
    const Interval large = ratio(rows[5].ms, rows[3].ms);
    return Finding{
        fmt::format("On {} the blocks of attention and MLP take {:.0f} % of B1's time at 224² and "
                    "{:.0f} % at 320² (stage 3 alone {:.0f} % and {:.0f} %).",
                    context.device, 100 * (1 - small.value), 100 * (1 - large.value),
                    100 * (1 - ratio(rows[1].ms, rows[0].ms).value),
                    100 * (1 - ratio(rows[4].ms, rows[3].ms).value)),
        std::nullopt};
  };
  plan.chart = chart("bar", axis("attention in", "nominal"), axis("latency ms", "quantitative"),
                     axis("resolution", "nominal"));
  plan.chart["encoding"]["xOffset"] = {{"field", "resolution"}};
  return plan;
}

/// MobileOne's 30-layer network is not published in detail: 30 layers of 3x3 convolutions over four
/// stages with about the latency scale of its Table 3.
Network thirty_layers(Activation activation, bool squeeze, bool skip) {
  NetworkBuilder b("thirty", "study", {1, 112, 112, 3});
  int x = network_input;
  int layer = 0;
  for (const auto& [channels, layers] :
       {std::pair{32, 6}, std::pair{64, 8}, std::pair{128, 10}, std::pair{256, 6}}) {
    b.stage(fmt::format("stage{}", channels / 32));
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

StudyPlan activations_study() {
  StudyPlan plan;
  plan.name = "activations";
  plan.title = "Thirty layers with different activations";
  plan.source = fmt::format("{}, Table 3", mobileone_paper);
  plan.label_columns = {"activation"};
  plan.reference_columns = {"iPhone 12 ms (published)"};
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
  plan.conclude = [](Rows rows, const StudyContext& context) {
    const Interval silu = ratio(rows[4].ms, rows[0].ms);
    Finding finding;
    finding.sentence = fmt::format(
        "On {} hardswish costs {}, GELU {} and SiLU {} over ReLU in thirty layers; published for "
        "an iPhone 12: GELU +7 %, SiLU +66 %.",
        context.device, percent(ratio(rows[2].ms, rows[0].ms).value - 1),
        percent(ratio(rows[3].ms, rows[0].ms).value - 1), percent(silu.value - 1));
    if (const auto faster = below_one(silu)) finding.holds = !*faster;
    return finding;
  };
  plan.chart = chart("bar", axis("activation", "nominal"), axis("latency ms", "quantitative"),
                     axis("activation", "nominal"));
  return plan;
}

StudyPlan blocks_study() {
  StudyPlan plan;
  plan.name = "blocks";
  plan.title = "Thirty layers with squeeze-excite and with skip connections";
  plan.source = fmt::format("{}, Table 1b", mobileone_paper);
  plan.label_columns = {"network"};
  plan.reference_columns = {"iPhone 12 ms (published)"};
  plan.subjects.push_back(
      {{"baseline"}, thirty_layers(Activation::relu, false, false), -1, {1.53}});
  plan.subjects.push_back(
      {{"with squeeze-excite"}, thirty_layers(Activation::relu, true, false), 0, {2.10}});
  plan.subjects.push_back(
      {{"with skip connections"}, thirty_layers(Activation::relu, false, true), 0, {2.62}});
  plan.conclude = [](Rows rows, const StudyContext& context) {
    const Interval squeeze = ratio(rows[1].ms, rows[0].ms);
    const Interval skip = ratio(rows[2].ms, rows[0].ms);
    Finding finding;
    finding.sentence = fmt::format(
        "On {} {}, and {}; published for an iPhone 12: +37 % and +71 %.", context.device,
        compare("the network with squeeze-excite", "the plain one", squeeze),
        compare("the one with skip connections", "the plain one", skip));
    const auto s = below_one(squeeze);
    const auto k = below_one(skip);
    if (s && k) finding.holds = !*s && !*k;
    return finding;
  };
  plan.chart = chart("bar", axis("network", "nominal"), axis("latency ms", "quantitative"),
                     axis("network", "nominal"));
  return plan;
}

std::vector<StudySubject> zoo_subjects() {
  std::vector<StudySubject> subjects;
  for (const ZooEntry& entry : zoo())
    subjects.push_back({{entry.name, entry.family}, entry.build()});
  return subjects;
}

StudyPlan correlation_study(const StudyContext& context) {
  StudyPlan plan;
  plan.name = "correlation";
  plan.title = "What latency follows: MACs, parameters, or MACs / MACpS";
  plan.source = fmt::format("{}, Table 1a", mobileone_paper);
  plan.label_columns = {"network", "family"};
  plan.subjects = zoo_subjects();
  if (context.predict_ms) {
    plan.reference_columns = {"predicted ms"};
    for (StudySubject& subject : plan.subjects)
      subject.references = {context.predict_ms(subject.network)};
  }
  plan.conclude = [](Rows rows, const StudyContext& c) {
    std::vector<double> ms;
    std::vector<double> mac_counts;
    std::vector<double> param_counts;
    std::vector<double> predicted;
    for (const StudyRow& row : rows) {
      ms.push_back(row.ms.value);
      mac_counts.push_back(static_cast<double>(row.macs));
      param_counts.push_back(static_cast<double>(params(row.subject->network)));
      if (!row.subject->references.empty()) predicted.push_back(*row.subject->references[0]);
    }
    const RankCorrelation by_macs = rank_correlation(ms, mac_counts);
    const RankCorrelation by_params = rank_correlation(ms, param_counts);
    Finding finding;
    finding.sentence = fmt::format(
        "On {} latency of {} networks follows MACs with Spearman {:.2f} (p {:.1g}) and parameters "
        "with {:.2f} (p {:.1g})",
        c.device, ms.size(), by_macs.rho, by_macs.p, by_params.rho, by_params.p);
    if (!predicted.empty() && !c.predicted)
      finding.sentence += fmt::format("; prediction by MACs / MACpS reaches {:.3f}",
                                      rank_correlation(ms, predicted).rho);
    finding.sentence +=
        ". Published: 0.47 and 0.30 on an iPhone 12, 0.06 and 0.07 on a desktop CPU.";
    finding.holds = by_macs.rho < 0.9;
    return finding;
  };
  plan.chart = chart("point", axis("MACs M", "quantitative", "log"),
                     axis("latency ms", "quantitative", "log"), axis("family", "nominal"));
  return plan;
}

StudyPlan mac_efficiency_study() {
  StudyPlan plan;
  plan.name = "mac-efficiency";
  plan.title = "MACpS under varied MACs";
  plan.source = fmt::format("{}, Figure 2", fasternet_paper);
  plan.label_columns = {"network", "family"};
  plan.subjects = zoo_subjects();
  plan.conclude = [](Rows rows, const StudyContext& context) {
    const auto by_rate = [](const StudyRow& a, const StudyRow& b) { return a.gmacps < b.gmacps; };
    const auto [slowest, fastest] = std::minmax_element(rows.begin(), rows.end(), by_rate);
    double fasternet = 0;
    double depthwise_nets = 0;
    int fasternets = 0;
    int others = 0;
    for (const StudyRow& row : rows) {
      const std::string family = row.subject->labels[1].get<std::string>();
      const bool is_fasternet = family == "FasterNet";
      const bool is_mobile =
          family.rfind("MobileNet", 0) == 0 || family == "ShuffleNetV2" || family == "GhostNet";
      (is_fasternet ? fasternet : depthwise_nets) += is_fasternet || is_mobile ? row.gmacps : 0;
      fasternets += is_fasternet;
      others += is_mobile;
    }
    Finding finding;
    finding.sentence = fmt::format(
        "On {} networks reach from {:.1f} GMACpS ({}) to {:.1f} ({}); FasterNets {:.1f} on "
        "average, MobileNets, ShuffleNets and GhostNets {:.1f}.",
        context.device, slowest->gmacps, slowest->subject->labels[0].get<std::string>(),
        fastest->gmacps, fastest->subject->labels[0].get<std::string>(),
        fasternet / std::max(fasternets, 1), depthwise_nets / std::max(others, 1));
    finding.holds = fasternet / std::max(fasternets, 1) > depthwise_nets / std::max(others, 1);
    return finding;
  };
  plan.chart = chart("point", axis("MACs M", "quantitative", "log"), axis("GMACpS", "quantitative"),
                     axis("family", "nominal"));
  return plan;
}

StudyPlan threads_study(const StudyContext& context) {
  StudyPlan plan;
  plan.name = "threads";
  plan.title = "Scaling over threads";
  plan.source = "none";
  plan.label_columns = {"subject", "threads"};
  std::vector<std::pair<std::string, Network>> subjects;
  subjects.emplace_back("conv 3x3 128x28²",
                        stacked(128, 28, 4, [](NetworkBuilder& b, int x, const std::string& name) {
                          return b.conv2d(x, name, {.out_channels = 128, .kernel = 3});
                        }));
  subjects.emplace_back("depthwise 384x14²",
                        stacked(384, 14, 4, [](NetworkBuilder& b, int x, const std::string& name) {
                          return b.depthwise(x, name, {.kernel = 3});
                        }));
  subjects.emplace_back("pointwise 512x7²",
                        stacked(512, 7, 4, [](NetworkBuilder& b, int x, const std::string& name) {
                          return b.conv2d(x, name, {.out_channels = 512});
                        }));
  for (const char* net : {"b0", "b1", "b3", "mobilenetv2-100", "fasternet-t1"})
    subjects.emplace_back(net, find_network(net));
  for (const auto& [label, network] : subjects) {
    const int base = static_cast<int>(plan.subjects.size());
    for (int threads = 1; threads <= std::max(1, context.threads); threads *= 2)
      plan.subjects.push_back({{label, threads}, network, threads == 1 ? -1 : base, {}, threads});
  }
  plan.conclude = [](Rows rows, const StudyContext& c) {
    Finding finding;
    int most = 1;
    for (const StudyRow& row : rows) most = std::max(most, row.subject->threads);
    if (c.predicted)
      return Finding{fmt::format("What is known of {} holds for one number of threads: how it "
                                 "scales, only measuring tells.",
                                 c.device),
                     std::nullopt};
    if (most == 1)
      return Finding{fmt::format("{} has one core: nothing to scale over.", c.device),
                     std::nullopt};
    std::string parts;
    for (const StudyRow& row : rows)
      if (row.subject->threads == most && row.subject->baseline >= 0)
        parts += fmt::format(
            "{}{} {:.2f}", parts.empty() ? "" : ", ", row.subject->labels[0].get<std::string>(),
            1 / ratio(row.ms, rows[static_cast<std::size_t>(row.subject->baseline)].ms).value);
    finding.sentence = fmt::format("On {} {} threads are faster than one by a factor of: {}.",
                                   c.device, most, parts);
    return finding;
  };
  plan.chart = chart("line", axis("threads", "quantitative"),
                     axis("latency ms", "quantitative", "log"), axis("subject", "nominal"));
  return plan;
}

constexpr std::array<std::string_view, 12> names{
    "operators", "partial-conv", "grouping", "kernel",      "fusion",         "upsampling",
    "attention", "activations",  "blocks",   "correlation", "mac-efficiency", "threads"};

}  // namespace

std::span<const std::string_view> study_names() {
  return names;
}

StudyPlan study_plan(std::string_view name, const StudyContext& context) {
  if (name == "operators") return operators_study();
  if (name == "partial-conv") return partial_conv_study();
  if (name == "grouping") return grouping_study();
  if (name == "kernel") return kernel_study();
  if (name == "fusion") return fusion_study();
  if (name == "upsampling") return upsampling_study();
  if (name == "attention") return attention_study();
  if (name == "activations") return activations_study();
  if (name == "blocks") return blocks_study();
  if (name == "correlation") return correlation_study(context);
  if (name == "mac-efficiency") return mac_efficiency_study();
  if (name == "threads") return threads_study(context);
  throw std::invalid_argument(
      fmt::format("study: got \"{}\", expected one of {}", name, fmt::join(names, ", ")));
}

}  // namespace cpubone
