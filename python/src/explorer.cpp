#include "explorer/explore.hpp"
#include "explorer/inputs.hpp"

#include <atomic>
#include <future>
#include <map>

#include "explorer/accuracy.hpp"
#include "predictor/predictor.hpp"
#include "python/src/bindings.hpp"
#include "space/random_network.hpp"
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

/// Runs `work` on another thread; this one looks for Ctrl-C, which cancels the work.
template <typename Work>
auto interruptible(Interruption& interruption, std::atomic<bool>& cancel, Work work) {
  const py::gil_scoped_release release;
  auto future = std::async(std::launch::async, work);
  while (future.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready)
    if (interruption.requested()) cancel = true;
  return future.get();
}

Exploration run(Predictor predictor, const SearchSpace& space, const Profile* profile,
                const ExploreArguments& arguments, const py::object& progress) {
  Interruption interruption;
  std::atomic<bool> cancel = false;
  ExploreInput input{.space = space,
                     .latency = latency_model(predictor),
                     .accuracy = published_accuracy_model(),
                     .measure = {},
                     .learn = {},
                     .measured = profile ? known_latencies(*profile) : std::vector<KnownLatency>{}};
#ifdef CPUBONE_WITH_XNNPACK
  MeasureOptions measuring;
  measuring.settings = predictor.settings;
  measuring.budget_s = arguments.measure_s;
  measuring.seed = arguments.search.seed;
  measuring.details = false;
  if (profile) measuring.calibration_ns = best_calibration_ns(*profile);
  measuring.cancelled = [&] { return cancel.load(); };
  if (arguments.measure_s > 0)
    input.measure = [&](std::span<const Network> networks) {
      return measured_latencies(measure_timings(networks, measuring));
    };
  Profile known = profile ? *profile : Profile{};
  if (arguments.measure_s > 0 && !known.ops.empty())
    input.learn = [&](std::span<const Op> ops) {
      measure_ops(ops, measuring, known);
      predictor = fit_predictor(known, calibration_networks());
      return latency_model(predictor);
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
  describe_predictor(exploration.result, predictor);
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
