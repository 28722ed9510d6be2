#include "cli/calibration.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>

#include "cli/arguments.hpp"
#include "cli/images.hpp"

namespace cpubone::cli {
namespace {

constexpr std::size_t judges_one_in = 5;

std::vector<float> channel_values(std::string_view option, const std::string& text) {
  std::vector<float> values;
  for (const std::string& part : parse_list(option, text)) {
    std::size_t read = 0;
    float value = 0;
    try {
      value = std::stof(part, &read);
    } catch (const std::logic_error&) {
      read = 0;
    }
    if (read == 0 || read != part.size() || !std::isfinite(value))
      throw std::invalid_argument(
          fmt::format("{}: got \"{}\", expected numbers such as 0.485,0.456,0.406", option, text));
    values.push_back(value);
  }
  return values;
}

std::optional<Normalisation> normalisation_of(const CalibrationOptions& options) {
  if (options.mean.empty() != options.std.empty())
    throw std::invalid_argument(fmt::format("--mean and --std go together, got --{} only",
                                            options.mean.empty() ? "std" : "mean"));
  if (options.mean.empty()) return std::nullopt;
  Normalisation by{channel_values("--mean", options.mean), channel_values("--std", options.std)};
  if (std::any_of(by.std.begin(), by.std.end(), [](float std) { return std <= 0; }))
    throw std::invalid_argument(
        fmt::format("--std: got \"{}\", expected numbers above 0", options.std));
  return by;
}

ParameterSource parameters_of(const NamedNetwork& named, const Terminal& terminal) {
  if (!named.parameters.empty())
    return [&named](const Node& node) { return named.parameters.at(node.name); };
  terminal.warn(fmt::format(
      "{} has no weights of its own, so these are random ones: a trained network may lose more; "
      "remedy: name its ONNX model",
      named.network.name));
  return random_parameters();
}

Int8Losses losses_of(const NamedNetwork& named, const CalibrationOptions& options,
                     const std::optional<Normalisation>& by, int threads,
                     const Terminal& terminal) {
  const Network& network = named.network;
  if (network.inputs.size() != 1 || is_quantised(network))
    throw std::invalid_argument(
        fmt::format("--calibrate: network \"{}\" {}; expected one input, in f32", network.name,
                    is_quantised(network) ? "is in int8 already"
                                          : fmt::format("has {} inputs", network.inputs.size())));
  std::vector<InputValues> calibrating;
  std::vector<InputValues> judging;
  std::size_t number = 0;
  for (std::vector<float>& image : read_images(options.images, network.inputs[0].shape, by))
    (++number % judges_one_in == 0 ? judging : calibrating).push_back({std::move(image)});
  if (judging.empty() && calibrating.size() > 1) {
    judging.push_back(std::move(calibrating.back()));
    calibrating.pop_back();
  }
  const auto pool = std::make_shared<const ThreadPool>(threads);
  const ParameterSource parameters = parameters_of(named, terminal);
  const QuantisedNetwork quantised = quantise(network, parameters, calibrating, pool);
  const std::vector<InputValues>& judges = judging.empty() ? calibrating : judging;
  return {network.name, calibrating.size(), judges.size(),
          compare(network, quantised, parameters, judges, pool), quantised.floats};
}

nlohmann::json to_contract(const TensorError& error) {
  return {{"node", error.node},
          {"cosine", error.cosine},
          {"relative_error", error.relative_error},
          {"added_error", error.added_error}};
}

nlohmann::json to_contract(const Int8Losses& losses) {
  nlohmann::json nodes = nlohmann::json::array();
  for (const TensorError& error : losses.error.tensors) nodes.push_back(to_contract(error));
  nlohmann::json floats = nlohmann::json::array();
  for (const FloatOperator& stays : losses.floats)
    floats.push_back({{"node", stays.node}, {"reason", stays.reason}});
  return {{"name", losses.network},
          {"calibrated_on", losses.calibrated_on},
          {"judged_by", losses.judged_by},
          {"output", to_contract(losses.error.output)},
          {"worst", to_contract(losses.error.worst())},
          {"nodes", std::move(nodes)},
          {"stays_f32", std::move(floats)}};
}

Table table_of(const std::vector<Int8Losses>& all) {
  Table table{"What int8 loses",
              {{"network"},
               {"calibrated on", true},
               {"judged by", true},
               {"cosine", true},
               {"error %", true},
               {"most is lost in"},
               {"added there %", true},
               {"stays f32", true}},
              {}};
  for (const Int8Losses& losses : all)
    table.rows.push_back(
        {losses.network, fmt::to_string(losses.calibrated_on), fmt::to_string(losses.judged_by),
         fmt::format("{:.6f}", losses.error.output.cosine),
         fmt::format("{:.2f}", 100 * losses.error.output.relative_error), losses.error.worst().node,
         fmt::format("{:.2f}", 100 * losses.error.worst().added_error),
         fmt::to_string(losses.floats.size())});
  return table;
}

Table nodes_of(const Int8Losses& losses) {
  Table table{losses.network,
              {{"node"}, {"cosine", true}, {"error %", true}, {"added %", true}, {"stays f32"}},
              {}};
  for (const TensorError& error : losses.error.tensors) {
    const auto stays = std::find_if(losses.floats.begin(), losses.floats.end(),
                                    [&](const FloatOperator& f) { return f.node == error.node; });
    table.rows.push_back({error.node, fmt::format("{:.6f}", error.cosine),
                          fmt::format("{:.2f}", 100 * error.relative_error),
                          fmt::format("{:.2f}", 100 * error.added_error),
                          stays == losses.floats.end() ? "" : stays->reason});
  }
  return table;
}

}  // namespace

void add_calibration_options(CLI::App& app, CalibrationOptions& options) {
  CLI::Option* calibrate = app.add_option(
      "--calibrate", options.images,
      "with --network and --precision qs8: what int8 loses, calibrated on these images, "
      "instead of latencies: a folder, or an array of NumPy (.npy, n x h x w x c)");
  app.add_option("--mean", options.mean,
                 "of the channels, taken off pixels in 0..1: 0.485,0.456,0.406")
      ->needs(calibrate);
  app.add_option("--std", options.std, "that they are divided by then: 0.229,0.224,0.225")
      ->needs(calibrate);
}

std::vector<Int8Losses> int8_losses(const std::vector<NamedNetwork>& networks,
                                    const CalibrationOptions& options, int threads,
                                    const Terminal& terminal) {
  const std::optional<Normalisation> by = normalisation_of(options);
  std::vector<Int8Losses> losses;
  for (const NamedNetwork& named : networks)
    losses.push_back(losses_of(named, options, by, threads, terminal));
  return losses;
}

void print(const Terminal& terminal, const std::vector<Int8Losses>& losses, Format format) {
  if (format == Format::json) {
    nlohmann::json list = nlohmann::json::array();
    for (const Int8Losses& one : losses) list.push_back(to_contract(one));
    return terminal.print(list.dump(1) + "\n");
  }
  terminal.print(table_of(losses), format);
  if (format != Format::table || losses.size() != 1) return;
  terminal.print("\n");
  terminal.print(nodes_of(losses[0]), format);
}

}  // namespace cpubone::cli
