#include "space/search_space.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

namespace cpubone {
namespace {

constexpr std::array<std::string_view, gene::global_count> global_names{
    "resolution", "fused_below", "down_fused_below", "mlp_expansion",
    "upsampling", "activation",  "mlp_activation",   "head"};
constexpr std::array<std::string_view, gene::stage_count> stage_gene_names{
    "width",     "blocks", "groups",    "down_expansion",   "down_kernel",
    "expansion", "kernel", "attention", "attention_kernel", "attention_stride"};
constexpr std::array<std::string_view, 5> stage_names{"stem", "stage1", "stage2", "stage3",
                                                      "stage4"};

[[noreturn]] void fail(const SearchSpace& space, const std::string& what) {
  throw std::invalid_argument(fmt::format("search space \"{}\": {}", space.name, what));
}

/// Calls `visit(position, choices)` for every gene.
template <typename Visit>
void each_gene(const SearchSpace& space, Visit visit) {
  visit(std::size_t{gene::resolution}, space.resolutions);
  visit(std::size_t{gene::fused_below}, space.fused_below);
  visit(std::size_t{gene::down_fused_below}, space.down_fused_below);
  visit(std::size_t{gene::mlp_expansion}, space.mlp_expansions);
  visit(std::size_t{gene::upsampling}, space.upsamplings);
  visit(std::size_t{gene::activation}, space.activations);
  visit(std::size_t{gene::mlp_activation}, space.mlp_activations);
  visit(std::size_t{gene::head}, space.heads);
  for (int i = 0; i < 5; ++i) {
    const StageChoices& stage = space.stages[static_cast<std::size_t>(i)];
    visit(gene::of(i, gene::width), stage.widths);
    visit(gene::of(i, gene::blocks), stage.blocks);
    visit(gene::of(i, gene::groups), stage.groups);
    visit(gene::of(i, gene::down_expansion), stage.down_expansions);
    visit(gene::of(i, gene::down_kernel), stage.down_kernels);
    visit(gene::of(i, gene::expansion), stage.expansions);
    visit(gene::of(i, gene::kernel), stage.kernels);
    visit(gene::of(i, gene::attention), stage.attention);
    visit(gene::of(i, gene::attention_kernel), stage.attention_kernels);
    visit(gene::of(i, gene::attention_stride), stage.attention_strides);
  }
}

std::string shown(int value) {
  return fmt::format("{}", value);
}
std::string shown(double value) {
  return fmt::format("{}", value);
}
std::string shown(Upsampling value) {
  return std::string(name(value));
}
std::string shown(Activation value) {
  return std::string(name(value));
}
std::string shown(const HeadChoice& value) {
  return fmt::format("{}-{}", value.channels, value.features);
}

template <typename Value>
bool less(const Value& a, const Value& b) {
  if constexpr (std::is_same_v<Value, HeadChoice>)
    return std::pair(a.channels, a.features) < std::pair(b.channels, b.features);
  else
    return a < b;
}

template <typename Value>
bool in_order(const std::vector<Value>& values) {
  if constexpr (std::is_same_v<Value, int> || std::is_same_v<Value, double>) {
    return std::adjacent_find(values.begin(), values.end(), std::greater_equal<>()) == values.end();
  } else {
    for (std::size_t i = 0; i < values.size(); ++i)
      if (std::find(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(i), values[i]) !=
          values.begin() + static_cast<std::ptrdiff_t>(i))
        return false;
    return true;
  }
}

/// Numbers that others are divided by or that scale channels; the rest is checked by building.
template <typename Value>
void check_positive(const SearchSpace& space, std::size_t position,
                    const std::vector<Value>& values) {
  const std::string gene = gene::name(position);
  const auto expect = [&](double low, double high) {
    if constexpr (std::is_arithmetic_v<Value>)
      for (const Value value : values)
        if (!(static_cast<double>(value) >= low && static_cast<double>(value) <= high))
          fail(space, fmt::format("{} must be in {}..{}, got {}", gene, low, high, value));
  };
  if constexpr (std::is_same_v<Value, double>) expect(0.01, 16);
  if constexpr (std::is_same_v<Value, int>)
    if (!gene.ends_with("blocks") && !gene.ends_with("attention") && !gene.ends_with("fused_below"))
      expect(1, 1 << 16);
}

const StageChoices& stage_of(const SearchSpace& space, int i) {
  return space.stages[static_cast<std::size_t>(i)];
}

template <typename Value>
const Value& chosen(const std::vector<Value>& values, const Genome& genome, std::size_t position) {
  return values[genome[position]];
}

int width(const SearchSpace& space, const Genome& genome, int i) {
  return chosen(stage_of(space, i).widths, genome, gene::of(i, gene::width));
}

int blocks(const SearchSpace& space, const Genome& genome, int i) {
  return chosen(stage_of(space, i).blocks, genome, gene::of(i, gene::blocks));
}

/// Whether groups divide everything that they apply to in a stage.
bool groups_fit(const SearchSpace& space, const Genome& genome, int i, int groups) {
  const StageChoices& stage = stage_of(space, i);
  if (i > 0) {
    const int in = width(space, genome, i - 1);
    const double expansion =
        chosen(stage.down_expansions, genome, gene::of(i, gene::down_expansion));
    if (in % groups != 0 || expanded(in, expansion) % groups != 0) return false;
  }
  if (blocks(space, genome, i) > 0) {
    const int in = width(space, genome, i);
    const double expansion = chosen(stage.expansions, genome, gene::of(i, gene::expansion));
    if (in % groups != 0 || expanded(in, expansion) % groups != 0) return false;
  }
  return true;
}

/// Lowest threshold that fuses the same stages.
std::uint8_t lowest_threshold(const std::vector<int>& thresholds, std::uint8_t index,
                              const std::array<int, 5>& widths) {
  const auto fused = [&](int threshold) {
    int mask = 0;
    for (const int w : widths) mask = 2 * mask + (w > 0 && w < threshold);
    return mask;
  };
  const int mask = fused(thresholds[index]);
  for (std::uint8_t i = 0; i < index; ++i)
    if (fused(thresholds[i]) == mask) return i;
  return index;
}

/// A genome of first choices, in which `change` sets some genes, must build.
void check_builds(const SearchSpace& space, const Genome& genome) {
  CpuboneConfig config;
  try {
    config = decode(space, genome);
    check(config);
  } catch (const std::invalid_argument& e) {
    fail(space, fmt::format("a combination of its choices is refused: {}", e.what()));
  }
}

}  // namespace

std::string gene::name(std::size_t position) {
  if (position < global_count) return std::string(global_names[position]);
  const std::size_t stage = (position - global_count) / stage_count;
  return fmt::format("{}.{}", stage_names.at(stage),
                     stage_gene_names[(position - global_count) % stage_count]);
}

std::array<int, gene::count> choices(const SearchSpace& space) {
  std::array<int, gene::count> counts{};
  each_gene(space, [&](std::size_t position, const auto& values) {
    counts[position] = static_cast<int>(values.size());
  });
  return counts;
}

double size(const SearchSpace& space) {
  double product = 1;
  for (const int count : choices(space)) product *= count;
  return product;
}

void check(const SearchSpace& space) {
  each_gene(space, [&](std::size_t position, const auto& values) {
    if (values.empty())
      fail(space, fmt::format("{} has no choices, expected at least one", gene::name(position)));
    if (values.size() > 255)
      fail(space, fmt::format("{} has {} choices, expected at most 255", gene::name(position),
                              values.size()));
    if (!in_order(values)) {
      std::vector<std::string> got;
      for (const auto& value : values) got.push_back(shown(value));
      fail(space, fmt::format("choices of {} must be ascending and distinct, got {}",
                              gene::name(position), fmt::join(got, ", ")));
    }
    check_positive(space, position, values);
  });
  for (int i = 0; i < 5; ++i)
    for (const int flag : stage_of(space, i).attention)
      if (flag != 0 && flag != 1)
        fail(space, fmt::format("{} must be 0 or 1, got {}",
                                gene::name(gene::of(i, gene::attention)), flag));
  for (int i = 0; i < 5; ++i) {
    const StageChoices& stage = stage_of(space, i);
    for (const int resolution : space.resolutions)
      if ((resolution >> (i + 1)) % stage.attention_strides[0] != 0)
        fail(space, fmt::format("{}: the first choice {} must divide the stage's {} pixels",
                                gene::name(gene::of(i, gene::attention_stride)),
                                stage.attention_strides[0], resolution >> (i + 1)));
    const auto divides = [&](int width, double expansion, gene::Stage which) {
      for (const int channels : {width, expanded(width, expansion)})
        if (channels % stage.groups[0] != 0)
          fail(space, fmt::format("{}: the first choice {} must divide {} channels ({} x {} {})",
                                  gene::name(gene::of(i, gene::groups)), stage.groups[0], channels,
                                  width, gene::name(gene::of(i, which)), expansion));
    };
    if (i > 0)
      for (const int in : stage_of(space, i - 1).widths)
        for (const double expansion : stage.down_expansions)
          divides(in, expansion, gene::down_expansion);
    if (stage.blocks.back() > 0)
      for (const int in : stage.widths)
        for (const double expansion : stage.expansions) divides(in, expansion, gene::expansion);
  }
  // Fields are checked one by one and groups by pairs of width and expansion, so it is enough that
  // every choice occurs once with every choice of the genes that it is checked against.
  const auto counts = choices(space);
  Genome first{};
  for (int i = 0; i < 5; ++i) {
    // Fields of residual blocks are checked only where there are such blocks.
    const auto& stage = stage_of(space, i);
    for (std::size_t k = 0; k < stage.blocks.size(); ++k)
      if (stage.blocks[k] > 0) {
        first[gene::of(i, gene::blocks)] = static_cast<std::uint8_t>(k);
        break;
      }
    for (std::size_t k = 0; k < stage.attention.size(); ++k)
      if (stage.attention[k]) first[gene::of(i, gene::attention)] = static_cast<std::uint8_t>(k);
  }
  check_builds(space, first);
  for (std::size_t position = 0; position < gene::count; ++position)
    for (int k = 0; k < counts[position]; ++k) {
      Genome genome = first;
      genome[position] = static_cast<std::uint8_t>(k);
      if (position == gene::resolution || counts[position] > 1) check_builds(space, genome);
    }
}

void check(const SearchSpace& space, const Genome& genome) {
  const auto counts = choices(space);
  for (std::size_t i = 0; i < genome.size(); ++i)
    if (genome[i] >= counts[i])
      fail(space, fmt::format("gene {} must be in 0..{}, got {}", gene::name(i), counts[i] - 1,
                              genome[i]));
}

Genome canonical(const SearchSpace& space, const Genome& genome) {
  Genome g = genome;
  bool any_attention = false;
  std::array<int, 5> residual_widths{};
  std::array<int, 5> down_widths{};
  for (int i = 0; i < 5; ++i) {
    const StageChoices& stage = stage_of(space, i);
    const bool has_blocks = blocks(space, g, i) > 0;
    auto& attention = g[gene::of(i, gene::attention)];
    if (!has_blocks) {
      for (const auto which : {gene::expansion, gene::kernel}) g[gene::of(i, which)] = 0;
      attention = 0;
    }
    const bool attends = has_blocks && stage.attention[attention] != 0;
    if (!attends)
      g[gene::of(i, gene::attention_kernel)] = g[gene::of(i, gene::attention_stride)] = 0;
    any_attention |= attends;
    residual_widths[static_cast<std::size_t>(i)] = has_blocks ? width(space, g, i) : 0;
    if (i > 0) {
      down_widths[static_cast<std::size_t>(i)] = width(space, g, i);
    } else {
      g[gene::of(i, gene::down_expansion)] = g[gene::of(i, gene::down_kernel)] = 0;
    }
    auto& groups = g[gene::of(i, gene::groups)];
    if (i == 0 && !has_blocks) groups = 0;
    while (groups > 0 && !groups_fit(space, g, i, stage.groups[groups])) --groups;
    auto& stride = g[gene::of(i, gene::attention_stride)];
    const int pixels = space.resolutions[g[gene::resolution]] >> (i + 1);
    while (stride > 0 && pixels % stage.attention_strides[stride] != 0) --stride;
  }
  if (!any_attention) g[gene::mlp_expansion] = g[gene::upsampling] = g[gene::mlp_activation] = 0;
  g[gene::fused_below] = lowest_threshold(space.fused_below, g[gene::fused_below], residual_widths);
  g[gene::down_fused_below] =
      lowest_threshold(space.down_fused_below, g[gene::down_fused_below], down_widths);
  return g;
}

CpuboneConfig decode(const SearchSpace& space, const Genome& genome) {
  check(space, genome);
  const Genome g = canonical(space, genome);
  CpuboneConfig config;
  config.name = "candidate";
  config.family = "candidate";
  config.resolution = chosen(space.resolutions, g, gene::resolution);
  config.fused_below = chosen(space.fused_below, g, gene::fused_below);
  config.down_fused_below = chosen(space.down_fused_below, g, gene::down_fused_below);
  config.mlp_expansion = chosen(space.mlp_expansions, g, gene::mlp_expansion);
  config.upsampling = chosen(space.upsamplings, g, gene::upsampling);
  config.activation = chosen(space.activations, g, gene::activation);
  config.mlp_activation = chosen(space.mlp_activations, g, gene::mlp_activation);
  config.head_channels = chosen(space.heads, g, gene::head).channels;
  config.head_features = chosen(space.heads, g, gene::head).features;
  for (int i = 0; i < 5; ++i) {
    const StageChoices& from = stage_of(space, i);
    CpuboneStage& to = config.stages[static_cast<std::size_t>(i)];
    const auto pick = [&](const auto& values, gene::Stage which) {
      return chosen(values, g, gene::of(i, which));
    };
    to.width = pick(from.widths, gene::width);
    to.blocks = pick(from.blocks, gene::blocks);
    to.groups = pick(from.groups, gene::groups);
    to.down_expansion = pick(from.down_expansions, gene::down_expansion);
    to.down_kernel = pick(from.down_kernels, gene::down_kernel);
    to.expansion = pick(from.expansions, gene::expansion);
    to.kernel = pick(from.kernels, gene::kernel);
    to.attention = pick(from.attention, gene::attention) != 0;
    to.attention_kernel = pick(from.attention_kernels, gene::attention_kernel);
    to.attention_stride = pick(from.attention_strides, gene::attention_stride);
  }
  return config;
}

Genome encode(const SearchSpace& space, const CpuboneConfig& config) {
  check(config);
  Genome g{};
  const auto set = [&](std::size_t position, const auto& values, const auto& wanted) {
    const auto found = std::find(values.begin(), values.end(), wanted);
    if (found == values.end()) {
      std::vector<std::string> known;
      for (const auto& value : values) known.push_back(shown(value));
      fail(space, fmt::format("{} of \"{}\" must be one of {}, got {}", gene::name(position),
                              config.name, fmt::join(known, ", "), shown(wanted)));
    }
    g[position] = static_cast<std::uint8_t>(found - values.begin());
  };
  // A threshold is a means to fuse some stages: any that fuses the same ones will do.
  const auto set_threshold = [&](std::size_t position, const std::vector<int>& values, int wanted,
                                 const std::array<int, 5>& widths) {
    for (std::size_t k = 0; k < values.size(); ++k)
      if (std::all_of(widths.begin(), widths.end(),
                      [&](int w) { return w == 0 || (w < values[k]) == (w < wanted); })) {
        g[position] = static_cast<std::uint8_t>(k);
        return;
      }
    set(position, values, wanted);
  };
  std::array<int, 5> residual_widths{};
  std::array<int, 5> down_widths{};
  bool any_attention = false;
  for (int i = 0; i < 5; ++i) {
    const StageChoices& to = stage_of(space, i);
    const CpuboneStage& from = config.stages[static_cast<std::size_t>(i)];
    set(gene::of(i, gene::width), to.widths, from.width);
    set(gene::of(i, gene::blocks), to.blocks, from.blocks);
    if (i > 0 || from.blocks > 0) set(gene::of(i, gene::groups), to.groups, from.groups);
    if (i > 0) {
      set(gene::of(i, gene::down_expansion), to.down_expansions, from.down_expansion);
      set(gene::of(i, gene::down_kernel), to.down_kernels, from.down_kernel);
      down_widths[static_cast<std::size_t>(i)] = from.width;
    }
    if (from.blocks == 0) continue;
    residual_widths[static_cast<std::size_t>(i)] = from.width;
    set(gene::of(i, gene::expansion), to.expansions, from.expansion);
    set(gene::of(i, gene::kernel), to.kernels, from.kernel);
    set(gene::of(i, gene::attention), to.attention, from.attention ? 1 : 0);
    if (!from.attention) continue;
    any_attention = true;
    set(gene::of(i, gene::attention_kernel), to.attention_kernels, from.attention_kernel);
    set(gene::of(i, gene::attention_stride), to.attention_strides, from.attention_stride);
  }
  set(gene::resolution, space.resolutions, config.resolution);
  set_threshold(gene::fused_below, space.fused_below, config.fused_below, residual_widths);
  set_threshold(gene::down_fused_below, space.down_fused_below, config.down_fused_below,
                down_widths);
  if (any_attention) {
    set(gene::mlp_expansion, space.mlp_expansions, config.mlp_expansion);
    set(gene::upsampling, space.upsamplings, config.upsampling);
    set(gene::mlp_activation, space.mlp_activations, config.mlp_activation);
  }
  set(gene::activation, space.activations, config.activation);
  set(gene::head, space.heads, HeadChoice{config.head_channels, config.head_features});
  return canonical(space, g);
}

bool contains(const SearchSpace& space, const CpuboneConfig& config) {
  try {
    encode(space, config);
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

std::uint64_t uniform_below(Rng& rng, std::uint64_t count) {
  const std::uint64_t limit = Rng::max() - Rng::max() % count;
  std::uint64_t value = rng();
  while (value >= limit) value = rng();
  return value % count;
}

Genome sample(const SearchSpace& space, Rng& rng) {
  Genome genome{};
  const auto counts = choices(space);
  for (std::size_t i = 0; i < genome.size(); ++i)
    if (counts[i] > 1)
      genome[i] =
          static_cast<std::uint8_t>(uniform_below(rng, static_cast<std::uint64_t>(counts[i])));
  return canonical(space, genome);
}

Genome mutate(const SearchSpace& space, const Genome& genome, double rate, Rng& rng) {
  if (!(rate >= 0 && rate <= 1))
    throw std::invalid_argument(fmt::format("mutation rate must be in 0..1, got {}", rate));
  const auto counts = choices(space);
  std::array<std::uint8_t, gene::count> free{};
  std::size_t free_count = 0;
  for (std::size_t i = 0; i < genome.size(); ++i)
    if (counts[i] > 1) free[free_count++] = static_cast<std::uint8_t>(i);
  if (free_count == 0) return canonical(space, genome);
  Genome child = genome;
  const auto change = [&](std::size_t i) {
    const auto count = static_cast<std::uint64_t>(counts[i]);
    const std::uint64_t now = child[i];
    std::uint64_t next = 0;
    if (uniform_below(rng, 2) == 0) {
      const bool up = now == 0 || (now + 1 < count && uniform_below(rng, 2) == 0);
      next = up ? now + 1 : now - 1;
    } else {
      next = uniform_below(rng, count - 1);
      next += next >= now;
    }
    child[i] = static_cast<std::uint8_t>(next);
  };
  const auto threshold = static_cast<std::uint64_t>(rate * 1e9);
  const std::size_t sure = free[uniform_below(rng, free_count)];
  for (std::size_t k = 0; k < free_count; ++k)
    if (free[k] == sure || uniform_below(rng, 1'000'000'000) < threshold) change(free[k]);
  return canonical(space, child);
}

Genome crossover(const SearchSpace& space, const Genome& a, const Genome& b, Rng& rng) {
  Genome child = a;
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < child.size(); ++i) {
    if (i % 64 == 0) bits = rng();
    if (bits >> (i % 64) & 1) child[i] = b[i];
  }
  return canonical(space, child);
}

SearchSpace default_search_space() {
  SearchSpace space;
  space.name = "default";
  space.resolutions = {192, 224, 256};
  space.fused_below = {never_fused, 64, 128, 256, 512, always_fused};
  space.down_fused_below = {never_fused, 128, 256, always_fused};
  space.mlp_expansions = {2, 3, 4};
  space.upsamplings = {Upsampling::nearest, Upsampling::transposed};
  space.activations = {Activation::relu, Activation::hardswish};
  space.mlp_activations = {Activation::relu, Activation::hardswish, Activation::gelu};
  space.heads = {{1536, 1600}, {2304, 2560}};
  for (int i = 0; i < 5; ++i) {
    StageChoices& stage = space.stages[static_cast<std::size_t>(i)];
    for (const int base : {12, 14, 16, 18, 20, 24, 28, 32}) stage.widths.push_back(base << i);
    stage.groups = {1, 2, 4, 8};
    stage.expansions = {2, 3, 4, 6};
    stage.kernels = {2, 3, 5};
    if (i > 0) {
      stage.down_expansions = {2, 3, 4, 6};
      stage.down_kernels = {2, 3, 5};
    }
  }
  space.stages[0].blocks = {0, 1};
  space.stages[1].blocks = {0, 1, 2};
  space.stages[2].blocks = {0, 1, 2, 3, 4};
  space.stages[3].blocks = {0, 1, 2, 3, 4, 5, 6, 8};
  space.stages[4].blocks = {0, 1, 2, 3, 4, 5, 6, 8};
  for (const std::size_t i : {std::size_t{3}, std::size_t{4}}) {
    space.stages[i].attention = {0, 1};
    space.stages[i].attention_kernels = {2, 3};
  }
  space.stages[3].attention_strides = {1, 2};
  return space;
}

namespace {

nlohmann::json thresholds_to_json(const std::vector<int>& thresholds) {
  nlohmann::json out = nlohmann::json::array();
  for (const int t : thresholds) {
    if (t == never_fused)
      out.push_back("never");
    else if (t == always_fused)
      out.push_back("always");
    else
      out.push_back(t);
  }
  return out;
}

template <typename Value>
nlohmann::json names_to_json(const std::vector<Value>& values) {
  nlohmann::json out = nlohmann::json::array();
  for (const Value value : values) out.push_back(name(value));
  return out;
}

/// Replaces `values` by the list under `key`, where there is one.
template <typename Value, typename Read>
void read_list(const JsonReader& json, std::string_view key, std::vector<Value>& values,
               Read read) {
  if (!json.has(key)) return;
  values.clear();
  json.at(key).each([&](const JsonReader& item) { values.push_back(read(item)); });
}

template <typename Parse>
auto parsed(const JsonReader& item, Parse parse) {
  try {
    return parse(item.string());
  } catch (const std::invalid_argument& e) {
    item.fail_because(e.what());
  }
}

int read_threshold(const JsonReader& item) {
  if (item.json().is_string()) {
    if (item.string() == "never") return never_fused;
    if (item.string() == "always") return always_fused;
    item.fail("\"never\", a number of channels or \"always\"");
  }
  return static_cast<int>(item.integer(never_fused, always_fused));
}

}  // namespace

nlohmann::json to_json(const SearchSpace& space) {
  nlohmann::json heads = nlohmann::json::array();
  for (const HeadChoice& head : space.heads) heads.push_back({head.channels, head.features});
  nlohmann::json stages = nlohmann::json::array();
  for (std::size_t i = 0; i < space.stages.size(); ++i) {
    const StageChoices& stage = space.stages[i];
    nlohmann::json out = {{"name", stage_names[i]},
                          {"width", stage.widths},
                          {"blocks", stage.blocks},
                          {"groups", stage.groups},
                          {"expansion", stage.expansions},
                          {"kernel", stage.kernels},
                          {"attention", stage.attention},
                          {"attention_kernel", stage.attention_kernels},
                          {"attention_stride", stage.attention_strides}};
    if (i > 0) {
      out["down_expansion"] = stage.down_expansions;
      out["down_kernel"] = stage.down_kernels;
    }
    stages.push_back(out);
  }
  return {{"schema", "cpubone/space/1"},
          {"name", space.name},
          {"resolution", space.resolutions},
          {"fused_below", thresholds_to_json(space.fused_below)},
          {"down_fused_below", thresholds_to_json(space.down_fused_below)},
          {"mlp_expansion", space.mlp_expansions},
          {"upsampling", names_to_json(space.upsamplings)},
          {"activation", names_to_json(space.activations)},
          {"mlp_activation", names_to_json(space.mlp_activations)},
          {"head", heads},
          {"stages", stages}};
}

SearchSpace read_search_space(const JsonReader& json) {
  json.expect_schema("space");
  json.expect_keys({"schema", "name", "resolution", "fused_below", "down_fused_below",
                    "mlp_expansion", "upsampling", "activation", "mlp_activation", "head",
                    "stages"});
  const auto whole = [](const JsonReader& item) {
    return static_cast<int>(item.integer(0, 1 << 16));
  };
  const auto real = [](const JsonReader& item) { return item.number(); };
  SearchSpace space;
  space.name = json.at("name").string();
  read_list(json, "resolution", space.resolutions, whole);
  read_list(json, "fused_below", space.fused_below, read_threshold);
  read_list(json, "down_fused_below", space.down_fused_below, read_threshold);
  read_list(json, "mlp_expansion", space.mlp_expansions, real);
  read_list(json, "upsampling", space.upsamplings,
            [](const JsonReader& item) { return parsed(item, parse_upsampling); });
  const auto activation = [](const JsonReader& item) { return parsed(item, parse_activation); };
  read_list(json, "activation", space.activations, activation);
  read_list(json, "mlp_activation", space.mlp_activations, activation);
  read_list(json, "head", space.heads, [&](const JsonReader& item) {
    std::vector<int> sizes;
    item.each([&](const JsonReader& size) { sizes.push_back(whole(size)); });
    if (sizes.size() != 2) item.fail("two numbers [channels, features]");
    return HeadChoice{sizes[0], sizes[1]};
  });
  if (json.at("stages").size() != space.stages.size())
    json.at("stages").fail("five stages: stem, stage1, stage2, stage3, stage4");
  std::size_t i = 0;
  json.at("stages").each([&](const JsonReader& item) {
    if (i == 0)
      item.expect_keys({"name", "width", "blocks", "groups", "expansion", "kernel", "attention",
                        "attention_kernel", "attention_stride"});
    else
      item.expect_keys({"name", "width", "blocks", "groups", "down_expansion", "down_kernel",
                        "expansion", "kernel", "attention", "attention_kernel",
                        "attention_stride"});
    if (item.at("name").string() != stage_names[i])
      item.at("name").fail(fmt::format("\"{}\"", stage_names[i]));
    StageChoices& stage = space.stages[i++];
    item.at("width");
    item.at("blocks");
    read_list(item, "width", stage.widths, whole);
    read_list(item, "blocks", stage.blocks, whole);
    read_list(item, "groups", stage.groups, whole);
    read_list(item, "down_expansion", stage.down_expansions, real);
    read_list(item, "down_kernel", stage.down_kernels, whole);
    read_list(item, "expansion", stage.expansions, real);
    read_list(item, "kernel", stage.kernels, whole);
    read_list(item, "attention", stage.attention, whole);
    read_list(item, "attention_kernel", stage.attention_kernels, whole);
    read_list(item, "attention_stride", stage.attention_strides, whole);
  });
  try {
    check(space);
  } catch (const std::invalid_argument& e) {
    json.fail_because(e.what());
  }
  return space;
}

SearchSpace load_search_space(const std::filesystem::path& path) {
  return load(path, read_search_space);
}

void save_search_space(const SearchSpace& space, const std::filesystem::path& path) {
  write_json_file(to_json(space), path);
}

}  // namespace cpubone
