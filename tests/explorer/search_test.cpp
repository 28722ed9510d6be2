#include "explorer/search.hpp"

#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "explorer/checkpoint.hpp"
#include "explorer/island.hpp"
#include "graph/json_file.hpp"
#include "tests/approved.hpp"
#include "tests/catch.hpp"
#include "tests/explorer/models.hpp"
#include "tests/temporary_folder.hpp"

using namespace cpubone;

namespace {

const std::vector<Objective> objectives{Objective::latency, Objective::top1};

const AccuracyModel& accuracy() {
  static const AccuracyModel model = published_accuracy_model();
  return model;
}

std::vector<Costs> front_costs(const SearchResult& result) {
  std::vector<Costs> points;
  for (const Found& f : result.front) points.push_back(costs(f.evaluation, objectives));
  return points;
}

/// All networks of a space, once each.
std::vector<Genome> enumerate(const SearchSpace& space) {
  const auto counts = choices(space);
  std::map<std::uint64_t, Genome> seen;
  Genome g = first_genome(space);
  for (std::size_t i = 0; i < g.size();) {
    if (i == 0) {
      const Genome c = canonical(space, g);
      seen.emplace(network_id(c), c);
    }
    if (++g[i] < counts[i]) {
      i = 0;
    } else {
      g[i++] = 0;
    }
  }
  std::vector<Genome> all;
  for (const auto& [id, genome] : seen) all.push_back(genome);
  return all;
}

SearchSpace small_space() {
  SearchSpace space = tiny_space();
  set_choices(space, "stage2.width", {64});
  set_choices(space, "stage3.width", {96, 128});
  set_choices(space, "stage3.groups", {1, 2});
  set_choices(space, "stage4.groups", {1, 2});
  set_choices(space, "stage4.width", {192, 256});
  return space;
}

bool same(const SearchResult& a, const SearchResult& b) {
  const auto equal = [](const std::vector<Found>& x, const std::vector<Found>& y) {
    return std::equal(x.begin(), x.end(), y.begin(), y.end(), [](const Found& f, const Found& g) {
      return f.genome == g.genome && f.evaluation.latency.ms == g.evaluation.latency.ms &&
             f.evaluation.accuracy == g.evaluation.accuracy;
    });
  };
  return equal(a.front, b.front) && equal(a.cloud, b.cloud) && a.evaluations == b.evaluations &&
         a.distinct() == b.distinct() && a.hypervolume == b.hypervolume;
}

SearchOptions quick(Algorithm algorithm) {
  SearchOptions options;
  options.algorithm = algorithm;
  options.population = 20;
  options.generations = 3;
  options.evaluations = 3000;
  return options;
}

}  // namespace

TEST_CASE("a search finds the front of a space that can be enumerated", "[explorer]") {
  const Evaluator evaluator(small_space(), fake_latency(), accuracy());
  const std::vector<Genome> all = enumerate(evaluator.space());
  std::vector<Costs> points;
  Costs reference{0, -100};
  for (const Genome& g : all) {
    const Evaluation e = evaluator.evaluate(g);
    if (e.accuracy.refused) continue;
    points.push_back(costs(e, objectives));
    for (std::size_t i = 0; i < 2; ++i) reference[i] = std::max(reference[i], points.back()[i]);
  }
  const double exact = hypervolume(points, reference);
  for (const Algorithm algorithm : {Algorithm::nsga2, Algorithm::local}) {
    SearchOptions options = quick(algorithm);
    options.evaluations = static_cast<std::int64_t>(all.size()) / 4;
    const SearchResult result = search(evaluator, options);
    INFO(name(algorithm) << ": " << result.distinct() << " of " << all.size());
    CHECK(hypervolume(front_costs(result), reference) >= 0.999 * exact);
    CHECK(result.distinct() < static_cast<std::int64_t>(all.size()) / 3);
  }
}

