#pragma once
#include "explorer/search.hpp"

namespace cpubone {

/// Looks for one network that meets the constraints: descends in their violation, gene by gene,
/// from a few networks, and ends at the first feasible one. Throws Infeasible naming the nearest
/// value where none is found, and Cancelled.
void check_feasible(const Evaluator& evaluator, const SearchOptions& options);

}  // namespace cpubone
