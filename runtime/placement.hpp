#pragma once
#include <cstddef>
#include <span>
#include <vector>

namespace cpubone {

/// An operator that writes one tensor while it reads another takes up to twice as long where the
/// addresses of both nearly agree in the last 12 bits: likely, the CPU takes a load for one of what
/// was just stored. (1.9 times on Zen 4, for activations whose output began 64 bytes before its
/// input but for pages; nothing from 256 bytes on.) Tensors of different colours begin at least 512
/// bytes apart in this sense.
constexpr std::size_t aliasing_bytes = 4096;
constexpr int colours = 8;

/// Memory that is needed from one operator to another, both included.
struct Lifetime {
  std::size_t bytes = 0;
  int first = 0;    ///< at least 0
  int last = 0;     ///< at least `first`
  int colour = -1;  ///< below `colours`; -1: it may lie anywhere
};

struct Placement {
  std::vector<std::size_t> offsets;
  std::size_t bytes = 0;     ///< end of the last one
  std::size_t compared = 0;  ///< pairs that live at the same time: what the effort grows with
};

/// Places apart what lives at the same time: the largest first, each as low as it fits.
Placement place(std::span<const Lifetime> lifetimes);

}  // namespace cpubone
