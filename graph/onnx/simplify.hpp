#pragma once
#include "graph/reparameterise.hpp"

namespace cpubone::onnx {

/// The model with what exporters took apart put together again, computing the same.
Model simplified(Model model);

}  // namespace cpubone::onnx
