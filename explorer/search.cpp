#include "explorer/search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <pagmo/algorithm.hpp>
#include <pagmo/algorithms/moead.hpp>
#include <pagmo/algorithms/nsga2.hpp>
#include <pagmo/batch_evaluators/member_bfe.hpp>
#include <pagmo/bfe.hpp>
#include <pagmo/population.hpp>
#include <pagmo/problem.hpp>
#include <set>
#include <stdexcept>
#include <thread>
#include <unordered_map>

#include "graph/json_file.hpp"

namespace cpubone {
namespace {

constexpr std::array<std::string_view, 4> algorithm_names{"nsga2", "moead", "local", "random"};
constexpr std::size_t cloud_size = 800;
constexpr std::int64_t most_requests_each = 5;  // of a distinct network; small spaces run dry
constexpr double infeasible_cost = 1e6;         // above every scaled cost

std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ x >> 27) * 0x94D049BB133111EBull;
  return x ^ x >> 31;
}

std::uint64_t hash(const Genome& genome) {
  std::uint64_t h = 0;
  for (const std::uint8_t g : genome) h = (h ^ g) * 0x100000001B3ull + 0x9E3779B97F4A7C15ull;
  return mix(h);
}

struct GenomeHash {
  std::size_t operator()(const Genome& genome) const {
    return static_cast<std::size_t>(hash(genome));
  }
};
using Memo = std::unordered_map<Genome, Evaluation, GenomeHash>;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// What an island sees: everything evaluated before the epoch, and what it evaluates itself.
class IslandEvaluator {
 public:
  IslandEvaluator(const Evaluator& evaluator, const Memo& known)
      : evaluator_(evaluator), known_(known) {}

  /// Evaluations of canonical genomes, each computed once.
  void evaluate(std::span<const Genome> genomes, std::vector<Evaluation>& results) {
    const auto started = std::chrono::steady_clock::now();
    requests += static_cast<std::int64_t>(genomes.size());
    results.resize(genomes.size());
    wanted_.clear();
    positions_.clear();
    for (std::size_t i = 0; i < genomes.size(); ++i) {
      if (const auto old = known_.find(genomes[i]); old != known_.end()) {
        results[i] = old->second;
      } else if (const auto [mine, added] = own_.try_emplace(genomes[i]); !added) {
        results[i] = mine->second;
        if (!mine->second.macs) positions_.push_back(i);
      } else {
        wanted_.push_back(genomes[i]);
        positions_.push_back(i);
      }
    }
    answers_.resize(wanted_.size());
    evaluator_.evaluate(wanted_, answers_);
    for (std::size_t k = 0; k < wanted_.size(); ++k) {
      own_[wanted_[k]] = answers_[k];
      found.push_back({wanted_[k], answers_[k]});
    }
    // Also the twins of a genome within this batch.
    for (const std::size_t i : positions_) results[i] = own_[genomes[i]];
    evaluate_seconds += seconds_since(started);
  }

  const SearchSpace& space() const { return evaluator_.space(); }

  std::vector<Found> found;  ///< new to this island, in order
  std::int64_t requests = 0;
  double evaluate_seconds = 0;

 private:
  const Evaluator& evaluator_;
  const Memo& known_;
  Memo own_;
  std::vector<Genome> wanted_;
  std::vector<Evaluation> answers_;
  std::vector<std::size_t> positions_;
};

/// Costs as algorithms see them: of order one, and those of infeasible networks above all others.
class Fitness {
 public:
  Fitness(const SearchOptions& options, std::span<const Found> first) : options_(options) {
    const std::size_t n = options.objectives.size();
    low_.assign(n, std::numeric_limits<double>::infinity());
    std::vector<double> high(n, -std::numeric_limits<double>::infinity());
    for (const Found& f : first)
      for (std::size_t i = 0; i < n; ++i) {
        const double c = cost(f.evaluation, options.objectives[i]);
        low_[i] = std::min(low_[i], c);
        high[i] = std::max(high[i], c);
      }
    for (std::size_t i = 0; i < n; ++i) scale_.push_back(1 / std::max(high[i] - low_[i], 1e-9));
  }

