#pragma once
#include <filesystem>

#include "explorer/search.hpp"

namespace cpubone {

/// A search between two epochs: all that the rest of it depends on, beside options and evaluator.
struct SearchState {
  std::int64_t epoch = 0;
  std::int64_t evaluations = 0;                  ///< asked for by the optimiser
  std::vector<std::vector<Genome>> populations;  ///< one an island
  std::vector<Found> front;                      ///< feasible, by ascending first cost
  std::vector<Found> nearest;                    ///< the least violating
  std::vector<Found> cloud;                      ///< see SearchResult
  std::vector<std::uint64_t> networks;           ///< all that were evaluated, see SearchResult
  Costs reference;
  std::vector<HypervolumePoint> hypervolume;
};

/// Writes a search's state to `options.checkpoint` (JSON) as often as it is told to. What grows
/// with the search, 8 bytes a network, is appended to `<checkpoint>.networks`, so that a checkpoint
/// costs what changed since the last.
class CheckpointWriter {
 public:
  /// `written`: networks that the checkpoint from which the search goes on holds, else 0.
  CheckpointWriter(const SearchSpace& space, const SearchOptions& options, std::size_t written)
      : space_(space), options_(options), written_(written) {}
  /// Throws cpubone::Error naming the path; the last checkpoint then still stands.
  void write(const SearchState& state);

 private:
  const SearchSpace& space_;
  const SearchOptions& options_;
  std::size_t written_;
};

/// The state that was written last; evaluations are computed anew. Throws cpubone::Error where the
/// checkpoint is damaged or of another search, with a remedy.
SearchState load_checkpoint(const Evaluator& evaluator, const SearchOptions& options);

/// Removes a checkpoint, where there is one.
void remove_checkpoint(const std::filesystem::path& checkpoint);

}  // namespace cpubone
