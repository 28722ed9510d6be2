#pragma once
#include <map>
#include <string>
#include <vector>

#include "graph/onnx/onnx.hpp"

namespace cpubone {

/// A network as a user names it, with its parameters where they came along.
struct NamedNetwork {
  Network network;
  std::map<std::string, Parameters> parameters;  ///< by node; empty: it has none of its own
  std::vector<UnsupportedNode> unsupported;      ///< of an ONNX model
  /// Of an ONNX model: by node, the model's nodes whose work it does, e.g. `Conv "/stem/conv"`.
  std::map<std::string, std::vector<std::string>> sources;
};

/// What a user means: a name of the zoo, a network file (.json) or an ONNX model (.onnx), for which
/// there are options. Throws std::invalid_argument for a name that is not known and for shapes of
/// inputs where there is no ONNX model, cpubone::Error for a file that is wrong.
NamedNetwork named_network(const std::string& name_or_file, const OnnxOptions& options = {});

/// One sentence for each operator that no engine runs, with the work that it is at least.
std::string text(const UnsupportedNode& node);

}  // namespace cpubone
