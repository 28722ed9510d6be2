#pragma once
#include <vector>

#include "cli/terminal.hpp"
#include "predictor/co_execution.hpp"

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

}  // namespace cpubone::cli
