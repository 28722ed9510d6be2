#include <optional>

#include "explorer/studies_co_execution.hpp"
#include "explorer/studies_precision.hpp"
#include "explorer/study.hpp"
#include "python/src/bindings.hpp"
#include "python/src/work.hpp"
#include "space/zoo.hpp"
#ifdef CPUBONE_WITH_XNNPACK
#include "cli/host_measurer.hpp"
#include "explorer/inputs.hpp"
#include "profiler/compare_precisions.hpp"
#include "profiler/host.hpp"
#include "profiler/measure.hpp"
#include "runtime/opencl/opencl.hpp"
#endif

namespace cpubone::python {
namespace {

using namespace py::literals;

/// A study that is asked for.
struct StudyRequest {
  std::string name;
  std::vector<Predictor> predictors;            ///< of the study `precision` one each
  std::optional<CoExecutionPredictor> sharing;  ///< of studies of co-execution, in their place
  std::vector<Network> networks;                ///< of `precision`; empty: the published ones
  std::filesystem::path accuracy;               ///< of `precision`; top-1 in int8
  double measure_s = 0;                         ///< 0: nothing is measured
  std::filesystem::path runtime_library;        ///< XNNPACK that `precision` measures
  Provenance provenance;
};

#ifdef CPUBONE_WITH_XNNPACK
/// What is measured here must not be told to be of another machine.
void check_is_here(const Predictor& predictor, Backends backends) {
  const Device here = describe_host(predictor.settings.cpus, backends);
  if (fingerprint(predictor.device, predictor.settings) != fingerprint(here, predictor.settings))
    throw std::invalid_argument(
        "predictor: is of " + predictor.device.cpu + " with " + predictor.device.runtime +
        ", but measure_s measures this machine (" + here.cpu + ", " + here.runtime +
        "): expected Predictor.host(), or one that is fitted to a profile of this machine and "
        "runtime");
}
#endif

Study run_precisions(const StudyRequest& request, const WorkHooks& hooks) {
  const std::vector<Network> networks =
      request.networks.empty() ? published_networks() : request.networks;
  std::vector<OwnTop1> top1;
  if (!request.accuracy.empty()) top1 = load_accuracy_model(request.accuracy).own;
  ComparePrecisions compare;
#ifdef CPUBONE_WITH_XNNPACK
  std::optional<PinnedThread> pinned;
  if (request.measure_s > 0) {
    const Backends backends = find_runtime("xnnpack", request.runtime_library);
    for (const Predictor& predictor : request.predictors) check_is_here(predictor, backends);
    const Predictor& first = request.predictors.front();
    pinned.emplace(first.settings.cpus);
    compare = [&first, backends,
               seconds = comparison_s(request.measure_s, networks.size())](const Network& network) {
      return compare_precisions(network, first.device, first.settings.threads, seconds, backends);
    };
  }
#endif
  return run_precision_study(request.predictors, networks, compare, top1, hooks);
}

Study run_sharing(const StudyRequest& request, [[maybe_unused]] const WorkHooks& hooks) {
  MeasureSplits measure;
#ifdef CPUBONE_WITH_XNNPACK
  if (request.measure_s > 0) {
    check_is_here(request.sharing->cpu, backends());
    MeasureOptions options;
    options.settings = request.sharing->cpu.settings;
    options.seed = request.provenance.seed;
    options.budget_s = request.measure_s;
    options.cancelled = [&hooks] { return hooks.cancel->load(); };
    if (hooks.progress)
      options.on_progress = [&hooks](const SampleProgress& p) {
        hooks.progress("measuring shared layers", p.fraction, {});
      };
    OpenClOptions device;
    device.device = preferred_device(opencl_devices());
    measure = [options, coprocessor = opencl_coprocessor(device)](std::span<const LayerSplit> s) {
      return measured_latencies(measure_splits(s, coprocessor, options));
    };
  }
#endif
  return co_execution_study(request.name, *request.sharing, measure);
}

Study run_usual(const StudyRequest& request, const Target& target, const WorkHooks& hooks) {
  std::unique_ptr<Measurer> machine;
#ifdef CPUBONE_WITH_XNNPACK
  if (request.measure_s > 0) {
    check_is_here(target.predictor, backends());
    machine = host_measurer(target.predictor.settings, request.provenance.seed,
                            [&hooks] { return hooks.cancel->load(); });
  }
#endif
  return run_studies(target, machine.get(), {&request.name, 1}, request.measure_s, hooks).at(0);
}

/// A result that has the study alone.
Result study_result(const StudyRequest& request, const py::object& progress) {
  Interruption interruption;
  std::atomic<bool> cancel = false;
  const WorkHooks hooks = hooks_of(progress, interruption, cancel);
  return interruptible(interruption, cancel, [&] {
    const Target target =
        predicted_target(request.sharing ? request.sharing->cpu : request.predictors.at(0));
    Result result;
    result.studies.push_back(request.sharing ? run_sharing(request, hooks)
                             : request.name == precision_study_name
                                 ? run_precisions(request, hooks)
                                 : run_usual(request, target, hooks));
    if (request.sharing)
      result.device.conditions.push_back(
          {"coprocessor", request.sharing->coprocessor.device.coprocessor});
    describe(result, target, request.provenance);
    return result;
  });
}

}  // namespace

void register_studies(py::module_& m) {
  m.def("study_names", [] {
    std::vector<std::string> names(study_names().begin(), study_names().end());
    names.emplace_back(precision_study_name);
    const auto sharing = co_execution_study_names();
    names.insert(names.end(), sharing.begin(), sharing.end());
    return names;
  });
  m.def(
      "study",
      [](std::string name, std::vector<Predictor> predictors,
         std::optional<CoExecutionPredictor> sharing, std::vector<Network> networks,
         std::filesystem::path accuracy, double measure_s, std::filesystem::path runtime_library,
         std::uint64_t seed, std::string created, std::string command, const py::object& progress) {
        return study_result({std::move(name),
                             std::move(predictors),
                             std::move(sharing),
                             std::move(networks),
                             std::move(accuracy),
                             measure_s,
                             std::move(runtime_library),
                             {std::move(created), std::move(command), seed}},
                            progress);
      },
      "name"_a, "predictors"_a, "sharing"_a, "networks"_a, "accuracy"_a, "measure_s"_a,
      "runtime_library"_a, "seed"_a, "created"_a, "command"_a, "progress"_a);
}

}  // namespace cpubone::python
