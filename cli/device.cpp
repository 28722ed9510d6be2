#include "cli/device.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <tuple>

#include "cli/arguments.hpp"
#include "graph/error.hpp"
#include "graph/json_file.hpp"
#include "predictor/calibration.hpp"
#include "runtime/channel_part.hpp"
#include "space/random_network.hpp"
#include "space/zoo.hpp"
#ifdef CPUBONE_WITH_PROFILER
#include "profiler/co_execution_profile.hpp"
#include "profiler/host.hpp"
#include "profiler/host_profile.hpp"
#include "profiler/measure.hpp"
#include "runtime/opencl/opencl.hpp"
#endif

namespace cpubone::cli {
namespace {

Predictor fitted(const Profile& profile) {
  return fit_predictor(profile, calibration_networks());
}

#ifdef CPUBONE_WITH_PROFILER
/// That of these settings there is no profile of this machine, and which command makes it.
[[noreturn]] void throw_not_profiled(std::string_view profile, std::string_view device,
                                     const MeasureSettings& settings,
                                     const std::filesystem::path& path) {
  const bool f32 = settings.dtype == DType::f32;
  throw Error(fmt::format(
      "device \"host\": this machine has no {} for {} thread{}{} yet ({}); run `cpubone-profile "
      "--device {} --threads {}{}` once",
      profile, settings.threads, settings.threads == 1 ? "" : "s",
      f32 ? "" : fmt::format(" in {}", name(settings.dtype)), path.string(), device,
      settings.threads, f32 ? "" : fmt::format(" --precision {}", name(settings.dtype))));
}

Predictor host_predictor(const MeasureSettings& settings) {
  const std::filesystem::path path = host_profile_path(settings);
  if (!std::filesystem::exists(path)) throw_not_profiled("profile", "host", settings, path);
  return fitted(load_profile(path));
}

/// A driver may have changed since; the name of the file does not tell.
void warn_of_other_coprocessor(const Device& measured, const Terminal& terminal) {
  const std::vector<OpenClDevice> devices = opencl_devices();
  if (std::none_of(devices.begin(), devices.end(), [&](const OpenClDevice& device) {
        return measured.coprocessor == identity(device);
      }))
    terminal.warn(fmt::format(
        "no OpenCL device of this machine is the one that was measured ({}); remedy: run "
        "`cpubone-profile --device host+gpu` again",
        measured.coprocessor));
}

/// Where `cpubone-profile --device host+gpu` keeps what it measures.
std::filesystem::path host_co_execution_file(const MeasureSettings& settings) {
  std::filesystem::path path = host_co_execution_profile_path(settings);
  if (!std::filesystem::exists(path))
    throw_not_profiled("profile of CPU and coprocessor", "host+gpu", settings, path);
  return path;
}

void warn_of_other_machine(const Predictor& predictor, const std::string& file,
                           const Terminal& terminal) {
  if (predictor.device.name != "host" ||
      fingerprint(predictor.device, predictor.settings) ==
          fingerprint(describe_host(predictor.settings.cpus), predictor.settings))
    return;
  terminal.warn(fmt::format(
      "{}: made on another machine or runtime ({}, {}): its latencies are not this machine's; "
      "`--device host` is",
      file, predictor.device.cpu, predictor.device.runtime));
}
#else
Predictor host_predictor(const MeasureSettings&) {
  throw Error(
      "device \"host\": built without XNNPACK, so this machine cannot be measured; name a file "
      "with --device");
}

std::filesystem::path host_co_execution_file(const MeasureSettings&) {
  throw Error(
      "device \"host\": built without XNNPACK, so this machine cannot be measured; name a file "
      "with --device that `cpubone-profile --device host+gpu -o FILE` wrote");
}

void warn_of_other_machine(const Predictor&, const std::string&, const Terminal&) {}
void warn_of_other_coprocessor(const Device&, const Terminal&) {}
#endif

/// A predictor cannot tell of other conditions than its own.
Predictor under(const Conditions& asked, Predictor predictor, const std::string& device) {
  const MeasureSettings& has = predictor.settings;
  if (asked.threads && *asked.threads != has.threads)
    throw std::invalid_argument(fmt::format(
        "--threads: got {}, but \"{}\" is predicted on {} thread{} only; leave it out, or measure "
        "the device with `cpubone-profile --threads {}`",
        *asked.threads, device, has.threads, has.threads == 1 ? "" : "s", *asked.threads));
  if (asked.precision && *asked.precision != has.dtype)
    throw std::invalid_argument(fmt::format(
        "--precision: got {}, but \"{}\" is predicted in {} only; leave it out, or measure the "
        "device with `cpubone-profile --precision {}`",
        name(*asked.precision), device, name(has.dtype), name(*asked.precision)));
  if (!asked.cpus.empty() && asked.cpus != has.cpus)
    throw std::invalid_argument(fmt::format(
        "--cpus: got {}, but \"{}\" is predicted{}; leave it out", fmt::join(asked.cpus, ","),
        device,
        has.cpus.empty() ? " without pinning" : fmt::format(" on {}", fmt::join(has.cpus, ","))));
  return predictor;
}

}  // namespace

std::optional<Profile> measured_profile([[maybe_unused]] const std::string& device,
                                        [[maybe_unused]] const MeasureSettings& settings) {
  std::optional<Profile> newest;
#ifdef CPUBONE_WITH_PROFILER
  namespace fs = std::filesystem;
  std::vector<fs::path> files;
  const auto folder = find_cache_folder();
  if (!folder) return newest;
  if (known_board(describe_host()) == device) files.push_back(host_profile_path(settings));
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(*folder, code))
    if (entry.path().extension() == ".json" &&
        entry.path().filename().string().rfind(device + "-", 0) == 0)
      files.push_back(entry.path());
  for (const fs::path& file : files) {
    if (!fs::exists(file)) continue;
    Profile profile = load_profile(file);
    if (profile.settings == settings && (!newest || newest->created < profile.created))
      newest = std::move(profile);
  }
#endif
  return newest;
}