  void operator()(const Evaluation& e, double* out) const {
    const double v = violation(e, options_.constraints);
    for (std::size_t i = 0; i < scale_.size(); ++i)
      out[i] = v > 0 ? infeasible_cost * (1 + v)
                     : (cost(e, options_.objectives[i]) - low_[i]) * scale_[i];
  }
  std::size_t size() const { return scale_.size(); }

 private:
  const SearchOptions& options_;
  std::vector<double> low_;
  std::vector<double> scale_;
};

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
    Genome g{};
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
  const Fitness* cost = nullptr;
  const Chromosome* chromosome = nullptr;
  bool integers = true;

  pagmo::vector_double batch_fitness(const pagmo::vector_double& xs) const {
    const std::size_t n = chromosome->genes.size();
    std::vector<Genome> genomes;
    genomes.reserve(xs.size() / n);
    for (std::size_t i = 0; i < xs.size(); i += n)
      genomes.push_back(chromosome->decode(evaluator->space(), xs.data() + i));
    std::vector<Evaluation> evaluations;
    evaluator->evaluate(genomes, evaluations);
    pagmo::vector_double out(genomes.size() * cost->size());
    for (std::size_t i = 0; i < evaluations.size(); ++i)
      (*cost)(evaluations[i], out.data() + i * cost->size());
    return out;
  }
  pagmo::vector_double fitness(const pagmo::vector_double& x) const { return batch_fitness(x); }
  pagmo::vector_double::size_type get_nobj() const { return cost->size(); }
  pagmo::vector_double::size_type get_nix() const {
    return integers ? chromosome->genes.size() : 0;
  }
  std::pair<pagmo::vector_double, pagmo::vector_double> get_bounds() const {
    pagmo::vector_double high;
    for (const int count : chromosome->counts) high.push_back(integers ? count - 1.0 : count);
    return {pagmo::vector_double(high.size(), 0.0), high};
  }
};

struct Island {
  std::vector<Genome> population;
};

class Search {
 public:
  Search(const Evaluator& evaluator, const SearchOptions& options)
      : evaluator_(evaluator),
        space_(evaluator.space()),
        options_(options),
        chromosome_(space_),
        started_(std::chrono::steady_clock::now()) {
    check_options();
    islands_.resize(static_cast<std::size_t>(options.islands));
  }

  SearchResult run() {
    check_feasible();
    begin();
    if (options_.resume && !options_.checkpoint.empty() &&
        std::filesystem::exists(options_.checkpoint))
      load_checkpoint();
    auto saved = std::chrono::steady_clock::now();
    const std::int64_t most_requests = most_requests_each * options_.evaluations;
    // A space that is not much larger than the budget can run dry; then random samples remain.
    while (distinct() < options_.evaluations && result_.evaluations < most_requests &&
           static_cast<double>(distinct()) < size(space_)) {
      if (options_.cancel && options_.cancel->load()) {
        result_.cancelled = true;
        break;
      }
      epoch();
      if (options_.progress)
        options_.progress(std::min(1.0, static_cast<double>(distinct()) /
                                            static_cast<double>(options_.evaluations)),
                          fmt::format("{} networks, {} on the front", distinct(), archive_.size()));
      if (!options_.checkpoint.empty() && seconds_since(saved) > 2) {
        save_checkpoint();
        saved = std::chrono::steady_clock::now();
      }
    }
    if (!options_.checkpoint.empty()) save_checkpoint();
    result_.front = archive_;
    for (const auto& [order, found] : cloud_) result_.cloud.push_back(found);
    result_.distinct = distinct();
    result_.seconds = seconds_since(started_);
    return std::move(result_);
  }

 private:
  std::int64_t distinct() const { return static_cast<std::int64_t>(memo_.size()); }

