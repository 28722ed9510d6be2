#include "explorer/island_json.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "explorer/genome_text.hpp"
#include "explorer/inputs.hpp"
#include "graph/json_file.hpp"
#include "predictor/accuracy_json.hpp"

namespace cpubone {
namespace {

constexpr std::size_t id_digits = 16;
constexpr std::int64_t most_count = std::int64_t{1} << 50;

std::string id_text(std::uint64_t id) {
  return fmt::format("{:016x}", id);
}

std::uint64_t read_id(const JsonReader& json, std::string_view text) {
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id, 16);
  if (text.size() != id_digits || error != std::errc{} || end != text.data() + text.size())
    json.fail("16 hexadecimal digits");
  return id;
}

std::vector<Genome> read_genomes(const JsonReader& json, const SearchSpace& space) {
  std::vector<Genome> genomes;
  json.each([&](const JsonReader& item) {
    genomes.push_back(canonical(space, read_genome(item, space)));
  });
  return genomes;
}

nlohmann::json genomes_json(std::span<const Genome> genomes) {
  nlohmann::json list = nlohmann::json::array();
  for (const Genome& genome : genomes) list.push_back(genome_text(genome));
  return list;
}

Costs read_costs(const JsonReader& json, std::size_t count) {
  Costs costs;
  json.each([&](const JsonReader& item) { costs.push_back(item.number()); });
  if (costs.size() != count) json.fail(fmt::format("{} numbers", count));
  return costs;
}

/// Numbers of an evaluation in the order that both directions share.
template <typename Record, typename Visit>
void visit_numbers(Record& e, Visit visit) {
  const auto visit_latency = [&](auto& latency) {
    visit(latency.ms);
    visit(latency.low_ms);
    visit(latency.high_ms);
  };
  visit_latency(e.latency);
  for (auto& latency : e.elsewhere) visit_latency(latency);
  visit(e.accuracy.top1);
  visit(e.accuracy.low);
  visit(e.accuracy.high);
  visit(e.accuracy.assured);
  visit(e.accuracy.refused);
  visit(e.macs);
  visit(e.params);
  visit(e.weight_bytes);
  visit(e.peak_activation_bytes);
}

nlohmann::json evaluation_json(const Evaluation& evaluation) {
  nlohmann::json list = nlohmann::json::array();
  visit_numbers(evaluation, [&](const auto& number) { list.push_back(number); });
  return list;
}

bool are_equal(const Evaluation& a, const Evaluation& b) {
  const auto numbers = [](const Evaluation& evaluation) {
    std::vector<double> list;
    visit_numbers(evaluation, [&](const auto& n) { list.push_back(static_cast<double>(n)); });
    return list;
  };
  return numbers(a) == numbers(b);
}

Evaluation read_evaluation(const JsonReader& json) {
  std::vector<JsonReader> items;
  json.each([&](const JsonReader& item) { items.push_back(item); });
  std::size_t count = 0;
  Evaluation evaluation;
  visit_numbers(evaluation, [&](auto&) { ++count; });
  if (items.size() != count) json.fail(fmt::format("{} numbers of an evaluation", count));
  std::size_t next = 0;
  visit_numbers(evaluation, [&](auto& number) {
    using T = std::decay_t<decltype(number)>;
    const JsonReader& item = items[next++];
    if constexpr (std::is_same_v<T, bool>)
      number = item.boolean();
    else if constexpr (std::is_same_v<T, double>)
      number = item.number();
    else
      number = item.integer(0, most_count);
  });
  return evaluation;
}

nlohmann::json found_json(std::span<const Found> found) {
  nlohmann::json list = nlohmann::json::array();
  for (const Found& f : found)
    list.push_back({genome_text(f.genome), evaluation_json(f.evaluation)});
  return list;
}

std::vector<Found> read_found(const JsonReader& json, const SearchSpace& space) {
  std::vector<Found> list;
  json.each([&](const JsonReader& item) {
    if (item.size() != 2) item.fail("[genome, evaluation]");
    Found found;
    std::size_t part = 0;
    item.each([&](const JsonReader& value) {
      if (part++ == 0)
        found.genome = canonical(space, read_genome(value, space));
      else
        found.evaluation = read_evaluation(value);
    });
    list.push_back(std::move(found));
  });
  return list;
}

SearchOptions read_options(const JsonReader& json) {
  json.expect_schema("island-problem");
  json.expect_keys({"schema", "space", "form", "devices", "accuracy", "algorithm", "objectives",
                    "constraints", "population", "generations"});
  SearchOptions options;
  options.algorithm = parse_algorithm(json.at("algorithm").string());
  options.objectives.clear();
  json.at("objectives").each([&](const JsonReader& item) {
    options.objectives.push_back(parse_objective(item.string()));
  });
  json.at("constraints").each([&](const JsonReader& item) {
    item.expect_keys({"objective", "limit"});
    options.constraints.push_back(
        {parse_objective(item.at("objective").string()), item.at("limit").number(0, 1e15)});
  });
  options.population = static_cast<int>(json.at("population").integer(8, 1'000'000));
  options.generations = static_cast<int>(json.at("generations").integer(1, 1'000'000));
  const std::size_t devices = json.at("devices").size();
  const auto check_device = [&](Objective objective) {
    if (device_of(objective) >= devices)
      json.fail_because(fmt::format("{} needs {} devices, got {}", name(objective),
                                    device_of(objective) + 1, devices));
  };
  for (const Objective objective : options.objectives) check_device(objective);
  for (const Constraint& constraint : options.constraints) check_device(constraint.objective);
  if (options.objectives.empty() || options.objectives.size() > 4)
    json.at("objectives").fail("one to four objectives");
  return options;
}

std::vector<LatencyModel> read_devices(const JsonReader& json) {
  std::vector<LatencyModel> models;
  json.each(
      [&](const JsonReader& item) { models.push_back(latency_model(predictor_from_json(item))); });
  if (models.empty() || models.size() > most_devices)
    json.fail(fmt::format("one to {} predictors", most_devices));
  return models;
}

NetworkForm read_form(const JsonReader& json) {
  json.expect_keys({"height", "width", "features"});
  return {static_cast<int>(json.at("height").integer(0, 65536)),
          static_cast<int>(json.at("width").integer(0, 65536)), json.at("features").boolean()};
}

Evaluator evaluator_of(const JsonReader& json) {
  SearchSpace space = read_search_space(json.at("space"));
  std::vector<LatencyModel> models = read_devices(json.at("devices"));
  const LatencyModel first = models.front();
  models.erase(models.begin());
  return Evaluator(std::move(space), first,
                   {accuracy_posterior_from_json(json.at("accuracy")), {}, {}},
                   read_form(json.at("form")), std::move(models));
}

}  // namespace

