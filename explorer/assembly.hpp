#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "explorer/confirmation.hpp"
#include "explorer/explore.hpp"

namespace cpubone {

/// Where estimated accuracies are from.
inline constexpr const char* estimate_source = "accuracy model; training decides";

/// What an exploration has come to.
struct ExplorationState {
  LatencyModel latency;  ///< with what was learnt
  std::vector<Reference> references;
  std::vector<Pick> picks;
  std::vector<std::size_t> proposals;  ///< among the picks, fastest first
  std::vector<Found> cloud;            ///< of the last search
  SearchTotals searched;
  bool out_of_time = false;  ///< the budget ended a search
};

/// The result of it; `evaluator` is the last one.
Exploration assemble(const ExplorationState& state, const ExploreInput& input,
                     const ExploreOptions& options, const Evaluator& evaluator);

/// The accuracy of a network of the zoo as its authors published it, or, where a user's own take
/// the place of these, the own one; of a user's own network that of the table. Nothing where there
/// is none.
std::optional<Top1> known_top1(const AccuracyModel& accuracy, std::string_view name);

/// A published network of the zoo as a result tells it: counts, prediction, published facts.
ResultNetwork rebuild(const std::string& zoo_name, const Network& network,
                      const LatencyModel& latency);

/// Prediction by stage and operator class, with what limits most of each.
std::vector<BreakdownRow> break_down(const Network& network, const LatencyModel& latency);

}  // namespace cpubone
