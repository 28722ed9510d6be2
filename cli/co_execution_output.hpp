#pragma once
#include <vector>

#include "cli/terminal.hpp"
#include "predictor/confirmed_splits.hpp"

/// What cpubone-predict prints of predictions with `--co-execution`.
namespace cpubone::cli {

struct CoExecuted {
  Network network;
  CoExecutionPrediction prediction;
};

/// A table of all networks, CPU alone beside co-execution; `by_layer`: also how each layer of each
/// is split.
void print_co_execution(const Terminal& terminal, const CoExecutionPredictor& predictor,
                        const std::vector<CoExecuted>& predicted, Format format, bool by_layer);

/// What was measured of a network whose layers are shared.
struct CoExecutionMeasured {
  CoExecuted predicted;
  std::vector<ConfirmedSplit> splits;
  Timing shared;   ///< each layer by its fastest split
  Timing planned;  ///< as predicted
  Timing cpu_alone;
};

/// The same of what was measured, beside the prediction.
void print_co_execution(const Terminal& terminal, const std::vector<CoExecutionMeasured>& measured,
                        Format format, bool by_layer);

}  // namespace cpubone::cli