IslandProblem::IslandProblem(const JsonReader& json)
    : options(read_options(json)), evaluator(evaluator_of(json)) {}

nlohmann::json problem_json(const Evaluator& evaluator, std::span<const Predictor> devices,
                            const SearchOptions& options) {
  nlohmann::json predictors = nlohmann::json::array();
  for (const Predictor& device : devices) predictors.push_back(to_json(device));
  nlohmann::json objectives = nlohmann::json::array();
  for (const Objective objective : options.objectives) objectives.push_back(name(objective));
  nlohmann::json constraints = nlohmann::json::array();
  for (const Constraint& c : options.constraints)
    constraints.push_back({{"objective", name(c.objective)}, {"limit", c.limit}});
  const NetworkForm& form = evaluator.form();
  return {{"schema", "cpubone/island-problem/1"},
          {"space", to_json(evaluator.space())},
          {"form", {{"height", form.height}, {"width", form.width}, {"features", form.features}}},
          {"devices", predictors},
          {"accuracy", to_json(evaluator.accuracy().posterior)},
          {"algorithm", name(options.algorithm)},
          {"objectives", objectives},
          {"constraints", constraints},
          {"population", options.population},
          {"generations", options.generations}};
}

nlohmann::json to_json(const IslandTask& task) {
  return {{"schema", "cpubone/island-task/1"}, {"seed", id_text(task.seed)},
          {"most_new", task.most_new},         {"cost_low", task.scale.low},
          {"cost_factor", task.scale.factor},  {"population", genomes_json(task.population)},
          {"front", found_json(task.front)},   {"cloud_below", id_text(task.cloud_below)}};
}

