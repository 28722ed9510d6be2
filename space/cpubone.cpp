#include "space/cpubone.hpp"

#include <fmt/format.h>

#include <stdexcept>

namespace cpubone {
namespace {

constexpr int usual_fusing = 256;  // channels, the papers' rule for residual blocks

std::string stage_name(std::size_t stage) {
  return stage == 0 ? "stem" : fmt::format("stage{}", stage);
}

class Checker {
 public:
  explicit Checker(const CpuboneConfig& config) : config_(config) {}

  template <typename Value>
  void range(const std::string& field, Value got, Value low, Value high) const {
    if (!(got >= low && got <= high))
      fail(field, fmt::format("must be in {}..{}, got {}", low, high, got));
  }

  void divides(const std::string& field, int divisor, int value, std::string_view what) const {
    if (value % divisor != 0)
      fail(field, fmt::format("{} must divide the {} {}", divisor, value, what));
  }

  void hidden(const std::string& field, int in, double expansion, int groups, bool fused) const {
    range(field, expansion, 0.0, max_expansion);
    const int channels = expanded(in, expansion);
    range(field + " x width", channels, 1, 1 << 16);
    divides(fused ? "groups of a fused block" : "groups of an unfused block", groups, in,
            "input channels of " + field);
    divides("groups", groups, channels, "hidden channels of " + field);
  }

 private:
  [[noreturn]] void fail(const std::string& field, const std::string& what) const {
    throw std::invalid_argument(
        fmt::format("cpubone configuration \"{}\": {} {}", config_.name, field, what));
  }

