#include "explorer/workflow.hpp"

#include <map>

#include "explorer/island_json.hpp"
#include "explorer/known_accuracies.hpp"
#include "explorer/output_folder.hpp"
#include "python/src/bindings.hpp"
#include "python/src/work.hpp"
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
                                   int threads, int islands, int generations, std::uint64_t seed,
                                   int proposals, int rounds, double budget_s, double measure_s,
                                   int height, int width, bool features, int next,
                                   std::filesystem::path accuracy, std::string created,
                                   std::string command) {
  ExploreArguments a;
  SearchOptions& search = a.options.search;
  search.algorithm = parse_algorithm(algorithm);
  search.evaluations = evaluations;
  for (const auto& [objective, limit] : at_most)
    search.constraints.push_back({parse_objective(objective), limit});
  if (top1 > 0) search.constraints.push_back({Objective::top1, top1});
  search.threads = threads;
  search.islands = islands;
  search.generations = generations;
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

/// A device by the name that results call it by.
using NamedPredictor = std::pair<std::string, Predictor>;

Target target_of(const NamedPredictor& device) {
  Target target = predicted_target(device.second);
  target.name = device.first;
  return target;
}

/// Lets Python run islands: `evolve` takes the problem, tasks and whether to stop, and returns the
/// epochs, all JSON texts.
EvolveIslands evolve_by(const py::object& evolve, const std::vector<NamedPredictor>& devices,
                        Interruption& interruption, const std::atomic<bool>& cancel) {
  return [&, problem = std::string()](std::span<const IslandTask> tasks,
                                      const Evaluator& evaluator) mutable {
    std::vector<std::string> texts;
    for (const IslandTask& task : tasks) texts.push_back(to_json(task).dump());
    if (problem.empty()) {
      std::vector<Predictor> predictors;
      for (const NamedPredictor& device : devices) predictors.push_back(device.second);
      problem = problem_json(evaluator, predictors, tasks.front().options).dump();
    }
    std::vector<std::string> answers;
    interruption.guarded([&] {
      const py::cpp_function stopped([&cancel] { return cancel.load(); });
      answers = evolve(problem, texts, stopped).cast<std::vector<std::string>>();
    });
    if (interruption.requested()) throw Cancelled{};
    if (answers.size() != tasks.size())
      throw Error("explore: got " + std::to_string(answers.size()) + " epochs of " +
                  std::to_string(tasks.size()) + " islands");
    std::vector<IslandEpoch> epochs;
    for (std::size_t i = 0; i < tasks.size(); ++i)
      epochs.push_back(from_text(answers[i], "island", [&](const JsonReader& json) {
        return read_epoch(json, tasks[i].population.size(), evaluator.space());
      }));
    return epochs;
  };
}

Explored run(const std::vector<NamedPredictor>& devices, const SearchSpace& space,
             const Profile* profile, const ExploreArguments& arguments, const py::object& progress,
             const py::object& evolve) {
  Interruption interruption;
  std::atomic<bool> cancel = false;
  const Target target = [&] {
    Target first = target_of(devices.at(0));
    if (profile) first.profile = *profile;
    return first;
  }();
  std::unique_ptr<Measurer> machine;
#ifdef CPUBONE_WITH_XNNPACK
  if (arguments.budget.round_s > 0)
    machine = host_measurer(target.predictor.settings, arguments.options.search.seed,
                            [&] { return cancel.load(); });
#endif
  ExploreRequest request;
  request.space = space;
  request.accuracy = accuracy_model(space, arguments.accuracy);
  request.options = arguments.options;
  request.form = arguments.form;
  request.budget = arguments.budget;
  request.provenance = arguments.provenance;
  for (std::size_t i = 1; i < devices.size(); ++i)
    request.elsewhere.push_back(target_of(devices[i]));
  if (!evolve.is_none())
    request.options.search.evolve = evolve_by(evolve, devices, interruption, cancel);
  const WorkHooks hooks = hooks_of(progress, interruption, cancel);
  return interruptible(interruption, cancel,
                       [&] { return explore_target(target, machine.get(), request, hooks); });
}

}  // namespace

void register_explorer(py::module_& m) {
  py::class_<ExploreArguments>(m, "ExploreArguments")
      .def(py::init(&explore_arguments), "algorithm"_a, "evaluations"_a, "at_most"_a, "top1"_a,
           "threads"_a, "islands"_a, "generations"_a, "seed"_a, "proposals"_a, "rounds"_a,
           "budget_s"_a, "measure_s"_a, "height"_a, "width"_a, "features"_a, "next"_a, "accuracy"_a,
           "created"_a, "command"_a);
  m.def(
      "explore",
      [](const std::vector<NamedPredictor>& devices, const SearchSpace& space,
         const Profile* profile, const ExploreArguments& arguments, const py::object& progress,
         const py::object& evolve) {
        Explored found = run(devices, space, profile, arguments, progress, evolve);
        py::list proposals;
        for (Proposal& proposal : found.proposals)
          proposals.append(py::make_tuple(proposal.config, std::move(proposal.network)));
        py::list next;
        for (Network& network : found.next) next.append(std::move(network));
        return py::make_tuple(std::move(found.result), std::move(found.elsewhere), proposals, next);
      },
      "devices"_a, "space"_a, "profile"_a, "arguments"_a, "progress"_a, "evolve"_a);
  py::class_<IslandProblem>(m, "IslandProblem")
      .def(py::init([](const std::string& text) {
             return from_text(text, "island problem", [](const JsonReader& json) {
               return std::make_unique<IslandProblem>(json);
             });
           }),
           "text"_a)
      .def(
          "evolve",
          [](const IslandProblem& problem, const std::string& task) {
            const py::gil_scoped_release release;
            return from_text(task, "island task", [&](const JsonReader& json) {
              return evolve_json(problem, json).dump();
            });
          },
          "task"_a)
      .def(
          "check",
          [](const IslandProblem& problem, const std::string& epoch) {
            const py::gil_scoped_release release;
            from_text(epoch, "island epoch", [&](const JsonReader& json) {
              check_epoch(problem, json);
              return true;
            });
          },
          "epoch"_a);
  m.def(
      "save_result",
      [](const Result& result, const std::vector<Network>& proposals,
         const std::filesystem::path& folder, const std::vector<Result>& elsewhere) {
        save_result(result, proposals, folder, elsewhere);
      },
      "result"_a, "proposals"_a, "folder"_a, "elsewhere"_a);
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