MeasureSettings settings_of(const Conditions& conditions) {
  MeasureSettings settings;
  settings.threads = conditions.threads.value_or(1);
  settings.cpus = conditions.cpus;
  settings.dtype = conditions.precision.value_or(DType::f32);
  return settings;
}

Predictor device_predictor(const std::string& device, const Conditions& conditions,
                           const Terminal& terminal) {
  const MeasureSettings settings = settings_of(conditions);
  if (device == "host") return host_predictor(settings);
  // Names first: results of pi5 are often in a folder of that name.
  std::string names;
  for (const DeviceDescription& known : known_devices()) {
    if (known.device.name == device) {
      const auto measured = measured_profile(device, settings);
      return under(conditions, measured ? fitted(*measured) : calibrate(known), device);
    }
    names += ", " + known.device.name;
  }
  if (!std::filesystem::is_regular_file(device))
    throw std::invalid_argument(fmt::format(
        "--device: expected host{}, or a file with a profile, a predictor or a device, got \"{}\"",
        names, device));
  const nlohmann::json json = read_json_file(device);
  const JsonReader reader(json, device + "#");
  const std::string schema = json.is_object() ? json.value("schema", "") : "";
  if (schema == "cpubone/device/1")
    return under(conditions, calibrate(device_description_from_json(reader)), device);
  const bool is_profile = schema == "cpubone/profile/1";
  Predictor predictor =
      is_profile ? fitted(profile_from_json(reader)) : predictor_from_json(reader);
  warn_of_other_machine(predictor, device, terminal);
  return under(conditions, std::move(predictor), device);
}

namespace {

/// A device that is no file, in a precision; nothing where it was not measured in it.
std::optional<Predictor> measured_in(DType dtype, const std::string& device, Conditions conditions,
                                     const Terminal& terminal) {
  conditions.precision = dtype;
  if (dtype == DType::f32) return device_predictor(device, conditions, terminal);
#ifdef CPUBONE_WITH_PROFILER
  const MeasureSettings settings = settings_of(conditions);
  if (device == "host") {
    const std::filesystem::path path = host_profile_path(settings);
    return std::filesystem::exists(path) ? std::optional(fitted(load_profile(path))) : std::nullopt;
  }
  if (const auto measured = measured_profile(device, settings)) return fitted(*measured);
#endif
  return std::nullopt;
}

}  // namespace

