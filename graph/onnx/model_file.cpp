#include "graph/onnx/model_file.hpp"

#include <fmt/format.h>

#include <fstream>
#include <set>

#include "graph/error.hpp"
#include "graph/onnx/layout.hpp"
#include "graph/onnx/onnx.hpp"

namespace cpubone {
namespace onnx {

proto::ModelProto load_model(const std::filesystem::path& path) {
  std::error_code code;
  const std::uintmax_t size = std::filesystem::file_size(path, code);
  if (code) throw Error(fmt::format("{}: {}", path.string(), code.message()));
  std::ifstream file(path, std::ios::binary);
  proto::ModelProto model;
  if (size >= most_bytes || !file || !model.ParseFromIstream(&file))
    throw Error(fmt::format("{}: not an ONNX model", path.string()));
  return model;
}

}  // namespace onnx

std::vector<std::string> onnx_node_types(const std::filesystem::path& path) {
  const onnx::proto::ModelProto model = onnx::load_model(path);
  std::vector<std::string> types;
  for (const auto& node : model.graph().node())
    types.push_back(node.domain().empty() ? node.op_type() : node.domain() + "." + node.op_type());
  return types;
}

std::vector<std::string> onnx_input_names(const std::filesystem::path& path) {
  const onnx::proto::ModelProto model = onnx::load_model(path);
  std::set<std::string> known;
  for (const auto& tensor : model.graph().initializer()) known.insert(tensor.name());
  std::vector<std::string> names;
  for (const auto& input : model.graph().input())
    if (known.count(input.name()) == 0) names.push_back(input.name());
  return names;
}

std::vector<float> as_held(const OnnxTensor& tensor, std::span<const float> values) {
  return onnx::arranged({values.begin(), values.end()}, onnx::stored(tensor.dims, tensor.order));
}

std::vector<float> as_in_model(const OnnxTensor& tensor, std::span<const float> held) {
  // The model's order as an arrangement of what is held.
  onnx::Dims dims;
  std::vector<int> order(tensor.order.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    dims.push_back(tensor.dims[static_cast<std::size_t>(tensor.order[i])]);
    order[static_cast<std::size_t>(tensor.order[i])] = static_cast<int>(i);
  }
  return onnx::arranged({held.begin(), held.end()}, onnx::stored(dims, order));
}

OnnxValues load_onnx_tensor(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  onnx::proto::TensorProto tensor;
  if (!file || !tensor.ParseFromIstream(&file))
    throw Error(fmt::format("{}: not a tensor of ONNX", path.string()));
  const onnx::Constant array = onnx::decode(tensor, std::nullopt);
  OnnxValues result{array->dims, array->reals, array->integer};
  if (array->integer) result.values.assign(array->integers.begin(), array->integers.end());
  return result;
}

}  // namespace cpubone
