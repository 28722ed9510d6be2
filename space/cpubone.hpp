#pragma once
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "graph/network.hpp"
#include "space/blocks.hpp"

namespace cpubone {

/// One stage: a strided block that sets the width, then `blocks` residual blocks. Of the stem
/// (stage 0) the strided block is a dense 3x3 convolution, and `down_*` are not used.
struct CpuboneStage {
  int width = 0;   ///< channels
  int blocks = 0;  ///< residual blocks after the strided one
  int groups = 2;  ///< of spatial convolutions in fused blocks, of expansions in unfused ones
  double down_expansion = 4;
  int down_kernel = 3;
  bool down_fused = true;  ///< one spatial convolution in place of expansion and depthwise
  double expansion = 4;
  int kernel = 3;          ///< of the residual blocks
  bool fused = true;       ///< the residual blocks are
  bool attention = false;  ///< residual blocks are attention, MLP, convolution
  int attention_kernel = 2;
  int attention_stride = 1;  ///< attention sees the resolution divided by it
  bool operator==(const CpuboneStage&) const = default;
};

/// Thresholds for `fuse_below`: fuse everywhere, nowhere.
inline constexpr int always_fused = 1 << 16;
inline constexpr int never_fused = 0;

// Largest values of a configuration's fields.
inline constexpr int max_width = 1 << 13;
inline constexpr int max_blocks = 64;
inline constexpr int max_kernel = 15;
inline constexpr int max_resolution = 2048;
inline constexpr double max_expansion = 16;

/// A network of CPUBone's kind as data: everything that the search space varies.
struct CpuboneConfig {
  std::string name = "custom";
  std::string family = "custom";
  int resolution = 224;                ///< input height and width in pixels, a multiple of 32
  std::array<CpuboneStage, 5> stages;  ///< stem and stages 1 to 4, each halving the resolution
  double mlp_expansion = 4;
  Upsampling upsampling = Upsampling::nearest;
  Activation activation = Activation::hardswish;
  Activation mlp_activation = Activation::gelu;
  int head_channels = 1536;
  int head_features = 1600;
  int classes = 1000;
  bool operator==(const CpuboneConfig&) const = default;
};

/// Throws std::invalid_argument naming the configuration and the field, what was got and expected.
void check(const CpuboneConfig& config);

/// Fuses residual blocks of stages with fewer channels, and strided blocks by their output; no
/// others. The papers' rule is 256 and `always_fused`.
void fuse_below(CpuboneConfig& config, int channels, int down_channels = always_fused);

/// The network of a configuration; checks it. Feature maps are the last nodes of stage1..stage4.
Network build(const CpuboneConfig& config, Form form = Form::inference);

/// Short description in the papers' notation, e.g. `w16-32-64-128-256 d0-1-1-3-4 g2`: depths of
/// stages 1 and 2 count the strided block. Lists what else differs from B0's choices.
std::string describe(const CpuboneConfig& config);

/// Nano, T0, S0, B0, B1, B2, B3, named `cpubone-nano`, ... (B2 is the configuration b15 of the
/// reference code).
const std::vector<CpuboneConfig>& cpubone_family();

/// A member of the family, `b0` and `cpubone-b0` alike. Throws std::invalid_argument listing them.
CpuboneConfig cpubone_config(std::string_view name);

}  // namespace cpubone
