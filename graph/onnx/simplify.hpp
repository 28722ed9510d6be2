#pragma once
#include <map>
#include <string>
#include <vector>

#include "graph/reparameterise.hpp"

namespace cpubone::onnx {

/// By node of a network: the nodes of the ONNX model whose work it does.
using Sources = std::map<std::string, std::vector<std::string>>;

/// The model with what exporters took apart put together again, computing the same; `sources`
/// follow.
Model simplified(Model model, Sources& sources);

}  // namespace cpubone::onnx
