#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/network.hpp"
#include "graph/passes.hpp"

namespace cpubone {

/// A published network: how it is called, where it is described and how it is built.
struct ZooEntry {
  std::string name;                ///< e.g. `cpubone-b0`, `mobilenetv2-100`
  std::string family;              ///< e.g. `CPUBone`
  std::string source;              ///< paper or code that describes it
  std::function<Network()> build;  ///< inference form, 224 x 224 pixels, 1000 classes
  std::function<Network()> train_form = nullptr;  ///< empty where the toolkit has none
};

/// All published networks, by family.
const std::vector<ZooEntry>& zoo();

/// Name in the zoo of a name as people write it: case, `_` and `.` do not matter, CPUBone's short
/// names work alone (`b0`). Empty where there is none.
std::string zoo_name(std::string_view name);

/// The network of that name, spelled as `zoo_name` reads it. Throws std::invalid_argument listing
/// names that are near.
Network find_network(std::string_view name);

/// All published networks in a form, but those whose shapes do not allow for its resolution.
std::vector<Network> published_networks(const NetworkForm& form = {});

/// The network as it was trained, with batch norms and parallel branches (CPUBone, MobileOne,
/// FasterNet). Throws std::invalid_argument listing those that have one.
Network find_train_form(std::string_view name);

}  // namespace cpubone