TEST_CASE("the same seed gives the same result on one thread and two", "[explorer]") {
  for (const Algorithm algorithm :
       {Algorithm::nsga2, Algorithm::moead, Algorithm::local, Algorithm::random}) {
    INFO(name(algorithm));
    SearchOptions options = quick(algorithm);
    options.evaluations = 1000;
    options.constraints = {{Objective::latency, 20}};
    const Evaluator one(default_search_space(), fake_latency(), accuracy());
    const SearchResult a = search(one, options);
    options.threads = 2;
    const Evaluator two(default_search_space(), fake_latency(), accuracy());
    const SearchResult b = search(two, options);
    CHECK(same(a, b));
    options.seed = 2;
    CHECK_FALSE(same(a, search(two, options)));
    REQUIRE_FALSE(a.front.empty());
    for (const Found& f : a.front) CHECK(f.evaluation.latency.ms <= 20);
    // The volume never shrinks.
    for (std::size_t i = 1; i < a.hypervolume.size(); ++i)
      CHECK(a.hypervolume[i].value >= a.hypervolume[i - 1].value);
  }
}

TEST_CASE("searches find what was approved", "[explorer]") {
  // Those whose random numbers are our own; others' differ from version to version.
  const Evaluator evaluator(default_search_space(), fake_latency(), accuracy());
  std::string lines;
  for (const Algorithm algorithm : {Algorithm::local, Algorithm::random}) {
    SearchOptions options = quick(algorithm);
    options.constraints = {{Objective::latency, 30}, {Objective::params, 15}};
    const SearchResult result = search(evaluator, options);
    lines += fmt::format("{}: {} evaluations, {} distinct\n", name(algorithm), result.evaluations,
                         result.distinct());
    for (const HypervolumePoint& point : result.hypervolume)
      lines += fmt::format("{} {:.4g}\n", point.evaluations, point.value);
    for (const Found& f : result.front)
      lines += fmt::format("{:.4g} ms {:.4g} % {}\n", f.evaluation.latency.ms,
                           f.evaluation.accuracy.top1, describe(evaluator.space(), f.genome));
  }
  check_approved("search.txt", lines);
}

TEST_CASE("constraints on other quantities hold for the whole front", "[explorer]") {
  const Evaluator evaluator(default_search_space(), fake_latency(), accuracy());
  SearchOptions options = quick(Algorithm::nsga2);
  options.objectives = {Objective::latency, Objective::top1, Objective::memory};
  options.constraints = {{Objective::params, 12}, {Objective::top1, 74}, {Objective::macs, 900}};
  const SearchResult result = search(evaluator, options);
  REQUIRE_FALSE(result.front.empty());
  for (const Found& f : result.front) {
    CHECK(f.evaluation.params <= 12'000'000);
    CHECK(f.evaluation.macs <= 900'000'000);
    CHECK(f.evaluation.accuracy.assured >= 74);
  }
}

TEST_CASE("a start is part of what is found", "[explorer]") {
  const Evaluator evaluator(default_search_space(), fake_latency(), accuracy());
  SearchOptions options = quick(Algorithm::random);
  options.evaluations = 100;
  for (const CpuboneConfig& member : cpubone_family())
    options.start.push_back(encode(evaluator.space(), member));
  const SearchResult result = search(evaluator, options);
  for (const Genome& g : options.start) {
    const Costs member = costs(evaluator.evaluate(g), objectives);
    const auto points = front_costs(result);
    CHECK(std::any_of(points.begin(), points.end(),
                      [&](const Costs& p) { return p == member || dominates(p, member); }));
  }
}

