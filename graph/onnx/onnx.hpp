#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/network.hpp"
#include "graph/parameters.hpp"
#include "graph/reparameterise.hpp"

namespace cpubone {

/// The network as an ONNX model (opset 20), NCHW: its input is `input`, its outputs are named as
/// their nodes; family, stages and features are metadata. One of int8 has QuantizeLinear and
/// DequantizeLinear around its operators. Throws cpubone::Error naming a node whose parameters have
/// the wrong size, and where the model would not fit into the 2 GiB of one protocol buffer.
std::string to_onnx(const Network& network, const ParameterSource& parameters);

/// Writes `to_onnx` atomically. Throws cpubone::Error naming the path.
void save_onnx(const Network& network, const ParameterSource& parameters,
               const std::filesystem::path& path);

/// Key of the metadata in which an exported network's family, stages and features are.
inline constexpr const char* onnx_metadata_key = "cpubone";

/// Input or output of an ONNX model and how the network holds it.
struct OnnxTensor {
  std::string name;
  std::vector<std::int64_t> dims;  ///< as the model has them
  /// Dimensions in the order in which the network's tensor holds them, the last changing fastest,
  /// e.g. {0, 2, 3, 1} for an image.
  std::vector<int> order;
  std::size_t place = 0;  ///< among the model's inputs or outputs
};

/// An operator that no engine runs. What it reads is an output of the network, and what it writes
/// an input, so that the rest can be predicted and measured.
struct UnsupportedNode {
  std::string name;
  std::string type;        ///< e.g. `NonMaxSuppression`
  std::string attributes;  ///< e.g. `center_point_box=0`
  std::string reason;
  std::int64_t bytes = 0;  ///< read and written at least, weights included
  std::int64_t macs = 0;   ///< at least
};

/// A tensor that is known.
struct OnnxValues {
  std::vector<std::int64_t> dims;
  std::vector<float> values;
  bool integer = false;
};

struct OnnxOptions {
  /// By input: its dimensions, where the model leaves some open or to have others. The empty name
  /// is the first input.
  std::map<std::string, std::vector<std::int64_t>> input_shapes;
  /// Inputs that are always the same, and so none of the network's.
  std::map<std::string, OnnxValues> known_inputs;
};

/// What became of an ONNX model.
struct OnnxImport {
  Model model;
  std::vector<OnnxTensor> inputs;
  std::vector<OnnxTensor> outputs;
  std::vector<UnsupportedNode> unsupported;
  /// By node of the network: the model's nodes whose work it does, e.g. `Conv "/stem/conv"`.
  std::map<std::string, std::vector<std::string>> sources;
};

/// The model of an ONNX file, opset 7 or later, with data in files beside it where it has some.
/// Throws cpubone::Error naming the file and what is wrong, and how to give a shape that is open.
OnnxImport import_onnx(const std::filesystem::path& path, const OnnxOptions& options = {});
/// The same of a model in memory; `source` names it in errors. Data in other files is refused.
OnnxImport import_onnx(std::string_view bytes, std::string_view source,
                       const OnnxOptions& options = {});

/// Types of operators that import understands; docs/onnx.md says with which attributes.
std::set<std::string_view> onnx_operators();
/// The type of each node of a model. Throws as import does.
std::vector<std::string> onnx_node_types(const std::filesystem::path& path);
/// Inputs of a model that are no initializers. Throws as import does.
std::vector<std::string> onnx_input_names(const std::filesystem::path& path);

/// Values of a tensor in the order of its dimensions as the network holds them, and back.
std::vector<float> as_held(const OnnxTensor& tensor, std::span<const float> values);
std::vector<float> as_in_model(const OnnxTensor& tensor, std::span<const float> held);

/// A tensor in a file of its own, as test cases of ONNX have them (`input_0.pb`). Throws
/// cpubone::Error naming the file where it is none.
OnnxValues load_onnx_tensor(const std::filesystem::path& path);

}  // namespace cpubone
