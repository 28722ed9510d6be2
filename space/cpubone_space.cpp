#include "space/cpubone_space.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "space/difference.hpp"

namespace cpubone {

namespace {

constexpr int stages = 5;
constexpr std::array<std::string_view, stages> stage_names{"stem", "stage1", "stage2", "stage3",
                                                           "stage4"};

[[noreturn]] void fail(const SearchSpace& space, const std::string& what) {
  throw std::invalid_argument(fmt::format("search space \"{}\": {}", space.name, what));
}

void expect_cpubone(const SearchSpace& space) {
  if (space.skeleton != &cpubone_skeleton())
    fail(space, fmt::format("it is of skeleton {}, expected cpubone",
                            space.skeleton ? space.skeleton->name : "none"));
}

std::vector<Choice> each(std::initializer_list<double> numbers) {
  std::vector<Choice> choices;
  for (const double number : numbers) choices.push_back({number});
  return choices;
}

Gene whole(std::string name, double low, double high, std::vector<Choice> usual,
           std::vector<std::size_t> only_with = {}) {
  Gene gene;
  gene.name = std::move(name);
  gene.choices = std::move(usual);
  gene.only_with = std::move(only_with);
  gene.low = low;
  gene.high = high;
  return gene;
}

Gene real(std::string name, double low, double high, std::vector<Choice> usual,
          std::vector<std::size_t> only_with = {}) {
  Gene gene = whole(std::move(name), low, high, std::move(usual), std::move(only_with));
  gene.whole = false;
  return gene;
}

template <typename Value>
Gene word(std::string name, std::initializer_list<Value> values, Value usual,
          std::vector<std::size_t> only_with = {}) {
  Gene gene;
  gene.name = std::move(name);
  gene.single = false;
  for (const Value value : values)
    gene.words.emplace_back(cpubone::name(value), static_cast<double>(value));
  gene.choices = {{static_cast<double>(usual)}};
  gene.only_with = std::move(only_with);
  return gene;
}

/// Which stages are fused: those of fewer channels than a number, or one flag a stage.
Gene fusing(std::string name, double usual) {
  Gene gene = whole(std::move(name), never_fused, always_fused, {{usual}});
  gene.words = {{"never", never_fused}, {"always", always_fused}};
  gene.together = stages;
  return gene;
}

std::vector<Gene> table() {
  const auto activations = {Activation::none,      Activation::relu,        Activation::relu6,
                            Activation::hardswish, Activation::hardsigmoid, Activation::sigmoid,
                            Activation::silu,      Activation::gelu,        Activation::gelu_tanh};
  std::vector<std::size_t> attention;
  for (int i = 0; i < stages; ++i) attention.push_back(gene::of(i, gene::attention));
  std::vector<Gene> genes{
      whole("resolution", 32, max_resolution, each({224})),
      fusing("fused_below", 256),
      fusing("down_fused_below", always_fused),
      real("mlp_expansion", 0.01, max_expansion, each({4}), attention),
      word("upsampling", {Upsampling::nearest, Upsampling::transposed}, Upsampling::nearest,
           attention),
      word<Activation>("activation", activations, Activation::hardswish),
      word<Activation>("mlp_activation", activations, Activation::gelu, attention),
      {.name = "head",
       .choices = {{1536, 1600}},
       .low = 1,
       .high = 1 << 16,
       .single = false,
       .together = 2}};
  for (int i = 0; i < stages; ++i) {
    const auto name = [&](std::string_view key) {
      return fmt::format("{}.{}", stage_names[static_cast<std::size_t>(i)], key);
    };
    const std::vector<std::size_t> blocks{gene::of(i, gene::blocks)};
    const std::vector<std::size_t> attends{gene::of(i, gene::attention)};
    genes.push_back(whole(name("width"), 1, max_width, {}));
    genes.push_back(whole(name("blocks"), 0, max_blocks, {}));
    genes.push_back(
        whole(name("groups"), 1, 1 << 16, each({2}), i == 0 ? blocks : std::vector<std::size_t>{}));
    genes.push_back(real(name("down_expansion"), 0.01, max_expansion, each({4})));
    genes.push_back(whole(name("down_kernel"), 1, max_kernel, each({3})));
    if (i == 0) genes.back().in_files = genes[genes.size() - 2].in_files = false;
    genes.push_back(real(name("expansion"), 0.01, max_expansion, each({4}), blocks));
    genes.push_back(whole(name("kernel"), 1, max_kernel, each({3}), blocks));
    genes.push_back(whole(name("attention"), 0, 1, each({0}), blocks));
    genes.push_back(whole(name("attention_kernel"), 1, max_kernel, each({2}), attends));
    genes.push_back(whole(name("attention_stride"), 1, max_resolution, each({1}), attends));
  }
  return genes;
}

const std::vector<Gene>& genes() {
  static const std::vector<Gene> all = table();
  return all;
}

int whole_number(const SearchSpace& space, const Genome& g, int stage, gene::Stage which) {
  return static_cast<int>(chosen(space, g, gene::of(stage, which)));
}

bool attends(const SearchSpace& space, const Genome& g, int stage) {
  return whole_number(space, g, stage, gene::blocks) > 0 &&
         whole_number(space, g, stage, gene::attention) != 0;
}

/// Whether a choice of fused stages fuses one.
bool fuses(const Choice& choice, int stage, int width) {
  return choice.size() == 1 ? width < choice[0] : choice[static_cast<std::size_t>(stage)] != 0;
}

/// Whether the blocks are there that a gene of fused stages is about.
bool has_blocks(const SearchSpace& space, const Genome& g, int stage, std::size_t fusing) {
  return fusing == gene::fused_below ? whole_number(space, g, stage, gene::blocks) > 0 : stage > 0;
}

/// The stages that the gene fuses, as bits.
int fused_stages(const SearchSpace& space, const Genome& g, std::size_t fusing,
                 const Choice& choice) {
  int mask = 0;
  for (int i = 0; i < stages; ++i)
    if (has_blocks(space, g, i, fusing) && fuses(choice, i, whole_number(space, g, i, gene::width)))
      mask |= 1 << i;
  return mask;
}

bool is_fused(const SearchSpace& space, const Genome& g, std::size_t fusing, int stage) {
  return fuses(space.genes[fusing].choices[g[fusing]], stage,
               whole_number(space, g, stage, gene::width));
}

/// Whether groups divide everything that they apply to in a stage.
bool groups_fit(const SearchSpace& space, const Genome& g, int i, int groups) {
  const auto divides = [&](int in, gene::Stage expansion) {
    return in % groups == 0 && expanded(in, chosen(space, g, gene::of(i, expansion))) % groups == 0;
  };
  if (i > 0 && !divides(whole_number(space, g, i - 1, gene::width), gene::down_expansion))
    return false;
  return whole_number(space, g, i, gene::blocks) == 0 ||
         divides(whole_number(space, g, i, gene::width), gene::expansion);
}

void reduce(const SearchSpace& space, Genome& g) {
  for (int i = 0; i < stages; ++i) {
    const auto& group_choices = space.genes[gene::of(i, gene::groups)].choices;
    auto& groups = g[gene::of(i, gene::groups)];
    while (groups > 0 && !groups_fit(space, g, i, static_cast<int>(group_choices[groups][0])))
      --groups;
    const auto& strides = space.genes[gene::of(i, gene::attention_stride)].choices;
    auto& stride = g[gene::of(i, gene::attention_stride)];
    const int pixels = static_cast<int>(chosen(space, g, gene::resolution)) >> (i + 1);
    while (stride > 0 && pixels % static_cast<int>(strides[stride][0]) != 0) --stride;
  }
  for (const std::size_t fusing :
       {std::size_t{gene::fused_below}, std::size_t{gene::down_fused_below}}) {
    const auto& all = space.genes[fusing].choices;
    const int mask = fused_stages(space, g, fusing, all[g[fusing]]);
    for (std::uint8_t k = 0; k < g[fusing]; ++k)
      if (fused_stages(space, g, fusing, all[k]) == mask) {
        g[fusing] = k;
        break;
      }
  }
}

CpuboneConfig config_of(const SearchSpace& space, const Genome& g) {
  const auto number = [&](std::size_t position) { return chosen(space, g, position); };
  CpuboneConfig config;
  config.name = "candidate";
  config.family = "candidate";
  config.resolution = static_cast<int>(number(gene::resolution));
  config.mlp_expansion = number(gene::mlp_expansion);
  config.upsampling = static_cast<Upsampling>(number(gene::upsampling));
  config.activation = static_cast<Activation>(number(gene::activation));
  config.mlp_activation = static_cast<Activation>(number(gene::mlp_activation));
  const Choice& head = space.genes[gene::head].choices[g[gene::head]];
  config.head_channels = static_cast<int>(head[0]);
  config.head_features = static_cast<int>(head[1]);
  for (int i = 0; i < stages; ++i) {
    CpuboneStage& to = config.stages[static_cast<std::size_t>(i)];
    const auto pick = [&](gene::Stage which) { return whole_number(space, g, i, which); };
    to.width = pick(gene::width);
    to.blocks = pick(gene::blocks);
    to.groups = pick(gene::groups);
    to.down_expansion = number(gene::of(i, gene::down_expansion));
    to.down_kernel = pick(gene::down_kernel);
    to.down_fused = is_fused(space, g, gene::down_fused_below, i);
    to.expansion = number(gene::of(i, gene::expansion));
    to.kernel = pick(gene::kernel);
    to.fused = is_fused(space, g, gene::fused_below, i);
    to.attention = pick(gene::attention) != 0;
    to.attention_kernel = pick(gene::attention_kernel);
    to.attention_stride = pick(gene::attention_stride);
  }
  return config;
}

/// A genome of the space must build.
void check_builds(const SearchSpace& space, const Genome& genome) {
  try {
    check(config_of(space, canonical(space, genome)));
  } catch (const std::invalid_argument& e) {
    fail(space, fmt::format("a combination of its choices is refused: {}", e.what()));
  }
}

void check_combinations(const SearchSpace& space) {
  const auto all = [&](int i, gene::Stage which) -> const std::vector<Choice>& {
    return space.genes[gene::of(i, which)].choices;
  };
  const auto name = [&](int i, gene::Stage which) { return space.genes[gene::of(i, which)].name; };
  for (const std::size_t fusing :
       {std::size_t{gene::fused_below}, std::size_t{gene::down_fused_below}})
    for (const Choice& choice : space.genes[fusing].choices)
      for (const double flag : choice)
        if (choice.size() > 1 && flag != 0 && flag != 1)
          fail(space, fmt::format("{}: a stage's flag must be 0 or 1, got {}",
                                  space.genes[fusing].name, flag));
  for (int i = 0; i < stages; ++i) {
    const int first_stride = static_cast<int>(all(i, gene::attention_stride)[0][0]);
    for (const Choice& choice : space.genes[gene::resolution].choices)
      if (const int pixels = static_cast<int>(choice[0]) >> (i + 1); pixels % first_stride != 0)
        fail(space, fmt::format("{}: the first choice {} must divide the stage's {} pixels",
                                name(i, gene::attention_stride), first_stride, pixels));
    const int first_groups = static_cast<int>(all(i, gene::groups)[0][0]);
    const auto divides = [&](const std::vector<Choice>& widths, gene::Stage which) {
      for (const Choice& width : widths)
        for (const Choice& expansion : all(i, which)) {
          const int in = static_cast<int>(width[0]);
          for (const int channels : {in, expanded(in, expansion[0])})
            if (channels % first_groups != 0)
              fail(space,
                   fmt::format("{}: the first choice {} must divide {} channels ({} x {} {})",
                               name(i, gene::groups), first_groups, channels, in, name(i, which),
                               expansion[0]));
        }
    };
    if (i > 0) divides(all(i - 1, gene::width), gene::down_expansion);
    if (all(i, gene::blocks).back()[0] > 0) divides(all(i, gene::width), gene::expansion);
  }
  // Groups are checked by pairs above, products grow with both factors, and all else is checked
  // field by field: so it is enough that every choice occurs, and all smallest and all largest ones
  // together.
  Genome first = first_genome(space);
  Genome last = first;
  for (std::size_t p = 0; p < last.size(); ++p)
    last[p] = static_cast<std::uint8_t>(space.genes[p].choices.size() - 1);
  for (int i = 0; i < stages; ++i)
    // Fields of residual blocks and of attention are checked only where there are such.
    for (const gene::Stage which : {gene::blocks, gene::attention}) {
      const auto& values = all(i, which);
      const auto present =
          std::find_if(values.begin(), values.end(), [](const Choice& c) { return c[0] > 0; });
      if (present != values.end())
        first[gene::of(i, which)] = static_cast<std::uint8_t>(present - values.begin());
    }
  check_builds(space, first);
  check_builds(space, last);
  for (std::size_t p = 0; p < first.size(); ++p)
    for (std::size_t k = 0; k < space.genes[p].choices.size(); ++k) {
      Genome genome = first;
      genome[p] = static_cast<std::uint8_t>(k);
      check_builds(space, genome);
    }
  // What is counted in 64 bits is counted once for the largest.
  const Network largest = space.skeleton->build(space, canonical(space, last));
  try {
    macs(largest);
    params(largest);
    weight_bytes(largest);
  } catch (const Error& e) {
    fail(space, fmt::format("its largest network is refused: {}", e.what()));
  }
}

Network build_candidate(const SearchSpace& space, const Genome& g) {
  return build(config_of(space, g));
}

std::string describe_candidate(const SearchSpace& space, const Genome& g) {
  return describe(config_of(space, g));
}

// Units of a network: stem, strided and residual blocks by stage, head.
constexpr std::uint64_t down_unit = 1;
constexpr std::uint64_t residual_unit = down_unit + stages;
constexpr std::uint64_t head_unit = residual_unit + stages;

void units(const SearchSpace& space, const Genome& g, std::vector<UnitUse>& out) {
  out.clear();
  const auto begin = [&](std::uint64_t unit) {
    UnitKey key(space, g, unit);
    key.add(gene::resolution);
    key.add(gene::activation);
    return key;
  };
  for (int i = 0; i < stages; ++i) {
    const auto at = [&](gene::Stage which) { return gene::of(i, which); };
    UnitKey down = begin(i == 0 ? 0 : down_unit + static_cast<std::uint64_t>(i));
    down.add(at(gene::width));
    if (i > 0) {
      down.add(gene::of(i - 1, gene::width));
      for (const auto which : {gene::groups, gene::down_expansion, gene::down_kernel})
        down.add(at(which));
      down.add(is_fused(space, g, gene::down_fused_below, i), 2);
    }
    out.push_back({down.key(), 1});
    const int blocks = whole_number(space, g, i, gene::blocks);
    if (blocks == 0) continue;
    UnitKey residual = begin(residual_unit + static_cast<std::uint64_t>(i));
    for (const auto which :
         {gene::width, gene::groups, gene::expansion, gene::kernel, gene::attention})
      residual.add(at(which));
    residual.add(is_fused(space, g, gene::fused_below, i), 2);
    const bool with_attention = attends(space, g, i);
    for (const auto which : {gene::attention_kernel, gene::attention_stride})
      residual.add_if(with_attention, at(which));
    for (const std::size_t which : {gene::mlp_expansion, gene::upsampling, gene::mlp_activation})
      residual.add_if(with_attention, which);
    out.push_back({residual.key(), blocks});
  }
  UnitKey head = begin(head_unit);
  head.add(gene::head);
  head.add(gene::of(stages - 1, gene::width));
  out.push_back({head.key(), 1});
}

}  // namespace

const Skeleton& cpubone_skeleton() {
  static const Skeleton skeleton{
      "cpubone",
      genes,
      check_combinations,
      reduce,
      build_candidate,
      describe_candidate,
      units,
      {.family = "CPUBone", .references = {"cpubone-b0", "cpubone-b1", "cpubone-b2", "cpubone-b3"}},
      [](const SearchSpace& space) {
        std::vector<Member> members;
        for (const CpuboneConfig& config : cpubone_family())
          members.push_back({config.name, contains(space, config)
                                              ? std::optional(encode(space, config))
                                              : std::nullopt});
        return members;
      },
      [](const SearchSpace& space, const Genome& genome, std::string_view published) {
        return difference(config_of(space, genome), cpubone_config(published));
      }};
  return skeleton;
}

CpuboneConfig decode(const SearchSpace& space, const Genome& genome) {
  expect_cpubone(space);
  check(space, genome);
  return config_of(space, canonical(space, genome));
}

Genome encode(const SearchSpace& space, const CpuboneConfig& config) {
  expect_cpubone(space);
  check(config);
  std::vector<Choice> values(gene::count);
  const auto set = [&](std::size_t position, auto value) {
    values[position] = {static_cast<double>(value)};
  };
  set(gene::resolution, config.resolution);
  set(gene::mlp_expansion, config.mlp_expansion);
  set(gene::upsampling, config.upsampling);
  set(gene::activation, config.activation);
  set(gene::mlp_activation, config.mlp_activation);
  values[gene::head] = {static_cast<double>(config.head_channels),
                        static_cast<double>(config.head_features)};
  for (int i = 0; i < stages; ++i) {
    const CpuboneStage& from = config.stages[static_cast<std::size_t>(i)];
    const auto at = [&](gene::Stage which) { return gene::of(i, which); };
    set(at(gene::width), from.width);
    set(at(gene::blocks), from.blocks);
    set(at(gene::groups), from.groups);
    set(at(gene::down_expansion), from.down_expansion);
    set(at(gene::down_kernel), from.down_kernel);
    set(at(gene::expansion), from.expansion);
    set(at(gene::kernel), from.kernel);
    set(at(gene::attention), from.attention ? 1 : 0);
    set(at(gene::attention_kernel), from.attention_kernel);
    set(at(gene::attention_stride), from.attention_stride);
  }
  // Any choice that fuses the same blocks will do.
  for (const std::size_t fusing :
       {std::size_t{gene::fused_below}, std::size_t{gene::down_fused_below}}) {
    const bool residual = fusing == gene::fused_below;
    Choice& value = values[fusing];
    for (const CpuboneStage& stage : config.stages)
      value.push_back(residual ? stage.fused : stage.down_fused);
    const auto same = [&](const Choice& choice) {
      for (int i = 0; i < stages; ++i) {
        const CpuboneStage& stage = config.stages[static_cast<std::size_t>(i)];
        const bool there = residual ? stage.blocks > 0 : i > 0;
        if (there && fuses(choice, i, stage.width) != (value[static_cast<std::size_t>(i)] != 0))
          return false;
      }
      return true;
    };
    const auto& choices = space.genes[fusing].choices;
    const auto found = std::find_if(choices.begin(), choices.end(), same);
    if (found != choices.end()) value = *found;
  }
  return encode(space, values, config.name);
}

bool contains(const SearchSpace& space, const CpuboneConfig& config) {
  try {
    encode(space, config);
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

}  // namespace cpubone
