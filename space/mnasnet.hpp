#pragma once
#include <array>
#include <string>

#include "space/blocks.hpp"
#include "space/search_space.hpp"

namespace cpubone {

/// A stage of inverted residuals; the first strides where the stage does, the others are residual.
struct MnasnetStage {
  double expansion = 6;  ///< 1: no expansion
  int kernel = 3;
  int layers = 1;
  bool squeeze_excite = false;  ///< to a quarter of the block's input channels
  bool operator==(const MnasnetStage&) const = default;
};

/// A network of the space that Accel-NASBench (Ahmad and others, DAC 2024) trained: widths and
/// strides are EfficientNet-B0's.
struct MnasnetConfig {
  std::string name = "custom";
  int resolution = 224;  ///< pixels, a multiple of 32
  std::array<MnasnetStage, 7> stages;
  bool operator==(const MnasnetConfig&) const = default;
};

/// The network of a configuration. Throws std::invalid_argument naming the field, what was got and
/// expected.
Network build(const MnasnetConfig& config, Form form = Form::inference);
/// Expansion, kernel and layers of each stage, `s` where it squeezes, e.g. `e1k3l1 e6k3l2s ...`.
std::string describe(const MnasnetConfig& config);

/// The skeleton `mnasnet`. Its usual choices are those that were trained: by stage expansion 1, 4,
/// 6, kernel 3, 5, layers 1 to 3 (in stage 6 to 4), with and without squeeze-excite.
const Skeleton& mnasnet_skeleton();
/// The configuration of a genome of such a space. Throws std::invalid_argument for another
/// skeleton.
MnasnetConfig decode_mnasnet(const SearchSpace& space, const Genome& genome);
/// Its canonical genome. Throws std::invalid_argument naming the gene whose value the space lacks.
Genome encode(const SearchSpace& space, const MnasnetConfig& config);

}  // namespace cpubone
