#include "benchmarks/networks.hpp"

#include <fmt/format.h>

#include "space/cpubone.hpp"
#include "space/cpubone_space.hpp"
#include "space/zoo.hpp"

namespace cpubone {
namespace {

std::vector<Network> ablations() {
  std::vector<Network> networks;
  const auto add = [&](const char* base, const char* what, auto change) {
    CpuboneConfig config = cpubone_config(base);
    change(config);
    config.name = fmt::format("{}-{}", base, what);
    config.family = "CPUBone";
    networks.push_back(build(config));
  };
  const auto stages = [](CpuboneConfig& config, auto change) {
    for (CpuboneStage& stage : config.stages) change(stage);
  };
  for (const char* base : {"b0", "t0"}) {
    add(base, "groups1", [&](auto& c) { stages(c, [](auto& s) { s.groups = 1; }); });
    add(base, "groups4", [&](auto& c) { stages(c, [](auto& s) { s.groups = 4; }); });
    add(base, "kernel2", [&](auto& c) { stages(c, [](auto& s) { s.kernel = 2; }); });
    add(base, "kernel5", [&](auto& c) { stages(c, [](auto& s) { s.kernel = 5; }); });
    add(base, "unfused", [](auto& c) { fuse_below(c, never_fused); });
    add(base, "unfused-everywhere", [](auto& c) { fuse_below(c, never_fused, never_fused); });
    add(base, "fused", [](auto& c) { fuse_below(c, always_fused); });
    add(base, "no-attention", [&](auto& c) { stages(c, [](auto& s) { s.attention = false; }); });
    add(base, "expansion6", [&](auto& c) { stages(c, [](auto& s) { s.expansion = 6; }); });
    add(base, "relu", [](auto& c) { c.activation = Activation::relu; });
    add(base, "192px", [](auto& c) { c.resolution = 192; });
  }
  return networks;
}

std::vector<Network> random_members(int count) {
  const SearchSpace space = default_search_space();
  Rng rng(2024);
  std::vector<Network> networks;
  for (int i = 0; i < count; ++i) {
    CpuboneConfig config = decode(space, sample(space, rng));
    config.name = fmt::format("member-{}", i);
    config.family = "CPUBone";
    networks.push_back(build(config));
  }
  return networks;
}

}  // namespace

TestNetworks test_networks() {
  TestNetworks networks;
  for (const ZooEntry& entry : zoo()) networks.published.push_back(entry.build());
  networks.ablations = ablations();
  networks.members = random_members(30);
  return networks;
}

}  // namespace cpubone
