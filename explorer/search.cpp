#include "explorer/search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <set>
#include <stdexcept>
#include <thread>

#include "explorer/checkpoint.hpp"
#include "explorer/feasibility.hpp"
#include "explorer/island.hpp"

namespace cpubone {
namespace {

constexpr std::array<std::string_view, 4> algorithm_names{"nsga2", "moead", "local", "random"};
constexpr std::int64_t most_requests_each = 5;  // of a distinct network; small spaces run dry
constexpr double checkpoint_seconds = 2;
constexpr std::size_t most_volume_costs = 3;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

bool uses_populations(Algorithm algorithm) {
  return algorithm == Algorithm::nsga2 || algorithm == Algorithm::moead;
}

void check_options(const SearchOptions& o, const Evaluator& evaluator) {
  const auto fail = [](const std::string& what) { throw std::invalid_argument("search: " + what); };
  const SearchSpace& space = evaluator.space();
  if (o.objectives.empty() || o.objectives.size() > 4)
    fail(fmt::format("expected one to four objectives, got {}", o.objectives.size()));
  const std::set<Objective> different(o.objectives.begin(), o.objectives.end());
  if (different.size() != o.objectives.size()) fail("an objective is given twice");
  if (o.objectives.size() == 1 && uses_populations(o.algorithm))
    fail(fmt::format("{} needs two objectives or more, got 1", name(o.algorithm)));
  if (!o.reference.empty() && o.reference.size() != o.objectives.size())
    fail(fmt::format("reference must have {} costs, got {}", o.objectives.size(),
                     o.reference.size()));
  if (o.evaluations < 1) fail(fmt::format("evaluations must be >= 1, got {}", o.evaluations));
  if (std::isnan(o.budget_seconds)) fail("budget_seconds must be a number, got NaN");
  if (o.islands < 1 || o.islands > 64)
    fail(fmt::format("islands must be in 1..64, got {}", o.islands));
  if (o.population < 8 || o.population % 4 != 0)
    fail(fmt::format("population must be a multiple of 4 and >= 8, got {}", o.population));
  if (o.generations < 1) fail(fmt::format("generations must be >= 1, got {}", o.generations));
  if (o.threads < 1 || o.threads > 1024)
    fail(fmt::format("threads must be in 1..1024, got {}", o.threads));
  const auto check_device = [&](Objective objective) {
    if (device_of(objective) > evaluator.elsewhere().size())
      fail(fmt::format("{} needs {} devices, got {}", name(objective), device_of(objective) + 1,
                       evaluator.elsewhere().size() + 1));
  };
  std::for_each(o.objectives.begin(), o.objectives.end(), check_device);
  for (const Constraint& c : o.constraints) check_device(c.objective);
  for (const Constraint& c : o.constraints)
    if (!std::isfinite(c.limit) || c.limit <= 0)
      fail(fmt::format("limit of {} must be positive, got {}", name(c.objective), c.limit));
  for (const Genome& g : o.start) check(space, g);
}

class Search {
 public:
  Search(const Evaluator& evaluator, const SearchOptions& options)
      : evaluator_(evaluator), options_(options), started_(std::chrono::steady_clock::now()) {
    check_options(options, evaluator);
  }

  SearchResult run() {
    try {
      search();
    } catch (const Cancelled&) {
      result_.cancelled = true;
    }
    if (writer_) writer_->write(state_);
    result_.front = std::move(state_.front);
    result_.cloud = std::move(state_.cloud);
    result_.networks = std::move(state_.networks);
    result_.hypervolume = std::move(state_.hypervolume);
    result_.reference = std::move(state_.reference);
    result_.evaluations = state_.evaluations;
    result_.seconds = seconds_since(started_);
    return std::move(result_);
  }