TEST_CASE("constraints that nothing meets end at once with the nearest value", "[explorer]") {
  const Evaluator evaluator(small_space(), fake_latency(), accuracy());
  SearchOptions options = quick(Algorithm::nsga2);
  options.constraints = {{Objective::latency, 0.1}};
  double least = 1e9;
  for (const Genome& g : enumerate(evaluator.space())) {
    const Evaluation e = evaluator.evaluate(g);
    if (!e.accuracy.refused) least = std::min(least, e.latency.ms);
  }
  try {
    search(evaluator, options);
    FAIL("accepted");
  } catch (const Infeasible& e) {
    const std::string what = e.what();
    CHECK_THAT(what, ContainsSubstring("no network of the space \"tiny\" meets latency <= 0.1 ms; "
                                       "the nearest has latency "));
    const double nearest = std::stod(what.substr(what.find("has latency ") + 12));
    CHECK(nearest == Approx(least).epsilon(1e-3));
  }
  options.constraints = {{Objective::latency, 2}, {Objective::top1, 95}};
  CHECK_THROWS_WITH(search(evaluator, options),
                    ContainsSubstring("latency <= 2 ms and top1 >= 95 %; the nearest has"));
}

namespace {

/// A checkpoint of its own that is gone afterwards.
struct TemporaryCheckpoint {
  std::filesystem::path path = scratch_path("cpubone_search_test.json");
  TemporaryCheckpoint() { remove_checkpoint(path); }
  ~TemporaryCheckpoint() { remove_checkpoint(path); }
};

}  // namespace

TEST_CASE("a search that was stopped continues as if it had not been", "[explorer]") {
  for (const Algorithm algorithm : {Algorithm::nsga2, Algorithm::local}) {
    const TemporaryCheckpoint checkpoint;
    const Evaluator evaluator(default_search_space(), fake_latency(), accuracy());
    SearchOptions options = quick(algorithm);
    options.constraints = {{Objective::latency, 30}};
    const SearchResult whole = search(evaluator, options);

    std::atomic<bool> stop = false;
    options.checkpoint = checkpoint.path;
    options.resume = true;
    options.cancel = &stop;
    options.progress = [&](double fraction, const std::string&) { stop = fraction > 0.4; };
    const SearchResult half = search(evaluator, options);
    CHECK(half.cancelled);
    CHECK(half.distinct() < whole.distinct());
    options.progress = nullptr;
    stop = false;
    const SearchResult resumed = search(evaluator, options);
    CHECK_FALSE(resumed.cancelled);
    INFO(name(algorithm));
    CHECK(same(resumed, whole));
    CHECK(resumed.networks == whole.networks);

    options.seed = 9;
    CHECK_THROWS_WITH(search(evaluator, options),
                      ContainsSubstring("checkpoint is of a search with other options"));
  }
}

