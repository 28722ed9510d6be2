#include "explorer/robust.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "explorer/pareto.hpp"

namespace cpubone {
namespace {

constexpr double least_of_reference = 0.6;

/// Latency over that of the device's fastest, on the device where it is largest.
double worst_slowdown(std::span<const Found> front, std::size_t network,
                      std::span<const std::size_t> fastest) {
  double worst = 1;
  for (std::size_t d = 0; d < fastest.size(); ++d)
    worst = std::max(worst, latency_on(front[network].evaluation, d).ms /
                                latency_on(front[fastest[d]].evaluation, d).ms);
  return worst;
}

/// The members that no other beats on this device alone, fastest first.
std::vector<std::size_t> front_on(std::span<const Found> all, std::size_t device) {
  std::vector<Costs> points;
  for (const Found& f : all)
    points.push_back({latency_on(f.evaluation, device).ms, -f.evaluation.accuracy.assured});
  return front(points);
}

}  // namespace

std::optional<RobustChoice> robust_choice(std::span<const Found> front, double top1,
                                          std::size_t devices) {
  std::vector<std::size_t> members;
  for (std::size_t i = 0; i < front.size(); ++i)
    if (front[i].evaluation.accuracy.assured >= top1) members.push_back(i);
  if (members.empty()) return std::nullopt;
  RobustChoice choice;
  for (std::size_t d = 0; d < devices; ++d)
    choice.fastest.push_back(
        *std::min_element(members.begin(), members.end(), [&](std::size_t a, std::size_t b) {
          return latency_on(front[a].evaluation, d).ms < latency_on(front[b].evaluation, d).ms;
        }));
  choice.worst_slowdown = std::numeric_limits<double>::infinity();
  for (const std::size_t i : members) {
    const double slowdown = worst_slowdown(front, i, choice.fastest);
    if (slowdown >= choice.worst_slowdown) continue;
    choice.worst_slowdown = slowdown;
    choice.network = i;
  }
  return choice;
}

std::vector<Found> surely_within(std::span<const Found> front,
                                 std::span<const Constraint> constraints) {
  std::vector<Found> within;
  for (const Found& f : front)
    if (std::all_of(constraints.begin(), constraints.end(), [&](const Constraint& c) {
          const std::size_t device = device_of(c.objective);
          return c.objective != latency_objective(device) ||
                 latency_on(f.evaluation, device).high_ms <= c.limit;
        }))
      within.push_back(f);
  return within.empty() ? std::vector<Found>(front.begin(), front.end()) : within;
}

std::vector<Found> choose_for_all(std::span<const Found> front,
                                  std::span<const Reference> references, std::size_t devices,
                                  std::size_t count) {
  std::vector<std::size_t> taken;
  const auto take = [&](std::size_t i) {
    if (taken.size() < count && std::find(taken.begin(), taken.end(), i) == taken.end())
      taken.push_back(i);
  };
  std::vector<RobustChoice> choices;
  for (const Reference& r : references)
    if (auto choice = robust_choice(front, r.top1, devices)) choices.push_back(std::move(*choice));
  for (const RobustChoice& choice : choices) take(choice.network);
  for (const RobustChoice& choice : choices)
    for (const std::size_t i : choice.fastest) take(i);
  // As much faster than the first reference as somebody may want.
  const auto is_small = [&](std::size_t i) {
    return front[i].evaluation.latency.ms < least_of_reference * references.front().predicted_ms;
  };
  std::vector<std::vector<std::size_t>> fronts;
  for (std::size_t d = 0; d < devices; ++d) {
    fronts.push_back(front_on(front, d));
    if (!std::all_of(fronts[d].begin(), fronts[d].end(), is_small))
      std::erase_if(fronts[d], is_small);
  }
  // What is farthest in latency, on the device in turn, from all that is taken.
  for (std::size_t turn = 0, skipped = 0; taken.size() < count && skipped < devices; ++turn) {
    const std::size_t d = turn % devices;
    const auto ms = [&](std::size_t i) { return latency_on(front[i].evaluation, d).ms; };
    const std::size_t* next = nullptr;
    double farthest = 0;
    for (const std::size_t& i : fronts[d]) {
      double nearest = std::numeric_limits<double>::infinity();
      for (const std::size_t other : taken)
        nearest = std::min(nearest, std::abs(std::log(ms(other) / ms(i))));
      if (nearest <= farthest) continue;
      farthest = nearest;
      next = &i;
    }
    skipped = next == nullptr ? skipped + 1 : 0;
    if (next) take(*next);
  }
  std::vector<Found> chosen;
  for (const std::size_t i : taken) chosen.push_back(front[i]);
  return chosen;
}

}  // namespace cpubone
