#pragma once
#include <string>
#include <vector>

#include "predictor/predictor.hpp"

namespace cpubone {

/// A change of some operators that all other operators of the network survive as they are, since no
/// shape changes. What it does to accuracy is not known.
struct Suggestion {
  std::string change;  ///< e.g. `depthwise 7x7 -> 5x5`
  int operators = 0;   ///< that change
  double saved_ms = 0;
  std::int64_t saved_macs = 0;
};

/// Changes that are predicted to save at least a hundredth of the network's latency, in order of
/// what they save: smaller kernels, groups, ReLU for other activations, batch norms, which
/// convolutions absorb, for other normalisations. Throws as `predict` does.
std::vector<Suggestion> suggestions(const Predictor& predictor, const Network& network);

}  // namespace cpubone
