#pragma once
#include <array>
#include <memory>
#include <shared_mutex>
#include <span>
#include <vector>

#include "explorer/known_accuracies.hpp"
#include "explorer/objectives.hpp"
#include "graph/passes.hpp"
#include "space/search_space.hpp"

namespace cpubone {

/// Evaluates networks of a space without building them: a skeleton's networks are units, e.g. a
/// stem, blocks and a head, and the counts and latency terms of each unit are computed once. Safe
/// to use from several threads; results depend on the genome only.
class Evaluator {
 public:
  /// Networks are counted and timed in a form, and in the precision of the first model where bytes
  /// are counted (activations as if all were in it); their accuracy is that of whole classifiers.
  /// `elsewhere` are the second and third device. Throws std::invalid_argument where the space is
  /// wrong (`check`), a model is missing or there are too many.
  Evaluator(SearchSpace space, LatencyModel latency, AccuracyModel accuracy,
            const NetworkForm& form = {}, std::vector<LatencyModel> elsewhere = {});
  ~Evaluator();

  /// Of the network that `canonical(genome)` stands for. `genome` must be in the space.
  Evaluation evaluate(const Genome& genome) const;
  /// `results[i]` of `genomes[i]`.
  void evaluate(std::span<const Genome> genomes, std::span<Evaluation> results) const;

  const SearchSpace& space() const { return space_; }
  const LatencyModel& latency() const { return latency_; }
  const std::vector<LatencyModel>& elsewhere() const { return elsewhere_; }
  const AccuracyModel& accuracy() const { return accuracy_; }
  const NetworkForm& form() const { return form_; }
  /// Uses another rule from terms to latency on the first device, e.g. a corrected one; cached
  /// terms stay. Not while others evaluate.
  void set_combine(std::function<LatencyEstimate(const LatencyTerms&)> combine);
  /// Distinct units that were computed.
  std::size_t units() const;

 private:
  struct Impl;
  SearchSpace space_;
  LatencyModel latency_;
  std::vector<LatencyModel> elsewhere_;
  AccuracyModel accuracy_;
  NetworkForm form_;
  std::unique_ptr<Impl> impl_;
};

/// Terms of a whole network: the sum over its executed operators.
LatencyTerms latency_terms(const Network& network, const LatencyModel& model);

}  // namespace cpubone