std::vector<Predictor> predictors_by_precision(const std::vector<std::string>& devices,
                                               const Conditions& conditions,
                                               const Terminal& terminal) {
  std::vector<Predictor> predictors;
  for (const std::string& device : devices) {
    if (std::filesystem::is_regular_file(device)) {
      predictors.push_back(device_predictor(device, conditions, terminal));
      continue;
    }
    if (devices.size() > 1)
      throw std::invalid_argument(fmt::format(
          "--device: expected one device, or files of one device in several precisions, got \"{}\"",
          fmt::join(devices, ",")));
    for (const DType dtype : {DType::f32, DType::f16, DType::qs8})
      if (auto predictor = measured_in(dtype, device, conditions, terminal))
        predictors.push_back(std::move(*predictor));
  }
  std::stable_sort(predictors.begin(), predictors.end(), [](const auto& a, const auto& b) {
    return a.settings.dtype == DType::f32 && b.settings.dtype != DType::f32;
  });
  if (predictors.front().settings.dtype != DType::f32)
    throw std::invalid_argument(fmt::format(
        "--device: expected \"{}\" to be known in f32, too; name the file of a profile in f32 "
        "beside it, by a comma",
        fmt::join(devices, ",")));
  return predictors;
}

CoExecutionPredictor co_execution_predictor(const std::string& device, const Conditions& conditions,
                                            const Terminal& terminal) {
  const MeasureSettings settings = settings_of(conditions);
  if (!is_shared_precision(settings.dtype))
    throw std::invalid_argument(fmt::format(
        "--precision: got {}, but layers are shared with a coprocessor in f32 and f16 only",
        name(settings.dtype)));
  const auto asked = [&](CoExecutionPredictor predictor) {
    predictor.cpu = under(conditions, std::move(predictor.cpu), device);
    return predictor;
  };
  const auto fitted_to = [](const CoExecutionProfile& profile) {
    return fit_co_execution(profile, calibration_networks());
  };
  if (device == "host") {
    CoExecutionPredictor predictor =
        fitted_to(load_co_execution_profile(host_co_execution_file(settings)));
    warn_of_other_coprocessor(predictor.coprocessor.device, terminal);
    return asked(std::move(predictor));
  }
  for (const DeviceDescription& known : known_devices())
    if (known.device.name == device) return asked(calibrate_co_execution(known));
  if (!std::filesystem::is_regular_file(device))
    throw std::invalid_argument(
        fmt::format("--device: to share layers with a coprocessor expected host, a file that "
                    "`cpubone-profile --device host+gpu -o FILE` wrote, or a device whose "
                    "coprocessor is known, such as pixel4, got \"{}\"",
                    device));
  const nlohmann::json json = read_json_file(device);
  const JsonReader reader(json, device + "#");
  if (json.is_object() && json.value("schema", "") == "cpubone/device/1")
    return asked(calibrate_co_execution(device_description_from_json(reader)));
  CoExecutionPredictor predictor = fitted_to(co_execution_profile_from_json(reader));
  warn_of_other_machine(predictor.cpu, device, terminal);
  return asked(std::move(predictor));
}

#ifdef CPUBONE_WITH_PROFILER
std::shared_ptr<const Coprocessor> host_coprocessor(const Terminal& terminal) {
  const std::vector<OpenClDevice> devices = opencl_devices();
  OpenClOptions options;
  options.device = preferred_device(devices);
  auto coprocessor = opencl_coprocessor(options);
  const OpenClDevice& device = devices.at(static_cast<std::size_t>(options.device));
  terminal.note("coprocessor: " + text(device));
  if (device.is_cpu)
    terminal.warn(
        "the OpenCL device is the CPU itself: what it saves, more threads on the CPU may save as "
        "well; remedy: install the OpenCL driver of a GPU where there is one");
  return coprocessor;
}

