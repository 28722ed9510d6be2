#pragma once
#include <cstdint>
#include <vector>

#include "graph/network.hpp"

namespace cpubone {

/// A random backbone of no family: a stem, four stages of convolutions, residual blocks, attention,
/// squeeze-excite and the like, and a head. Between about 0.05 and 4 G MACs at 224 x 224. The same
/// seed gives the same network, named `random-<seed>`. Predictors calibrate on such networks, so
/// that no published one is needed for it.
Network random_network(std::uint64_t seed);

/// The random networks that profiles of a machine contain, for a predictor's network model.
std::vector<Network> calibration_networks();

}  // namespace cpubone
