#include "space/mnasnet.hpp"

#include <fmt/format.h>

#include <stdexcept>

namespace cpubone {
namespace {

constexpr int stages = 7;
constexpr std::array<int, stages> widths{16, 24, 40, 80, 112, 192, 320};
constexpr std::array<int, stages> strides{1, 2, 2, 2, 1, 2, 1};
constexpr int stem_width = 32;
constexpr int head_width = 1280;
constexpr int classes = 1000;

// Positions of the genes: the resolution, then four a stage.
enum StageGene : std::size_t { expansion, kernel, layers, squeeze_excite, stage_genes };
constexpr std::size_t position(int stage, StageGene which) {
  return 1 + static_cast<std::size_t>(stage) * stage_genes + which;
}

int width_before(int stage) {
  return stage == 0 ? stem_width : widths[static_cast<std::size_t>(stage - 1)];
}

void check(const MnasnetConfig& config) {
  const auto expect = [&](const std::string& field, double got, double low, double high) {
    if (!(got >= low && got <= high))
      throw std::invalid_argument(
          fmt::format("mnasnet configuration \"{}\": {} must be in {}..{}, got {}", config.name,
                      field, low, high, got));
  };
  expect("resolution", config.resolution, 32, 2048);
  if (config.resolution % 32 != 0)
    throw std::invalid_argument(
        fmt::format("mnasnet configuration \"{}\": resolution must be a multiple of 32, got {}",
                    config.name, config.resolution));
  for (std::size_t i = 0; i < stages; ++i) {
    const MnasnetStage& stage = config.stages[i];
    const auto field = [&](std::string_view name) {
      return fmt::format("stage{} {}", i + 1, name);
    };
    expect(field("expansion"), stage.expansion, 0.1, 16);
    expect(field("kernel"), stage.kernel, 1, 15);
    expect(field("layers"), stage.layers, 1, 64);
  }
}

const std::vector<Gene>& genes() {
  static const std::vector<Gene> all = [] {
    std::vector<Gene> table{{.name = "resolution", .choices = {{224}}, .low = 32, .high = 2048}};
    for (int i = 1; i <= stages; ++i) {
      const auto name = [&](std::string_view key) { return fmt::format("stage{}.{}", i, key); };
      table.push_back({.name = name("expansion"),
                       .choices = {{1}, {4}, {6}},
                       .low = 0.1,
                       .high = 16,
                       .whole = false});
      table.push_back({.name = name("kernel"), .choices = {{3}, {5}}, .low = 1, .high = 15});
      table.push_back({.name = name("layers"), .choices = {{1}, {2}, {3}}, .low = 1, .high = 64});
      if (i == 6) table.back().choices.push_back({4});
      table.push_back({.name = name("squeeze_excite"), .choices = {{0}, {1}}, .low = 0, .high = 1});
    }
    return table;
  }();
  return all;
}

MnasnetConfig config_of(const SearchSpace& space, const Genome& g) {
  MnasnetConfig config;
  config.name = "candidate";
  config.resolution = static_cast<int>(chosen(space, g, 0));
  for (int i = 0; i < stages; ++i) {
    MnasnetStage& stage = config.stages[static_cast<std::size_t>(i)];
    stage.expansion = chosen(space, g, position(i, expansion));
    stage.kernel = static_cast<int>(chosen(space, g, position(i, kernel)));
    stage.layers = static_cast<int>(chosen(space, g, position(i, layers)));
    stage.squeeze_excite = chosen(space, g, position(i, squeeze_excite)) != 0;
  }
  return config;
}

void check_combinations(const SearchSpace& space) {
  // No choice depends on another.
  for (std::size_t p = 0; p < space.genes.size(); ++p)
    for (std::size_t k = 0; k < space.genes[p].choices.size(); ++k) {
      Genome genome = first_genome(space);
      genome[p] = static_cast<std::uint8_t>(k);
      try {
        check(config_of(space, genome));
      } catch (const std::invalid_argument& e) {
        throw std::invalid_argument(fmt::format("search space \"{}\": {}", space.name, e.what()));
      }
    }
}

void reduce(const SearchSpace&, Genome&) {}

Network build_candidate(const SearchSpace& space, const Genome& g) {
  return build(config_of(space, g));
}

std::string describe_candidate(const SearchSpace& space, const Genome& g) {
  return describe(config_of(space, g));
}

void units(const SearchSpace& space, const Genome& g, std::vector<UnitUse>& out) {
  out.clear();
  std::uint64_t unit = 0;
  const auto begin = [&] {
    UnitKey key(space, g, unit++);
    key.add(0);
    return key;
  };
  out.push_back({begin().key(), 1});
  for (int i = 0; i < stages; ++i) {
    // The first layer, then the residual ones.
    for (const int times : {1, static_cast<int>(chosen(space, g, position(i, layers))) - 1}) {
      UnitKey key = begin();
      for (const StageGene which : {expansion, kernel, squeeze_excite}) key.add(position(i, which));
      if (times > 0) out.push_back({key.key(), times});
    }
  }
  out.push_back({begin().key(), 1});
}

}  // namespace

Network build(const MnasnetConfig& config, Form form) {
  check(config);
  constexpr Activation activation = Activation::relu;
  NetworkBuilder b(config.name, "mnasnet", {1, config.resolution, config.resolution, 3}, form);
  int x = b.conv2d(network_input, "conv",
                   {.out_channels = stem_width,
                    .kernel = 3,
                    .stride = 2,
                    .activation = activation,
                    .bias = false,
                    .norm = true});
  for (int i = 0; i < stages; ++i) {
    const MnasnetStage& stage = config.stages[static_cast<std::size_t>(i)];
    const int width = widths[static_cast<std::size_t>(i)];
    b.stage(i + 1);
    for (int layer = 0; layer < stage.layers; ++layer) {
      const int in = layer == 0 ? width_before(i) : width;
      x = mbconv(b, x, fmt::format("{}", layer),
                 {.out_channels = width,
                  .hidden_channels = stage.expansion == 1 ? 0 : expanded(in, stage.expansion),
                  .kernel = stage.kernel,
                  .stride = layer == 0 ? strides[static_cast<std::size_t>(i)] : 1,
                  .activation = activation,
                  .squeeze_channels = stage.squeeze_excite ? in / 4 : 0});
    }
  }
  b.head();
  x = b.conv2d(x, "conv",
               {.out_channels = head_width, .activation = activation, .bias = false, .norm = true});
  x = b.global_avg_pool(x, "pool");
  return b.finish(b.linear(x, "classes", classes));
}

std::string describe(const MnasnetConfig& config) {
  std::string text;
  for (const MnasnetStage& stage : config.stages)
    text += fmt::format("{}e{}k{}l{}{}", text.empty() ? "" : " ", stage.expansion, stage.kernel,
                        stage.layers, stage.squeeze_excite ? "s" : "");
  return config.resolution == 224 ? text : fmt::format("{} @{}", text, config.resolution);
}

const Skeleton& mnasnet_skeleton() {
  // Published ones have ReLU as these, but squeeze or widths of their own.
  static const Skeleton skeleton{
      "mnasnet",
      genes,
      check_combinations,
      reduce,
      build_candidate,
      describe_candidate,
      units,
      {.family = "MNASNet", .references = {"mnasnet-b1", "mnasnet-a1", "efficientnet-b0"}},
      [](const SearchSpace&) { return std::vector<Member>{}; },
      [](const SearchSpace&, const Genome&, std::string_view) { return std::string(); }};
  return skeleton;
}

MnasnetConfig decode_mnasnet(const SearchSpace& space, const Genome& genome) {
  if (space.skeleton != &mnasnet_skeleton())
    throw std::invalid_argument(
        fmt::format("search space \"{}\": it is of skeleton {}, expected mnasnet", space.name,
                    space.skeleton ? space.skeleton->name : "none"));
  check(space, genome);
  return config_of(space, canonical(space, genome));
}

Genome encode(const SearchSpace& space, const MnasnetConfig& config) {
  if (space.skeleton != &mnasnet_skeleton())
    throw std::invalid_argument(
        fmt::format("search space \"{}\": it is of skeleton {}, expected mnasnet", space.name,
                    space.skeleton ? space.skeleton->name : "none"));
  check(config);
  std::vector<Choice> values{{static_cast<double>(config.resolution)}};
  for (const MnasnetStage& stage : config.stages) {
    values.push_back({stage.expansion});
    values.push_back({static_cast<double>(stage.kernel)});
    values.push_back({static_cast<double>(stage.layers)});
    values.push_back({stage.squeeze_excite ? 1.0 : 0.0});
  }
  return encode(space, values, config.name);
}

}  // namespace cpubone
