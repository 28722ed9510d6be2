#include "space/cpubone_space.hpp"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "space/mnasnet.hpp"
#include "tests/catch.hpp"
#include "tests/temporary_folder.hpp"

using namespace cpubone;
using nlohmann::json;

namespace {

SearchSpace read(const json& value) {
  return read_search_space(JsonReader(value, "space.json#"));
}

json small_json() {
  json stages = json::array();
  const char* names[] = {"stem", "stage1", "stage2", "stage3", "stage4"};
  for (int i = 0; i < 5; ++i)
    stages.push_back({{"name", names[i]}, {"width", {16 << i}}, {"blocks", {0, 1}}});
  return {{"schema", "cpubone/space/1"}, {"name", "small"}, {"stages", stages}};
}

}  // namespace

TEST_CASE("the default space holds the published family", "[space]") {
  const SearchSpace space = default_search_space();
  check(space);
  CHECK(size(space) > 1e20);
  for (const CpuboneConfig& member : cpubone_family()) {
    INFO(member.name);
    const Genome genome = encode(space, member);
    const Network published = build(member);
    Network rebuilt = build(decode(space, genome));
    rebuilt.name = published.name;
    rebuilt.family = published.family;
    CHECK(rebuilt == published);
    CHECK(canonical(space, genome) == genome);
  }
}

TEST_CASE("every sample, mutant and child builds, and is its own canonical form", "[space]") {
  const SearchSpace space = default_search_space();
  Rng rng(3);
  Genome before = sample(space, rng);
  for (int i = 0; i < 300; ++i) {
    Genome g = sample(space, rng);
    if (i % 3 == 1) g = mutate(space, before, 0.1, rng);
    if (i % 3 == 2) g = crossover(space, before, g, rng);
    CHECK(canonical(space, g) == g);
    const CpuboneConfig config = decode(space, g);
    CHECK_NOTHROW(check(config));
    CHECK(encode(space, config) == g);
    before = g;
  }
  CHECK_NOTHROW(build(decode(space, before)));
}

TEST_CASE("genomes of the same network have one canonical form", "[space]") {
  SearchSpace space = default_search_space();
  Rng rng(5);
  int equal = 0;
  for (int i = 0; i < 2000; ++i) {
    Genome a = sample(space, rng);
    // Without blocks in stages 3 and 4 neither attention nor the MLP exists.
    a[gene::of(3, gene::blocks)] = a[gene::of(4, gene::blocks)] = 0;
    Genome b = a;
    for (const auto which : {gene::expansion, gene::kernel, gene::attention})
      b[gene::of(4, which)] = 1;
    b[gene::mlp_expansion] = static_cast<std::uint8_t>((a[gene::mlp_expansion] + 1) % 3);
    equal += canonical(space, a) == canonical(space, b);
    // Groups that expansion or kernel need not share keep both equal.
  }
  CHECK(equal == 2000);

  Genome g = encode(space, cpubone_config("b0"));
  Genome threshold = g;
  threshold[gene::fused_below] = 3;  // 256 and 512 differ: stage 4 has 256 channels
  CHECK(decode(space, canonical(space, threshold)).stages[4].width == 256);
  threshold[gene::down_fused_below] = 2;  // unfuses the strided block to 256 channels
  CHECK(canonical(space, threshold) != g);
}

TEST_CASE("groups and attention strides are reduced to what divides", "[space]") {
  SearchSpace space = default_search_space();
  Genome g = encode(space, cpubone_config("s0"));  // widths 14, 28, ...
  g[gene::of(1, gene::groups)] = 3;
  CHECK(decode(space, g).stages[1].groups == 2);  // neither 8 nor 4 divides 14
  g = encode(space, cpubone_config("b0"));
  set_choices(space, "stage4.attention_stride", {1, 2});
  g[gene::of(4, gene::attention_stride)] = 1;
  CHECK(decode(space, g).stages[4].attention_stride == 1);  // 7 pixels
}

