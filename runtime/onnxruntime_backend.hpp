#pragma once
#include <filesystem>

#include "runtime/backend.hpp"

namespace cpubone {

/// ONNX Runtime on the CPU, alone: it is given parts of networks, or whole ones, as they are
/// exported to ONNX, in f32 and int8. The library is loaded from `library`; where that is empty,
/// from the file that $CPUBONE_ONNXRUNTIME names, else by its usual names. Throws cpubone::Error
/// saying how to get it where there is none, or that it is too old.
Backends onnxruntime_backend(const std::filesystem::path& library = {});

}  // namespace cpubone
