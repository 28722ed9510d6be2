#pragma once
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "graph/onnx/array.hpp"
#include "graph/onnx/proto.hpp"

namespace cpubone::onnx {

/// Why an operator stays unsupported.
struct Unsupported : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The values of a tensor of reals. Throws Unsupported for one of integers.
const std::vector<float>& reals_of(const Array& array);

/// Attributes of a node of the model, with the defaults of the operator's definition.
class NodeAttributes {
 public:
  explicit NodeAttributes(const proto::NodeProto& node) : node_(&node) {}

  bool has(std::string_view name) const { return find(name) != nullptr; }
  std::int64_t integer(std::string_view name, std::int64_t otherwise) const;
  float real(std::string_view name, float otherwise) const;
  /// The shortest decimal number that is that float: 1e-05, not 9.99999975e-06.
  double decimal(std::string_view name, double otherwise) const;
  std::string word(std::string_view name, std::string_view otherwise) const;
  std::optional<std::vector<std::int64_t>> integers(std::string_view name) const;
  std::optional<std::vector<float>> reals(std::string_view name) const;
  const proto::TensorProto* tensor(std::string_view name) const;
  /// e.g. `axis=1, keepdims=0`
  std::string text() const;

 private:
  const proto::AttributeProto* find(std::string_view name) const;
  const proto::NodeProto* node_;
};

/// The shortest decimal number that reads back as that float.
double decimal_of(float value);
/// An axis counted from the end where negative. Throws Unsupported outside of -rank..rank-1.
std::size_t axis_of(std::int64_t axis, std::size_t rank);
/// An index along so many elements, of which negative ones count from the end. Throws Unsupported.
std::int64_t element_of(std::int64_t index, std::int64_t extent);

}  // namespace cpubone::onnx