nlohmann::json evolve_json(const IslandProblem& problem, const JsonReader& json) {
  json.expect_schema("island-task");
  json.expect_keys({"schema", "seed", "most_new", "cost_low", "cost_factor", "population", "front",
                    "cloud_below"});
  const SearchSpace& space = problem.evaluator.space();
  const std::size_t costs = problem.options.objectives.size();
  IslandTask task{
      problem.options,
      {read_costs(json.at("cost_low"), costs), read_costs(json.at("cost_factor"), costs)},
      read_id(json.at("seed"), json.at("seed").string()),
      json.at("most_new").integer(0, most_count),
      read_genomes(json.at("population"), space),
      read_found(json.at("front"), space),
      read_id(json.at("cloud_below"), json.at("cloud_below").string())};
  if (task.population.size() != static_cast<std::size_t>(problem.options.population))
    json.at("population").fail(fmt::format("{} genomes", problem.options.population));
  if (task.front.empty()) json.at("front").fail("one network or more");

  const IslandEpoch epoch = thinned(evolve(task, problem.evaluator, {}), task);
  std::string networks;
  for (const std::uint64_t id : epoch.networks) networks += id_text(id);
  return {{"schema", "cpubone/island-epoch/1"},
          {"population", genomes_json(epoch.population)},
          {"networks", networks},
          {"found", found_json(epoch.found)},
          {"evaluations", epoch.evaluations}};
}

IslandEpoch read_epoch(const JsonReader& json, std::size_t population, const SearchSpace& space) {
  json.expect_schema("island-epoch");
  json.expect_keys({"schema", "population", "networks", "found", "evaluations"});
  IslandEpoch epoch;
  epoch.population = read_genomes(json.at("population"), space);
  if (epoch.population.size() != population)
    json.at("population").fail(fmt::format("{} genomes", population));
  const std::string networks = json.at("networks").string();
  for (std::size_t i = 0; i < networks.size(); i += id_digits)
    epoch.networks.push_back(
        read_id(json.at("networks"), std::string_view(networks).substr(i, id_digits)));
  epoch.found = read_found(json.at("found"), space);
  auto next = epoch.found.begin();
  for (const std::uint64_t id : epoch.networks)
    if (next != epoch.found.end() && network_id(next->genome) == id) ++next;
  if (next != epoch.found.end()) json.at("found").fail("networks in the order of \"networks\"");
  epoch.evaluations = json.at("evaluations").integer(0, most_count);
  return epoch;
}

void check_epoch(const IslandProblem& problem, const JsonReader& json) {
  const IslandEpoch epoch = read_epoch(json, static_cast<std::size_t>(problem.options.population),
                                       problem.evaluator.space());
  std::vector<Genome> genomes;
  for (const Found& f : epoch.found) genomes.push_back(f.genome);
  std::vector<Evaluation> evaluations(genomes.size());
  problem.evaluator.evaluate(genomes, evaluations);
  for (std::size_t i = 0; i < genomes.size(); ++i)
    if (!are_equal(evaluations[i], epoch.found[i].evaluation))
      json.at("found").fail_because(fmt::format(
          "network {} is evaluated as {}, here as {}: expected the same version of cpubone on the "
          "same kind of CPU",
          genome_text(genomes[i]), evaluation_json(epoch.found[i].evaluation).dump(),
          evaluation_json(evaluations[i]).dump()));
}

}  // namespace cpubone
