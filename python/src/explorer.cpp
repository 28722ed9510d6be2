#include "explorer/workflow.hpp"

#include <atomic>
#include <future>
#include <map>

#include "explorer/known_accuracies.hpp"
#include "explorer/output_folder.hpp"
#include "python/src/bindings.hpp"
#ifdef CPUBONE_WITH_XNNPACK
#include "cli/host_measurer.hpp"
#endif

namespace cpubone::python {
namespace {

using namespace py::literals;

/// Arguments of `explore` that are plain values.
struct ExploreArguments {
  ExploreOptions options;
  Budget budget;  ///< no seconds a round: predictions only
  NetworkForm form;
  std::filesystem::path accuracy;  ///< table of trained networks; empty: the published ones
  Provenance provenance;
};

ExploreArguments explore_arguments(const std::string& algorithm, std::int64_t evaluations,
                                   const std::map<std::string, double>& at_most, double top1,
                                   int threads, std::uint64_t seed, int proposals, int rounds,
                                   double budget_s, double measure_s, int height, int width,
                                   bool features, int next, std::filesystem::path accuracy,
                                   std::string created, std::string command) {
  ExploreArguments a;
  SearchOptions& search = a.options.search;
  search.algorithm = parse_algorithm(algorithm);
  search.evaluations = evaluations;
  for (const auto& [objective, limit] : at_most)
    search.constraints.push_back({parse_objective(objective), limit});
  if (top1 > 0) search.constraints.push_back({Objective::top1, top1});
  search.threads = threads;
  search.seed = seed;
  a.options.proposals = proposals;
  a.options.rounds = rounds;
  a.budget.explore_s = budget_s;
  a.budget.round_s = measure_s;
  a.form = {height, width, features};
  a.options.next = next;
  a.accuracy = std::move(accuracy);
  a.provenance = {std::move(created), std::move(command), seed};
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

Explored run(const Predictor& predictor, const SearchSpace& space, const Profile* profile,
             const ExploreArguments& arguments, const py::object& progress) {
  Interruption interruption;
  std::atomic<bool> cancel = false;
  Target target = predicted_target(predictor);
  if (profile) target.profile = *profile;
  std::unique_ptr<Measurer> machine;
#ifdef CPUBONE_WITH_XNNPACK
  if (arguments.budget.round_s > 0)
    machine = host_measurer(predictor.settings, arguments.options.search.seed,
                            [&] { return cancel.load(); });
#endif
  ExploreRequest request;
  request.space = space;
  request.accuracy = accuracy_model(space, arguments.accuracy);
  request.options = arguments.options;
  request.form = arguments.form;
  request.budget = arguments.budget;
  request.provenance = arguments.provenance;
  WorkHooks hooks;
  hooks.cancel = &cancel;
  if (!progress.is_none())
    hooks.progress = [&](std::string_view activity, double fraction, const std::string& detail) {
      interruption.guarded(
          [&] { progress(fraction, detail.empty() ? std::string(activity) : detail); });
    };
  Explored explored;
  try {
    explored = interruptible(interruption, cancel,
                             [&] { return explore_target(target, machine.get(), request, hooks); });
  } catch (...) {
    interruption.rethrow();  // what was cancelled may fail for that
    throw;
  }
  interruption.rethrow();
  return explored;
}

}  // namespace

void register_explorer(py::module_& m) {
  py::class_<ExploreArguments>(m, "ExploreArguments")
      .def(py::init(&explore_arguments), "algorithm"_a, "evaluations"_a, "at_most"_a, "top1"_a,
           "threads"_a, "seed"_a, "proposals"_a, "rounds"_a, "budget_s"_a, "measure_s"_a,
           "height"_a, "width"_a, "features"_a, "next"_a, "accuracy"_a, "created"_a, "command"_a);
  m.def(
      "explore",
      [](const Predictor& predictor, const SearchSpace& space, const Profile* profile,
         const ExploreArguments& arguments, const py::object& progress) {
        Explored found = run(predictor, space, profile, arguments, progress);
        py::list proposals;
        for (Proposal& proposal : found.proposals)
          proposals.append(py::make_tuple(proposal.config, std::move(proposal.network)));
        py::list next;
        for (Network& network : found.next) next.append(std::move(network));
        return py::make_tuple(std::move(found.result), proposals, next);
      },
      "predictor"_a, "space"_a, "profile"_a, "arguments"_a, "progress"_a);
  m.def(
      "save_result",
      [](const Result& result, const std::vector<Network>& proposals,
         const std::filesystem::path& folder) { save_result(result, proposals, folder); },
      "result"_a, "proposals"_a, "folder"_a);
  m.def(
      "estimated_top1",
      [](const Network& network) -> py::object {
        const AccuracyEstimate e =
            estimate(published_accuracy_model().posterior, accuracy_terms(network));
        if (e.refused) return py::none();
        return py::make_tuple(e.top1, e.low, e.high);
      },
      "network"_a);
}

}  // namespace cpubone::python
