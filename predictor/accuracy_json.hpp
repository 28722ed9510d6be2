#pragma once
#include <nlohmann/json_fwd.hpp>

#include "graph/json_file.hpp"
#include "predictor/accuracy_posterior.hpp"

namespace cpubone {

/// All of it, so that estimates are the same to the bit wherever it is read.
nlohmann::json to_json(const AccuracyPosterior& posterior);
/// Throws cpubone::Error naming the place where the JSON is none, or of other features than this
/// version's.
AccuracyPosterior accuracy_posterior_from_json(const JsonReader& json);

}  // namespace cpubone
