#pragma once
#include <nlohmann/json_fwd.hpp>
#include <span>

#include "explorer/island.hpp"
#include "predictor/predictor.hpp"

/// Islands of a search as values that travel between processes.
namespace cpubone {

/// What all islands of a search have in common: an evaluator, and what they search for.
struct IslandProblem {
  /// Throws cpubone::Error naming the place where the JSON is no problem.
  explicit IslandProblem(const JsonReader& json);

  SearchOptions options;  ///< algorithm, objectives, constraints, population, generations
  Evaluator evaluator;
};

/// The problem of a search that `evaluator` serves; `devices` are the predictors that its latencies
/// are of, the first device first.
nlohmann::json problem_json(const Evaluator& evaluator, std::span<const Predictor> devices,
                            const SearchOptions& options);

nlohmann::json to_json(const IslandTask& task);

/// Runs an island's epoch as `evolve` does that knows of no networks before, `thinned`: depends on
/// problem and task only. Throws cpubone::Error where the task is none of the problem's.
nlohmann::json evolve_json(const IslandProblem& problem, const JsonReader& task);

/// The epoch that `evolve_json` gives for a task of so many genomes. Throws cpubone::Error where it
/// is none.
IslandEpoch read_epoch(const JsonReader& json, std::size_t population, const SearchSpace& space);

/// Throws cpubone::Error where the JSON is no epoch of the problem, or has evaluations that come
/// out otherwise here: then results would depend on who ran an island.
void check_epoch(const IslandProblem& problem, const JsonReader& json);

}  // namespace cpubone
