#include "tests/golden.hpp"

#include <fmt/format.h>

namespace cpubone::golden {

std::string kind_of(const Op& op) {
  if (is_depthwise(op)) return "depthwise";
  if (is_pointwise(op)) return "pointwise";
  return std::string(name(op.kind));
}

int activation_of(const Golden& golden, int layer) {
  for (std::size_t i = static_cast<std::size_t>(layer) + 1; i < golden.layers.size(); ++i)
    if (golden.layers[i].kind == "activation" && golden.layers[i].inputs.at(0) == layer)
      return static_cast<int>(i);
  return -1;
}

std::vector<Match> match(const Network& network, const Golden& golden) {
  std::vector<bool> used(golden.layers.size(), false);
  std::vector<Match> matches;
  std::size_t next = 0;
  const auto fail = [&](const Node& node, std::string_view got) {
    throw Error(fmt::format("{}, node {}: got {}, golden has {}", network.name, node.name,
                            kind_of(node.op), got));
  };
  for (const Node& node : network.nodes) {
    while (next < used.size() && used[next]) ++next;
    if (next == used.size()) fail(node, "no layer left");
    if (golden.layers[next].kind != kind_of(node.op))
      fail(node, fmt::format("{} as layer {}", golden.layers[next].kind, next));
    const int layer = static_cast<int>(next);
    Match found{layer, layer};
    used[next] = true;
    if (node.op.kind != OpKind::activation && node.op.activation != Activation::none) {
      found.output = activation_of(golden, layer);
      if (found.output < 0) fail(node, "no activation after it");
      used[static_cast<std::size_t>(found.output)] = true;
    }
    matches.push_back(found);
  }
  for (std::size_t i = 0; i < used.size(); ++i)
    if (!used[i])
      throw Error(fmt::format("{}: golden layer {} ({}) has no node", network.name, i,
                              golden.layers[i].kind));
  return matches;
}

}  // namespace cpubone::golden