 private:
  void search() {
    const bool resumes = options_.resume && !options_.checkpoint.empty() &&
                         std::filesystem::exists(options_.checkpoint);
    if (!resumes) check_feasible(evaluator_, options_);
    begin();
    if (resumes) {
      state_ = load_checkpoint(evaluator_, options_);
      for (const std::uint64_t id : state_.networks) known_.try_emplace(id);
    }
    if (!options_.checkpoint.empty()) {
      if (!resumes) remove_checkpoint(options_.checkpoint);
      writer_.emplace(evaluator_.space(), options_, resumes ? state_.networks.size() : 0);
    }
    auto saved = std::chrono::steady_clock::now();
    // A space that is not much larger than the budget can run dry; then random samples remain.
    const std::int64_t most_requests = most_requests_each * options_.evaluations;
    const std::int64_t least_epoch = uses_populations(options_.algorithm) ? options_.population : 1;
    while (left() >= least_epoch && state_.evaluations < most_requests &&
           static_cast<double>(distinct()) < size(evaluator_.space())) {
      if (options_.cancel && options_.cancel->load()) throw Cancelled{};
      if (seconds_since(started_) > options_.budget_seconds) {
        result_.out_of_time = true;
        return;
      }
      run_epoch();
      if (options_.progress)
        options_.progress(
            static_cast<double>(distinct()) / static_cast<double>(options_.evaluations),
            fmt::format("{} networks, {} on the front", distinct(), state_.front.size()));
      if (writer_ && seconds_since(saved) > checkpoint_seconds) {
        writer_->write(state_);
        saved = std::chrono::steady_clock::now();
      }
    }
  }

  std::int64_t distinct() const { return static_cast<std::int64_t>(state_.networks.size()); }
  std::int64_t left() const { return options_.evaluations - distinct(); }

  std::uint64_t seed_of(std::size_t island, std::int64_t epoch) const {
    return mix(mix(options_.seed) + mix(island + 1) * 3 + static_cast<std::uint64_t>(epoch) * 5);
  }

  /// First networks of all islands: the given ones, then samples.
  void begin() {
    const SearchSpace& space = evaluator_.space();
    const auto population_size = static_cast<std::size_t>(options_.population);
    std::vector<Genome> start;
    for (const Genome& g : options_.start)
      if (start.size() < population_size) start.push_back(canonical(space, g));
    std::vector<Genome> all;
    for (std::size_t i = 0; i < static_cast<std::size_t>(options_.islands); ++i) {
      Rng rng(seed_of(i, 0));
      std::vector<Genome> population = start;
      while (population.size() < population_size) population.push_back(sample(space, rng));
      all.insert(all.end(), population.begin(), population.end());
      state_.populations.push_back(std::move(population));
    }
    const IslandEpoch first = evaluate_first(all, options_, options_.evaluations, evaluator_);
    scale_ = cost_scale(first.found, options_.objectives);
    state_.reference = options_.reference;
    account(first);
    close_epoch();
  }

  void run_epoch() {
    ++state_.epoch;
    const std::size_t islands = state_.populations.size();
    std::vector<IslandTask> tasks;
    const std::uint64_t cloud_below = state_.cloud.size() < cloud_size
                                          ? std::numeric_limits<std::uint64_t>::max()
                                          : network_id(state_.cloud.back().genome);
    std::int64_t unassigned = left();
    for (std::size_t i = 0; i < islands; ++i) {
      const std::int64_t most_new =
          std::min(std::int64_t{options_.generations} * options_.population, unassigned);
      unassigned -= most_new;
      tasks.push_back({options_, scale_, seed_of(i, state_.epoch), most_new, state_.populations[i],
                       state_.front.empty() ? state_.nearest : state_.front, cloud_below});
    }
    // How many networks a part of an epoch may evaluate depends on what is known already, which is
    // known here only.
    const bool is_whole = std::all_of(tasks.begin(), tasks.end(), [&](const IslandTask& task) {
      return task.most_new == std::int64_t{options_.generations} * options_.population;
    });
    std::vector<IslandEpoch> epochs =
        options_.evolve && is_whole ? options_.evolve(tasks, evaluator_) : evolve_here(tasks);
    for (std::size_t i = 0; i < islands; ++i) {
      state_.populations[i] = std::move(epochs[i].population);
      account(epochs[i]);
    }
    migrate();
    close_epoch();
  }

  std::vector<IslandEpoch> evolve_here(std::span<const IslandTask> tasks) {
    const std::size_t islands = tasks.size();
    std::vector<IslandEpoch> epochs(islands);
    std::vector<double> busy_seconds(islands);
    std::vector<std::exception_ptr> errors(islands);
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
      for (std::size_t i = next++; i < islands; i = next++) {
        const auto started = std::chrono::steady_clock::now();
        try {
          epochs[i] = evolve(tasks[i], evaluator_, known_);
        } catch (...) {
          errors[i] = std::current_exception();
        }
        busy_seconds[i] = seconds_since(started);
      }
    };
    const std::size_t threads = std::min(static_cast<std::size_t>(options_.threads), islands);
    std::vector<std::thread> helpers;
    for (std::size_t t = 1; t < threads; ++t) helpers.emplace_back(work);
    work();
    for (std::thread& helper : helpers) helper.join();
    for (const std::exception_ptr& error : errors)
      if (error) std::rethrow_exception(error);
    for (const double seconds : busy_seconds) result_.busy_seconds += seconds;
    return epochs;
  }

