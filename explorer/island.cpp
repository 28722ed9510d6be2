#include "explorer/island.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <pagmo/algorithm.hpp>
#include <pagmo/algorithms/moead.hpp>
#include <pagmo/algorithms/nsga2.hpp>
#include <pagmo/batch_evaluators/member_bfe.hpp>
#include <pagmo/bfe.hpp>
#include <pagmo/population.hpp>
#include <pagmo/problem.hpp>

namespace cpubone {
namespace {

constexpr double infeasible_cost = 1e6;  // above every scaled cost

/// What an island sees: everything evaluated before the epoch, and what it evaluates itself.
class IslandEvaluator {
 public:
  IslandEvaluator(const Evaluator& evaluator, const Known& known, const SearchOptions& options)
      : evaluator_(evaluator), known_(known), options_(options) {}

  /// Evaluations of canonical genomes, each computed once.
  void evaluate(std::span<const Genome> genomes, std::vector<Evaluation>& results) {
    if (options_.cancel && options_.cancel->load()) throw Cancelled{};
    const auto started = std::chrono::steady_clock::now();
    epoch.evaluations += static_cast<std::int64_t>(genomes.size());
    results.resize(genomes.size());
    wanted_.clear();
    positions_.clear();
    for (std::size_t i = 0; i < genomes.size(); ++i) {
      const std::uint64_t id = network_id(genomes[i]);
      const auto old = known_.find(id);
      if (old != known_.end() && old->second) {
        results[i] = *old->second;
      } else if (const auto [mine, added] = own_.try_emplace(id); !added) {
        if (mine->second)
          results[i] = *mine->second;
        else
          positions_.emplace_back(i, id);
      } else {
        wanted_.push_back(i);
        positions_.emplace_back(i, id);
      }
    }
    genomes_.clear();
    for (const std::size_t i : wanted_) genomes_.push_back(genomes[i]);
    answers_.resize(wanted_.size());
    evaluator_.evaluate(genomes_, answers_);
    for (std::size_t k = 0; k < genomes_.size(); ++k) {
      const std::uint64_t id = network_id(genomes_[k]);
      own_[id] = answers_[k];
      if (known_.contains(id)) continue;
      epoch.networks.push_back(id);
      epoch.found.push_back({genomes_[k], answers_[k]});
    }
    // Also the twins of a genome within this batch.
    for (const auto& [i, id] : positions_) results[i] = *own_[id];
    epoch.evaluate_seconds +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  }

  std::int64_t new_networks() const { return static_cast<std::int64_t>(epoch.found.size()); }
  const SearchSpace& space() const { return evaluator_.space(); }

  IslandEpoch epoch;

 private:
  const Evaluator& evaluator_;
  const Known& known_;
  const SearchOptions& options_;
  Known own_;
  std::vector<std::size_t> wanted_;
  std::vector<Genome> genomes_;
  std::vector<Evaluation> answers_;
  std::vector<std::pair<std::size_t, std::uint64_t>> positions_;
};

/// Costs as optimisers see them: those of infeasible networks are above all others.
void scaled_costs(const Evaluation& e, const IslandTask& task, double* out) {
  const double v = violation(e, task.options.constraints);
  for (std::size_t i = 0; i < task.scale.low.size(); ++i)
    out[i] = v > 0
                 ? infeasible_cost * (1 + v)
                 : (cost(e, task.options.objectives[i]) - task.scale.low[i]) * task.scale.factor[i];
}

/// Genes with more than one choice: the chromosome of pagmo's algorithms.
struct Chromosome {
  std::vector<std::size_t> genes;
  std::vector<int> counts;

