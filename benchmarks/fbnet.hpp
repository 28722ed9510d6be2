#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "graph/network.hpp"

namespace cpubone {

/// A network of FBNet's space for 32 x 32 pixels as HW-NAS-Bench measured it (ICLR 2021). `blocks`
/// has a digit for each of 22 layers: kernel 3 (0 to 3) or 5 (4 to 7) with expansion 1, expansion 1
/// in two groups, 3 or 6; 8 skips the layer. Throws std::invalid_argument for other texts.
Network fbnet(std::string_view blocks);

/// What such networks take on devices that others measured.
struct FbnetLatencies {
  std::vector<Network> networks;
  struct Device {
    std::string name;
    std::vector<double> ms;  ///< by network
  };
  std::vector<Device> devices;
};

/// Reads a table `blocks,<device>_ms,...`. Throws cpubone::Error naming file and line, and
/// std::invalid_argument for blocks that are no network.
FbnetLatencies load_fbnet_latencies(const std::filesystem::path& path);

}  // namespace cpubone
