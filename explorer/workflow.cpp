#include "explorer/workflow.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "explorer/checkpoint.hpp"
#include "explorer/exploration_journal.hpp"
#include "explorer/inputs.hpp"
#include "explorer/output_folder.hpp"
#include "explorer/study.hpp"
#include "graph/error.hpp"
#include "runtime/steady_clock.hpp"
#include "space/random_network.hpp"
#include "space/zoo.hpp"

namespace cpubone {

namespace fs = std::filesystem;

namespace {

constexpr double profile_share = 0.5;
constexpr double published_share = 0.15;
constexpr double explore_share = 0.35;
constexpr double known_share = 0.06;         // of exploring a machine that is known
constexpr double round_share = 1.0 / 6;      // of exploring
constexpr double least_s_per_network = 0.4;  // half of it goes into packing weights
constexpr double least_ops_s = 2;
constexpr double s_per_study = 40;
constexpr double most_studies_s = 240;
// What an interrupted exploration leaves in its folder.
constexpr const char* journal_name = "measured.jsonl";
constexpr const char* checkpoint_name = "search.json";

bool is_cancelled(const WorkHooks& hooks) {
  return hooks.cancel && hooks.cancel->load();
}

void stop_if_cancelled(const WorkHooks& hooks) {
  if (is_cancelled(hooks))
    throw Error("interrupted; what was measured is kept, the same command goes on");
}

double now_s(const WorkHooks& hooks) {
  return hooks.now_s ? hooks.now_s() : steady_now_ns() * 1e-9;
}

Measurer::Progress progress_of(const WorkHooks& hooks, std::string_view activity) {
  return [&hooks, activity](double fraction, const std::string& detail) {
    if (hooks.progress) hooks.progress(activity, fraction, detail);
  };
}

/// How predictions of published networks compare with their measurements; none was used to fit.
std::optional<NetworkError> network_error(const std::vector<ResultNetwork>& networks) {
  NetworkError error;
  double squares = 0;
  for (const ResultNetwork& network : networks) {
    if (network.origin != Origin::published || !network.predicted_ms || !network.measured_ms)
      continue;
    const double e = std::abs(network.predicted_ms->value / network.measured_ms->ms.value - 1);
    ++error.count;
    error.mape += e;
    squares += e * e;
    error.within_5 += e <= 0.05 ? 1 : 0;
    error.within_10 += e <= 0.10 ? 1 : 0;
  }
  if (error.count == 0) return std::nullopt;
  error.mape /= error.count;
  error.rmspe = std::sqrt(squares / error.count);
  error.within_5 /= error.count;
  error.within_10 /= error.count;
  return error;
}

/// Measures for an exploration, but what its journal knows.
class JournalledMachine {
 public:
  JournalledMachine(Measurer& machine, const Target& target, const ExploreRequest& request,
                    const WorkHooks& hooks)
      : machine_(machine),
        budget_(request.budget),
        hooks_(hooks),
        profile_(target.profile),
        journal_(request.folder.empty() ? fs::path() : request.folder / journal_name,
                 fingerprint(profile_.device, profile_.settings), request.afresh) {}

  const Profile& profile() const { return profile_; }
  std::size_t known() const { return journal_.size(); }
  /// Seconds as if everything had been measured now.
  double now_s() const { return cpubone::now_s(hooks_) + known_s_; }

  std::vector<MeasuredLatency> measure(std::span<const Network> networks) {
    std::vector<MeasuredLatency> latencies;
    auto known = journal_.find(networks);
    if (known) {
      known_s_ += known->seconds;
    } else {
      const double start_s = cpubone::now_s(hooks_);
      const std::vector<Timing> timings = machine_.timings(
          networks, profile_.settings.threads, networks_s(budget_, networks.size()), profile_);
      known.emplace();
      for (std::size_t i = 0; i < timings.size(); ++i)
        known->records.push_back({.name = networks[i].name,
                                  .structure = structure_hash(networks[i]),
                                  .params = params(networks[i]),
                                  .macs = macs(networks[i]),
                                  .timing = timings[i]});
      journal_.add(networks, known->records, cpubone::now_s(hooks_) - start_s);
    }
    for (const NetworkRecord& record : known->records)
      latencies.push_back(measured_latency(record.timing));
    return latencies;
  }