TEST_CASE("encoding tells which choice the space lacks", "[space]") {
  const SearchSpace space = default_search_space();
  CpuboneConfig config = cpubone_config("b0");
  config.stages[3].kernel = 7;
  CHECK_THROWS_WITH(encode(space, config),
                    "search space \"default\": stage3.kernel of \"cpubone-b0\" must be one of 2, "
                    "3, 5, got 7");
  CHECK_FALSE(contains(space, config));
  CHECK(contains(space, cpubone_config("b3")));
}

TEST_CASE("sampling reaches every choice and repeats with its seed", "[space]") {
  const SearchSpace space = default_search_space();
  const auto counts = choices(space);
  std::vector<std::set<int>> seen(counts.size());
  Rng rng(1);
  Rng again(1);
  for (int i = 0; i < 4000; ++i) {
    const Genome g = sample(space, rng);
    REQUIRE(sample(space, again) == g);
    for (std::size_t k = 0; k < g.size(); ++k) seen[k].insert(g[k]);
  }
  for (std::size_t k = 0; k < seen.size(); ++k) {
    INFO(space.genes[k].name);
    CHECK(static_cast<int>(seen[k].size()) == counts[k]);
  }
}

TEST_CASE("a space survives its file", "[space]") {
  const SearchSpace space = default_search_space();
  CHECK(read(to_json(space)) == space);
  const auto path = scratch_path("cpubone_space_test.json");
  save_search_space(space, path);
  CHECK(load_search_space(path) == space);
  std::filesystem::remove(path);
}

TEST_CASE("choices that a file leaves out are CPUBone's", "[space]") {
  const SearchSpace space = read(small_json());
  CHECK(space.skeleton == &cpubone_skeleton());
  CHECK(space.genes[gene::resolution].choices == std::vector<Choice>{{224}});
  CHECK(space.genes[gene::of(2, gene::groups)].choices == std::vector<Choice>{{2}});
  CHECK(size(space) == 32);
}

TEST_CASE("what only attention reads is checked where attention may be chosen", "[space]") {
  SearchSpace space = default_search_space();
  set_choices(space, "stage3.width", {8, 128});
  set_choices(space, "mlp_expansion", {0.01, 4});  // of 8 channels none
  CHECK_THROWS_WITH(check(space), ContainsSubstring("mlp"));
  for (const char* stage : {"stage1", "stage2", "stage3", "stage4"})
    set_choices(space, std::string(stage) + ".attention", {0});
  CHECK_NOTHROW(check(space));
}

