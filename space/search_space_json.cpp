#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "space/cpubone_space.hpp"
#include "space/search_space.hpp"

namespace cpubone {

extern const std::string_view default_space_json;  // space/data/default_space.json

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

}  // namespace

nlohmann::json to_json(const SearchSpace& space) {
  nlohmann::json json = {{"schema", "cpubone/space/1"},
                         {"name", space.name},
                         {"skeleton", space.skeleton->name},
                         {"stages", nlohmann::json::array()}};
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
  expect_keys(json, space.genes, "", {"schema", "name", "skeleton", "stages"});
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

SearchSpace default_search_space() {
  static const SearchSpace space = [] {
    const nlohmann::json json = parse_json(default_space_json, "default_space.json");
    return read_search_space(JsonReader(json, "default_space.json#"));
  }();
  return space;
}

}  // namespace cpubone