TEST_CASE("a damaged checkpoint is refused with a remedy", "[explorer]") {
  const TemporaryCheckpoint checkpoint;
  const Evaluator evaluator(small_space(), fake_latency(), accuracy());
  SearchOptions options = quick(Algorithm::local);
  options.evaluations = 300;
  options.checkpoint = checkpoint.path;
  options.resume = true;
  search(evaluator, options);
  const nlohmann::json good = read_json_file(checkpoint.path);
  const auto message = [&] {
    try {
      search(evaluator, options);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  const std::string start = "cannot resume the search: " + checkpoint.path.string();
  const std::string remedy = "; remove the file or search without resuming";
  const auto refuses = [&](const std::string& what) {
    CHECK_THAT(message(),
               ContainsSubstring(start) && ContainsSubstring(what) && ContainsSubstring(remedy));
  };
  std::ofstream(checkpoint.path) << good.dump().substr(0, 200);
  refuses("not valid JSON");
  nlohmann::json hostile = good;
  hostile["hypervolume"][0][0] = 1e300;
  write_json_file(hostile, checkpoint.path);
  refuses("#/hypervolume/0/0: expected a whole number");
  hostile = good;
  hostile["islands"][2].erase(0);
  write_json_file(hostile, checkpoint.path);
  refuses("4 populations of 20");
  write_json_file(good, checkpoint.path);
  std::filesystem::resize_file(checkpoint.path.string() + ".networks", 100);
  refuses(".networks: expected 2400 bytes, got 100");
}

TEST_CASE("a checkpoint grows by eight bytes a network", "[explorer]") {
  const TemporaryCheckpoint checkpoint;
  const Evaluator evaluator(default_search_space(), fake_latency(), accuracy());
  SearchOptions options = quick(Algorithm::random);
  options.constraints = {{Objective::latency, 200}};
  options.checkpoint = checkpoint.path;
  options.resume = true;
  std::uintmax_t before = 0;
  for (const int evaluations : {1250, 2500, 5000}) {
    options.evaluations = evaluations;
    const SearchResult result = search(evaluator, options);
    CHECK(std::filesystem::file_size(checkpoint.path.string() + ".networks") ==
          8 * result.networks.size());
    const std::uintmax_t size = std::filesystem::file_size(checkpoint.path);
    if (before > 0) CHECK(size < before + 2500);
    before = size;
  }
}

TEST_CASE("a search evaluates as many different networks as it is asked for, never more",
          "[explorer]") {
  const Evaluator evaluator(default_search_space(), fake_latency(), accuracy());
  for (const Algorithm algorithm :
       {Algorithm::nsga2, Algorithm::moead, Algorithm::local, Algorithm::random})
    for (const std::int64_t evaluations : {1, 7, 79, 80, 81, 399, 1000}) {
      SearchOptions options = quick(algorithm);
      options.evaluations = evaluations;
      const SearchResult result = search(evaluator, options);
      INFO(name(algorithm) << " " << evaluations);
      CHECK(result.distinct() <= evaluations);
      // Algorithms with populations need a whole generation.
      const bool populations = algorithm == Algorithm::nsga2 || algorithm == Algorithm::moead;
      CHECK(result.distinct() >= evaluations - (populations ? options.population : 0));
      const std::set<std::uint64_t> different(result.networks.begin(), result.networks.end());
      CHECK(different.size() == result.networks.size());
    }
}

TEST_CASE("a search ends within an epoch when it is cancelled", "[explorer]") {
  std::atomic<bool> stop = false;
  LatencyModel latency = fake_latency();
  int combined = 0;
  latency.combine = [&, combine = latency.combine](const LatencyTerms& terms) {
    if (++combined == 500) stop = true;
    return combine(terms);
  };
  const Evaluator evaluator(default_search_space(), latency, accuracy());
  SearchOptions options = quick(Algorithm::local);
  options.population = 100;
  options.generations = 100;
  options.cancel = &stop;
  const SearchResult result = search(evaluator, options);
  CHECK(result.cancelled);
  CHECK(result.distinct() == 400);  // the epoch is as if it had not begun
  CHECK(combined < 700);
  stop = true;
  CHECK(search(evaluator, options).distinct() == 0);
  options.constraints = {{Objective::latency, 0.1}};
  CHECK(search(evaluator, options).cancelled);
}

TEST_CASE("no epoch starts after the budget", "[explorer]") {
  const Evaluator evaluator(default_search_space(), fake_latency(), accuracy());
  SearchOptions options = quick(Algorithm::local);
  CHECK_FALSE(search(evaluator, options).out_of_time);
  options.budget_seconds = -1;
  const SearchResult result = search(evaluator, options);
  CHECK(result.out_of_time);
  CHECK(result.distinct() <= 80);
  CHECK_FALSE(result.front.empty());
  options.budget_seconds = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(search(evaluator, options), "search: budget_seconds must be a number, got NaN");
}

TEST_CASE("a network that two searches evaluated counts once", "[explorer]") {
  SearchResult first;
  first.evaluations = 7;
  first.networks = {1, 2, 3, 4};
  first.reference = {10, -60};
  first.hypervolume = {{2, 5}, {4, 6}};
  SearchResult second = first;
  second.networks = {3, 5, 1, 6};
  second.hypervolume = {{1, 5.5}, {4, 8}};
  SearchTotals totals;
  merge(totals, first);
  merge(totals, second);
  CHECK(totals.evaluations == 14);
  CHECK(totals.distinct() == 6);
  CHECK(totals.reference == Costs{10, -60});
  const std::vector<HypervolumePoint> curve{{2, 5}, {4, 6}, {4, 5.5}, {6, 8}};
  CHECK(totals.hypervolume == curve);
  second.reference = {20, -60};
  CHECK_THROWS_WITH(merge(totals, second), ContainsSubstring("different references"));
}

TEST_CASE("an island's epoch depends on its task only", "[explorer]") {
  const Evaluator evaluator(default_search_space(), fake_latency(), accuracy());
  Rng rng(2);
  for (const Algorithm algorithm : {Algorithm::nsga2, Algorithm::moead, Algorithm::local}) {
    const SearchOptions options = quick(algorithm);
    std::vector<Genome> population;
    for (int i = 0; i < options.population; ++i)
      population.push_back(sample(evaluator.space(), rng));
    const IslandEpoch first = evaluate_first(population, options, 20, evaluator);
    IslandTask task{options, cost_scale(first.found, options.objectives), 5, 60, population, {}};
    join(task.front, first.found, options);
    Known known;
    for (const Found& f : first.found) known.emplace(network_id(f.genome), f.evaluation);
    const IslandEpoch fresh = evolve(task, evaluator, known);
    // What was evaluated before saves evaluations and is not found again.
    for (const Found& f : fresh.found) known.emplace(network_id(f.genome), f.evaluation);
    const IslandEpoch again = evolve(task, evaluator, known);
    INFO(name(algorithm));
    CHECK(again.population == fresh.population);
    CHECK(fresh.evaluations > 0);
    CHECK(fresh.found.size() <= 60);
    if (algorithm != Algorithm::local) CHECK(again.found.empty());
    task.seed = 6;
    CHECK(evolve(task, evaluator, {}).found.back().genome != fresh.found.back().genome);
  }
}

TEST_CASE("a search of a space smaller than its budget ends", "[explorer]") {
  SearchSpace space = small_space();
  set_choices(space, "stage3.blocks", {1});
  set_choices(space, "stage4.blocks", {1});
  const Evaluator evaluator(space, fake_latency(), accuracy());
  const SearchResult result = search(evaluator, quick(Algorithm::nsga2));
  CHECK(result.distinct() < 3000);
  CHECK(result.evaluations <= 5 * 3000 + 4 * 3 * 20);
}

TEST_CASE("wrong options are refused", "[explorer]") {
  const Evaluator evaluator(small_space(), fake_latency(), accuracy());
  SearchOptions options;
  options.objectives = {Objective::top1};
  CHECK_THROWS_WITH(search(evaluator, options),
                    "search: nsga2 needs two objectives or more, got 1");
  options = {};
  options.population = 10;
  CHECK_THROWS_WITH(search(evaluator, options),
                    "search: population must be a multiple of 4 and >= 8, got 10");
  options = {};
  options.constraints = {{Objective::latency, -1}};
  CHECK_THROWS_WITH(search(evaluator, options),
                    "search: limit of latency must be positive, got -1");
  options = {};
  options.constraints = {{Objective::latency_2, 10}};
  CHECK_THROWS_WITH(search(evaluator, options), "search: latency-2 needs 2 devices, got 1");
  options = {};
  options.threads = 0;
  CHECK_THROWS_WITH(search(evaluator, options), "search: threads must be in 1..1024, got 0");
  CHECK_THROWS_WITH(parse_algorithm("nsga3"),
                    "algorithm: got \"nsga3\", expected nsga2, moead, local or random");
  CHECK_THROWS_WITH(parse_objective("speed"), ContainsSubstring("got \"speed\""));
}
