#pragma once
#include <atomic>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "explorer/search.hpp"
#include "records/result.hpp"
#include "space/cpubone_space.hpp"

namespace cpubone {

/// Measures networks end to end, interleaved; one latency a network.
using MeasureNetworks = std::function<std::vector<MeasuredLatency>(std::span<const Network>)>;
/// Measures operators and returns a latency model that knows them.
using LearnOps = std::function<LatencyModel(std::span<const Op>)>;

/// A latency that was measured before the exploration.
struct KnownLatency {
  std::string network;
  MeasuredLatency latency;
};

/// What an exploration stands on.
struct ExploreInput {
  SearchSpace space;
  LatencyModel latency;
  AccuracyModel accuracy;
  MeasureNetworks measure;             ///< empty: predictions only, and nothing is called better
  LearnOps learn;                      ///< empty: the latency model stays as it is
  std::vector<KnownLatency> measured;  ///< of published networks and of `own`
  NetworkForm form;                    ///< of all networks, but for their accuracies
  std::vector<Network> own;            ///< a user's, told beside the published ones as they are
  /// The second and third device that networks are for; all then have names, and nothing is
  /// measured.
  std::vector<LatencyModel> elsewhere = {};
};

struct ExploreOptions {
  /// The first two objectives must be latency and top1; latencies on other devices are added;
  /// `evaluations` is that of all rounds together; `start`, `reference` and `budget_seconds` are
  /// set here.
  SearchOptions search;
  int proposals = 8;    ///< at least five, at most
  int round_size = 10;  ///< networks that a round of confirmation measures beside the references
  int rounds = 3;       ///< at most
  int next = 0;         ///< networks to train next, at most
  int learnt_ops = 60;  ///< operators that a round learns, at most
  double budget_seconds = 90;     ///< no round and no epoch of a search starts after it
  std::function<double()> now_s;  ///< the clock of that budget, in seconds; empty: a steady one
  std::function<void(double fraction, const std::string& text)> progress;
  const std::atomic<bool>* cancel = nullptr;  ///< ends early with what is known
};

/// Throws std::invalid_argument naming the option, what was got and expected.
void check(const ExploreOptions& options);

/// A network that the exploration proposes.
struct Proposal {
  std::optional<CpuboneConfig> config;  ///< in spaces of CPUBone's kind
  Network network;                      ///< of the name that the result gives it
};

struct Exploration {
  /// Networks, candidates, front, search, accuracy model, findings, studies and warnings; who
  /// measured fills tool, device and predictor.
  Result result;
  std::vector<Result> elsewhere;    ///< the same networks on the second and third device
  std::vector<Proposal> proposals;  ///< fastest first
  std::vector<Network> next;        ///< those to train next, as the result names them
};

/// The main job: rebuilds the published networks, searches, learns the operators of what it found,
/// confirms by measuring, corrects the predictor by what was measured and searches again until the
/// confirmed front stops improving; then measures the proposals together with the references. A
/// proposal is better than a published network only where its measured latency is lower, beyond
/// both intervals, at no lower top-1. For several devices, proposals are those that are nearest to
/// the best on all of them, and the best of each. Throws std::invalid_argument for wrong options,
/// Infeasible for constraints.
Exploration explore(const ExploreInput& input, const ExploreOptions& options);

}  // namespace cpubone
