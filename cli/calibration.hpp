#pragma once
#include <string>
#include <vector>

#include "cli/terminal.hpp"
#include "graph/quantise.hpp"
#include "runtime/calibration.hpp"
#include "space/named_network.hpp"

/// What cpubone-profile --calibrate tells.
namespace cpubone::cli {

struct CalibrationOptions {
  std::string images;  ///< file or folder; empty: none
  std::string mean;
  std::string std;
};
/// `--calibrate`, `--mean` and `--std`.
void add_calibration_options(CLI::App& app, CalibrationOptions& options);

/// What a network loses in int8, calibrated on some images and judged by others.
struct Int8Losses {
  std::string network;
  std::size_t calibrated_on = 0;
  std::size_t judged_by = 0;  ///< of the images; the same ones where there is but one
  QuantisationError error;
  std::vector<FloatOperator> floats;
};

/// Of networks with one input each; every fifth image judges. Those without weights get random ones
/// and a warning. Throws std::invalid_argument for a network or options that do not fit,
/// cpubone::Error for images that are wrong.
std::vector<Int8Losses> int8_losses(const std::vector<NamedNetwork>& networks,
                                    const CalibrationOptions& options, int threads,
                                    const Terminal& terminal);

/// Networks; a single one as a table also node by node.
void print(const Terminal& terminal, const std::vector<Int8Losses>& losses, Format format);

}  // namespace cpubone::cli
