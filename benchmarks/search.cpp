// How fast candidates are evaluated, and how much of the exhaustive front a search finds.
#include <chrono>
#include <functional>
#include <thread>
#include <unordered_set>

#include "benchmarks/rows.hpp"
#include "explorer/search.hpp"
#include "tests/explorer/models.hpp"

using namespace cpubone;

namespace {

double seconds(const std::function<void()>& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Hash {
  std::size_t operator()(const Genome& g) const {
    return std::hash<std::string_view>()({reinterpret_cast<const char*>(g.data()), g.size()});
  }
};

/// About 250,000 different networks.
SearchSpace enumerable_space() {
  SearchSpace space = tiny_space();
  space.name = "enumerable";
  set_choices(space, "stage2.blocks", {0, 1});
  set_choices(space, "stage3.blocks", {1, 2, 3, 4});
  set_choices(space, "stage4.blocks", {1, 2, 3, 4});
  return space;
}

std::vector<Genome> enumerate(const SearchSpace& space) {
  const auto counts = choices(space);
  std::unordered_set<Genome, Hash> seen;
  std::vector<Genome> all;
  Genome g = first_genome(space);
  for (;;) {
    const Genome c = canonical(space, g);
    if (seen.insert(c).second) all.push_back(c);
    std::size_t i = 0;
    for (; i < g.size(); ++i) {
      if (++g[i] < counts[i]) break;
      g[i] = 0;
    }
    if (i == g.size()) return all;
  }
}

const std::vector<Objective> objectives{Objective::latency, Objective::top1};

void run(std::span<const std::string>, Rows& rows) {
  const AccuracyModel accuracy = published_accuracy_model();

  // Throughput on the default space: distinct genomes whose units are all known.
  {
    const Evaluator evaluator(default_search_space(), fake_latency(), accuracy);
    SearchOptions warm;
    warm.evaluations = 60'000;
    warm.threads = 2;
    SearchResult found = search(evaluator, warm);
    // Units were met by a search; children of its front use the same ones.
    Rng rng(7);
    std::unordered_set<Genome, Hash> seen;
    std::vector<Genome> genomes;
    while (genomes.size() < 400'000) {
      const Genome& a = found.front[uniform_below(rng, found.front.size())].genome;
      const Genome& b = found.front[uniform_below(rng, found.front.size())].genome;
      const Genome child =
          mutate(evaluator.space(), crossover(evaluator.space(), a, b, rng), 0.02, rng);
      if (seen.insert(child).second) genomes.push_back(child);
    }
    std::vector<Evaluation> results(genomes.size());
    const double first = seconds([&] { evaluator.evaluate(genomes, results); });
    double best = 1e9;
    for (int round = 0; round < 3; ++round)
      best = std::min(best, seconds([&] {
                        std::thread half([&] {
                          evaluator.evaluate(std::span(genomes).first(200'000),
                                             std::span(results).first(200'000));
                        });
                        evaluator.evaluate(std::span(genomes).last(200'000),
                                           std::span(results).last(200'000));
                        half.join();
                      }));
    rows.add("distinct candidates a second, memoised, 2 threads", 400'000 / best, "1/s", 300'000,
             ">=", fmt::format("{} units known", evaluator.units()));
    rows.inform("the same with new units, 1 thread", 400'000 / first, "1/s");
    for (const Algorithm algorithm :
         {Algorithm::nsga2, Algorithm::moead, Algorithm::local, Algorithm::random}) {
      SearchOptions options;
      options.algorithm = algorithm;
      options.evaluations = 60'000;
      options.threads = 2;
      const SearchResult r = search(evaluator, options);
      rows.inform(fmt::format("{}: time in the algorithm itself", name(algorithm)),
                  1 - r.evaluate_seconds / r.busy_seconds, "share",
                  fmt::format("{:.2f} s for {} distinct", r.seconds, r.distinct()));
    }
    // Same number of distinct networks, same reference, from the same start.
    std::vector<Genome> start;
    for (const CpuboneConfig& member : cpubone_family())
      start.push_back(encode(evaluator.space(), member));
    Costs reference;
    double best_volume = 0;
    std::vector<std::pair<std::string, double>> volumes;
    for (const Algorithm algorithm :
         {Algorithm::nsga2, Algorithm::moead, Algorithm::local, Algorithm::random}) {
      double sum = 0;
      for (const std::uint64_t seed : {1, 2, 3}) {
        SearchOptions options;
        options.algorithm = algorithm;
        options.evaluations = 60'000;
        options.threads = 2;
        options.seed = seed;
        options.start = start;
        options.constraints = {{Objective::latency, 100}};
        const SearchResult r = search(evaluator, options);
        reference = {100, -60};
        std::vector<Costs> points;
        for (const Found& f : r.front) points.push_back(costs(f.evaluation, objectives));
        sum += hypervolume(points, reference) / 3;
      }
      volumes.emplace_back(name(algorithm), sum);
      best_volume = std::max(best_volume, sum);
    }
    for (const auto& [algorithm, volume] : volumes)
      rows.inform(fmt::format("default space, {}: hypervolume of the best's", algorithm),
                  volume / best_volume, "ratio", "60,000 distinct networks, mean of 3 seeds");
  }

  // A space that can be enumerated.
  {
    const Evaluator evaluator(enumerable_space(), fake_latency(), accuracy);
    const std::vector<Genome> all = enumerate(evaluator.space());
    std::vector<Evaluation> evaluations(all.size());
    evaluator.evaluate(all, evaluations);
    std::vector<Costs> points;
    Costs reference{0, -100};
    for (const Evaluation& e : evaluations) {
      if (e.accuracy.refused) continue;
      points.push_back(costs(e, objectives));
      for (std::size_t i = 0; i < 2; ++i) reference[i] = std::max(reference[i], points.back()[i]);
    }
    const double exact = hypervolume(points, reference);
    rows.add("networks of the enumerated space", static_cast<double>(all.size()), "", 200'000,
             ">=", fmt::format("{} on the exhaustive front", front(points).size()));
    for (const Algorithm algorithm :
         {Algorithm::nsga2, Algorithm::moead, Algorithm::local, Algorithm::random}) {
      double worst = 1;
      double share = 0;
      for (const std::uint64_t seed : {1, 2, 3, 4, 5}) {
        SearchOptions options;
        options.algorithm = algorithm;
        options.seed = seed;
        options.population = 52;
        options.generations = 2;
        options.evaluations = static_cast<std::int64_t>(all.size()) / 10 - 4 * 2 * 52;
        const SearchResult r = search(evaluator, options);
        std::vector<Costs> found;
        for (const Found& f : r.front) found.push_back(costs(f.evaluation, objectives));
        worst = std::min(worst, hypervolume(found, reference) / exact);
        share =
            std::max(share, static_cast<double>(r.distinct()) / static_cast<double>(all.size()));
      }
      const std::string row = fmt::format(
          "{}: hypervolume of the exhaustive front's, worst of 5 seeds", name(algorithm));
      if (algorithm == SearchOptions{}.algorithm) {
        rows.add(row, worst, "ratio", 0.999, ">=");
        rows.add("evaluations that it took", share, "share", 0.1, "<=");
      } else {
        rows.inform(row, worst, "ratio", fmt::format("{:.3f} of the evaluations", share));
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run_benchmark("search", 0, argc, argv, run);
}
