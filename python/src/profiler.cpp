#include <algorithm>
#include <mutex>

#include "graph/error.hpp"
#include "predictor/predictor.hpp"
#include "profiler/co_execution_profile.hpp"
#include "profiler/compare_precisions.hpp"
#include "profiler/host.hpp"
#include "profiler/host_profile.hpp"
#include "profiler/measure.hpp"
#include "profiler/plan.hpp"
#include "python/src/bindings.hpp"
#include "python/src/weights.hpp"
#include "runtime/executor.hpp"
#include "runtime/opencl/opencl.hpp"
#include "runtime/xnnpack_backend.hpp"
#include "runtime/xnnpack_traits.hpp"

namespace cpubone::python {
namespace {

using namespace py::literals;

/// A network that is ready to run, one call at a time.
class PyExecutor {
 public:
  PyExecutor(const Network& network, const py::dict& weights, int threads, bool keep_outputs)
      : executor_(
            network, [&](const Node& node) { return parameters_of(weights, node); },
            std::make_shared<const ThreadPool>(threads), options(keep_outputs)) {}

  /// Outputs, NHWC, of one image h x w x c.
  py::list run(const Array& image) {
    if (executor_.network().inputs.size() != 1)
      throw std::invalid_argument("network \"" + executor_.network().name + "\" has " +
                                  std::to_string(executor_.network().inputs.size()) +
                                  " inputs, expected one");
    const Shape& shape = executor_.network().inputs[0].shape;
    const std::vector<py::ssize_t> expected{shape.h, shape.w, shape.c};
    const std::vector<py::ssize_t> got(image.shape(), image.shape() + image.ndim());
    if (got != expected)
      throw std::invalid_argument("image: got " + extents_text(got) + ", expected " +
                                  extents_text(expected) + " (height x width x channels)");
    const std::unique_lock lock = this->lock();
    {
      const py::gil_scoped_release release;
      std::copy(image.data(), image.data() + image.size(), executor_.input().begin());
      executor_.run();
    }
    py::list outputs;
    const Network& network = executor_.network();
    for (std::size_t i = 0; i < network.outputs.size(); ++i)
      outputs.append(array(tensor(network, network.outputs[i]).shape, executor_.output(i)));
    return outputs;
  }

  /// Output of a node of the last run.
  py::array_t<float> node_output(const std::string& name) {
    const auto& nodes = executor_.network().nodes;
    const auto node =
        std::find_if(nodes.begin(), nodes.end(), [&](const Node& n) { return n.name == name; });
    if (node == nodes.end())
      throw std::invalid_argument("node: the executed network has no \"" + name + "\"");
    const std::unique_lock lock = this->lock();
    return array(node->op.output(),
                 real_output(executor_, static_cast<std::size_t>(node - nodes.begin())));
  }

  const Network& network() const { return executor_.network(); }
  std::size_t arena_bytes() const { return executor_.arena_bytes(); }

 private:
  static ExecutorOptions options(bool keep_outputs) {
    ExecutorOptions options;
    options.keep_outputs = keep_outputs;
    return options;
  }
  static py::array_t<float> array(const Shape& shape, std::span<const float> values) {
    return to_array(values, {shape.h, shape.w, shape.c});
  }
  /// Waits without the GIL, which the thread that runs may need to finish.
  std::unique_lock<std::mutex> lock() {
    const py::gil_scoped_release release;
    return std::unique_lock(mutex_);
  }

