#include "explorer/explore.hpp"

#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <optional>

#include "explorer/accuracy.hpp"
#include "predictor/predictor.hpp"
#include "python/src/bindings.hpp"
#include "space/error.hpp"
#include "space/zoo.hpp"
#ifdef CPUBONE_WITH_XNNPACK
#include "profiler/measure.hpp"
#endif

namespace cpubone::python {
namespace {

using namespace py::literals;

/// Arguments of `explore` that are plain values.
struct ExploreArguments {
  SearchOptions search;
  int proposals = 8;
  int rounds = 3;
  double budget_s = 90;
  double measure_s = 10;  ///< of each round of measuring; 0: predictions only
  std::string created;
  std::string command;
};

ExploreArguments explore_arguments(const std::string& algorithm, std::int64_t evaluations,
                                   const std::map<std::string, double>& at_most, double top1,
                                   int threads, std::uint64_t seed, int proposals, int rounds,
                                   double budget_s, double measure_s, std::string created,
                                   std::string command) {
  ExploreArguments a;
  a.search.algorithm = parse_algorithm(algorithm);
  a.search.evaluations = evaluations;
  for (const auto& [objective, limit] : at_most)
    a.search.constraints.push_back({parse_objective(objective), limit});
  if (top1 > 0) a.search.constraints.push_back({Objective::top1, top1});
  a.search.threads = threads;
  a.search.seed = seed;
  a.proposals = proposals;
  a.rounds = rounds;
  a.budget_s = budget_s;
  a.measure_s = measure_s;
  a.created = std::move(created);
  a.command = std::move(command);
  return a;
}

/// By stage and operator class, with what limits most of each.
std::vector<BreakdownRow> break_down_of(const Predictor& predictor, const Network& network) {
  std::vector<BreakdownRow> rows;
  std::map<std::pair<std::string, std::string>, std::array<double, 3>> bounds;
  for (const OpPrediction& op : predict(predictor, network).ops) {
    const std::string which = op_class(op.op);
    auto row = std::find_if(rows.begin(), rows.end(), [&](const BreakdownRow& r) {
      return r.stage == op.stage && r.op_class == which;
    });
    if (row == rows.end()) row = rows.insert(rows.end(), {op.stage, which, 0, 0, Bound::compute});
    row->macs += macs(op.op);
    row->latency_ms += op.latency_ns * 1e-6;
    auto& by_bound = bounds[{op.stage, which}];
    by_bound[static_cast<std::size_t>(op.bound)] += op.latency_ns;
    row->bound =
        static_cast<Bound>(std::max_element(by_bound.begin(), by_bound.end()) - by_bound.begin());
  }
  return rows;
}

MeasuredLatency to_latency(const Timing& timing) {
  return {{timing.median_ns * 1e-6, timing.low_ns * 1e-6, timing.high_ns * 1e-6},
          static_cast<int>(timing.samples_ns.size()),
          timing.disturbed};
}

#ifdef CPUBONE_WITH_XNNPACK
/// Measures networks on this machine, in the order given; several may have the same name. What the
/// budget does not suffice for is measured again with twice as much.
std::vector<MeasuredLatency> measure(std::span<const Network> networks, MeasureOptions options) {
  constexpr int attempts = 4;
  std::vector<std::optional<MeasuredLatency>> latencies(networks.size());
  for (int attempt = 0; attempt < attempts && !options.cancelled(); ++attempt) {
    std::vector<Network> missing;
    for (std::size_t i = 0; i < networks.size(); ++i) {
      if (latencies[i]) continue;
      missing.push_back(networks[i]);
      missing.back().name = std::to_string(i);
    }
    if (missing.empty()) break;
    Profile profile = host_profile(options.settings);
    measure_networks(missing, options, profile);
    options.budget_s *= 2;
    for (const NetworkRecord& record : profile.networks)
      latencies[std::stoul(record.name)] = to_latency(record.timing);
  }
  std::vector<MeasuredLatency> found;
  for (std::size_t i = 0; i < networks.size(); ++i) {
    if (!latencies[i])
      throw Error("\"" + networks[i].name +
                  "\" could not be measured in the time given: raise measure_s");
    found.push_back(*latencies[i]);
  }
  return found;
}
#endif

/// What the result tells of the device and of the predictor.
void describe_device(Result& result, const Predictor& predictor) {
  const Device& device = predictor.device;
  result.device.name = device.name;
  result.device.model = device.cpu;
  result.device.evidence =
      predictor.evidence == "measured" ? Evidence::measured : Evidence::calibrated;
  result.device.runtime = device.runtime;
  result.device.threads = predictor.settings.threads;
  result.device.precision = std::string(name(predictor.settings.dtype));
  result.device.conditions.push_back({"cores", std::to_string(device.cores)});
  result.device.conditions.push_back({"evidence", predictor.evidence});
  PredictorSummary summary;
  for (const ClassModel& model : predictor.classes) {
    summary.operators_measured += model.operators;
    summary.classes.push_back({model.name, model.operators, model.train_mape, model.test_mape});
  }
  result.predictor = std::move(summary);
}

/// Runs `work` on another thread; this one looks for Ctrl-C, which cancels the work.
template <typename Work>
auto interruptible(Interruption& interruption, std::atomic<bool>& cancel, Work work) {
  const py::gil_scoped_release release;
  auto future = std::async(std::launch::async, work);
  while (future.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready)
    if (interruption.requested()) cancel = true;
  return future.get();
}

Exploration run(const Predictor& predictor, const SearchSpace& space, const Profile* profile,
                const ExploreArguments& arguments, const py::object& progress) {
  Interruption interruption;
  std::atomic<bool> cancel = false;
  ExploreInput input{
      .space = space,
      .latency = {[&](const Op& op) { return terms(predictor, op); },
                  [&](const LatencyTerms& t) { return combine(predictor, t); }},
      .accuracy = published_accuracy_model(),
      .measure = {},
      .break_down = [&](const Network& network) { return break_down_of(predictor, network); },
      .measured = {}};
  if (profile)
    for (const NetworkRecord& record : profile->networks)
      if (!zoo_name(record.name).empty())
        input.measured.push_back({record.name, to_latency(record.timing)});
#ifdef CPUBONE_WITH_XNNPACK
  if (arguments.measure_s > 0)
    input.measure = [&](std::span<const Network> networks) {
      MeasureOptions options;
      options.settings = predictor.settings;
      options.budget_s = arguments.measure_s;
      options.seed = arguments.search.seed;
      options.cancelled = [&] { return cancel.load(); };
      return measure(networks, options);
    };
#endif
  ExploreOptions options;
  options.search = arguments.search;
  options.search.cancel = &cancel;
  options.cancel = &cancel;
  options.proposals = arguments.proposals;
  options.rounds = arguments.rounds;
  options.budget_seconds = arguments.budget_s;
  if (!progress.is_none())
    options.progress = [&](double fraction, const std::string& text) {
      interruption.guarded([&] { progress(fraction, text); });
    };
  Exploration exploration;
  try {
    exploration = interruptible(interruption, cancel, [&] { return explore(input, options); });
  } catch (...) {
    interruption.rethrow();  // what was cancelled may fail for that
    throw;
  }
  interruption.rethrow();
  describe_device(exploration.result, predictor);
  exploration.result.tool_version = version();
  exploration.result.created = arguments.created;
  exploration.result.command = arguments.command;
  exploration.result.seed = static_cast<std::int64_t>(arguments.search.seed);
  return exploration;
}

}  // namespace

void register_explorer(py::module_& m) {
  py::class_<ExploreArguments>(m, "ExploreArguments")
      .def(py::init(&explore_arguments), "algorithm"_a, "evaluations"_a, "at_most"_a, "top1"_a,
           "threads"_a, "seed"_a, "proposals"_a, "rounds"_a, "budget_s"_a, "measure_s"_a,
           "created"_a, "command"_a);
  m.def(
      "explore",
      [](const Predictor& predictor, const SearchSpace& space, const Profile* profile,
         const ExploreArguments& arguments, const py::object& progress) {
        Exploration found = run(predictor, space, profile, arguments, progress);
        py::list proposals;
        for (Proposal& proposal : found.proposals)
          proposals.append(py::make_tuple(proposal.config, std::move(proposal.network)));
        return py::make_tuple(std::move(found.result), proposals);
      },
      "predictor"_a, "space"_a, "profile"_a, "arguments"_a, "progress"_a);
  m.def(
      "estimated_top1",
      [](const Network& network) -> py::object {
        const AccuracyEstimate e = published_accuracy_model().estimate(capacity(network));
        if (e.refused) return py::none();
        return py::make_tuple(e.top1, e.low, e.high);
      },
      "network"_a);
}

}  // namespace cpubone::python
