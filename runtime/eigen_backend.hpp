#pragma once
#include "runtime/backend.hpp"

namespace cpubone {

/// What XNNPACK lacks: wide depthwise convolutions and, on one thread, norms, attention, what moves
/// elements, conversions. It applies activations as operators of their own only.
const Backend& eigen_backend();

}  // namespace cpubone
