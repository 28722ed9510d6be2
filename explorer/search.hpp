#pragma once
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "explorer/evaluator.hpp"
#include "explorer/pareto.hpp"
#include "graph/error.hpp"

namespace cpubone {

enum class Algorithm {
  nsga2,   ///< pagmo's NSGA-II
  moead,   ///< pagmo's MOEA/D-DE
  local,   ///< changes members of the front found so far
  random,  ///< uniform samples
};
/// `nsga2`, `moead`, `local` or `random`.
std::string_view name(Algorithm algorithm);
/// Throws std::invalid_argument listing the known ones.
Algorithm parse_algorithm(std::string_view text);

struct IslandTask;
struct IslandEpoch;
/// Runs an epoch of each of these islands, e.g. in other processes, as `evolve` does that knows of
/// no networks before (explorer/island.hpp). May throw Cancelled.
using EvolveIslands =
    std::function<std::vector<IslandEpoch>(std::span<const IslandTask>, const Evaluator&)>;

/// How to search. Results depend on everything here but `threads`, `checkpoint` and the callbacks,
/// where the budget suffices.
struct SearchOptions {
  Algorithm algorithm = Algorithm::nsga2;
  std::vector<Objective> objectives{Objective::latency, Objective::top1};  ///< one to four
  std::vector<Constraint> constraints;
  std::int64_t evaluations = 100'000;  ///< distinct networks that the algorithm evaluates, at most
  double budget_seconds = std::numeric_limits<double>::infinity();  ///< no epoch starts after it
  int islands = 4;
  int population = 100;  ///< of an island; for nsga2 a multiple of 4
  int generations = 5;   ///< of an epoch, after which islands exchange their best
  std::uint64_t seed = 1;
  int threads = 1;
  std::vector<Genome> start;  ///< evaluated first, e.g. the published members
  /// Of the hypervolume; empty: the worst of the first epoch's networks. Fronts of four costs are
  /// too large for their hypervolume to be computed.
  Costs reference;
  std::filesystem::path checkpoint;  ///< written while searching where not empty
  bool resume = false;               ///< continue from `checkpoint` where it exists
  std::function<void(double fraction, const std::string& text)> progress;
  const std::atomic<bool>* cancel = nullptr;  ///< ends the search early with what it has
  EvolveIslands evolve;  ///< who runs epochs of the islands; empty: `threads` threads here
};

/// A network that was evaluated.
struct Found {
  Genome genome;
  Evaluation evaluation;
};

struct SearchResult {
  std::vector<Found> front;             ///< feasible, by ascending first cost
  std::vector<Found> cloud;             ///< some hundreds of all feasible ones, for pictures
  std::int64_t evaluations = 0;         ///< asked for by the algorithm
  std::vector<std::uint64_t> networks;  ///< ids of the different ones, in order of evaluation
  std::vector<HypervolumePoint> hypervolume;
  Costs reference;  ///< of the hypervolume
  double seconds = 0;
  double evaluate_seconds = 0;  ///< spent in the evaluator, summed over the threads
  double busy_seconds = 0;      ///< of islands, summed over the threads
  bool cancelled = false;
  bool out_of_time = false;  ///< the budget ended the search before `evaluations` did

  std::int64_t distinct() const { return static_cast<std::int64_t>(networks.size()); }
};

/// Several searches of one space as one, e.g. those of an exploration whose predictor was corrected
/// between them. A network that more than one evaluated counts once.
struct SearchTotals {
  std::int64_t evaluations = 0;
  std::vector<HypervolumePoint> hypervolume;  ///< all over one reference, by `distinct()`
  Costs reference;                            ///< of the first: what the next should use
  std::unordered_set<std::uint64_t> networks;

  std::int64_t distinct() const { return static_cast<std::int64_t>(networks.size()); }
};
/// Throws std::invalid_argument where the hypervolumes are over different references.
void merge(SearchTotals& totals, const SearchResult& result);

/// No network of the space meets the constraints; the message tells how near one comes.
class Infeasible : public Error {
 public:
  using Error::Error;
};

/// Searches for the front. Throws std::invalid_argument for wrong options, Infeasible at once where
/// the constraints cannot be met, cpubone::Error for a checkpoint that is damaged or of another
/// search. The networks on which it tries the constraints beforehand are not counted.
SearchResult search(const Evaluator& evaluator, const SearchOptions& options);

/// Costs of an evaluation under the objectives.
Costs costs(const Evaluation& evaluation, const std::vector<Objective>& objectives);

}  // namespace cpubone
