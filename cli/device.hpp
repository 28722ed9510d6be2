#pragma once
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/terminal.hpp"
#include "graph/network.hpp"
#include "graph/passes.hpp"
#include "predictor/co_execution.hpp"
#include "predictor/predictor.hpp"
#include "space/named_network.hpp"

namespace cpubone {
class Coprocessor;
struct LayerSplit;
struct MeasureOptions;
}  // namespace cpubone

namespace cpubone::cli {

/// The newest profile that was measured on a device of that name in devices/ and kept on this
/// machine: on the device itself, or over ssh. Its settings are those that are asked for.
std::optional<Profile> measured_profile(const std::string& device, const MeasureSettings& settings);

/// What a user asks of a device; what is left out is as the device has it.
struct Conditions {
  std::optional<int> threads;
  std::vector<int> cpus;
  std::optional<DType> precision = {};
};
/// One thread, not pinned, in f32, where nothing else is asked for.
MeasureSettings settings_of(const Conditions& conditions);

/// What results call the devices of `--device`: names as they were asked for, files without folder
/// and suffix. Throws std::invalid_argument for one that is given twice, and for more than `most`.
std::vector<std::string> device_names(const std::vector<std::string>& devices, std::size_t most);

/// The predictor that `--device` means: `host` (fitted to the profile of this machine that
/// cpubone-profile keeps), a device in devices/ (measured where it was, else calibrated from
/// published latencies), or a file with a profile, a predictor or a device. Warns where it was made
/// on another machine. Throws cpubone::Error saying which command makes what is missing,
/// std::invalid_argument where the device is predicted under other conditions.
Predictor device_predictor(const std::string& device, const Conditions& conditions,
                           const Terminal& terminal);

/// Predictors of one device in every precision that it is known in, f32 first: of `host` and of a
/// device in devices/ what was measured, of files what they are. Throws as `device_predictor` does,
/// std::invalid_argument where f32 is missing.
std::vector<Predictor> predictors_by_precision(const std::vector<std::string>& devices,
                                               const Conditions& conditions,
                                               const Terminal& terminal);

/// `device_predictor` with a coprocessor beside the CPU: `host` (what `cpubone-profile --device
/// host+gpu` keeps), a file that it wrote, or a device, by name or file, of whose coprocessor
/// latencies were published. Throws as `device_predictor` does.
CoExecutionPredictor co_execution_predictor(const std::string& device, const Conditions& conditions,
                                            const Terminal& terminal);

/// The OpenCL device beside this machine's CPU that co-execution uses; says which, and warns where
/// it is the CPU. Throws cpubone::Error saying what to install where there is none.
std::shared_ptr<const Coprocessor> host_coprocessor(const Terminal& terminal);

/// `measure_splits` with a bar of progress.
std::vector<Timing> time_splits(std::span<const LayerSplit> layers,
                                const std::shared_ptr<const Coprocessor>& coprocessor,
                                MeasureOptions options, const Terminal& terminal);

/// The predictor adapted to the latencies of a table `network,latency_ms`, of networks as
/// `named_network` reads them: measured on another device like it, or by another runtime. Throws
/// cpubone::Error naming file and line, std::invalid_argument for fewer than 4.
Predictor adapted_to_latencies(const Predictor& predictor, const std::filesystem::path& csv,
                               const std::vector<std::string>& input_shapes,
                               const Terminal& terminal);

/// The network that a user means, with the shapes that `--input-shape` gives to inputs of an ONNX
/// model. Warns of operators that are left out.
NamedNetwork named_network(const std::string& name_or_file,
                           const std::vector<std::string>& input_shapes, const Terminal& terminal);

/// What a user asks of networks, in every tool alike.
struct FormOptions {
  std::string resolution;
  std::vector<std::string> input_shapes;  ///< of ONNX models, for `named_network`
  bool features = false;
};
/// `--resolution`, `--input-shape` and `--features`.
void add_form_options(CLI::App& app, FormOptions& options);
/// Throws std::invalid_argument naming the option.
NetworkForm form_of(const FormOptions& options);

}  // namespace cpubone::cli