  explicit Chromosome(const SearchSpace& space) {
    const auto all = choices(space);
    for (std::size_t i = 0; i < all.size(); ++i)
      if (all[i] > 1) {
        genes.push_back(i);
        counts.push_back(all[i]);
      }
  }
  Genome decode(const SearchSpace& space, const double* x) const {
    Genome g = first_genome(space);
    for (std::size_t k = 0; k < genes.size(); ++k)
      g[genes[k]] = static_cast<std::uint8_t>(
          std::clamp(static_cast<int>(std::floor(x[k])), 0, counts[k] - 1));
    return canonical(space, g);
  }
  /// In the middle of a gene's interval for algorithms on real numbers.
  pagmo::vector_double encode(const Genome& g, bool integers) const {
    pagmo::vector_double x;
    for (const std::size_t gene : genes) x.push_back(g[gene] + (integers ? 0.0 : 0.5));
    return x;
  }
};

/// The problem as pagmo sees it.
struct PagmoProblem {
  IslandEvaluator* evaluator = nullptr;
  const IslandTask* task = nullptr;
  const Chromosome* chromosome = nullptr;
  bool integers = true;

  pagmo::vector_double batch_fitness(const pagmo::vector_double& xs) const {
    const std::size_t n = chromosome->genes.size();
    const std::size_t costs = get_nobj();
    std::vector<Genome> genomes;
    genomes.reserve(xs.size() / n);
    for (std::size_t i = 0; i < xs.size(); i += n)
      genomes.push_back(chromosome->decode(evaluator->space(), xs.data() + i));
    std::vector<Evaluation> evaluations;
    evaluator->evaluate(genomes, evaluations);
    pagmo::vector_double out(genomes.size() * costs);
    for (std::size_t i = 0; i < evaluations.size(); ++i)
      scaled_costs(evaluations[i], *task, out.data() + i * costs);
    return out;
  }
  pagmo::vector_double fitness(const pagmo::vector_double& x) const { return batch_fitness(x); }
  pagmo::vector_double::size_type get_nobj() const { return task->scale.low.size(); }
  pagmo::vector_double::size_type get_nix() const {
    return integers ? chromosome->genes.size() : 0;
  }
  std::pair<pagmo::vector_double, pagmo::vector_double> get_bounds() const {
    pagmo::vector_double high;
    for (const int count : chromosome->counts) high.push_back(integers ? count - 1.0 : count);
    return {pagmo::vector_double(high.size(), 0.0), high};
  }
};

/// Every generation may evaluate as many new networks as the population has.
void evolve_pagmo(const IslandTask& task, IslandEvaluator& evaluator) {
  std::vector<Genome>& population = evaluator.epoch.population;
  const auto generations = static_cast<unsigned>(
      std::min<std::int64_t>(task.options.generations, task.most_new / task.options.population));
  if (generations == 0) return;
  const Chromosome chromosome(evaluator.space());
  const bool integers = task.options.algorithm == Algorithm::nsga2;
  const auto seed = static_cast<unsigned>(task.seed);
  const PagmoProblem udp{&evaluator, &task, &chromosome, integers};
  pagmo::population pop{pagmo::problem{udp}, 0u, seed};
  std::vector<Evaluation> evaluations;
  evaluator.evaluate(population, evaluations);
  evaluator.epoch.evaluations = 0;  // these were asked for before
  pagmo::vector_double f(task.scale.low.size());
  for (std::size_t k = 0; k < population.size(); ++k) {
    scaled_costs(evaluations[k], task, f.data());
    pop.push_back(chromosome.encode(population[k], integers), f);
  }
  if (integers) {
    const double rate = 1.0 / static_cast<double>(chromosome.genes.size());
    pagmo::nsga2 algorithm(generations, 0.9, 10., rate, 20., seed);
    algorithm.set_bfe(pagmo::bfe{pagmo::member_bfe{}});
    pop = algorithm.evolve(pop);
  } else {
    pagmo::moead algorithm(generations, f.size() == 2 ? "grid" : "low discrepancy", "tchebycheff",
                           std::min<pagmo::population::size_type>(20u, population.size() - 1), 0.9,
                           0.5, 20., 0.9, 2u, true, seed);
    pop = algorithm.evolve(pop);
  }
  for (std::size_t k = 0; k < population.size(); ++k)
    population[k] = chromosome.decode(evaluator.space(), pop.get_x()[k].data());
}

/// Children of the front found so far, from this island's start of the epoch on.
void evolve_local(const IslandTask& task, IslandEvaluator& evaluator) {
  const SearchSpace& space = evaluator.space();
  Rng rng(task.seed);
  std::vector<Found> archive = task.front;
  std::vector<Genome> children;
  std::vector<Evaluation> evaluations;
  for (int generation = 0; generation < task.options.generations; ++generation) {
    children.clear();
    const auto pick = [&]() -> const Genome& {
      return archive[uniform_below(rng, archive.size())].genome;
    };
    const std::int64_t count =
        std::min<std::int64_t>(task.options.population, task.most_new - evaluator.new_networks());
    for (std::int64_t k = 0; k < count; ++k) {
      const std::uint64_t kind = uniform_below(rng, 8);
      Genome child = pick();
      if (kind < 3) child = crossover(space, child, pick(), rng);
      if (kind != 0) child = mutate(space, child, kind < 6 ? 0.0 : 0.06, rng);
      children.push_back(child);
    }
    const std::size_t before = evaluator.epoch.found.size();
    evaluator.evaluate(children, evaluations);
    join(archive, std::span(evaluator.epoch.found).subspan(before), task.options);
  }
}

void evolve_random(const IslandTask& task, IslandEvaluator& evaluator) {
  Rng rng(task.seed);
  std::vector<Genome> genomes;
  std::vector<Evaluation> evaluations;
  const std::int64_t count = std::min<std::int64_t>(
      std::int64_t{task.options.generations} * task.options.population, task.most_new);
  for (std::int64_t k = 0; k < count; ++k) genomes.push_back(sample(evaluator.space(), rng));
  evaluator.evaluate(genomes, evaluations);
}

}  // namespace

namespace {

bool is_feasible(const Found& found, const SearchOptions& options) {
  return violation(found.evaluation, options.constraints) == 0;
}

/// `join` where the archive is a front: fronts of more than two costs have thousands of members,
/// too many to compare each with each whenever a few networks are added.
void join_front(std::vector<Found>& archive, std::span<const Found> added,
                const SearchOptions& options) {
  std::vector<std::pair<Costs, const Found*>> members;
  members.reserve(archive.size() + added.size());
  for (const Found& f : archive) members.emplace_back(costs(f.evaluation, options.objectives), &f);
  bool changed = false;
  for (const Found& f : added) {
    if (!is_feasible(f, options)) continue;
    Costs c = costs(f.evaluation, options.objectives);
    if (std::any_of(members.begin(), members.end(), [&](const auto& member) {
          return member.first == c || dominates(member.first, c);
        }))
      continue;
    std::erase_if(members, [&](const auto& member) { return dominates(c, member.first); });
    members.emplace_back(std::move(c), &f);
    changed = true;
  }
  if (!changed) return;
  std::sort(members.begin(), members.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Found> joined;
  joined.reserve(members.size());
  for (const auto& member : members) joined.push_back(*member.second);
  archive = std::move(joined);
}

}  // namespace

std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ x >> 27) * 0x94D049BB133111EBull;
  return x ^ x >> 31;
}

