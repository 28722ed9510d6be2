#pragma once
#include <functional>
#include <span>
#include <vector>

#include "graph/op.hpp"
#include "predictor/predictor.hpp"

namespace cpubone {

/// What co-execution costs, each in nanoseconds, of operators that may be parts of others.
struct CoExecutionCosts {
  std::function<double(const Op&)> cpu;
  std::function<double(const Op&)> coprocessor;  ///< from its start until the CPU knows it is done
  double synchronisation_ns = 0;                 ///< on top where both run
  /// Of the shorter part's time what the longer does not hide: 0 where both run at once, 1 where
  /// they take turns on one core; between where they slow each other down.
  double unhidden_share = 0;
  /// That the CPU takes to start the coprocessor, before its own part begins.
  double start_ns = 0;
};

/// Costs as two predictors estimate them, one fitted to a profile of the CPU, one to a profile of
/// the coprocessor; both must outlive the costs.
CoExecutionCosts predicted_costs(const Predictor& cpu, const Predictor& coprocessor,
                                 double synchronisation_ns);

/// How an operator's output channels are shared.
struct ChannelSplit {
  int cpu_channels = 0;       ///< the first ones; 0: the coprocessor alone, all: the CPU alone
  double ns = 0;              ///< predicted latency
  double cpu_ns = 0;          ///< of its part; 0 where it has none
  double coprocessor_ns = 0;  ///< the same
  bool operator==(const ChannelSplit&) const = default;
};

/// Who computes an operator that is split so.
enum class Runner { cpu, coprocessor, both };
Runner runner_of(const ChannelSplit& split);

/// Channels in multiples that both sides like: of a cache line, since a line that both write goes
/// to and fro between their cores, and so of whole tiles of XNNPACK's and vectors. 16 in f32.
int channels_to_split_by(const Op& op);

/// Channels that the CPU may compute: none, all, and multiples of `multiple`, by default
/// `channels_to_split_by`, that are also whole groups (of a group alone, where the operator has
/// fewer channels than that).
std::vector<int> candidate_splits(const Op& op, int multiple = 0);

/// The larger of what both parts take, the CPU's with the coprocessor's start before it, of the
/// smaller what that does not hide, and synchronisation. Throws std::invalid_argument where
/// channels are no part of the operator.
ChannelSplit split_at(const Op& op, int cpu_channels, const CoExecutionCosts& costs);

/// The candidate of the least latency; of equal ones that with most channels on the CPU.
ChannelSplit plan_split(const Op& op, const CoExecutionCosts& costs, int multiple = 0);

/// So many candidates of the least latency, the planned split first. Predictions err by more than
/// these differ: who can measure them, keeps the fastest.
std::vector<ChannelSplit> likely_splits(const Op& op, const CoExecutionCosts& costs,
                                        std::size_t count, int multiple = 0);

/// As many as are worth measuring: of 200 layers the worst is then within 10 % of the best of a
/// whole grid where predictions err by 6 % (`benchmarks/co_execution`).
inline constexpr std::size_t splits_worth_measuring = 5;

/// A co-executed operator that was measured.
struct MeasuredSplit {
  Op op;
  int cpu_channels = 0;
  double ns = 0;
};
/// What sharing costs beyond the parts, and beyond the start that `costs` knows. The shorter part
/// is hidden unless saying otherwise makes the error a tenth smaller at least; synchronisation is
/// the median of what is left, never below 0. Nothing for none.
struct SharingCosts {
  double synchronisation_ns = 0;
  double unhidden_share = 0;
  double mape = 0;  ///< mean absolute percentage error on the operators, each left out
};
SharingCosts fitted_sharing(std::span<const MeasuredSplit> measured, const CoExecutionCosts& costs);

}  // namespace cpubone
