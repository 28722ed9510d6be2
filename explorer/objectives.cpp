#include "explorer/objectives.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

namespace cpubone {
namespace {

constexpr std::array<std::string_view, objective_count> names{"latency", "top1",   "macs",
                                                              "params",  "memory", "file-size"};
constexpr std::array<std::string_view, objective_count> units{"ms", "%", "M", "M", "MB", "MB"};

}  // namespace

std::string_view name(Objective objective) {
  return names[static_cast<std::size_t>(objective)];
}

std::string_view unit(Objective objective) {
  return units[static_cast<std::size_t>(objective)];
}

Objective parse_objective(std::string_view text) {
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end())
    throw std::invalid_argument(fmt::format(
        "objective: got \"{}\", expected latency, top1, macs, params, memory or file-size", text));
  return static_cast<Objective>(found - names.begin());
}

double value(const Evaluation& e, Objective objective) {
  switch (objective) {
    case Objective::latency:
      return e.latency.ms;
    case Objective::top1:
      return e.accuracy.assured;
    case Objective::macs:
      return static_cast<double>(e.macs) / 1e6;
    case Objective::params:
      return static_cast<double>(e.params) / 1e6;
    case Objective::memory:
      return static_cast<double>(e.weight_bytes + e.peak_activation_bytes) / 1e6;
    case Objective::file_size:
      return static_cast<double>(e.weight_bytes) / 1e6;
  }
  return 0;
}

double cost(const Evaluation& evaluation, Objective objective) {
  const double v = value(evaluation, objective);
  return objective == Objective::top1 ? -v : v;
}

double violation(const Evaluation& evaluation, const std::vector<Constraint>& constraints) {
  double sum = evaluation.accuracy.refused ? 1 : 0;
  for (const Constraint& c : constraints) {
    const double v = value(evaluation, c.objective);
    const double excess = c.objective == Objective::top1 ? c.limit - v : v - c.limit;
    if (excess > 0) sum += excess / std::max(std::abs(c.limit), 1e-12);
  }
  return sum;
}

}  // namespace cpubone