  std::mutex mutex_;
  Executor executor_;
};

MeasureSettings settings(int threads, const std::string& dtype, const std::string& cache,
                         std::vector<int> cpus) {
  MeasureSettings settings;
  settings.threads = threads;
  settings.dtype = parse_dtype(dtype);
  if (cache != name(CacheMode::cold) && cache != name(CacheMode::hot))
    throw std::invalid_argument("cache: got \"" + cache + "\", expected cold or hot");
  settings.cache = cache == name(CacheMode::hot) ? CacheMode::hot : CacheMode::cold;
  settings.cpus = std::move(cpus);
  return settings;
}

/// Runs `measure` without the GIL, reporting to `progress` (a callable or None).
template <typename Measure>
auto measured(MeasureOptions options, const py::object& progress, Measure measure) {
  Interruption interruption;
  options.cancelled = [&] { return interruption.requested(); };
  if (!progress.is_none())
    options.on_progress = [&](const SampleProgress& p) {
      interruption.guarded([&] { progress(p.fraction, p.remaining_s, p.done, p.tasks); });
    };
  auto profile = [&] {
    const py::gil_scoped_release release;
    return measure(options);
  }();
  interruption.rethrow();
  return profile;
}

MeasureOptions measure_options(MeasureSettings settings, double budget_s, std::uint64_t seed,
                               std::filesystem::path journal, bool resume,
                               const std::string& runtime,
                               const std::filesystem::path& runtime_library) {
  if (!(budget_s > 0))
    throw std::invalid_argument("budget_s: got " + std::to_string(budget_s) +
                                ", expected seconds above 0");
  MeasureOptions options;
  options.settings = std::move(settings);
  options.backends = find_runtime(runtime, runtime_library);
  options.budget_s = budget_s;
  options.seed = seed;
  options.journal = std::move(journal);
  options.resume = resume;
  options.calibration_ns = known_calibration_ns(options.settings);
  return options;
}

py::dict compared_precisions(const Network& network, int threads, double seconds,
                             const std::filesystem::path& runtime_library) {
  const PrecisionComparison c = [&] {
    const py::gil_scoped_release release;
    const Backends backends = find_runtime("xnnpack", runtime_library);
    return compare_precisions(network, describe_host({}, backends), threads, seconds, backends);
  }();
  py::list rows;
  for (const PrecisionPart& part : c.parts)
    rows.append(py::dict("node"_a = part.node, "stage"_a = part.stage, "op"_a = part.op,
                         "engine"_a = part.engine, "f32_ms"_a = part.f32_ns * 1e-6,
                         "f16_ms"_a = part.f16_ns * 1e-6, "int8_ms"_a = part.int8_ns * 1e-6,
                         "dynamic"_a = part.op.dynamic, "reason"_a = part.reason));
  return py::dict("f32_ms"_a = c.f32_ns.value * 1e-6, "f16_ms"_a = c.f16_ns.value * 1e-6,
                  "int8_ms"_a = c.int8_ns.value * 1e-6, "f16_speedup"_a = c.f16_speedup.value,
                  "f16_emulated"_a = c.f16_emulated, "speedup"_a = c.speedup.value,
                  "conversions_ms"_a = conversion_ns(c) * 1e-6,
                  "dynamic_ms"_a = dynamic_ns(c) * 1e-6, "stays_f32_ms"_a = fallback_ns(c) * 1e-6,
                  "f32_memory_bytes"_a = c.f32_memory_bytes,
                  "f16_memory_bytes"_a = c.f16_memory_bytes,
                  "int8_memory_bytes"_a = c.int8_memory_bytes, "rows"_a = rows);
}

}  // namespace

void register_profiler(py::module_& m) {
  py::class_<MeasureSettings>(m, "MeasureSettings")
      .def(py::init(&settings), "threads"_a, "dtype"_a, "cache"_a, "cpus"_a);
  py::class_<MeasureOptions>(m, "MeasureOptions")
      .def(py::init(&measure_options), "settings"_a, "budget_s"_a, "seed"_a, "journal"_a,
           "resume"_a, "runtime"_a, "runtime_library"_a);

  m.def(
      "profile",
      [](const std::vector<Op>& ops, const std::vector<Network>& networks,
         const MeasureOptions& all, const py::object& progress) {
        return measured(all, progress, [&](const MeasureOptions& options) {
          Profile profile = host_profile(options.settings, options.backends);
          const bool both = !ops.empty() && !networks.empty();
          const auto part = [&](const char* suffix, double from, double to) {
            MeasureOptions half = options;
            half.budget_s *= to - from;
            if (both && !half.journal.empty()) half.journal += suffix;
            if (options.on_progress)
              half.on_progress = [&options, from, to](SampleProgress p) {
                p.fraction = from + (to - from) * p.fraction;
                p.remaining_s += options.budget_s * (1 - to);
                options.on_progress(p);
              };
            return half;
          };
          const double split = !both ? (ops.empty() ? 0 : 1) : 0.65;
          if (!ops.empty()) measure_ops(ops, part(".ops", 0, split), profile);
          if (!networks.empty() && !options.cancelled())
            measure_networks(networks, part(".networks", split, 1), profile);
          return profile;
        });
      },
      "ops"_a, "networks"_a, "options"_a, "progress"_a);
  m.def(
      "profile_host",
      [](const MeasureOptions& options, const py::object& progress) {
        return measured(options, progress,
                        [](const MeasureOptions& o) { return measure_host_profile(o, spread_of); });
      },
      "options"_a, "progress"_a);
  m.def(
      "profile_co_execution",
      [](const MeasureOptions& options, const py::object& progress) {
        return measured(options, progress, [](const MeasureOptions& o) {
          OpenClOptions device;
          device.device = preferred_device(opencl_devices());
          return measure_co_execution_profile(o, opencl_coprocessor(device), spread_of);
        });
      },
      "options"_a, "progress"_a);
  m.def("host_co_execution_profile_path", &host_co_execution_profile_path, "settings"_a);
  m.def("compare_precisions", &compared_precisions, "network"_a, "threads"_a, "seconds"_a,
        "runtime_library"_a);
  m.def("host_profile_path", &host_profile_path, "settings"_a);
  m.def(
      "sampling_plan",
      [](std::uint64_t seed, int count, const std::string& dtype) {
        return sampling_plan(seed, count, parse_dtype(dtype));
      },
      "seed"_a, "count"_a, "dtype"_a);
  m.def("host_json", [] { return json_text(describe_host()); });
  m.def("host_warnings", [] {
    py::list warnings;
    for (const Warning& warning : host_warnings())
      warnings.append(py::make_tuple(warning.what, warning.remedy));
    return warnings;
  });
  m.def("xnnpack_version", &xnnpack_version);

  py::class_<PyExecutor>(m, "Executor")
      .def(py::init<const Network&, const py::dict&, int, bool>(), "network"_a, "weights"_a,
           "threads"_a, "keep_outputs"_a)
      .def("run", &PyExecutor::run, "image"_a)
      .def("node_output", &PyExecutor::node_output, "name"_a)
      .def_property_readonly("network", &PyExecutor::network)
      .def_property_readonly("arena_bytes", &PyExecutor::arena_bytes);
  m.def(
      "random_weights",
      [](const Network& network, std::uint64_t seed) {
        return to_weights(network, random_parameters(seed));
      },
      "network"_a, "seed"_a);
}

}  // namespace cpubone::python
