#pragma once
#include <filesystem>
#include <string>

#include "graph/network.hpp"
#include "graph/parameters.hpp"

namespace cpubone {

/// The network as an ONNX model (opset 20), NCHW: its input is `input`, its outputs are named as
/// their nodes. Throws cpubone::Error naming a node whose parameters have the wrong size, and where
/// the model would not fit into the 2 GiB of one protocol buffer.
std::string to_onnx(const Network& network, const ParameterSource& parameters);

/// Writes `to_onnx` atomically. Throws cpubone::Error naming the path.
void save_onnx(const Network& network, const ParameterSource& parameters,
               const std::filesystem::path& path);

}  // namespace cpubone