  void check_options() const {
    const auto fail = [](const std::string& what) {
      throw std::invalid_argument("search: " + what);
    };
    const auto& o = options_;
    if (o.objectives.empty() || o.objectives.size() > 3)
      fail(fmt::format("expected one to three objectives, got {}", o.objectives.size()));
    const std::set<Objective> different(o.objectives.begin(), o.objectives.end());
    if (different.size() != o.objectives.size()) fail("an objective is given twice");
    if (o.objectives.size() == 1 && o.algorithm != Algorithm::local &&
        o.algorithm != Algorithm::random)
      fail(fmt::format("{} needs two or three objectives, got 1", name(o.algorithm)));
    if (o.evaluations < 1) fail(fmt::format("evaluations must be >= 1, got {}", o.evaluations));
    if (o.islands < 1 || o.islands > 64)
      fail(fmt::format("islands must be in 1..64, got {}", o.islands));
    if (o.population < 8 || o.population % 4 != 0)
      fail(fmt::format("population must be a multiple of 4 and >= 8, got {}", o.population));
    if (o.generations < 1) fail(fmt::format("generations must be >= 1, got {}", o.generations));
    if (o.threads < 1 || o.threads > 1024)
      fail(fmt::format("threads must be in 1..1024, got {}", o.threads));
    for (const Constraint& c : o.constraints)
      if (!std::isfinite(c.limit) || c.limit <= 0)
        fail(fmt::format("limit of {} must be positive, got {}", name(c.objective), c.limit));
    for (const Genome& g : o.start) check(space_, g);
  }

  double violation_of(const Genome& genome, Evaluation& evaluation) const {
    evaluation = evaluator_.evaluate(genome);
    return violation(evaluation, options_.constraints);
  }

  /// Descends in the violation, gene by gene, from a few networks. Ends at the first feasible one.
  void check_feasible() const {
    if (options_.constraints.empty()) return;
    Rng rng(mix(options_.seed));
    std::vector<Genome> starts{Genome{}};
    for (const Genome& g : options_.start) starts.push_back(g);
    for (int i = 0; i < 8; ++i) starts.push_back(sample(space_, rng));
    Genome best{};
    Evaluation best_evaluation;
    double least = std::numeric_limits<double>::infinity();
    const auto consider = [&](const Genome& genome) {
      Evaluation e;
      const double v = violation_of(genome, e);
      if (v < least) {
        least = v;
        best = genome;
        best_evaluation = e;
      }
      return v;
    };
    for (Genome now : starts) {
      double here = consider(now);
      for (bool better = true; better && least > 0;) {
        better = false;
        for (std::size_t k = 0; k < chromosome_.genes.size() && least > 0; ++k)
          for (int v = 0; v < chromosome_.counts[k]; ++v) {
            Genome next = now;
            next[chromosome_.genes[k]] = static_cast<std::uint8_t>(v);
            const double there = consider(next);
            if (there < here) {
              here = there;
              now = next;
              better = true;
            }
          }
      }
      if (least == 0) return;
    }
    // Several constraints can trap a descent by single genes.
    if (options_.constraints.size() > 1)
      for (int i = 0; i < 20'000; ++i)
        if (consider(mutate(space_, best, 0.05, rng)) == 0) return;
    std::string wanted;
    std::string got;
    for (const Constraint& c : options_.constraints) {
      const char* separator = wanted.empty() ? "" : " and ";
      fmt::format_to(std::back_inserter(wanted), "{}{} {} {:g} {}", separator, name(c.objective),
                     c.objective == Objective::top1 ? ">=" : "<=", c.limit, unit(c.objective));
      fmt::format_to(std::back_inserter(got), "{}{} {:.4g} {}", separator, name(c.objective),
                     value(best_evaluation, c.objective), unit(c.objective));
    }
    throw Infeasible(fmt::format("no network of the space \"{}\" meets {}; the nearest has {}: {}",
                                 space_.name, wanted, got, describe(decode(space_, best))));
  }

  /// First networks of all islands: the given ones, then samples.
  void begin() {
    std::vector<Genome> start;
    for (const Genome& g : options_.start) start.push_back(canonical(space_, g));
    IslandEvaluator evaluator(evaluator_, memo_);
    std::vector<Evaluation> evaluations;
    for (std::size_t i = 0; i < islands_.size(); ++i) {
      Rng rng(seed_of(i, 0));
      auto& population = islands_[i].population;
      population = start;
      if (population.size() > population_size()) population.resize(population_size());
      while (population.size() < population_size()) population.push_back(sample(space_, rng));
      evaluator.evaluate(population, evaluations);
    }
    fitness_ = std::make_unique<Fitness>(options_, evaluator.found);
    account(evaluator);
    close_epoch();
  }

  std::size_t population_size() const { return static_cast<std::size_t>(options_.population); }

  std::uint64_t seed_of(std::size_t island, std::int64_t epoch) const {
    return mix(mix(options_.seed) + mix(island + 1) * 3 + static_cast<std::uint64_t>(epoch) * 5);
  }

  void epoch() {
    ++epoch_;
    std::vector<std::unique_ptr<IslandEvaluator>> evaluators;
    for (std::size_t i = 0; i < islands_.size(); ++i)
      evaluators.push_back(std::make_unique<IslandEvaluator>(evaluator_, memo_));
    std::vector<double> busy(islands_.size());
    std::vector<std::exception_ptr> errors(islands_.size());
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
      for (std::size_t i = next++; i < islands_.size(); i = next++) {
        const auto started = std::chrono::steady_clock::now();
        try {
          evolve(i, *evaluators[i]);
        } catch (...) {
          errors[i] = std::current_exception();
        }
        busy[i] = seconds_since(started);
      }
    };
    const std::size_t threads =
        std::min(static_cast<std::size_t>(options_.threads), islands_.size());
    std::vector<std::thread> helpers;
    for (std::size_t t = 1; t < threads; ++t) helpers.emplace_back(work);
    work();
    for (std::thread& helper : helpers) helper.join();
    for (const std::exception_ptr& error : errors)
      if (error) std::rethrow_exception(error);
    for (std::size_t i = 0; i < islands_.size(); ++i) {
      account(*evaluators[i]);
      result_.busy_seconds += busy[i];
    }
    migrate();
    close_epoch();
  }