  void account(const IslandEpoch& epoch) {
    state_.evaluations += epoch.evaluations;
    result_.evaluate_seconds += epoch.evaluate_seconds;
    std::vector<Found> fresh;
    auto found = epoch.found.begin();
    for (const std::uint64_t id : epoch.networks) {
      const auto [known, is_new] = known_.try_emplace(id);
      if (is_new) state_.networks.push_back(id);
      if (found == epoch.found.end() || network_id(found->genome) != id) continue;
      if (is_new) {
        known->second = found->evaluation;
        fresh.push_back(*found);
      }
      ++found;
    }
    for (const Found& f : fresh)
      (violation(f.evaluation, options_.constraints) == 0 ? state_.cloud : state_.nearest)
          .push_back(f);
    if (state_.cloud.size() > 4 * cloud_size) shrink_cloud();
    if (state_.nearest.size() > 64) {
      std::stable_sort(state_.nearest.begin(), state_.nearest.end(),
                       [&](const Found& a, const Found& b) {
                         return violation(a.evaluation, options_.constraints) <
                                violation(b.evaluation, options_.constraints);
                       });
      state_.nearest.resize(32);
    }
    join(state_.front, fresh, options_);
  }

  /// The networks with the least ids are a sample that no order of evaluation changes; the largest
  /// of them is the last.
  void shrink_cloud() {
    std::sort(state_.cloud.begin(), state_.cloud.end(), [](const Found& a, const Found& b) {
      return network_id(a.genome) < network_id(b.genome);
    });
    if (state_.cloud.size() > cloud_size) state_.cloud.resize(cloud_size);
  }

  /// A ring: the last networks of an island's population give way to the front's.
  void migrate() {
    if (!uses_populations(options_.algorithm) || state_.front.empty()) return;
    for (std::size_t i = 0; i < state_.populations.size(); ++i) {
      Rng rng(seed_of(i, -state_.epoch));
      auto& population = state_.populations[i];
      for (std::size_t k = 0; k < population.size() / 20 + 1; ++k)
        population[uniform_below(rng, population.size())] =
            state_.front[uniform_below(rng, state_.front.size())].genome;
    }
  }

  void close_epoch() {
    shrink_cloud();
    if (state_.reference.empty() && !state_.cloud.empty()) {
      state_.reference = costs(state_.cloud.front().evaluation, options_.objectives);
      for (const Found& f : state_.cloud) {
        const Costs c = costs(f.evaluation, options_.objectives);
        for (std::size_t i = 0; i < c.size(); ++i)
          state_.reference[i] = std::max(state_.reference[i], c[i]);
      }
    }
    if (state_.reference.empty() || options_.objectives.size() > most_volume_costs) return;
    std::vector<Costs> points;
    for (const Found& f : state_.front) points.push_back(costs(f.evaluation, options_.objectives));
    state_.hypervolume.push_back({distinct(), hypervolume(points, state_.reference)});
  }

  const Evaluator& evaluator_;
  const SearchOptions& options_;
  std::chrono::steady_clock::time_point started_;
  CostScale scale_;
  Known known_;
  SearchState state_;
  std::optional<CheckpointWriter> writer_;
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

void merge(SearchTotals& totals, const SearchResult& result) {
  if (totals.reference.empty()) totals.reference = result.reference;
  if (!result.reference.empty() && result.reference != totals.reference)
    throw std::invalid_argument(
        "merge: the hypervolumes of two searches are over different "
        "references");
  totals.evaluations += result.evaluations;
  std::size_t counted = 0;
  const auto count_to = [&](std::int64_t end) {
    for (; counted < static_cast<std::size_t>(end) && counted < result.networks.size(); ++counted)
      totals.networks.insert(result.networks[counted]);
  };
  for (const HypervolumePoint& point : result.hypervolume) {
    count_to(point.evaluations);
    totals.hypervolume.push_back({totals.distinct(), point.value});
  }
  count_to(result.distinct());
}

SearchResult search(const Evaluator& evaluator, const SearchOptions& options) {
  return Search(evaluator, options).run();
}

}  // namespace cpubone
