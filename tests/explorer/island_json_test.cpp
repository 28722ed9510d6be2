#include "explorer/island_json.hpp"

#include <fstream>
#include <nlohmann/json.hpp>

#include "explorer/inputs.hpp"
#include "graph/json_file.hpp"
#include "predictor/calibration.hpp"
#include "tests/catch.hpp"
#include "tests/explorer/models.hpp"
#include "tests/temporary_folder.hpp"

using namespace cpubone;

namespace {

const std::vector<Predictor>& devices() {
  static const std::vector<Predictor> all = [] {
    std::vector<Predictor> predictors;
    for (const DeviceDescription& known : known_devices())
      if (known.device.name == "pi5" || known.device.name == "pixel7pro")
        predictors.push_back(calibrate(known));
    return predictors;
  }();
  return all;
}

Evaluator evaluator_of(std::size_t count) {
  std::vector<LatencyModel> elsewhere;
  for (std::size_t i = 1; i < count; ++i) elsewhere.push_back(latency_model(devices()[i]));
  return Evaluator(default_search_space(), latency_model(devices()[0]), published_accuracy_model(),
                   {}, elsewhere);
}

SearchOptions quick(Algorithm algorithm) {
  SearchOptions options;
  options.algorithm = algorithm;
  options.population = 20;
  options.generations = 4;
  options.evaluations = 600;
  return options;
}

/// The same outcome, to the last bit of every number that is kept.
void check_same(const SearchResult& a, const SearchResult& b) {
  CHECK(a.networks == b.networks);
  CHECK(a.evaluations == b.evaluations);
  CHECK(a.hypervolume == b.hypervolume);
  CHECK(a.reference == b.reference);
  const auto check_found = [](const std::vector<Found>& x, const std::vector<Found>& y) {
    REQUIRE(x.size() == y.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      CHECK(x[i].genome == y[i].genome);
      CHECK(x[i].evaluation.latency.high_ms == y[i].evaluation.latency.high_ms);
      CHECK(x[i].evaluation.elsewhere[0].low_ms == y[i].evaluation.elsewhere[0].low_ms);
      CHECK(x[i].evaluation.accuracy == y[i].evaluation.accuracy);
      CHECK(x[i].evaluation.peak_activation_bytes == y[i].evaluation.peak_activation_bytes);
    }
  };
  check_found(a.front, b.front);
  check_found(a.cloud, b.cloud);
}

}  // namespace

TEST_CASE("islands that other processes run find what threads find", "[explorer]") {
  for (const std::size_t count : {std::size_t{1}, std::size_t{2}})
    for (const Algorithm algorithm : {Algorithm::nsga2, Algorithm::local, Algorithm::random}) {
      INFO(name(algorithm) << " on " << count << " devices");
      const Evaluator evaluator = evaluator_of(count);
      SearchOptions options = quick(algorithm);
      if (count == 2) options.objectives.push_back(Objective::latency_2);
      options.constraints = {{Objective::latency, 40}, {Objective::params, 30}};
      const SearchResult here = search(evaluator, options);
      int epochs = 0;
      options.evolve = [&](std::span<const IslandTask> tasks, const Evaluator& of) {
        // Each process makes its own evaluator of the text that it got.
        const std::string problem_text =
            problem_json(of, std::span(devices()).first(count), options).dump();
        std::vector<IslandEpoch> results;
        for (const IslandTask& task : tasks) {
          const nlohmann::json parsed = parse_json(problem_text, "problem");
          const IslandProblem problem(JsonReader(parsed, "problem#"));
          const nlohmann::json asked = parse_json(to_json(task).dump(), "task");
          const std::string answer = evolve_json(problem, JsonReader(asked, "task#")).dump();
          const nlohmann::json read = parse_json(answer, "epoch");
          results.push_back(
              read_epoch(JsonReader(read, "epoch#"), task.population.size(), of.space()));
          ++epochs;
        }
        return results;
      };
      check_same(search(evaluator, options), here);
      CHECK(epochs >= 4);
    }
}

TEST_CASE("an island estimates accuracies as a user's table has them", "[explorer]") {
  const auto path = scratch_path("cpubone_island_accuracy.csv");
  std::ofstream(path) << "network,top1\ncpubone-nano,60\ncpubone-b0,64.5\n";
  const AccuracyModel own = load_accuracy_model(path);
  std::filesystem::remove(path);
  const Evaluator evaluator(default_search_space(), latency_model(devices()[0]), own);
  const nlohmann::json text =
      problem_json(evaluator, std::span(devices()).first(1), quick(Algorithm::local));
  const IslandProblem problem(JsonReader(text, "problem#"));
  Rng rng(1);
  for (int i = 0; i < 20; ++i) {
    const Genome genome = sample(evaluator.space(), rng);
    const Evaluation here = evaluator.evaluate(genome);
    CHECK(problem.evaluator.evaluate(genome).accuracy == here.accuracy);
    CHECK(here.accuracy.top1 != evaluator_of(1).evaluate(genome).accuracy.top1);
  }
}