  /// One epoch of one island; touches nothing but that island and its evaluator.
  void evolve(std::size_t i, IslandEvaluator& evaluator) {
    switch (options_.algorithm) {
      case Algorithm::nsga2:
      case Algorithm::moead:
        return evolve_pagmo(i, evaluator);
      case Algorithm::local:
        return evolve_local(i, evaluator);
      case Algorithm::random:
        return evolve_random(i, evaluator);
    }
  }

  void evolve_pagmo(std::size_t i, IslandEvaluator& evaluator) {
    auto& population = islands_[i].population;
    const bool integers = options_.algorithm == Algorithm::nsga2;
    const auto seed = static_cast<unsigned>(seed_of(i, epoch_));
    const PagmoProblem udp{&evaluator, fitness_.get(), &chromosome_, integers};
    pagmo::population pop{pagmo::problem{udp}, 0u, seed};
    std::vector<Evaluation> evaluations;
    evaluator.evaluate(population, evaluations);
    evaluator.requests -= static_cast<std::int64_t>(population.size());
    pagmo::vector_double f(fitness_->size());
    for (std::size_t k = 0; k < population.size(); ++k) {
      (*fitness_)(evaluations[k], f.data());
      pop.push_back(chromosome_.encode(population[k], integers), f);
    }
    const auto generations = static_cast<unsigned>(options_.generations);
    if (integers) {
      const double rate = 1.0 / static_cast<double>(chromosome_.genes.size());
      pagmo::nsga2 algorithm(generations, 0.9, 10., rate, 20., seed);
      algorithm.set_bfe(pagmo::bfe{pagmo::member_bfe{}});
      pop = algorithm.evolve(pop);
    } else {
      pagmo::moead algorithm(generations, fitness_->size() == 2 ? "grid" : "low discrepancy",
                             "tchebycheff",
                             std::min<pagmo::population::size_type>(20u, population.size() - 1),
                             0.9, 0.5, 20., 0.9, 2u, true, seed);
      pop = algorithm.evolve(pop);
    }
    for (std::size_t k = 0; k < population.size(); ++k)
      population[k] = chromosome_.decode(space_, pop.get_x()[k].data());
  }

