#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <random>
#include <string>
#include <vector>

#include "graph/json_file.hpp"
#include "space/cpubone.hpp"

namespace cpubone {

/// What a stage may be; see CpuboneStage. Lists are ascending and not empty.
struct StageChoices {
  std::vector<int> widths;
  std::vector<int> blocks;
  std::vector<int> groups{2};
  std::vector<double> down_expansions{4};
  std::vector<int> down_kernels{3};
  std::vector<double> expansions{4};
  std::vector<int> kernels{3};
  std::vector<int> attention{0};  ///< 0: without, 1: with
  std::vector<int> attention_kernels{2};
  std::vector<int> attention_strides{1};
  bool operator==(const StageChoices&) const = default;
};

/// Sizes of the classification head.
struct HeadChoice {
  int channels = 1536;
  int features = 1600;
  bool operator==(const HeadChoice&) const = default;
};

/// All networks that a search may choose from: every combination of the choices. The first choice
/// of groups and of attention strides must fit everywhere; larger ones are reduced where they do
/// not divide.
struct SearchSpace {
  std::string name;
  std::vector<int> resolutions{224};
  std::vector<int> fused_below{256};  ///< `never_fused`, a threshold, `always_fused`
  std::vector<int> down_fused_below{always_fused};
  std::vector<double> mlp_expansions{4};
  std::vector<Upsampling> upsamplings{Upsampling::nearest};
  std::vector<Activation> activations{Activation::hardswish};
  std::vector<Activation> mlp_activations{Activation::gelu};
  std::vector<HeadChoice> heads{{}};
  std::array<StageChoices, 5> stages;
  bool operator==(const SearchSpace&) const = default;
};

/// Genes of a genome: first those of the whole network, then ten a stage.
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
/// e.g. `resolution`, `stage3.kernel`.
std::string name(std::size_t position);
}  // namespace gene

/// A network of a space: for every gene the index of its choice.
using Genome = std::array<std::uint8_t, gene::count>;

/// Number of choices of every gene.
std::array<int, gene::count> choices(const SearchSpace& space);
/// Number of genomes, of which several may mean the same network.
double size(const SearchSpace& space);

/// Throws std::invalid_argument naming the choice, what was got and expected: empty, unsorted or
/// more than 255 choices, or a combination that `check(CpuboneConfig)` refuses.
void check(const SearchSpace& space);
/// Throws std::invalid_argument naming the gene that is out of range.
void check(const SearchSpace& space, const Genome& genome);

/// The genome that stands for all those of the same network: genes without effect are 0, groups and
/// attention strides are reduced to what divides, thresholds to the lowest with the same effect.
Genome canonical(const SearchSpace& space, const Genome& genome);

/// The network's configuration; always one that builds. Its name is `candidate`.
CpuboneConfig decode(const SearchSpace& space, const Genome& genome);
/// The canonical genome of a configuration. Throws std::invalid_argument naming the gene whose
/// value the space does not have, and its choices.
Genome encode(const SearchSpace& space, const CpuboneConfig& config);
/// Whether the space has that network.
bool contains(const SearchSpace& space, const CpuboneConfig& config);

using Rng = std::mt19937_64;
/// Uniform in 0..count - 1, the same on every platform.
std::uint64_t uniform_below(Rng& rng, std::uint64_t count);
/// A canonical genome, every gene uniform.
Genome sample(const SearchSpace& space, Rng& rng);
/// Changes every gene with probability `rate`, at least one; half of the changes are to a
/// neighbouring choice. Canonical; may be the same network where the changes have no effect.
Genome mutate(const SearchSpace& space, const Genome& genome, double rate, Rng& rng);
/// Each gene from one of the two. Canonical.
Genome crossover(const SearchSpace& space, const Genome& a, const Genome& b, Rng& rng);

/// The published Nano, T0, S0, B0 to B3 and their neighbours: groups 1/2/4/8, kernels 2/3/5, fused,
/// unfused and thresholds, with and without attention, 192 to 256 pixels.
SearchSpace default_search_space();

/// Search space JSON (`cpubone/space/1`, docs/file-formats.md).
nlohmann::json to_json(const SearchSpace& space);
/// Throws cpubone::Error with the JSON pointer, what was got and what is expected. A choice that is
/// absent is CPUBone's.
SearchSpace read_search_space(const JsonReader& json);
SearchSpace load_search_space(const std::filesystem::path& path);
void save_search_space(const SearchSpace& space, const std::filesystem::path& path);

}  // namespace cpubone
