#pragma once
#include <cstddef>

#include "runtime/backend.hpp"

namespace cpubone {

/// What XNNPACK lacks: norms, attention, wide depthwise convolutions, what moves
/// elements, conversions. It applies activations as operators of their own only.
const Backend& eigen_backend();

/// Items of an operator that threads share where this backend runs it; 1: one thread does it all.
std::size_t eigen_work_items(const Op& op);

}  // namespace cpubone
