#pragma once
#include "space/search_space.hpp"

namespace cpubone {

/// The skeleton `staged`: a stem, four stages at strides 4 to 32 and a head. Each stage chooses its
/// kind of block, width and number of blocks: CPUBone's, FasterNet's partial convolution,
/// MobileOne's, inverted residuals, RepViT's, universal inverted bottlenecks. Published networks of
/// FasterNet and MobileOne are of this kind.
const Skeleton& staged_skeleton();

}  // namespace cpubone
