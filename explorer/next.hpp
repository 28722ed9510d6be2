#pragma once
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "predictor/accuracy_posterior.hpp"
#include "predictor/terms.hpp"

namespace cpubone {

/// A network that might be trained.
struct TrainingCandidate {
  AccuracyTerms terms;
  LatencyEstimate latency;
};

/// One that should be.
struct TrainingChoice {
  std::size_t candidate = 0;
  double improvement = 0;  ///< expected growth of the front's hypervolume, a fraction of it
};

/// Which candidates to train next, at most `count`, the first first: each by how much it is
/// expected to improve the front of what is known and of those before it, under what is not known
/// of latencies and accuracies (expected hypervolume improvement, by draws from both). `known` are
/// latencies in ms and top-1 in percent of what was trained.
std::vector<TrainingChoice> train_next(const AccuracyPosterior& posterior,
                                       std::span<const TrainingCandidate> candidates,
                                       std::span<const std::pair<double, double>> known,
                                       std::size_t count, std::uint64_t seed);

}  // namespace cpubone
