#pragma once
#include "graph/onnx/simplify.hpp"

namespace cpubone::onnx {

/// The model in which operators between conversions from and to int8 compute in int8, where such
/// operators have kernels on some engine; the others stay between theirs. `sources` follow.
Model in_int8(const Model& model, Sources& sources);

}  // namespace cpubone::onnx