  const CpuboneConfig& config_;
};

int residual_block(NetworkBuilder& b, int x, const std::string& name, const CpuboneStage& stage,
                   const CpuboneConfig& config) {
  std::string local = name;
  if (stage.attention) {
    Attention attention = attention_of_width(stage.width);
    attention.kernel = stage.attention_kernel;
    attention.stride = stage.attention_stride;
    attention.upsampling = config.upsampling;
    x = attention_block(b, x, name + ".attention", attention);
    x = mlp_block(b, x, name + ".mlp", expanded(stage.width, config.mlp_expansion),
                  config.mlp_activation);
    local += ".local";
  }
  const MbConv block{.out_channels = stage.width,
                     .hidden_channels = expanded(stage.width, stage.expansion),
                     .kernel = stage.kernel,
                     .groups = stage.groups,
                     .activation = config.activation,
                     .inner_norm = !stage.attention || stage.fused,
                     .inner_bias = stage.attention};
  return stage.fused ? fused_mbconv(b, x, local, block) : mbconv(b, x, local, block);
}

int strided_block(NetworkBuilder& b, int x, const CpuboneStage& stage,
                  const CpuboneConfig& config) {
  const MbConv block{.out_channels = stage.width,
                     .hidden_channels = expanded(b.shape(x).c, stage.down_expansion),
                     .kernel = stage.down_kernel,
                     .stride = 2,
                     .groups = stage.groups,
                     .activation = config.activation};
  return stage.down_fused ? fused_mbconv(b, x, "0", block) : mbconv(b, x, "0", block);
}

/// One value where all stages agree, else one a stage.
template <typename Field>
std::string values(const CpuboneConfig& config, std::size_t first, Field field) {
  std::string text = fmt::format("{}", field(config.stages[first]));
  bool equal = true;
  for (std::size_t i = first + 1; i < config.stages.size(); ++i) {
    equal &= field(config.stages[i]) == field(config.stages[first]);
    fmt::format_to(std::back_inserter(text), "-{}", field(config.stages[i]));
  }
  return equal ? text.substr(0, text.find('-')) : text;
}

/// Which of the stages that have such blocks are fused: a threshold where one says it, else a flag
/// a stage from the first on.
std::string fusing(const CpuboneConfig& config, bool strided) {
  const auto has = [&](std::size_t i) { return strided ? i > 0 : config.stages[i].blocks > 0; };
  const auto fused = [&](std::size_t i) {
    return strided ? config.stages[i].down_fused : config.stages[i].fused;
  };
  const auto is = [&](int threshold) {
    for (std::size_t i = 0; i < config.stages.size(); ++i)
      if (has(i) && fused(i) != (config.stages[i].width < threshold)) return false;
    return true;
  };
  if (is(strided ? always_fused : usual_fusing)) return "";
  if (is(never_fused)) return "unfused";
  for (const int threshold : {64, 128, 256, 512})
    if (is(threshold)) return fmt::format("fused<{}", threshold);
  if (is(always_fused)) return "fused";
  std::string flags;
  for (std::size_t i = strided ? 1 : 0; i < config.stages.size(); ++i)
    flags += fmt::format("{}{}", flags.empty() ? "" : "-", has(i) && fused(i) ? 1 : 0);
  return "fused" + flags;
}

/// Widths double from stage to stage; attention in the last two, at 7x7 for an input of 224.
CpuboneConfig member(std::string_view name, int width, std::array<int, 5> blocks,
                     double down_expansion = 4) {
  CpuboneConfig config;
  config.name = fmt::format("cpubone-{}", name);
  config.family = "CPUBone";
  for (std::size_t i = 0; i < config.stages.size(); ++i) {
    CpuboneStage& stage = config.stages[i];
    stage.width = width << i;
    stage.blocks = blocks[i];
    stage.down_expansion = down_expansion;
    stage.attention = i >= 3;
    stage.kernel = stage.attention ? 2 : 3;
    stage.attention_stride = i == 3 ? 2 : 1;
  }
  fuse_below(config, usual_fusing);
  return config;
}

}  // namespace

void check(const CpuboneConfig& config) {
  const Checker checker(config);
  checker.range("resolution", config.resolution, 32, max_resolution);
  checker.divides("resolution:", 32, config.resolution, "pixels");
  checker.range("mlp_expansion", config.mlp_expansion, 0.0, max_expansion);
  checker.range("head_channels", config.head_channels, 1, 1 << 16);
  checker.range("head_features", config.head_features, 1, 1 << 16);
  checker.range("classes", config.classes, 1, 1 << 16);
  for (std::size_t i = 0; i < config.stages.size(); ++i) {
    const CpuboneStage& stage = config.stages[i];
    const auto field = [&](std::string_view name) {
      return fmt::format("{} {}", stage_name(i), name);
    };
    checker.range(field("width"), stage.width, 1, max_width);
    checker.range(field("blocks"), stage.blocks, 0, max_blocks);
    checker.range(field("groups"), stage.groups, 1, max_width);
    if (i > 0) {
      checker.range(field("down_kernel"), stage.down_kernel, 1, max_kernel);
      checker.hidden(field("down_expansion"), config.stages[i - 1].width, stage.down_expansion,
                     stage.groups, stage.down_fused);
    }
    if (stage.blocks == 0) continue;
    checker.range(field("kernel"), stage.kernel, 1, max_kernel);
    checker.hidden(field("expansion"), stage.width, stage.expansion, stage.groups, stage.fused);
    if (!stage.attention) continue;
    checker.range(field("attention_kernel"), stage.attention_kernel, 1, max_kernel);
    checker.range(field("attention_stride"), stage.attention_stride, 1, max_resolution);
    checker.divides(field("attention_stride"), stage.attention_stride, config.resolution >> (i + 1),
                    "pixels of its stage");
    checker.range(field("mlp hidden channels"), expanded(stage.width, config.mlp_expansion), 1,
                  1 << 16);
  }
}

void fuse_below(CpuboneConfig& config, int channels, int down_channels) {
  for (CpuboneStage& stage : config.stages) {
    stage.fused = stage.width < channels;
    stage.down_fused = stage.width < down_channels;
  }
}

Network build(const CpuboneConfig& config, Form form) {
  check(config);
  NetworkBuilder b(config.name, config.family, {1, config.resolution, config.resolution, 3}, form);
  int x = b.conv2d(network_input, "conv",
                   {.out_channels = config.stages[0].width,
                    .kernel = 3,
                    .stride = 2,
                    .activation = config.activation,
                    .bias = false,
                    .norm = true});
  for (std::size_t i = 0; i < config.stages.size(); ++i) {
    const CpuboneStage& stage = config.stages[i];
    b.stage(static_cast<int>(i));
    if (i > 0) x = strided_block(b, x, stage, config);
    for (int block = 1; block <= stage.blocks; ++block)
      x = residual_block(b, x, fmt::format("{}", block), stage, config);
  }
  return b.finish(classification_head(b, x,
                                      {.channels = config.head_channels,
                                       .features = config.head_features,
                                       .classes = config.classes,
                                       .activation = config.activation}));
}

std::string describe(const CpuboneConfig& config) {
  std::string text;
  const auto out = std::back_inserter(text);
  const auto& s = config.stages;
  fmt::format_to(out, "w{}-{}-{}-{}-{}", s[0].width, s[1].width, s[2].width, s[3].width,
                 s[4].width);
  fmt::format_to(out, " d{}-{}-{}-{}-{}", s[0].blocks, s[1].blocks + 1, s[2].blocks + 1,
                 s[3].blocks, s[4].blocks);
  fmt::format_to(out, " g{}", values(config, 1, [](const auto& stage) { return stage.groups; }));

  const CpuboneConfig usual = cpubone_config("b0");
  const auto differing = [&](std::string_view label, std::size_t first, auto field) {
    const std::string got = values(config, first, field);
    if (got != values(usual, first, field)) fmt::format_to(out, " {}{}", label, got);
  };
  differing("de", 1, [](const auto& stage) { return stage.down_expansion; });
  differing("e", 1, [](const auto& stage) { return stage.expansion; });
  differing("dk", 1, [](const auto& stage) { return stage.down_kernel; });
  differing("k", 1, [](const auto& stage) { return stage.kernel; });
  differing("att", 1, [](const auto& stage) { return stage.attention ? 1 : 0; });
  differing("attk", 1, [](const auto& stage) { return stage.attention_kernel; });
  differing("atts", 1, [](const auto& stage) { return stage.attention_stride; });
  if (const std::string fused = fusing(config, false); !fused.empty())
    fmt::format_to(out, " {}", fused);
  if (const std::string fused = fusing(config, true); !fused.empty())
    fmt::format_to(out, " down-{}", fused);
  if (config.mlp_expansion != usual.mlp_expansion)
    fmt::format_to(out, " mlp{}", config.mlp_expansion);
  if (config.upsampling != usual.upsampling) fmt::format_to(out, " {}", name(config.upsampling));
  if (config.activation != usual.activation) fmt::format_to(out, " {}", name(config.activation));
  if (config.mlp_activation != usual.mlp_activation)
    fmt::format_to(out, " mlp-{}", name(config.mlp_activation));
  if (config.head_channels != usual.head_channels || config.head_features != usual.head_features)
    fmt::format_to(out, " head{}-{}", config.head_channels, config.head_features);
  if (config.resolution != usual.resolution) fmt::format_to(out, " @{}", config.resolution);
  return text;
}

const std::vector<CpuboneConfig>& cpubone_family() {
  static const std::vector<CpuboneConfig> family = [] {
    std::vector<CpuboneConfig> all{
        member("nano", 12, {0, 0, 0, 1, 2}),  member("t0", 12, {0, 0, 0, 2, 3}),
        member("s0", 14, {0, 0, 0, 2, 3}),    member("b0", 16, {0, 0, 0, 3, 4}),
        member("b1", 16, {0, 0, 0, 5, 5}, 6), member("b2", 20, {0, 0, 0, 6, 6}, 6),
        member("b3", 32, {1, 1, 2, 6, 6}, 6)};
    all[5].head_channels = 2304;
    all[5].head_features = 2560;
    return all;
  }();
  return family;
}

CpuboneConfig cpubone_config(std::string_view name) {
  std::string known;
  for (const CpuboneConfig& config : cpubone_family()) {
    if (config.name == name || std::string_view(config.name).substr(8) == name) return config;
    fmt::format_to(std::back_inserter(known), "{}{}", known.empty() ? "" : ", ", config.name);
  }
  throw std::invalid_argument(
      fmt::format("cpubone network: got \"{}\", expected one of {}", name, known));
}

}  // namespace cpubone
