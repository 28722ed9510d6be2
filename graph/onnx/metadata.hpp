#pragma once
#include <string>
#include <unordered_map>

#include "graph/onnx/lowering.hpp"

namespace cpubone::onnx {

/// Family, stages and features of a network: what ONNX has no place for, as JSON.
std::string metadata(const Network& network);
/// Sets what `metadata` says of a network whose tensors have these names. Throws cpubone::Error for
/// other text.
void read_metadata(const std::string& text, const std::unordered_map<std::string, Value>& values,
                   Network& network);

}  // namespace cpubone::onnx
