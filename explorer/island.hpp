#pragma once
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "explorer/search.hpp"

namespace cpubone {

/// Spreads 64 bits: neighbouring numbers become unrelated seeds.
std::uint64_t mix(std::uint64_t x);

/// Identifies the network of a canonical genome within its space; a search counts networks by it.
std::uint64_t network_id(const Genome& genome);

/// Networks that a search evaluated before an epoch, by `network_id`. A value is absent where the
/// network is known from a checkpoint only.
using Known = std::unordered_map<std::uint64_t, std::optional<Evaluation>>;

/// How costs become numbers of order one, as an optimiser needs them.
struct CostScale {
  Costs low;
  Costs factor;
};
/// From the range of these networks' costs.
CostScale cost_scale(std::span<const Found> found, const std::vector<Objective>& objectives);

/// One epoch of one island: all that its outcome depends on, beside the evaluator.
struct IslandTask {
  const SearchOptions& options;
  CostScale scale;
  std::uint64_t seed = 0;          ///< of this island in this epoch
  std::int64_t most_new = 0;       ///< networks that may be new to the search
  std::vector<Genome> population;  ///< known; as it was left, and whom others sent
  std::vector<Found> front;        ///< of all islands; the least violating where none is feasible
  /// Only networks of lesser ids are still kept for pictures.
  std::uint64_t cloud_below = std::numeric_limits<std::uint64_t>::max();
};

struct IslandEpoch {
  std::vector<Genome> population;
  std::vector<std::uint64_t> networks;  ///< ids of those that are not known, in order of evaluation
  std::vector<Found> found;      ///< of these, in the same order; those that matter where `thinned`
  std::int64_t evaluations = 0;  ///< asked for by the optimiser
  double evaluate_seconds = 0;   ///< of them in the evaluator
};

/// Thrown where the search is cancelled within an epoch, which is then as if it had never begun.
struct Cancelled {};

/// Runs the epoch. Depends on its arguments only; `known` saves evaluations, tells what is new, and
/// decides nothing else where `most_new` is all that an epoch can evaluate. Throws Cancelled.
IslandEpoch evolve(const IslandTask& task, const Evaluator& evaluator, const Known& known);

/// Feasible networks that a search keeps for pictures: those of the least ids.
inline constexpr std::size_t cloud_size = 800;

/// The epoch with those networks only that a search can keep, so that little travels: of its front
/// what the task's does not dominate, of the least ids as many as a search keeps, and, as long as
/// `task` knows of no feasible network, all others.
IslandEpoch thinned(IslandEpoch epoch, const IslandTask& task);

/// Evaluates networks that no optimiser asked for, e.g. the first ones: the first `most_new` of
/// them that are not known, in order. Throws Cancelled.
IslandEpoch evaluate_first(std::span<const Genome> genomes, const SearchOptions& options,
                           std::int64_t most_new, const Evaluator& evaluator);

/// The front of an archive and added networks, of which those that violate a constraint are left
/// out.
void join(std::vector<Found>& archive, std::span<const Found> added, const SearchOptions& options);

}  // namespace cpubone
