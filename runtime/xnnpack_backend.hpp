#pragma once
#include <filesystem>
#include <string>

#include "runtime/backend.hpp"

namespace cpubone {

/// Convolutions, linear layers, pooling and elementwise operators, on all threads of a pool.
const Backend& xnnpack_backend();

/// The same of an XNNPACK that is loaded from a file, e.g. of PyPI's `executorch`, and what runs
/// beside it. Throws cpubone::Error where the file is no XNNPACK of a known version.
Backends loaded_xnnpack_backends(const std::filesystem::path& library);

/// The distribution's version of the XNNPACK that this was built with, or commit and compiler of
/// one from source.
std::string xnnpack_version();
/// Hash of the XNNPACK archives that are linked in; empty where a library is loaded.
std::string xnnpack_archives_hash();

}  // namespace cpubone
