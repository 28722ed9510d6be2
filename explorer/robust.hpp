#pragma once
#include <optional>
#include <span>
#include <vector>

#include "explorer/confirmation.hpp"
#include "explorer/search.hpp"

/// One network for several devices: which is nearly the fastest on each.
namespace cpubone {

/// A network of a front against the fastest on each device, as indices of the front.
struct RobustChoice {
  std::size_t network = 0;
  std::vector<std::size_t> fastest;  ///< by device
  double worst_slowdown = 1;         ///< largest latency over that of the fastest, over the devices
};

/// Of the members that reach `top1` percent with `claim_probability`, the one whose worst slowdown
/// over so many devices is least; nothing where none reaches it.
std::optional<RobustChoice> robust_choice(std::span<const Found> front, double top1,
                                          std::size_t devices);

/// The members of which the upper ends of latencies' intervals keep all limits on latencies too;
/// all where none do.
std::vector<Found> surely_within(std::span<const Found> front,
                                 std::span<const Constraint> constraints);

/// Members of a front to propose for so many devices, at most `count`: the robust choice at the
/// accuracy of each reference, then each device's fastest there, then each device's own front from
/// end to end.
std::vector<Found> choose_for_all(std::span<const Found> front,
                                  std::span<const Reference> references, std::size_t devices,
                                  std::size_t count);

}  // namespace cpubone