std::uint64_t network_id(const Genome& genome) {
  std::uint64_t h = 0;
  for (const std::uint8_t g : genome) h = (h ^ g) * 0x100000001B3ull + 0x9E3779B97F4A7C15ull;
  return mix(h);
}

CostScale cost_scale(std::span<const Found> found, const std::vector<Objective>& objectives) {
  const std::size_t n = objectives.size();
  CostScale scale;
  scale.low.assign(n, std::numeric_limits<double>::infinity());
  Costs high(n, -std::numeric_limits<double>::infinity());
  for (const Found& f : found)
    for (std::size_t i = 0; i < n; ++i) {
      const double c = cost(f.evaluation, objectives[i]);
      scale.low[i] = std::min(scale.low[i], c);
      high[i] = std::max(high[i], c);
    }
  for (std::size_t i = 0; i < n; ++i)
    scale.factor.push_back(1 / std::max(high[i] - scale.low[i], 1e-9));
  return scale;
}

void join(std::vector<Found>& archive, std::span<const Found> added, const SearchOptions& options) {
  const auto feasible = [&](const Found& f) { return is_feasible(f, options); };
  if (options.objectives.size() > 2 && std::all_of(archive.begin(), archive.end(), feasible))
    return join_front(archive, added, options);
  std::vector<Found> all = archive;
  std::copy_if(added.begin(), added.end(), std::back_inserter(all), feasible);
  if (all.size() == archive.size()) return;
  std::vector<Costs> points;
  points.reserve(all.size());
  for (const Found& f : all) points.push_back(costs(f.evaluation, options.objectives));
  archive.clear();
  for (const std::size_t k : front(points)) archive.push_back(all[k]);
}

