#pragma once
#include <string>

#include "runtime/backend.hpp"

namespace cpubone {

/// Convolutions, linear layers, pooling and elementwise operators, on all threads of a pool.
const Backend& xnnpack_backend();

/// The distribution's version of the XNNPACK that this was built with, `unknown` where it has none.
std::string xnnpack_version();
/// Path of the XNNPACK library that is loaded.
std::string xnnpack_library_path();

}  // namespace cpubone
