#pragma once
#include <cstdint>
#include <functional>
#include <memory>

#include "explorer/measurer.hpp"

namespace cpubone {

/// This machine, measured on XNNPACK by the profiler, for tools and bindings.
std::unique_ptr<Measurer> host_measurer(const MeasureSettings& settings, std::uint64_t seed,
                                        std::function<bool()> cancelled);

}  // namespace cpubone