IslandEpoch thinned(IslandEpoch epoch, const IslandTask& task) {
  const SearchOptions& options = task.options;
  std::vector<Costs> known_front;
  for (const Found& f : task.front)
    if (is_feasible(f, options)) known_front.push_back(costs(f.evaluation, options.objectives));
  std::vector<Costs> points;
  std::vector<std::size_t> feasible;
  std::vector<std::pair<std::uint64_t, std::size_t>> by_id;
  std::vector<bool> keep(epoch.found.size(), false);
  for (std::size_t i = 0; i < epoch.found.size(); ++i) {
    if (!is_feasible(epoch.found[i], options)) {
      keep[i] = known_front.empty();
      continue;
    }
    feasible.push_back(i);
    points.push_back(costs(epoch.found[i].evaluation, options.objectives));
    const std::uint64_t id = network_id(epoch.found[i].genome);
    if (id < task.cloud_below) by_id.emplace_back(id, i);
  }
  for (const std::size_t k : front(points))
    keep[feasible[k]] =
        std::none_of(known_front.begin(), known_front.end(),
                     [&](const Costs& known) { return dominates(known, points[k]); });
  const auto end = by_id.begin() + static_cast<std::ptrdiff_t>(std::min(by_id.size(), cloud_size));
  std::partial_sort(by_id.begin(), end, by_id.end());
  for (auto least = by_id.begin(); least != end; ++least) keep[least->second] = true;
  std::vector<Found> kept;
  for (std::size_t i = 0; i < epoch.found.size(); ++i)
    if (keep[i]) kept.push_back(std::move(epoch.found[i]));
  epoch.found = std::move(kept);
  return epoch;
}

IslandEpoch evolve(const IslandTask& task, const Evaluator& evaluator, const Known& known) {
  IslandEvaluator island(evaluator, known, task.options);
  island.epoch.population = task.population;
  switch (task.options.algorithm) {
    case Algorithm::nsga2:
    case Algorithm::moead:
      evolve_pagmo(task, island);
      break;
    case Algorithm::local:
      evolve_local(task, island);
      break;
    case Algorithm::random:
      evolve_random(task, island);
      break;
  }
  return std::move(island.epoch);
}

IslandEpoch evaluate_first(std::span<const Genome> genomes, const SearchOptions& options,
                           std::int64_t most_new, const Evaluator& evaluator) {
  const Known nothing;
  IslandEvaluator island(evaluator, nothing, options);
  std::vector<Evaluation> evaluations;
  constexpr std::size_t batch = 64;  // between looks at `cancel`
  while (!genomes.empty() && island.new_networks() < most_new) {
    const std::size_t count = std::min(
        {genomes.size(), batch, static_cast<std::size_t>(most_new - island.new_networks())});
    island.evaluate(genomes.first(count), evaluations);
    genomes = genomes.subspan(count);
  }
  return std::move(island.epoch);
}

}  // namespace cpubone
