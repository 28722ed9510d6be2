#pragma once
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/terminal.hpp"
#include "predictor/predictor.hpp"

/// What cpubone-predict prints of its predictions.
namespace cpubone::cli {

struct Predicted {
  Network network;
  std::map<std::string, std::vector<std::string>> sources;  ///< as `NamedNetwork` has them
  NetworkPrediction prediction;
};

/// A table of all networks; `by` is auto, none, stage, op or both, for the breakdown of each.
/// `explains`: also what runs, and what would save time. Warns of networks that leave the range
/// that was measured.
void print_predictions(const Terminal& terminal, const Predictor& predictor,
                       const std::vector<Predicted>& predicted, Format format,
                       const std::string& by, bool explains);

void print_json(const Terminal& terminal, const nlohmann::json& json);

}  // namespace cpubone::cli
