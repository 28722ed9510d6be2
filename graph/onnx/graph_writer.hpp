#pragma once
#include <initializer_list>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "graph/onnx/proto.hpp"
#include "graph/tensor.hpp"

namespace cpubone::onnx {

using Ints = std::vector<std::int64_t>;
using Names = std::vector<std::string>;

struct WrittenAttribute {
  const char* name;
  std::variant<std::int64_t, float, std::string, Ints> value;
};
using WrittenAttributes = std::vector<WrittenAttribute>;

/// Appends nodes and initializers to a graph.
class GraphWriter {
 public:
  explicit GraphWriter(proto::GraphProto& graph) : graph_(graph) {}

  /// Appends an operator with one output and returns the output's name, which is the node's too
  /// unless it is given one.
  std::string add(const std::string& type, const Names& inputs, const std::string& output,
                  const WrittenAttributes& attributes = {}, const std::string& name = "");
  Names add(const std::string& type, const Names& inputs, const Names& outputs,
            const WrittenAttributes& attributes, const std::string& name = "");
  /// Lets the operator that was appended last be one of another domain than ONNX's own.
  void set_domain(const char* domain);
  /// Appends an initializer and returns its name.
  std::string tensor(const std::string& name, const Ints& dims, const std::vector<float>& values);
  std::string tensor(const std::string& name, const Ints& values);
  std::string int8_tensor(const std::string& name, const Ints& dims,
                          const std::vector<std::int8_t>& values);
  std::string int32_tensor(const std::string& name, const Ints& dims,
                           const std::vector<std::int32_t>& values);
  void input(const std::string& name, const Ints& dims, DType dtype = DType::f32);
  void output(const std::string& name, const Ints& dims, DType dtype = DType::f32);

 private:
  proto::GraphProto& graph_;
};

}  // namespace cpubone::onnx
