#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "predictor/evaluation.hpp"
#include "predictor/predictor.hpp"
#include "records/profile.hpp"

namespace cpubone {

/// How much longer than at its best a machine takes, over time; it repeats.
struct Trace {
  std::string name;
  double step_ns = 1e6;
  std::vector<double> pace;  ///< of each step, above 0
};

/// The pace that latencies measured in that time are to be at: of quarters of a second, in each of
/// which it is the mean over the work that is done, half were at it or faster.
double typical_pace(const Trace& trace, double start_s, double seconds);

/// Reads columns `seconds`, `pace` at equal intervals. Throws cpubone::Error naming the line.
Trace load_trace(const std::filesystem::path& csv);

/// Made traces whose truth is known: quiet, spikes, two regimes, throttling, drift.
std::vector<Trace> made_traces();

/// A machine whose every latency is known: what a predictor says, and of each operator some percent
/// more or less, which no predictor can know.
class KnownMachine {
 public:
  explicit KnownMachine(Predictor predictor) : predictor_(std::move(predictor)) {}
  const Device& device() const { return predictor_.device; }
  double latency_ns(const Op& op) const;
  double latency_ns(const Network& network) const;

 private:
  Predictor predictor_;
};

/// The profile that the sampler makes of such a machine under a trace, which begins `start_s` in;
/// no real time passes. `budget_s` is of the machine's time.
Profile replay_profile(const KnownMachine& machine, const Trace& trace, double start_s,
                       double budget_s, std::uint64_t seed);

/// How right profiles, and predictors made of them, are about the machine at its typical pace.
struct ReplayQuality {
  PredictionQuality networks;  ///< published ones, which were not measured
  double operators_mape = 0;   ///< that were not measured, a fraction
  double operators_within_10 = 0;
  double records_covered = 0;  ///< of measured operators: truth in the 95 % interval
  double repeat_95 = 0;  ///< 95th percentile of two profiles' difference, operators above 10 us
  int operators = 0;     ///< measured, of all profiles
  int measured_networks = 0;
  int disturbed = 0;        ///< of the operators
  double seconds = 0;       ///< that the last profile took
  double typical_pace = 1;  ///< of the machine meanwhile
};

/// Over as many profiles, each at another time of the trace, in another order, and of other noise.
ReplayQuality replay(const KnownMachine& machine, const Trace& trace, double budget_s, int draws);

}  // namespace cpubone