  /// Children of the front found so far, from this island's start of the epoch on.
  void evolve_local(std::size_t i, IslandEvaluator& evaluator) {
    Rng rng(seed_of(i, epoch_));
    std::vector<Found> archive = archive_;
    if (archive.empty()) archive = least_violating_;
    std::vector<Genome> children;
    std::vector<Evaluation> evaluations;
    for (int generation = 0; generation < options_.generations; ++generation) {
      children.clear();
      const auto pick = [&]() -> const Genome& {
        return archive[uniform_below(rng, archive.size())].genome;
      };
      for (int k = 0; k < options_.population; ++k) {
        const std::uint64_t kind = uniform_below(rng, 8);
        Genome child = pick();
        if (kind < 3) child = crossover(space_, child, pick(), rng);
        if (kind != 0) child = mutate(space_, child, kind < 6 ? 0.0 : 0.06, rng);
        children.push_back(child);
      }
      const std::size_t before = evaluator.found.size();
      evaluator.evaluate(children, evaluations);
      join(archive, std::span(evaluator.found).subspan(before));
    }
    // What the island found is merged from its evaluator.
  }

  void evolve_random(std::size_t i, IslandEvaluator& evaluator) {
    Rng rng(seed_of(i, epoch_));
    std::vector<Genome> genomes;
    std::vector<Evaluation> evaluations;
    for (int k = 0; k < options_.generations * options_.population; ++k)
      genomes.push_back(sample(space_, rng));
    evaluator.evaluate(genomes, evaluations);
  }

  /// The front of an archive and new networks.
  void join(std::vector<Found>& archive, std::span<const Found> added) const {
    std::vector<Found> all = archive;
    for (const Found& f : added)
      if (violation(f.evaluation, options_.constraints) == 0) all.push_back(f);
    if (all.size() == archive.size()) return;
    std::vector<Costs> points;
    points.reserve(all.size());
    for (const Found& f : all) points.push_back(costs(f.evaluation, options_.objectives));
    archive.clear();
    for (const std::size_t k : front(points)) archive.push_back(all[k]);
  }

  void account(IslandEvaluator& evaluator) {
    result_.evaluations += evaluator.requests;
    result_.evaluate_seconds += evaluator.evaluate_seconds;
    std::vector<Found> fresh;
    for (const Found& f : evaluator.found)
      if (memo_.emplace(f.genome, f.evaluation).second) fresh.push_back(f);
    for (const Found& f : fresh) {
      if (violation(f.evaluation, options_.constraints) == 0) {
        // The networks with the least hashes are a sample that no order of evaluation changes.
        cloud_.emplace_back(hash(f.genome), f);
      } else {
        least_violating_.push_back(f);
      }
    }
    if (cloud_.size() > 4 * cloud_size) shrink_cloud();
    if (least_violating_.size() > 64) {
      std::stable_sort(least_violating_.begin(), least_violating_.end(),
                       [&](const Found& a, const Found& b) {
                         return violation(a.evaluation, options_.constraints) <
                                violation(b.evaluation, options_.constraints);
                       });
      least_violating_.resize(32);
    }
    join(archive_, fresh);
  }

  void shrink_cloud() {
    std::sort(cloud_.begin(), cloud_.end(), [](const auto& a, const auto& b) {
      return std::pair(a.first, a.second.genome) < std::pair(b.first, b.second.genome);
    });
    if (cloud_.size() > cloud_size) cloud_.resize(cloud_size);
  }

  /// A ring: the last networks of an island's population give way to the front's.
  void migrate() {
    if (options_.algorithm != Algorithm::nsga2 && options_.algorithm != Algorithm::moead) return;
    if (archive_.empty()) return;
    for (std::size_t i = 0; i < islands_.size(); ++i) {
      Rng rng(seed_of(i, -epoch_));
      auto& population = islands_[i].population;
      for (std::size_t k = 0; k < population.size() / 20 + 1; ++k)
        population[uniform_below(rng, population.size())] =
            archive_[uniform_below(rng, archive_.size())].genome;
    }
  }

