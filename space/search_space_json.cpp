#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "space/cpubone_space.hpp"
#include "space/mnasnet.hpp"
#include "space/search_space.hpp"
#include "space/zoo.hpp"

namespace cpubone {

// space/data/*_space.json
extern const std::string_view default_space_json;
extern const std::string_view fasternet_space_json;
extern const std::string_view mobileone_space_json;
extern const std::string_view mixed_space_json;

namespace {

/// `stage3` of `stage3.kernel`; empty for a gene of the whole network.
std::string stage_of(const Gene& gene) {
  const auto dot = gene.name.find('.');
  return dot == std::string::npos ? "" : gene.name.substr(0, dot);
}

std::string key_of(const Gene& gene) {
  return gene.name.substr(gene.name.find('.') + 1);
}

std::vector<std::string> stages_of(const std::vector<Gene>& genes) {
  std::vector<std::string> stages;
  for (const Gene& gene : genes)
    if (const std::string stage = stage_of(gene);
        !stage.empty() && (stages.empty() || stages.back() != stage))
      stages.push_back(stage);
  return stages;
}

nlohmann::json number_json(const Gene& gene, double number) {
  return gene.whole ? nlohmann::json(static_cast<std::int64_t>(number)) : nlohmann::json(number);
}

nlohmann::json choices_json(const Gene& gene) {
  nlohmann::json list = nlohmann::json::array();
  for (const Choice& choice : gene.choices) {
    if (choice.size() == 1) {
      const std::string shown = text(gene, choice);
      const bool word = std::any_of(gene.words.begin(), gene.words.end(),
                                    [&](const auto& w) { return w.first == shown; });
      list.push_back(word ? nlohmann::json(shown) : number_json(gene, choice[0]));
      continue;
    }
    list.push_back(nlohmann::json::array());
    for (const double number : choice) list.back().push_back(number_json(gene, number));
  }
  return list;
}

std::string expected(const Gene& gene) {
  std::vector<std::string> forms;
  for (const auto& [word, number] : gene.words) forms.push_back(fmt::format("\"{}\"", word));
  if (gene.single) forms.push_back(fmt::format("a number in {}..{}", gene.low, gene.high));
  if (gene.together > 0) forms.push_back(fmt::format("a list of {} numbers", gene.together));
  return fmt::format("{}", fmt::join(forms, ", "));
}

double read_number(const Gene& gene, const JsonReader& item) {
  return gene.whole ? static_cast<double>(item.integer(0, 1 << 16)) : item.number();
}

Choice read_choice(const Gene& gene, const JsonReader& item) {
  if (item.json().is_string()) {
    for (const auto& [word, number] : gene.words)
      if (item.string() == word) return {number};
    item.fail(expected(gene));
  }
  if (item.json().is_array() && gene.together > 0) {
    Choice choice;
    item.each([&](const JsonReader& number) { choice.push_back(read_number(gene, number)); });
    if (choice.size() != gene.together) item.fail(expected(gene));
    return choice;
  }
  if (!gene.single) item.fail(expected(gene));
  return {read_number(gene, item)};
}

/// The keys of an object are those of some genes, and others.
void expect_keys(const JsonReader& json, const std::vector<Gene>& genes, const std::string& stage,
                 std::vector<std::string> known) {
  for (const Gene& gene : genes)
    if (gene.in_files && stage_of(gene) == stage) known.push_back(key_of(gene));
  for (const auto& [key, value] : json.json().items())
    if (std::find(known.begin(), known.end(), key) == known.end())
      json.fail_because(
          fmt::format("unknown key \"{}\", expected one of {}", key, fmt::join(known, ", ")));
}

/// Replaces the choices of genes that the object names.
void read_genes(const JsonReader& json, const std::string& stage, std::vector<Gene>& genes) {
  for (Gene& gene : genes) {
    if (!gene.in_files || stage_of(gene) != stage) continue;
    const std::string key = key_of(gene);
    if (!json.has(key) && !gene.choices.empty()) continue;
    gene.choices.clear();
    json.at(key).each(
        [&](const JsonReader& item) { gene.choices.push_back(read_choice(gene, item)); });
  }
}

/// Replaces the peers that the object names.
void read_peers(const JsonReader& json, Peers& peers) {
  for (const std::string key : {"family", "like"}) {
    if (!json.has(key)) continue;
    const JsonReader item = json.at(key);
    if (key == "like" && json.has("family")) item.fail_because("expected one of family and like");
    const bool known = std::any_of(zoo().begin(), zoo().end(), [&](const ZooEntry& entry) {
      return entry.family == item.string();
    });
    if (!known) item.fail("the family of a published network, such as \"CPUBone\"");
    peers.family = item.string();
    peers.is_new = key == "like";
  }
  if (!json.has("references")) return;
  peers.references.clear();
  json.at("references").each([&](const JsonReader& item) {
    peers.references.push_back(zoo_name(item.string()));
    if (peers.references.back().empty())
      item.fail("the name of a published network, such as \"cpubone-b0\"");
  });
  if (peers.references.empty()) json.at("references").fail("at least one network");
}

}  // namespace

nlohmann::json to_json(const SearchSpace& space) {
  nlohmann::json json = {{"schema", "cpubone/space/1"},
                         {"name", space.name},
                         {"skeleton", space.skeleton->name},
                         {"stages", nlohmann::json::array()}};
  const Peers& usual = space.skeleton->peers;
  if (space.peers.family != usual.family || space.peers.is_new != usual.is_new)
    json[space.peers.is_new ? "like" : "family"] = space.peers.family;
  if (space.peers.references != usual.references) json["references"] = space.peers.references;
  for (const std::string& stage : stages_of(space.genes))
    json["stages"].push_back({{"name", stage}});
  for (const Gene& gene : space.genes) {
    if (!gene.in_files) continue;
    const std::string stage = stage_of(gene);
    nlohmann::json* object = &json;
    for (nlohmann::json& candidate : json["stages"])
      if (candidate["name"] == stage) object = &candidate;
    (*object)[key_of(gene)] = choices_json(gene);
  }
  return json;
}

SearchSpace read_search_space(const JsonReader& json) {
  json.expect_schema("space");
  const Skeleton* skeleton = &cpubone_skeleton();
  if (json.has("skeleton")) {
    try {
      skeleton = &find_skeleton(json.at("skeleton").string());
    } catch (const std::invalid_argument& e) {
      json.at("skeleton").fail_because(e.what());
    }
  }
  SearchSpace space = make_space(json.at("name").string(), *skeleton);
  expect_keys(json, space.genes, "",
              {"schema", "name", "skeleton", "family", "like", "references", "stages"});
  read_peers(json, space.peers);
  read_genes(json, "", space.genes);
  const std::vector<std::string> stages = stages_of(space.genes);
  if (json.at("stages").size() != stages.size())
    json.at("stages").fail(fmt::format("the {} stages {}", stages.size(), fmt::join(stages, ", ")));
  std::size_t i = 0;
  json.at("stages").each([&](const JsonReader& item) {
    const std::string& stage = stages[i++];
    if (item.at("name").string() != stage) item.at("name").fail(fmt::format("\"{}\"", stage));
    expect_keys(item, space.genes, stage, {"name"});
    read_genes(item, stage, space.genes);
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

namespace {

SearchSpace embedded(std::string_view text, const std::string& name) {
  const nlohmann::json json = parse_json(text, name);
  return read_search_space(JsonReader(json, name + "#"));
}

struct NamedSpace {
  std::string_view name;
  SearchSpace (*make)();
};
constexpr std::array named_spaces{
    NamedSpace{"default", default_search_space},
    NamedSpace{"mnasnet", [] { return make_space("mnasnet", mnasnet_skeleton()); }},
    NamedSpace{"fasternet", [] { return embedded(fasternet_space_json, "fasternet_space.json"); }},
    NamedSpace{"mobileone", [] { return embedded(mobileone_space_json, "mobileone_space.json"); }},
    NamedSpace{"mixed", [] { return embedded(mixed_space_json, "mixed_space.json"); }}};

}  // namespace

SearchSpace default_search_space() {
  static const SearchSpace space = embedded(default_space_json, "default_space.json");
  return space;
}

std::vector<std::string> search_space_names() {
  std::vector<std::string> names;
  for (const NamedSpace& space : named_spaces) names.emplace_back(space.name);
  return names;
}

SearchSpace named_search_space(const std::string& name_or_file) {
  for (const NamedSpace& space : named_spaces)
    if (space.name == name_or_file) return space.make();
  if (!name_or_file.ends_with(".json") && !std::filesystem::exists(name_or_file))
    throw std::invalid_argument(
        fmt::format("search space: got \"{}\", expected {} or a file (.json)", name_or_file,
                    fmt::join(search_space_names(), ", ")));
  return load_search_space(name_or_file);
}

}  // namespace cpubone
