#include "space/staged.hpp"

#include <nlohmann/json.hpp>
#include <set>

#include "graph/passes.hpp"
#include "space/zoo.hpp"
#include "tests/catch.hpp"

using namespace cpubone;
using nlohmann::json;

namespace {

SearchSpace staged_space(const json& value) {
  return read_search_space(JsonReader(value, "space.json#"));
}

/// One network: stages of these blocks, 16 to 128 channels wide.
json one(const std::vector<std::string>& blocks) {
  json stages = json::array();
  for (int i = 0; i < 4; ++i)
    stages.push_back({{"name", fmt::format("stage{}", i + 1)},
                      {"block", {blocks.at(static_cast<std::size_t>(i))}},
                      {"width", {16 << i}},
                      {"blocks", {2}}});
  return {
      {"schema", "cpubone/space/1"}, {"name", "one"}, {"skeleton", "staged"}, {"stages", stages}};
}

}  // namespace

TEST_CASE("published networks of FasterNet and MobileOne are in the spaces named so", "[space]") {
  for (const std::string name : {"fasternet", "mobileone"}) {
    const SearchSpace space = named_search_space(name);
    const std::vector<Member> members = space.skeleton->members(space);
    CHECK(members.size() == (name == "fasternet" ? 6u : 5u));
    for (const Member& member : members) {
      INFO(member.name);
      REQUIRE(member.genome);
      CHECK(canonical(space, *member.genome) == *member.genome);
      const Network published = find_network(member.name);
      Network built = build(space, *member.genome);
      built.name = published.name;
      built.family = published.family;
      CHECK(built == published);
    }
    for (const std::string& reference : space.peers.references)
      CHECK(find_network(reference).family == space.peers.family);
  }
}

TEST_CASE("every network of the space mixed builds, is canonical and has four feature maps",
          "[space]") {
  const SearchSpace space = named_search_space("mixed");
  CHECK(size(space) > 1e20);
  Rng rng(5);
  Genome before = sample(space, rng);
  std::set<std::string> kinds;
  for (int i = 0; i < 200; ++i) {
    const Genome g = i % 3 == 0   ? sample(space, rng)
                     : i % 3 == 1 ? mutate(space, before, 0.1, rng)
                                  : crossover(space, before, sample(space, rng), rng);
    INFO(describe(space, g));
    CHECK(canonical(space, g) == g);
    const Network network = build(space, g);
    CHECK(feature_network(network).outputs.size() == 4);
    for (const Node& node : network.nodes) kinds.insert(node.name.substr(node.name.rfind('.') + 1));
    before = g;
  }
  for (const std::string part : {"spatial", "partial", "pointwise", "start", "attention", "merge"})
    CHECK(kinds.contains(part));
}

TEST_CASE("each stage has the blocks that it chose", "[space]") {
  const SearchSpace space = staged_space(one({"partial", "repvit", "universal", "inverted"}));
  const Network network = build(space, first_genome(space));
  std::set<std::string> names;
  for (const Node& node : network.nodes) names.insert(node.name);
  for (const std::string name :
       {"stem.conv", "stage1.merge", "stage1.1.partial", "stage2.0.pointwise", "stage2.2.project",
        "stage3.2.depthwise", "stage4.0.expand", "stage4.2.add", "head.conv"}) {
    INFO(name);
    CHECK(names.contains(name));
  }
  CHECK(describe(space, first_genome(space)) ==
        "conv32 partial-w16-d2-e4 repvit-w32-d2-e4 universal-w64-d2 inverted-w128-d2 "
        "conv_pool1280 relu");
}

TEST_CASE("choices without effect on a block count once", "[space]") {
  json file = one({"partial", "mobileone", "cpubone", "inverted"});
  for (json& stage : file["stages"]) {
    stage["groups"] = {1, 2, 32};
    stage["squeeze_excite"] = {0, 0.1, 0.5, 1};
    stage["partial_ratio"] = {2, 4};
    stage["start_kernel"] = {0, 3};
  }
  file["stages"][2]["attention"] = {0, 1};
  const SearchSpace space = staged_space(file);
  Genome g = first_genome(space);
  const auto at = [&](const std::string& gene) -> std::uint8_t& {
    return g[find_gene(space, gene)];
  };
  for (const std::string gene : {"stage1.groups", "stage1.squeeze_excite", "stage2.partial_ratio",
                                 "stage3.start_kernel", "stage3.squeeze_excite", "stage4.groups"})
    at(gene) = 1;
  CHECK(canonical(space, g) == first_genome(space));
  // A tenth of three blocks is none; 32 groups divide the 64 channels of stage 3, not the 32 that
  // come in at stage 2... nor its expansion.
  at("stage4.squeeze_excite") = 1;
  CHECK(canonical(space, g) == first_genome(space));
  at("stage4.squeeze_excite") = 2;
  CHECK(canonical(space, g)[find_gene(space, "stage4.squeeze_excite")] == 2);
  at("stage3.groups") = 2;
  CHECK(canonical(space, g)[find_gene(space, "stage3.groups")] == 2);
  CHECK(size(space) > 1000);
}

TEST_CASE("a file says whose networks its own are like, and what they are compared with",
          "[space]") {
  json file = one({"inverted", "inverted", "inverted", "inverted"});
  CHECK(staged_space(file).peers == staged_skeleton().peers);
  CHECK(staged_space(file).peers.is_new);
  file["family"] = "MobileNetV4";
  file["references"] = {"mobilenetv4-conv-small", "b0"};
  const SearchSpace space = staged_space(file);
  CHECK(space.peers == Peers{"MobileNetV4", false, {"mobilenetv4-conv-small", "cpubone-b0"}});
  CHECK(staged_space(to_json(space)) == space);
  file["like"] = "CPUBone";
  CHECK_THROWS_WITH(staged_space(file),
                    ContainsSubstring("/like: expected one of family and like"));
  file.erase("family");
  CHECK(staged_space(file).peers.is_new);
  CHECK(staged_space(to_json(staged_space(file))) == staged_space(file));
  file["like"] = "Nets";
  CHECK_THROWS_WITH(staged_space(file), ContainsSubstring("the family of a published network"));
  file["like"] = "CPUBone";
  file["references"] = {"b9"};
  CHECK_THROWS_WITH(staged_space(file), ContainsSubstring("the name of a published network"));
}

TEST_CASE("stages that cannot be are refused by name", "[space]") {
  const auto refuses = [](const json& file, const std::string& why) {
    CHECK_THROWS_WITH(staged_space(file), ContainsSubstring(why));
  };
  json file = one({"inverted", "inverted", "inverted", "inverted"});
  file["resolution"] = {100};
  refuses(file, "resolution must be a multiple of 32, got 100");
  file.erase("resolution");
  file["stages"][1]["groups"] = {2, 4};
  refuses(file, "stage2.groups: the first choice must be 1, got 2");
  file["stages"][1].erase("groups");
  file["stem"] = {"patches"};
  file["stages"][0]["blocks"] = {0, 1};
  refuses(file, "stage1.blocks must be at least 1");
  file["stages"][0]["blocks"] = {1};
  CHECK_NOTHROW(staged_space(file));
  file["stages"][3]["block"] = {"resnet"};
  refuses(file, "\"cpubone\", \"partial\", \"mobileone\", \"inverted\", \"repvit\", \"universal\"");
}