TEST_CASE("what an island leaves out a search does not miss", "[explorer]") {
  const Evaluator evaluator(default_search_space(), fake_latency(), published_accuracy_model());
  for (const double limit_ms : {4.0, 30.0}) {  // the first is met by none of the first networks
    INFO(limit_ms);
    SearchOptions options = quick(Algorithm::local);
    options.evaluations = 6000;
    options.generations = 30;
    options.constraints = {{Objective::latency, limit_ms}};
    const SearchResult here = search(evaluator, options);
    std::size_t evaluated = 0;
    std::size_t kept = 0;
    options.evolve = [&](std::span<const IslandTask> tasks, const Evaluator& of) {
      std::vector<IslandEpoch> results;
      for (const IslandTask& task : tasks) {
        results.push_back(thinned(evolve(task, of, {}), task));
        evaluated += results.back().networks.size();
        kept += results.back().found.size();
      }
      return results;
    };
    check_same(search(evaluator, options), here);
    CHECK(evaluated > 0);
    CHECK(kept <= evaluated);
  }
}

TEST_CASE("an island's task or epoch that is damaged is refused by name", "[explorer]") {
  const Evaluator evaluator = evaluator_of(1);
  SearchOptions options = quick(Algorithm::local);
  nlohmann::json problem_text = problem_json(evaluator, std::span(devices()).first(1), options);
  const IslandProblem problem(JsonReader(problem_text, "problem#"));
  nlohmann::json task;
  IslandEpoch epoch;
  options.evolve = [&](std::span<const IslandTask> tasks, const Evaluator& of) {
    if (task.is_null()) {
      task = to_json(tasks[0]);
      const nlohmann::json good = evolve_json(problem, JsonReader(task, "task#"));
      CHECK(good == evolve_json(problem, JsonReader(task, "task#")));
      const auto refused = [&](const char* key, const nlohmann::json& value) {
        nlohmann::json bad = good;
        bad[key] = value;
        CHECK_THROWS_WITH(check_epoch(problem, JsonReader(bad, "epoch#")),
                          ContainsSubstring(std::string("epoch#/") + key));
      };
      refused("population", nlohmann::json::array());
      refused("networks", "0123");
      refused("evaluations", nullptr);
      nlohmann::json bad = good;
      bad["networks"] = "";
      CHECK_THROWS_WITH(
          check_epoch(problem, JsonReader(bad, "epoch#")),
          ContainsSubstring("epoch#/found: expected networks in the order of \"networks\""));
      bad = good;
      CHECK_NOTHROW(check_epoch(problem, JsonReader(good, "epoch#")));
      bad["found"][0][1][0] = 1.5;
      CHECK_THROWS_WITH(check_epoch(problem, JsonReader(bad, "epoch#")),
                        ContainsSubstring("here as [") &&
                            ContainsSubstring("expected the same version of cpubone"));
      bad["found"][0][1][0] = nullptr;  // what a number that is not finite becomes
      CHECK_THROWS_WITH(check_epoch(problem, JsonReader(bad, "epoch#")),
                        ContainsSubstring("epoch#/found/0/1/0: expected a number"));
    }
    std::vector<IslandEpoch> results;
    for (const IslandTask& each : tasks) results.push_back(evolve(each, of, {}));
    return results;
  };
  search(evaluator, options);
  REQUIRE(task.is_object());
  nlohmann::json bad = task;
  bad["population"][0] = "ff";
  CHECK_THROWS_WITH(evolve_json(problem, JsonReader(bad, "task#")),
                    ContainsSubstring("task#/population/0: expected"));
  bad = task;
  bad["cost_low"] = {1};
  CHECK_THROWS_WITH(evolve_json(problem, JsonReader(bad, "task#")),
                    ContainsSubstring("task#/cost_low: expected 2 numbers"));
  problem_text["objectives"] = {"latency", "top1", "latency-2"};
  CHECK_THROWS_WITH(IslandProblem(JsonReader(problem_text, "problem#")),
                    ContainsSubstring("latency-2 needs 2 devices, got 1"));
}
