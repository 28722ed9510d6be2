#include "predictor/suggestions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "graph/passes.hpp"

namespace cpubone {
namespace {

constexpr double least_saved = 0.01;  // of the latency
constexpr int least_channels = 16;    // of a group of a convolution, which fewer would leave idle

/// An operator instead of another, with what the change is called.
struct Change {
  std::string name;
  Op op;
};

std::optional<Change> smaller_kernel(const Op& op) {
  const Padding& p = op.padding;
  const int k = op.kernel_h;
  if (op.kind != OpKind::conv2d || k < 5 || k % 2 == 0 || op.kernel_w != k || op.dilation_h != 1 ||
      op.dilation_w != 1 || std::min({p.top, p.bottom, p.left, p.right}) < 1)
    return std::nullopt;
  Op smaller = op;
  smaller.kernel_h = smaller.kernel_w = k - 2;
  smaller.padding = {p.top - 1, p.bottom - 1, p.left - 1, p.right - 1};
  return Change{fmt::format("{} {}x{} -> {}x{}", is_depthwise(op) ? "depthwise" : "convolution", k,
                            k, k - 2, k - 2),
                std::move(smaller)};
}

std::optional<Change> groups(const Op& op) {
  if (op.kind != OpKind::conv2d || op.kernel_h * op.kernel_w == 1 || op.groups != 1 ||
      op.input().c % 2 != 0 || op.output().c % 2 != 0 ||
      std::min(op.input().c, op.output().c) < 2 * least_channels)
    return std::nullopt;
  Op grouped = op;
  grouped.groups = 2;
  return Change{fmt::format("convolution {}x{} -> in 2 groups", op.kernel_h, op.kernel_w),
                std::move(grouped)};
}

std::optional<Change> relu(const Op& op) {
  if (op.activation == Activation::none || op.activation == Activation::relu ||
      op.activation == Activation::relu6)
    return std::nullopt;
  Op cheaper = op;
  cheaper.activation = Activation::relu;
  return Change{fmt::format("{} -> relu", name(op.activation)), std::move(cheaper)};
}

/// A batch norm behind a convolution is part of its weights.
std::optional<Change> batch_norm(const Op& op) {
  if (!is_norm(op.kind) || op.kind == OpKind::batch_norm) return std::nullopt;
  Op view;
  view.inputs = op.inputs;
  view.outputs = op.outputs;
  if (op.activation == Activation::none) {
    view.kind = OpKind::reshape;
  } else {
    view.kind = OpKind::activation;
    view.activation = op.activation;
  }
  return Change{fmt::format("{} -> batch norm in the layer before", name(op.kind)),
                std::move(view)};
}

}  // namespace

std::vector<Suggestion> suggestions(const Predictor& predictor, const Network& network) {
  const double before_ms = predict(predictor, network).latency.ms;
  std::map<std::string, Network> changed;
  std::map<std::string, int> counts;
  for (std::size_t i = 0; i < network.nodes.size(); ++i)
    for (const auto change : {smaller_kernel, groups, relu, batch_norm})
      if (std::optional<Change> made = change(network.nodes[i].op)) {
        changed.try_emplace(made->name, network).first->second.nodes[i].op = std::move(made->op);
        ++counts[made->name];
      }
  std::vector<Suggestion> found;
  for (const auto& [change, after] : changed) {
    const double saved_ms = before_ms - predict(predictor, after).latency.ms;
    if (saved_ms >= least_saved * before_ms)
      found.push_back({change, counts.at(change), saved_ms, macs(network) - macs(after)});
  }
  std::stable_sort(found.begin(), found.end(), [](const Suggestion& a, const Suggestion& b) {
    return a.saved_ms > b.saved_ms;
  });
  return found;
}

}  // namespace cpubone
