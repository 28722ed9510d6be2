#include "explorer/objectives.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "runtime/precision.hpp"

namespace cpubone {
namespace {

constexpr std::array<std::string_view, objective_count> names{
    "latency", "top1", "macs", "params", "memory", "file-size", "latency-2", "latency-3"};
constexpr std::array<std::string_view, objective_count> units{"ms", "%",  "M",  "M",
                                                              "MB", "MB", "ms", "ms"};

}  // namespace

Network lowered(const Network& network, const LatencyModel& model) {
  return lowered(network, model.precision, model.dynamic);
}

const LatencyEstimate& latency_on(const Evaluation& evaluation, std::size_t device) {
  return device == 0 ? evaluation.latency : evaluation.elsewhere.at(device - 1);
}

Objective latency_objective(std::size_t device) {
  constexpr std::array<Objective, most_devices> all{Objective::latency, Objective::latency_2,
                                                    Objective::latency_3};
  return all.at(device);
}

std::size_t device_of(Objective objective) {
  if (objective == Objective::latency_2) return 1;
  return objective == Objective::latency_3 ? 2 : 0;
}

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
        "objective: got \"{}\", expected latency, top1, macs, params, memory, file-size, or "
        "latency-2 or latency-3 on the second or third device",
        text));
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
    case Objective::latency_2:
      return e.elsewhere[0].ms;
    case Objective::latency_3:
      return e.elsewhere[1].ms;
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
