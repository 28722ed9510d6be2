#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "graph/onnx/layout.hpp"
#include "graph/onnx/node.hpp"
#include "graph/onnx/simplify.hpp"

namespace cpubone::onnx {

/// A tensor of the model: known, or an edge of the network and how it lies there.
struct Value {
  Constant constant;
  Edge edge;
  Layout layout;

  bool known() const { return constant != nullptr; }
  Dims dims() const { return known() ? constant->dims : dims_of(layout); }
};

/// The network that an import appends to. Methods that need a tensor otherwise than it lies append
/// what moves it; those that see it in another shape append reshapes, which cost nothing.
class Lowering {
 public:
  Model model;
  Sources sources;  ///< of the network's nodes

  /// Nodes that follow are called like this one, those that lead to it have names below. `source`
  /// is what they do the work of.
  void begin_node(const std::string& name, const std::string& source) {
    node_ = name;
    source_ = source;
  }
  /// Appends an operator and returns its first output. `part` is empty for what stands for the
  /// node. Shapes of outputs are inferred. Throws std::invalid_argument where it is wrong.
  Edge append(Op op, std::vector<Edge> inputs, const std::string& part = "",
              Parameters parameters = {});
  const Shape& shape(const Edge& edge) const { return tensor(model.network, edge).shape; }

  /// The tensor in a shape of the same elements.
  Edge view(const Edge& edge, const Shape& shape, const std::string& part = "view");
  /// The value with its factors lying in that order.
  Value arranged(const Value& value, const std::vector<int>& factor_order);
  /// The value with its dimensions lying in that order.
  Value in_dim_order(const Value& value, const std::vector<int>& dim_order);
  Value row_major(const Value& value);
  /// The value with `axes` innermost, in that order.
  Value with_last(const Value& value, const std::vector<std::size_t>& axes);
  /// The value with `axes` innermost, in any order.
  Value with_somehow_last(const Value& value, const std::vector<std::size_t>& axes);
  /// The value with all of each of these dimensions in one place: where the outermost of its
  /// factors lies.
  Value with_together(const Value& value, const std::vector<std::size_t>& axes);
  /// A constant as a tensor of the network, in a layout of its dimensions.
  Edge constant(const Array& array, const Layout& layout, const Shape& shape,
                const std::string& part);
  /// A value that is known becomes a tensor of the network.
  Value tensor_of(const Value& value, const std::string& part);

  /// Height, width and channels of a tensor of these extents, the outermost first.
  static Shape shape_of(const std::vector<std::int64_t>& extents);

 private:
  Edge transpose(const Edge& edge, const std::vector<std::int64_t>& extents,
                 const std::vector<int>& order);
  std::string unique(const std::string& part);

  std::string node_;
  std::string source_;
  std::map<std::string, int> names_;
  std::map<std::pair<int, int>, std::vector<Edge>> views_;       ///< reshapes of each edge
  std::map<std::pair<int, int>, std::vector<Edge>> transposes_;  ///< of each edge
};

/// Inserts a dimension of 1 before the first until there are `rank`.
Value with_rank(const Value& value, std::size_t rank);
int to_int(std::int64_t value);

}  // namespace cpubone::onnx
