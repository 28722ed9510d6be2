#pragma once
#include <cstddef>
#include <filesystem>

#include "graph/onnx/proto.hpp"

namespace cpubone::onnx {

inline constexpr std::size_t most_bytes = std::size_t{1} << 31;  ///< of a model

/// Throws cpubone::Error naming the file where it is no model.
proto::ModelProto load_model(const std::filesystem::path& path);

}  // namespace cpubone::onnx