  void close_epoch() {
    shrink_cloud();
    std::vector<Costs> points;
    for (const Found& f : archive_) points.push_back(costs(f.evaluation, options_.objectives));
    if (result_.reference.empty() && !cloud_.empty()) {
      result_.reference = costs(cloud_.front().second.evaluation, options_.objectives);
      for (const auto& [order, f] : cloud_) {
        const Costs c = costs(f.evaluation, options_.objectives);
        for (std::size_t i = 0; i < c.size(); ++i)
          result_.reference[i] = std::max(result_.reference[i], c[i]);
      }
    }
    if (!result_.reference.empty())
      result_.hypervolume.push_back({distinct(), hypervolume(points, result_.reference)});
  }

  std::string identity() const {
    nlohmann::json constraints = nlohmann::json::array();
    for (const Constraint& c : options_.constraints)
      constraints.push_back({name(c.objective), c.limit});
    nlohmann::json objectives = nlohmann::json::array();
    for (const Objective o : options_.objectives) objectives.push_back(name(o));
    std::string start;
    for (const Genome& g : options_.start) start += hex(g);
    return nlohmann::json{{"algorithm", name(options_.algorithm)},
                          {"objectives", objectives},
                          {"constraints", constraints},
                          {"islands", options_.islands},
                          {"population", options_.population},
                          {"generations", options_.generations},
                          {"seed", options_.seed},
                          {"start", start},
                          {"space", to_json(space_)}}
        .dump();
  }

  static std::string hex(const Genome& genome) {
    std::string text;
    for (const std::uint8_t g : genome) fmt::format_to(std::back_inserter(text), "{:02x}", g);
    return text;
  }

  Genome unhex(const JsonReader& json) const {
    const std::string text = json.string();
    Genome genome{};
    if (text.size() != 2 * genome.size())
      json.fail(fmt::format("{} hexadecimal digits", 2 * genome.size()));
    for (std::size_t i = 0; i < genome.size(); ++i) {
      const std::string pair = text.substr(2 * i, 2);
      if (pair.find_first_not_of("0123456789abcdef") != std::string::npos)
        json.fail("hexadecimal digits");
      genome[i] = static_cast<std::uint8_t>(std::stoi(pair, nullptr, 16));
    }
    try {
      check(space_, genome);
    } catch (const std::invalid_argument& e) {
      json.fail_because(e.what());
    }
    return genome;
  }

  void save_checkpoint() const {
    nlohmann::json islands = nlohmann::json::array();
    for (const Island& island : islands_) {
      nlohmann::json population = nlohmann::json::array();
      for (const Genome& g : island.population) population.push_back(hex(g));
      islands.push_back(population);
    }
    nlohmann::json known = nlohmann::json::array();
    for (const auto& [genome, evaluation] : memo_) known.push_back(hex(genome));
    std::sort(known.begin(), known.end());
    nlohmann::json front = nlohmann::json::array();
    for (const Found& f : archive_) front.push_back(hex(f.genome));
    nlohmann::json curve = nlohmann::json::array();
    for (const HypervolumePoint& p : result_.hypervolume) curve.push_back({p.evaluations, p.value});
    nlohmann::json nearest = nlohmann::json::array();
    for (const Found& f : least_violating_) nearest.push_back(hex(f.genome));
    write_json_file({{"schema", "cpubone/search/1"},
                     {"search", identity()},
                     {"epoch", epoch_},
                     {"evaluations", result_.evaluations},
                     {"reference", result_.reference},
                     {"hypervolume", curve},
                     {"islands", islands},
                     {"known", known},
                     {"front", front},
                     {"nearest", nearest}},
                    options_.checkpoint, -1);
  }

