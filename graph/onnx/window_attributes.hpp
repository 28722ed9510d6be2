#pragma once
#include "graph/onnx/graph_writer.hpp"
#include "graph/op.hpp"

namespace cpubone::onnx {

/// Of convolutions and pooling: kernel, strides, padding, dilation where there is any, and
/// `groups`.
WrittenAttributes window(const Op& op, bool groups);

}  // namespace cpubone::onnx