  Predictor learn(std::span<const Op> ops) {
    Profile learnt = profile_;
    learnt.ops.clear();
    learnt.networks.clear();
    learnt.seconds = 0;
    if (auto known = journal_.find(ops)) {
      known_s_ += known->seconds;
      learnt.seconds = known->seconds;
      learnt.ops = std::move(known->records);
    } else {
      const double start_s = cpubone::now_s(hooks_);
      machine_.ops(ops, ops_s(budget_), learnt);
      stop_if_cancelled(hooks_);
      journal_.add(ops, learnt.ops, cpubone::now_s(hooks_) - start_s);
    }
    merge(profile_, learnt);
    return fit_predictor(profile_, calibration_networks());
  }

 private:
  Measurer& machine_;
  Budget budget_;
  const WorkHooks& hooks_;
  Profile profile_;
  ExplorationJournal journal_;
  double known_s_ = 0;
};

}  // namespace

Budget share_out(double budget_s, bool is_known) {
  const double explore_s = (is_known ? known_share : explore_share) * budget_s;
  return {profile_share * budget_s, published_share * budget_s, explore_s, round_share * explore_s};
}

Budget predicting_budget(double budget_s) {
  return {0, 0, budget_s, 0};
}

double networks_s(const Budget& budget, std::size_t networks) {
  return std::max(budget.round_s, least_s_per_network * static_cast<double>(networks));
}

double ops_s(const Budget& budget) {
  return std::max(budget.round_s, least_ops_s);
}

double studies_s(std::size_t studies) {
  return std::min(s_per_study * static_cast<double>(studies), most_studies_s);
}

Target predicted_target(Predictor predictor) {
  Target target;
  target.name = predictor.device.name;
  target.profile.device = predictor.device;
  target.profile.settings = predictor.settings;
  target.predictor = std::move(predictor);
  return target;
}

Target predicted_target(CoExecutionPredictor predictor) {
  Target target = predicted_target(predictor.cpu);
  target.co_execution = std::move(predictor);
  return target;
}

namespace {

bool is_good(const Timing& timing) {
  return is_measured(measured_latency(timing));
}

bool any_good(const std::vector<OpRecord>& ops) {
  return std::any_of(ops.begin(), ops.end(), [](const OpRecord& r) { return is_good(r.timing); });
}

/// Measures again which operators were disturbed, in the share of the budget that they had.
void measure_disturbed(Measurer& machine, double budget_s, const WorkHooks& hooks,
                       Profile& profile) {
  std::vector<Op> ops;
  for (const OpRecord& record : profile.ops)
    if (!is_good(record.timing)) ops.push_back(record.op);
  if (ops.empty()) return;
  if (hooks.progress) hooks.progress("measuring again what was disturbed", 0, "");
  profile.warnings.clear();  // they tell of the last time
  machine.ops(ops,
              budget_s * static_cast<double>(ops.size()) / static_cast<double>(profile.ops.size()),
              profile);
}

}  // namespace

Target machine_target(Measurer& machine, double budget_s, bool afresh, const WorkHooks& hooks,
                      std::span<const Network> compared) {
  Target target;
  target.name = "host";
  target.file = machine.profile_file();
  std::optional<Profile> kept;
  if (!afresh && fs::exists(target.file)) kept = load_profile(target.file);
  target.is_known = kept && any_good(kept->ops);
  const Budget budget = share_out(budget_s, target.is_known);
  const auto keep = [&] {
    if (kept != target.profile) save_profile(target.profile, target.file);
    stop_if_cancelled(hooks);
  };
  if (target.is_known) {
    target.profile = *kept;
    measure_disturbed(machine, budget.profile_s, hooks, target.profile);
  } else {
    target.profile =
        machine.profile(budget.profile_s, afresh, progress_of(hooks, "measuring operators"));
    stop_if_cancelled(hooks);
    if (kept) {  // better disturbed than missing
      Profile all = *kept;
      all.warnings.clear();
      merge(all, target.profile);
      target.profile = std::move(all);
    }
  }
  keep();
  // So that proposals are compared with measurements; never used to fit.
  std::vector<Network> missing(compared.begin(), compared.end());
  std::erase_if(missing, [&](const Network& network) {
    const NetworkRecord* record = find_record(target.profile, network);
    return record != nullptr && is_good(record->timing);
  });
  if (!missing.empty()) {
    const double share = static_cast<double>(missing.size()) / static_cast<double>(compared.size());
    machine.networks(missing, share * budget.published_s,
                     progress_of(hooks, "measuring published networks"), target.profile);
    keep();
  }
  target.predictor = fit_predictor(target.profile, calibration_networks());
  return target;
}

namespace {

/// What runs at a resolution of its own is trained at one: the usual, where the space has it.
SearchSpace trained_alike(SearchSpace space) {
  for (Gene& gene : space.genes) {
    if (gene.name != "resolution") continue;
    const Choice usual{224};
    const bool has_usual =
        std::find(gene.choices.begin(), gene.choices.end(), usual) != gene.choices.end();
    gene.choices = {has_usual ? usual : gene.choices.front()};
  }
  return space;
}

LatencyModel latency_model(const Target& target) {
  return target.co_execution ? cpubone::latency_model(*target.co_execution)
                             : cpubone::latency_model(target.predictor);
}

LatencyEstimate predicted_latency(const Target& target, const Network& network) {
  return target.co_execution ? predict(*target.co_execution, network).latency
                             : predict(target.predictor, network).latency;
}

}  // namespace

Explored explore_target(const Target& target, Measurer* machine, const ExploreRequest& request,
                        const WorkHooks& hooks) {
  Target learnt = target;
  ExploreInput input{
      .space = request.form.height > 0 ? trained_alike(request.space) : request.space,
      .latency = latency_model(target),
      .accuracy = request.accuracy,
      .measure = {},
      .learn = {},
      .measured = known_latencies(target.profile, compared_networks(request.form, request.own)),
      .form = request.form,
      .own = request.own};
  ExploreOptions options = request.options;
  options.budget_seconds = request.budget.explore_s;
  options.cancel = hooks.cancel;
  if (!request.folder.empty()) options.search.checkpoint = request.folder / checkpoint_name;
  options.progress = progress_of(hooks, "searching");
  options.now_s = [&hooks] { return now_s(hooks); };
  std::optional<JournalledMachine> journalled;
  if (machine) {
    journalled.emplace(*machine, target, request, hooks);
    options.now_s = [&journalled] { return journalled->now_s(); };
    input.measure = [&](std::span<const Network> networks) {
      return journalled->measure(networks);
    };
    if (!target.profile.ops.empty())
      input.learn = [&](std::span<const Op> ops) {
        learnt.predictor = journalled->learn(ops);
        return latency_model(learnt.predictor);
      };
  }
  input.latency.device = target.name;
  for (const Target& other : request.elsewhere) {
    input.elsewhere.push_back(latency_model(other));
    input.elsewhere.back().device = other.name;
  }
  Exploration exploration = explore(input, options);
  if (journalled) learnt.profile = journalled->profile();

  Explored explored;
  explored.is_complete = !is_cancelled(hooks);
  explored.result = std::move(exploration.result);
  explored.elsewhere = std::move(exploration.elsewhere);
  explored.proposals = std::move(exploration.proposals);
  explored.next = std::move(exploration.next);
  // Predicted, so that they cost no time; `run_studies` measures them where it is asked to.
  const std::vector<std::string> names{"fusion", "grouping", "kernel", "operators"};
  const auto finish = [&](Result& result, const Target& on) {
    if (explored.is_complete)
      for (Study& study : run_studies(on, nullptr, names, 0, hooks))
        result.studies.push_back(std::move(study));
    describe(result, on, request.provenance);
    if (on.predictor.settings.dtype == DType::qs8 && request.accuracy.own.empty())
      result.warnings.push_back(
          {"what int8 loses of the accuracy is not known: top-1 is that of f32",
           "quantise what was trained (docs/int8.md), and give top-1 in int8 by --accuracy"});
    if (const std::string form = text(request.form); !form.empty())
      result.device.conditions.push_back({"networks", form});
  };
  finish(explored.result, learnt);
  if (target.co_execution && explored.is_complete) {
    std::vector<Network> networks = compared_networks(request.form, request.own);
    for (const Proposal& proposal : explored.proposals) networks.push_back(proposal.network);
    explored.result.co_execution = summarise(*target.co_execution, networks);
    constexpr double much = 0.2;
    if (const double error = target.co_execution->shared_mape; error > much)
      explored.result.warnings.push_back(
          {fmt::format("shared layers are predicted with a mean error of {:.0f} %, so that what "
                       "sharing saves is uncertain",
                       100 * error),
           "run `cpubone-profile --device host+gpu` again with a longer budget, on a machine that "
           "is idle"});
  }
  for (std::size_t d = 0; d < explored.elsewhere.size(); ++d)
    finish(explored.elsewhere[d], request.elsewhere[d]);
  explored.profile = std::move(learnt.profile);
  return explored;
}

void save(const Explored& explored, const Target& target, const fs::path& folder) {
  std::vector<Network> networks;
  for (const Proposal& proposal : explored.proposals) networks.push_back(proposal.network);
  networks.insert(networks.end(), explored.next.begin(), explored.next.end());
  save_result(explored.result, networks, folder, explored.elsewhere);
  if (!explored.is_complete) return;
  if (!target.file.empty() && explored.profile != target.profile)
    save_profile(explored.profile, target.file);
  fs::remove(folder / journal_name);
  remove_checkpoint(folder / checkpoint_name);
}

std::vector<Study> run_studies(const Target& target, Measurer* machine,
                               std::span<const std::string> names, double budget_s,
                               const WorkHooks& hooks) {
  StudyContext context;
  context.predicted = !machine;
  context.predict_ms = [&target](const Network& network) {
    return predicted_latency(target, network).ms;
  };
  if (machine) {
    context.threads = target.predictor.device.cores;
    const double study_s = budget_s / static_cast<double>(names.size());
    context.latencies = [=, &target](std::span<const Network> networks, int threads) {
      std::vector<Interval> latencies;
      for (const Timing& timing : machine->timings(networks, threads, study_s, target.profile))
        latencies.push_back(measured_latency(timing).ms);
      return latencies;
    };
  } else {
    context.latencies = [&target](std::span<const Network> networks, int) {
      std::vector<Interval> latencies;
      for (const Network& network : networks) {
        const LatencyEstimate e = predicted_latency(target, network);
        latencies.push_back({e.ms, e.low_ms, e.high_ms});
      }
      return latencies;
    };
  }
  std::vector<StudyPlan> plans;
  for (const std::string& name : names) plans.push_back(study_plan(name, context));
  std::vector<Study> studies;
  for (const StudyPlan& plan : plans) {
    progress_of(hooks, "studies")(
        static_cast<double>(studies.size()) / static_cast<double>(plans.size()), plan.name);
    studies.push_back(run_study(plan, context));
  }
  return studies;
}

void describe(Result& result, const Target& target, const Provenance& provenance) {
  result.tool_version = version();
  result.created = provenance.created;
  result.command = provenance.command;
  result.seed = static_cast<std::int64_t>(provenance.seed);
  describe_predictor(result, target.predictor);
  result.device.name = target.name;
  if (result.device.emulated)
    result.warnings.push_back(
        {"f16 is emulated: this CPU, or XNNPACK on it, calculates in f32 and only stores in f16",
         "do not take these latencies for those of a CPU with half precision; f32 is likely faster "
         "here"});
  for (const Warning& warning : target.profile.warnings) result.warnings.push_back(warning);
  result.predictor->profile_seconds = target.profile.seconds;
  result.predictor->networks = network_error(result.networks);
}

}  // namespace cpubone
