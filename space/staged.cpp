#include "space/staged.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "space/blocks.hpp"
#include "space/fasternet.hpp"
#include "space/mobileone.hpp"
#include "space/staged_network.hpp"

namespace cpubone {
namespace {

using namespace staged;

using Words = std::vector<std::pair<std::string, double>>;
const Words stem_words{{"conv", conv_stem}, {"double_conv", double_stem}, {"patches", patch_stem}};
const Words head_words{
    {"linear", linear_head}, {"conv_pool", conv_pool_head}, {"pool_conv", pool_conv_head}};
const Words block_words{{"cpubone", staged::cpubone}, {"partial", partial},
                        {"mobileone", mobileone},     {"inverted", inverted},
                        {"repvit", repvit},           {"universal", universal}};

std::vector<Gene> table() {
  const auto word = [](std::string name, Words words, std::vector<Choice> usual,
                       std::vector<std::size_t> only_with = {}) {
    Gene gene{.name = std::move(name), .choices = std::move(usual)};
    gene.only_with = std::move(only_with);
    gene.single = false;
    gene.words = std::move(words);
    return gene;
  };
  Words activations;
  for (const Activation a : {Activation::relu, Activation::relu6, Activation::hardswish,
                             Activation::silu, Activation::gelu})
    activations.emplace_back(::cpubone::name(a), static_cast<double>(a));
  std::vector<Gene> genes{
      {.name = "resolution", .choices = {{224}}, .low = 32, .high = 2048},
      word("activation", activations, {{static_cast<double>(Activation::relu)}}),
      word("stem", stem_words, {{conv_stem}}),
      {.name = "stem_width", .choices = {{32}}, .low = 1, .high = 1 << 13},
      word("head", head_words, {{conv_pool_head}}),
      {.name = "head_width", .choices = {{1280}}, .only_with = {head}, .low = 1, .high = 1 << 16}};
  for (int i = 0; i < stages; ++i) {
    const auto name = [&](std::string_view key) { return fmt::format("stage{}.{}", i + 1, key); };
    genes.push_back(word(name("block"), block_words, {}));
    genes.push_back({.name = name("width"), .low = 1, .high = 1 << 13});
    genes.push_back({.name = name("blocks"), .low = 0, .high = 64});
    genes.push_back(
        {.name = name("expansion"), .choices = {{4}}, .low = 0.1, .high = 16, .whole = false});
    genes.push_back({.name = name("kernel"), .choices = {{3}}, .low = 1, .high = 15});
    genes.push_back({.name = name("groups"), .choices = {{1}}, .low = 1, .high = 1 << 13});
    genes.push_back(
        {.name = name("squeeze_excite"), .choices = {{0}}, .low = 0, .high = 1, .whole = false});
    genes.push_back({.name = name("partial_ratio"), .choices = {{4}}, .low = 1, .high = 64});
    genes.push_back({.name = name("start_kernel"), .choices = {{0}}, .low = 0, .high = 15});
    genes.push_back({.name = name("attention"), .choices = {{0}}, .low = 0, .high = 1});
  }
  return genes;
}

const std::vector<Gene>& genes() {
  static const std::vector<Gene> all = table();
  return all;
}

Values values_of(const SearchSpace& space, const Genome& g) {
  Values values;
  for (std::size_t p = 0; p < g.size(); ++p) values.push_back(chosen(space, g, p));
  return values;
}

bool groups_fit(const Stage& stage, int divisor) {
  const auto divides = [&](int in) {
    return in % divisor == 0 && expanded(in, stage.at(expansion)) % divisor == 0;
  };
  return (!stage.strides() || divides(stage.in_width())) &&
         (stage.whole(blocks) == 0 || divides(stage.whole(width)));
}

void reduce(const SearchSpace& space, Genome& g) {
  if (static_cast<int>(chosen(space, g, stem)) != conv_stem) g[stem_width] = 0;
  for (int i = 0; i < stages; ++i) {
    const auto at = [&](StageGene which) -> std::uint8_t& { return g[position(i, which)]; };
    const auto kind = static_cast<Kind>(static_cast<int>(chosen(space, g, position(i, block))));
    const bool alone = chosen(space, g, position(i, blocks)) == 0;
    for (std::size_t which = expansion; which < stage_genes; ++which)
      if (!matters(kind, static_cast<StageGene>(which)) || (alone && kind == partial))
        at(static_cast<StageGene>(which)) = 0;
    if (alone) at(attention) = 0;
    const auto& group_choices = space.genes[position(i, groups)].choices;
    while (at(groups) > 0) {
      const Values values = values_of(space, g);
      if (groups_fit(Stage(values, i), static_cast<int>(group_choices[at(groups)][0]))) break;
      --at(groups);
    }
    if (const std::uint8_t squeezes = at(squeeze); squeezes > 0) {
      Values values = values_of(space, g);
      const int wanted = Stage(values, i).squeezed();
      const auto& shares = space.genes[position(i, squeeze)].choices;
      for (std::uint8_t k = 0; k < squeezes && at(squeeze) == squeezes; ++k) {
        values[position(i, squeeze)] = shares[k][0];
        if (Stage(values, i).squeezed() == wanted) at(squeeze) = k;
      }
    }
  }
}

Network build_candidate(const SearchSpace& space, const Genome& g) {
  return staged::build(values_of(space, g));
}

std::string describe_candidate(const SearchSpace& space, const Genome& g) {
  const Values v = values_of(space, g);
  const auto word = [&](std::size_t p) { return text(space.genes[p], {v[p]}); };
  std::string told = word(stem);
  if (whole(v, stem) == conv_stem) told += fmt::format("{}", v[stem_width]);
  for (int i = 0; i < stages; ++i) {
    const Stage stage(v, i);
    told += fmt::format(" {}-w{}-d{}", word(position(i, block)), stage.at(width), stage.at(blocks));
    const auto add = [&](StageGene which, std::string_view letter, double usual) {
      if (matters(stage.kind(), which) && stage.at(which) != usual)
        told += fmt::format("-{}{}", letter, stage.at(which));
    };
    add(expansion, "e", stage.kind() == partial || stage.kind() == repvit ? 2 : 4);
    add(kernel, "k", 3);
    add(groups, "g", 1);
    add(squeeze, "se", 0);
    add(partial_ratio, "r", 4);
    add(start_kernel, "s", 0);
    if (stage.whole(attention) != 0 && matters(stage.kind(), attention)) told += "-attention";
  }
  told += fmt::format(" {}", word(head));
  if (whole(v, head) != linear_head) told += fmt::format("{}", v[head_width]);
  told += fmt::format(" {}", word(activation));
  return v[resolution] == 224 ? told : fmt::format("{} @{}", told, v[resolution]);
}

// Units of a network: two of the stem, four a stage (strided or not, squeezing or not), the head.
void units(const SearchSpace& space, const Genome& g, std::vector<UnitUse>& out) {
  out.clear();
  const Values v = values_of(space, g);
  std::uint64_t unit = 0;
  const auto begin = [&] {
    UnitKey key(space, g, unit++);
    for (const auto which : {resolution, activation, stem, stem_width}) key.add(which);
    return key;
  };
  for (int conv = 0; conv < 2; ++conv) {
    UnitKey key = begin();
    key.add_if(whole(v, stem) != conv_stem, position(0, width));
    if (conv == 0 || whole(v, stem) == double_stem) out.push_back({key.key(), 1});
  }
  for (int i = 0; i < stages; ++i) {
    const Stage stage(v, i);
    const int squeezed = stage.squeezed();
    const int residuals = stage.whole(blocks);
    const bool first_squeezes = squeezed > residuals;
    const auto add = [&](bool strides, int times) {
      UnitKey key = begin();
      for (std::size_t which = block; which < stage_genes; ++which)
        if (which != blocks && which != squeeze)
          key.add(position(i, static_cast<StageGene>(which)));
      key.add_if(strides && i > 0, i > 0 ? position(i - 1, width) : std::size_t{stem_width});
      if (times > 0) out.push_back({key.key(), times});
    };
    const auto counts = {std::pair{true, stage.strides() && !first_squeezes ? 1 : 0},
                         std::pair{true, stage.strides() && first_squeezes ? 1 : 0},
                         std::pair{false, residuals - std::min(squeezed, residuals)},
                         std::pair{false, std::min(squeezed, residuals)}};
    for (const auto& [strides, times] : counts) add(strides, times);
  }
  UnitKey key = begin();
  for (const auto which : {head, head_width}) key.add(which);
  key.add(position(stages - 1, width));
  out.push_back({key.key(), 1});
}

void check_combinations(const SearchSpace& space) {
  const auto fail = [&](const std::string& what) {
    throw std::invalid_argument(fmt::format("search space \"{}\": {}", space.name, what));
  };
  for (const Choice& pixels : space.genes[resolution].choices)
    if (static_cast<int>(pixels[0]) % 32 != 0)
      fail(fmt::format("resolution must be a multiple of 32, got {}", pixels[0]));
  for (int i = 0; i < stages; ++i)
    if (space.genes[position(i, groups)].choices[0][0] != 1)
      fail(fmt::format("{}: the first choice must be 1, got {}",
                       space.genes[position(i, groups)].name,
                       space.genes[position(i, groups)].choices[0][0]));
  const auto& stems = space.genes[stem].choices;
  if (space.genes[position(0, blocks)].choices[0][0] == 0 &&
      std::any_of(stems.begin(), stems.end(),
                  [](const Choice& c) { return static_cast<int>(c[0]) != conv_stem; }))
    fail("stage1.blocks must be at least 1, as stems but \"conv\" stride for it, got 0");
  Genome first = first_genome(space);
  Genome last = first;
  for (std::size_t p = 0; p < last.size(); ++p)
    last[p] = static_cast<std::uint8_t>(space.genes[p].choices.size() - 1);
  for (Genome& genome : std::array{first, last})
    for (std::size_t p = 0; p < genome.size(); ++p)
      for (std::size_t k = 0; k < space.genes[p].choices.size(); ++k) {
        Genome one = genome;
        one[p] = static_cast<std::uint8_t>(k);
        try {
          const Network network = build_candidate(space, canonical(space, one));
          macs(network);
          weight_bytes(network);
        } catch (const std::exception& e) {
          fail(fmt::format("a network with {} {} is refused: {}", space.genes[p].name,
                           text(space.genes[p], space.genes[p].choices[k]), e.what()));
        }
      }
}

// ---- published networks ----

std::optional<Genome> find_genome(const SearchSpace& space, const Values& values,
                                  std::string_view name) {
  std::vector<Choice> choices;
  for (std::size_t p = 0; p < values.size(); ++p) choices.push_back({values[p]});
  if (whole(values, stem) != conv_stem) choices[stem_width] = space.genes[stem_width].choices[0];
  for (int i = 0; i < stages; ++i)
    for (std::size_t which = expansion; which < stage_genes; ++which) {
      const std::size_t p = position(i, static_cast<StageGene>(which));
      if (!matters(Stage(values, i).kind(), static_cast<StageGene>(which)))
        choices[p] = space.genes[p].choices[0];
    }
  try {
    return encode(space, choices, name);
  } catch (const std::invalid_argument&) {
    return std::nullopt;
  }
}

Values published_values(StemKind stem_kind, HeadKind head_kind, Activation act) {
  Values v(genes().size());
  v[resolution] = 224;
  v[activation] = static_cast<double>(act);
  v[stem] = stem_kind;
  v[head] = head_kind;
  v[head_width] = 1280;
  for (int i = 0; i < stages; ++i) {
    v[position(i, kernel)] = 3;
    v[position(i, expansion)] = 2;
    v[position(i, partial_ratio)] = 4;
  }
  return v;
}

std::vector<Member> members(const SearchSpace& space) {
  std::vector<Member> all;
  if (space.peers.family == "FasterNet")
    for (const FasterNetSize& size : fasternet_sizes()) {
      Values v = published_values(patch_stem, pool_conv_head, size.activation);
      for (int i = 0; i < stages; ++i) {
        v[position(i, block)] = partial;
        v[position(i, width)] = size.width << i;
        v[position(i, blocks)] = size.blocks[static_cast<std::size_t>(i)];
      }
      all.push_back({size.name, find_genome(space, v, size.name)});
    }
  if (space.peers.family == "MobileOne")
    for (const MobileOneSize& size : mobileone_sizes()) {
      Values v = published_values(conv_stem, linear_head, Activation::relu);
      const std::vector<MobileOneConv> convs = mobileone_convs(size);
      v[stem_width] = convs.front().out_channels;
      for (int i = 0; i < stages; ++i) v[position(i, block)] = mobileone;
      for (const MobileOneConv& conv : convs) {
        if (conv.stage == 0 || conv.depthwise) continue;
        v[position(conv.stage - 1, width)] = conv.out_channels;
        v[position(conv.stage - 1, blocks)] += 1;
        v[position(conv.stage - 1, squeeze)] += conv.squeeze_excite ? 1 : 0;
      }
      for (int i = 0; i < stages; ++i) {
        v[position(i, squeeze)] /= v[position(i, blocks)];
        v[position(i, blocks)] -= 1;  // the strided one
      }
      all.push_back({size.name, find_genome(space, v, size.name)});
    }
  return all;
}

}  // namespace

const Skeleton& staged_skeleton() {
  static const Skeleton skeleton{
      "staged",
      genes,
      check_combinations,
      reduce,
      build_candidate,
      describe_candidate,
      units,
      {.family = "CPUBone",
       .is_new = true,
       .references = {"cpubone-b0", "cpubone-b1", "cpubone-b2", "cpubone-b3"}},
      members,
      [](const SearchSpace&, const Genome&, std::string_view) { return std::string(); }};
  return skeleton;
}

}  // namespace cpubone
