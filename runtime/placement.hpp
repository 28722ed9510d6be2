#pragma once
#include <cstddef>
#include <span>
#include <vector>

namespace cpubone {

/// Memory that is needed from one operator to another, both included.
struct Lifetime {
  std::size_t bytes = 0;
  int first = 0;  ///< at least 0
  int last = 0;   ///< at least `first`
};

struct Placement {
  std::vector<std::size_t> offsets;
  std::size_t bytes = 0;     ///< end of the last one
  std::size_t compared = 0;  ///< pairs that live at the same time: what the effort grows with
};

/// Places apart what lives at the same time: the largest first, each as low as it fits.
Placement place(std::span<const Lifetime> lifetimes);

}  // namespace cpubone