std::vector<Timing> time_splits(std::span<const LayerSplit> layers,
                                const std::shared_ptr<const Coprocessor>& coprocessor,
                                MeasureOptions options, const Terminal& terminal) {
  Progress progress(terminal, "measuring shared layers");
  options.on_progress = [&](const SampleProgress& p) { progress.update(p.fraction, 1); };
  return measure_splits(layers, coprocessor, options);
}
#endif

Predictor adapted_to_latencies(const Predictor& predictor, const std::filesystem::path& csv,
                               const std::vector<std::string>& input_shapes,
                               const Terminal& terminal) {
  std::ifstream stream(csv);
  if (!stream) throw Error(fmt::format("{}: cannot be read", csv.string()));
  Profile measured;
  measured.device = predictor.device;
  measured.settings = predictor.settings;
  std::vector<Network> networks;
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    const auto fail = [&](std::string_view expected) {
      throw Error(
          fmt::format("{}:{}: expected {}, got \"{}\"", csv.string(), number, expected, line));
    };
    if (number == 1) {
      if (line != "network,latency_ms") fail("the columns network,latency_ms");
      continue;
    }
    if (line.empty()) continue;
    const auto comma = line.rfind(',');
    double ms = 0;
    const char* end = line.data() + line.size();
    if (comma == std::string::npos ||
        std::from_chars(line.data() + comma + 1, end, ms).ptr != end || !(ms > 0))
      fail("a network and its latency in milliseconds, above 0");
    networks.push_back(named_network(line.substr(0, comma), input_shapes, terminal).network);
    NetworkRecord record;
    record.name = networks.back().name;
    record.structure = structure_hash(networks.back());
    record.params = params(networks.back());
    record.macs = macs(networks.back());
    // How right it is, is not known: adapting finds out.
    const double ns = ms * 1e6;
    record.timing = {ns, ns, ns, 0, {}, 1, false};
    measured.networks.push_back(std::move(record));
  }
  return adapt_predictor(predictor, measured, networks);
}

NamedNetwork named_network(const std::string& name_or_file,
                           const std::vector<std::string>& input_shapes, const Terminal& terminal) {
  OnnxOptions options;
  for (const std::string& shape : input_shapes) {
    auto [input, dims] = parse_input_shape("--input-shape", shape);
    options.input_shapes[input] = std::move(dims);
  }
  NamedNetwork named = cpubone::named_network(name_or_file, options);
  for (const UnsupportedNode& node : named.unsupported)
    terminal.warn(
        fmt::format("{}: {}; the latency is of the rest", named.network.name, text(node)));
  return named;
}

void add_form_options(CLI::App& app, FormOptions& options) {
  app.add_option("--resolution", options.resolution,
                 "of the networks' input in pixels: 224, or height x width such as 288x512");
  app.add_option("--input-shape", options.input_shapes,
                 "of an ONNX model's first input, or of one by name: 1x3x224x224, image=1x3x64x64");
  app.add_flag("--features", options.features,
               "networks without their heads, as detectors use them");
}

NetworkForm form_of(const FormOptions& options) {
  NetworkForm form{.features = options.features};
  if (!options.resolution.empty())
    std::tie(form.height, form.width) = parse_resolution("--resolution", options.resolution);
  return form;
}

std::vector<std::string> device_names(const std::vector<std::string>& devices, std::size_t most) {
  std::vector<std::string> names;
  for (const std::string& device : devices) {
    names.push_back(std::filesystem::is_regular_file(device)
                        ? std::filesystem::path(device).stem().string()
                        : device);
    if (std::count(names.begin(), names.end(), names.back()) > 1)
      throw std::invalid_argument(
          fmt::format("--device: \"{}\" is given twice, expected different ones", names.back()));
  }
  if (names.size() > most)
    throw std::invalid_argument(
        fmt::format("--device: got {} devices, expected at most {}", names.size(), most));
  return names;
}

}  // namespace cpubone::cli