TEST_CASE("a wrong space is refused with what is wrong", "[space]") {
  const auto message = [](const json& value) {
    try {
      read(value);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  json value = small_json();
  value["stages"][3]["kernels"] = {3};
  CHECK_THAT(message(value),
             ContainsSubstring("space.json#/stages/3") && ContainsSubstring("kernels"));
  value = small_json();
  value["stages"][1]["groups"] = {0, 2};
  CHECK_THAT(message(value), ContainsSubstring("stage1.groups must be in 1..65536, got 0"));
  value = small_json();
  value["stages"][2]["width"] = {64, 32};
  CHECK_THAT(message(value),
             ContainsSubstring("choices of stage2.width must be ascending and distinct, got 64, "
                               "32"));
  value = small_json();
  value["stages"][2]["width"] = json::array();
  CHECK_THAT(message(value), ContainsSubstring("stage2.width has no choices"));
  value = small_json();
  value["stages"][1]["groups"] = {3};
  CHECK_THAT(message(value),
             ContainsSubstring("stage1.groups: the first choice 3 must divide 16 channels"));
  value = small_json();
  value["resolution"] = {100};
  CHECK_THAT(message(value), ContainsSubstring("resolution"));
  value = small_json();
  value["stages"][4]["width"] = {-8};
  CHECK_THAT(message(value), ContainsSubstring("space.json#/stages/4/width/0"));
  value = small_json();
  value["fused_below"] = {"sometimes"};
  CHECK_THAT(message(value), ContainsSubstring("expected \"never\", \"always\", a number in "
                                               "0..65536, a list of 5 numbers, got \"sometimes\""));
  value = small_json();
  value["stages"].erase(4);
  CHECK_THAT(message(value), ContainsSubstring("the 5 stages stem, stage1"));
  value = small_json();
  value["skeleton"] = "resnet";
  CHECK_THAT(message(value),
             ContainsSubstring("space.json#/skeleton: skeleton: got \"resnet\", expected cpubone, "
                               "mnasnet or staged"));
  value = small_json();
  value["stages"][0]["down_kernel"] = {3};
  CHECK_THAT(message(value),
             ContainsSubstring("space.json#/stages/0: unknown key \"down_kernel\""));
  value = small_json();
  value["stages"][2].erase("width");
  CHECK_THAT(message(value), ContainsSubstring("space.json#/stages/2: missing key \"width\""));
  value = small_json();
  value["down_fused_below"] = {{0, 0, 2, 1, 1}};
  CHECK_THAT(message(value), ContainsSubstring("a stage's flag must be 0 or 1, got 2"));
  value = small_json();
  value["head"] = {{1536}};
  CHECK_THAT(message(value), ContainsSubstring("#/head/0: expected a list of 2 numbers"));
  value = small_json();
  value["activation"] = {"swish"};
  CHECK_THAT(message(value), ContainsSubstring("/activation/0") && ContainsSubstring("swish"));
}

TEST_CASE("a space whose largest network is too large is refused", "[space]") {
  json value = small_json();
  value["stages"][4]["width"] = {256, 8192};
  value["stages"][4]["expansion"] = {4, 16};
  // Each of the two is allowed with the other's first choice.
  CHECK_THROWS_WITH(read(value), ContainsSubstring("stage4 expansion x width must be in 1..65536, "
                                                   "got 131072"));
  value["stages"][4]["expansion"] = {4, 8};
  CHECK_NOTHROW(read(value));
}

TEST_CASE("a choice of fused blocks may name the stages", "[space]") {
  json value = small_json();
  value["stages"][1]["groups"] = value["stages"][2]["groups"] = {1};
  value["down_fused_below"] = {"never", "always", {0, 0, 0, 1, 1}};
  const SearchSpace space = read(value);
  CHECK(read(to_json(space)) == space);
  Genome g = first_genome(space);
  g[gene::down_fused_below] = 2;
  const CpuboneConfig config = decode(space, g);
  CHECK_FALSE(config.stages[2].down_fused);
  CHECK(config.stages[3].down_fused);
  CHECK(encode(space, config) == g);
  CpuboneConfig other = config;
  other.stages[3].down_fused = false;
  CHECK_THROWS_WITH(encode(space, other),
                    ContainsSubstring("down_fused_below of \"candidate\" must be one of never, "
                                      "always, [0, 0, 0, 1, 1], got [0, 0, 0, 0, 1]"));
}

TEST_CASE("a genome out of range is refused by its gene", "[space]") {
  const SearchSpace space = default_search_space();
  Genome g = first_genome(space);
  g[gene::of(3, gene::kernel)] = 9;
  CHECK_THROWS_WITH(decode(space, g),
                    "search space \"default\": gene stage3.kernel must be in 0..2, got 9");
}

TEST_CASE("spaces that come with the toolkit are known by name", "[space]") {
  CHECK(named_search_space("default") == default_search_space());
  CHECK(named_search_space("mnasnet").skeleton == &mnasnet_skeleton());
  CHECK_THROWS_WITH(
      named_search_space("resnet"),
      "search space: got \"resnet\", expected default, mnasnet, fasternet, mobileone, mixed or a "
      "file (.json)");
  CHECK_THROWS_WITH(named_search_space("/no/such.json"), ContainsSubstring("/no/such.json"));
}

TEST_CASE("units of different numbers never share a key", "[space]") {
  const SearchSpace space = default_search_space();
  std::set<std::uint64_t> keys;
  std::size_t made = 0;
  for (std::uint64_t unit = 0; unit < 63; ++unit)
    for (std::uint64_t first = 0; first < 5; ++first)
      for (std::uint64_t second = 0; second < (unit % 2 == 0 ? 7u : 1u); ++second, ++made) {
        const Genome genome = first_genome(space);
        UnitKey key(space, genome, unit);
        key.add(first, 5);
        if (unit % 2 == 0) key.add(second, 7);
        keys.insert(key.key());
      }
  CHECK(keys.size() == made);
  CHECK_FALSE(keys.contains(0));
}