  void load_checkpoint() {
    load(options_.checkpoint, [&](const JsonReader& json) {
      json.expect_schema("search");
      json.expect_keys({"schema", "search", "epoch", "evaluations", "reference", "hypervolume",
                        "islands", "known", "front", "nearest"});
      if (json.at("search").string() != identity())
        json.at("search").fail_because(
            "this checkpoint is of a search with other options or another space; remove it or "
            "search without resuming");
      const auto read = [&](const JsonReader& list) {
        std::vector<Genome> genomes;
        list.each([&](const JsonReader& item) { genomes.push_back(unhex(item)); });
        return genomes;
      };
      const auto evaluated = [&](const std::vector<Genome>& genomes) {
        std::vector<Evaluation> evaluations(genomes.size());
        evaluator_.evaluate(genomes, evaluations);
        std::vector<Found> found;
        for (std::size_t i = 0; i < genomes.size(); ++i)
          found.push_back({genomes[i], evaluations[i]});
        return found;
      };
      std::vector<Island> islands;
      json.at("islands").each([&](const JsonReader& item) { islands.push_back({read(item)}); });
      const bool sizes = std::all_of(islands.begin(), islands.end(), [&](const Island& island) {
        return island.population.size() == population_size();
      });
      if (islands.size() != islands_.size() || !sizes)
        json.at("islands").fail(
            fmt::format("{} populations of {}", options_.islands, options_.population));
      islands_ = islands;
      epoch_ = json.at("epoch").integer(0, std::int64_t{1} << 40);
      result_.evaluations = json.at("evaluations").integer(0, std::int64_t{1} << 50);
      result_.reference.clear();
      json.at("reference").each([&](const JsonReader& item) {
        result_.reference.push_back(item.number());
      });
      if (result_.reference.size() != options_.objectives.size())
        json.at("reference").fail(fmt::format("{} costs", options_.objectives.size()));
      result_.hypervolume.clear();
      json.at("hypervolume").each([&](const JsonReader& item) {
        std::vector<double> pair;
        item.each([&](const JsonReader& number) { pair.push_back(number.number()); });
        if (pair.size() != 2) item.fail("[evaluations, hypervolume]");
        result_.hypervolume.push_back({static_cast<std::int64_t>(pair[0]), pair[1]});
      });
      memo_.clear();
      cloud_.clear();
      for (const Found& f : evaluated(read(json.at("known")))) {
        memo_.emplace(f.genome, f.evaluation);
        if (violation(f.evaluation, options_.constraints) == 0)
          cloud_.emplace_back(hash(f.genome), f);
      }
      shrink_cloud();
      archive_ = evaluated(read(json.at("front")));
      least_violating_ = evaluated(read(json.at("nearest")));
      return 0;
    });
  }

  const Evaluator& evaluator_;
  const SearchSpace& space_;
  const SearchOptions& options_;
  Chromosome chromosome_;
  std::chrono::steady_clock::time_point started_;
  std::vector<Island> islands_;
  std::unique_ptr<Fitness> fitness_;
  Memo memo_;
  std::vector<Found> archive_;
  std::vector<Found> least_violating_;
  std::vector<std::pair<std::uint64_t, Found>> cloud_;
  std::int64_t epoch_ = 0;
  SearchResult result_;
};

}  // namespace

std::string_view name(Algorithm algorithm) {
  return algorithm_names[static_cast<std::size_t>(algorithm)];
}

Algorithm parse_algorithm(std::string_view text) {
  const auto found = std::find(algorithm_names.begin(), algorithm_names.end(), text);
  if (found == algorithm_names.end())
    throw std::invalid_argument(
        fmt::format("algorithm: got \"{}\", expected nsga2, moead, local or random", text));
  return static_cast<Algorithm>(found - algorithm_names.begin());
}

Costs costs(const Evaluation& evaluation, const std::vector<Objective>& objectives) {
  Costs c;
  for (const Objective o : objectives) c.push_back(cost(evaluation, o));
  return c;
}

SearchResult search(const Evaluator& evaluator, const SearchOptions& options) {
  return Search(evaluator, options).run();
}

}  // namespace cpubone
