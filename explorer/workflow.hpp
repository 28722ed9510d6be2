#pragma once
#include <atomic>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "explorer/explore.hpp"
#include "explorer/measurer.hpp"
#include "predictor/co_execution.hpp"
#include "predictor/predictor.hpp"
#include "records/profile.hpp"

/// All that an exploration does, from the profile of a machine to the files of its result. Tools
/// and bindings parse what a user asks for and show what comes back.
namespace cpubone {

/// Seconds that the parts of an exploration may take.
struct Budget {
  double profile_s = 0;    ///< what a predictor of the machine is fitted to
  double published_s = 0;  ///< published networks, to compare with
  double explore_s = 0;    ///< no round starts after it
  double round_s = 0;      ///< of it: a round's operators, or its networks
};

/// The shares of a budget. Where the machine `is_known`, its profile being there already, only
/// exploring takes time, and confirms with fewer samples.
Budget share_out(double budget_s, bool is_known);
/// All of it for searching, where nothing is measured.
Budget predicting_budget(double budget_s);
/// What measuring so many networks in a round may take.
double networks_s(const Budget& budget, std::size_t networks);
/// What measuring a round's operators may take.
double ops_s(const Budget& budget);
/// What measuring so many studies may take, all together.
double studies_s(std::size_t studies);

/// Who hears of the work, who stops it, and by which clock it ends; all may be empty.
struct WorkHooks {
  /// What is being done, the share of it that is done, and with what.
  std::function<void(std::string_view activity, double fraction, const std::string& detail)>
      progress;
  const std::atomic<bool>* cancel = nullptr;
  std::function<double()> now_s;  ///< a steady clock, in seconds; empty: the system's
};

/// A device that is explored.
struct Target {
  std::string name;  ///< as results tell it
  Predictor predictor;
  Profile profile;             ///< of the device; without operators where none is known
  std::filesystem::path file;  ///< where what is learnt of it is kept; empty: nowhere
  bool is_known = false;       ///< its profile was there already
  /// Layers are shared with the coprocessor beside it; its `cpu` is `predictor`.
  std::optional<CoExecutionPredictor> co_execution = {};
};

/// A device that is not here, or nobody wants to measure.
Target predicted_target(Predictor predictor);
/// The same with layers shared with a coprocessor, split as planned.
Target predicted_target(CoExecutionPredictor predictor);
/// This machine: its profile, measured now where there is none yet, all of it was disturbed or it
/// is wanted `afresh`, with the networks that proposals are compared with (`compared_networks`),
/// and a predictor of it. Of a known machine what was disturbed is measured again. Throws
/// cpubone::Error where it is interrupted.
Target machine_target(Measurer& machine, double budget_s, bool afresh, const WorkHooks& hooks,
                      std::span<const Network> compared);

/// When and how a result was made.
struct Provenance {
  std::string created;  ///< ISO 8601, UTC
  std::string command;
  std::uint64_t seed = 0;
};

/// What is explored, and how.
struct ExploreRequest {
  SearchSpace space;
  AccuracyModel accuracy;
  NetworkForm form;          ///< of the networks
  std::vector<Network> own;  ///< a user's, told beside the published ones as they are
  ExploreOptions options;    ///< but for budget, clock, progress and cancel, which are set here
  Budget budget;
  std::filesystem::path folder;  ///< for what an interrupted exploration leaves; empty: nothing
  bool afresh = false;           ///< forget what an interrupted exploration measured
  Provenance provenance;
  /// The second and third device that networks are for, predicted like the first; names differ.
  std::vector<Target> elsewhere;
};

/// What an exploration found, and what it learnt of the device.
struct Explored {
  Result result;
  std::vector<Result> elsewhere;    ///< the same networks on the second and third device
  std::vector<Proposal> proposals;  ///< fastest first
  std::vector<Network> next;        ///< those to train next
  Profile profile;                  ///< the target's, with what was learnt
  bool is_complete = false;         ///< nobody stopped it
};

/// Explores a target in the precision of its predictor, measuring where `machine` is not null.
/// Throws what `explore` does, and cpubone::Error where it is interrupted while it measures.
Explored explore_target(const Target& target, Measurer* machine, const ExploreRequest& request,
                        const WorkHooks& hooks);

/// Saves the result with its proposals in `folder`, those of other devices as
/// `result-<device>.json`, and, where the exploration is complete, what it
/// learnt of the device; then nothing is left to resume.
void save(const Explored& explored, const Target& target, const std::filesystem::path& folder);

/// Studies of a target, measured within about `budget_s` seconds where `machine` is not null, else
/// predicted. Throws std::invalid_argument listing the names where one is unknown.
std::vector<Study> run_studies(const Target& target, Measurer* machine,
                               std::span<const std::string> names, double budget_s,
                               const WorkHooks& hooks);

/// Sets what a result tells of itself and of the target: device, predictor, warnings of its
/// profile, and how well the result's published networks were predicted.
void describe(Result& result, const Target& target, const Provenance& provenance);

}  // namespace cpubone
