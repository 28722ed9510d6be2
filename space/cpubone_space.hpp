#pragma once
#include "space/cpubone.hpp"
#include "space/search_space.hpp"

namespace cpubone {

/// CPUBone's kind of networks: stem and four stages, each a strided block and residual blocks. The
/// first choice of groups and of attention strides must fit everywhere; larger ones are reduced
/// where they do not divide.
const Skeleton& cpubone_skeleton();

/// Positions of its genes: first those of the whole network, then ten a stage, of which the stem's
/// `down_expansion` and `down_kernel` have no choice.
namespace gene {
enum Global : int {
  resolution,
  fused_below,
  down_fused_below,
  mlp_expansion,
  upsampling,
  activation,
  mlp_activation,
  head,
  global_count
};
enum Stage : int {
  width,
  blocks,
  groups,
  down_expansion,
  down_kernel,
  expansion,
  kernel,
  attention,
  attention_kernel,
  attention_stride,
  stage_count
};
inline constexpr int count = global_count + 5 * stage_count;
/// Position of a stage's gene.
constexpr std::size_t of(int stage, Stage which) {
  return static_cast<std::size_t>(global_count + stage * stage_count + which);
}
}  // namespace gene

/// The published Nano, T0, S0, B0 to B3 and their neighbours: groups 1/2/4/8, kernels 2/3/5, fused,
/// unfused and thresholds, with and without attention, 192 to 256 pixels.
SearchSpace default_search_space();

/// The network's configuration; always one that builds. Its name is `candidate`. Throws
/// std::invalid_argument for a space of another skeleton.
CpuboneConfig decode(const SearchSpace& space, const Genome& genome);
/// The canonical genome of a configuration. Throws std::invalid_argument naming the gene whose
/// value the space does not have, and its choices.
Genome encode(const SearchSpace& space, const CpuboneConfig& config);
/// Whether the space has that network.
bool contains(const SearchSpace& space, const CpuboneConfig& config);

}  // namespace cpubone
