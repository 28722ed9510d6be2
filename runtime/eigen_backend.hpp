#pragma once
#include "runtime/backend.hpp"

namespace cpubone {

/// What XNNPACK lacks, on one thread: norms, attention, wide depthwise convolutions, what moves
/// elements, conversions. It applies activations as operators of their own only.
const Backend& eigen_backend();

}  // namespace cpubone
