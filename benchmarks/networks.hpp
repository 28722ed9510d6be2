#pragma once
#include <vector>

#include "graph/network.hpp"

namespace cpubone {

/// Networks that no predictor is fitted to, for judging it.
struct TestNetworks {
  std::vector<Network> published;  ///< the zoo
  std::vector<Network> ablations;  ///< B0 and T0 with one thing changed
  std::vector<Network> members;    ///< random ones of the search space
};
TestNetworks test_networks();

}  // namespace cpubone
