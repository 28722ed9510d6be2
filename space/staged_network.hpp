#pragma once
#include <cstddef>
#include <vector>

#include "graph/network.hpp"

/// Networks of the skeleton `staged`, as the values of its genes.
namespace cpubone::staged {

inline constexpr int stages = 4;

// Positions of the genes: of the whole network, then so many a stage.
enum WholeGene : std::size_t {
  resolution,
  activation,
  stem,
  stem_width,
  head,
  head_width,
  whole_genes
};
enum StageGene : std::size_t {
  block,
  width,
  blocks,  ///< after the layer that sets stride and width
  expansion,
  kernel,
  groups,
  squeeze,  ///< share of the blocks that have it, the last ones
  partial_ratio,
  start_kernel,
  attention,
  stage_genes
};
constexpr std::size_t position(int stage, StageGene which) {
  return whole_genes + static_cast<std::size_t>(stage) * stage_genes + which;
}

enum StemKind { conv_stem, double_stem, patch_stem };
enum HeadKind { linear_head, conv_pool_head, pool_conv_head };
enum Kind { cpubone, partial, mobileone, inverted, repvit, universal };

/// Whether a gene of a stage means something to a kind of block.
bool matters(Kind kind, StageGene which);

/// What is chosen for every gene, by position.
using Values = std::vector<double>;
inline int whole(const Values& values, std::size_t position) {
  return static_cast<int>(values[position]);
}

/// A stage's choices.
class Stage {
 public:
  Stage(const Values& values, int index) : values_(values), index_(index) {}
  double at(StageGene which) const { return values_[position(index_, which)]; }
  int whole(StageGene which) const { return static_cast<int>(at(which)); }
  Kind kind() const { return static_cast<Kind>(whole(block)); }
  int number() const { return index_ + 1; }
  /// Whether it begins with what halves the resolution; of the first the stem may have done that.
  bool strides() const { return index_ > 0 || staged::whole(values_, stem) == conv_stem; }
  int in_width() const;
  /// So many of its blocks squeeze and excite, the last ones; FasterNet's and RepViT's strided
  /// layers are no blocks.
  int squeezed() const;

 private:
  const Values& values_;
  int index_;
};

/// The network, named `candidate`.
Network build(const Values& values);

}  // namespace cpubone::staged
