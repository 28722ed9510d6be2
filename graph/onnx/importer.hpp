#pragma once
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/onnx/lowering.hpp"
#include "graph/onnx/onnx.hpp"

namespace cpubone::onnx {

/// A node of the model, what it reads and where its results go.
struct NodeContext {
  const proto::NodeProto& proto;
  NodeAttributes attributes;
  std::int64_t opset;
  std::vector<const Value*> inputs;  ///< null where one is left out
  std::size_t outputs;
  bool half;  ///< the model calculates in 16 bits throughout
  Lowering& lower;

  bool has(std::size_t i) const { return i < inputs.size() && inputs[i] != nullptr; }
  /// Throws Unsupported where it is left out.
  const Value& input(std::size_t i) const;
  /// Throws Unsupported where it is left out or not known.
  const Array& known(std::size_t i) const;
  /// Integers that are an attribute of older opsets and an input of newer ones.
  std::optional<std::vector<std::int64_t>> integers(std::string_view attribute,
                                                    std::size_t input) const;
};

/// Turns a node into operators of the network and returns its outputs. Throws Unsupported, or
/// std::invalid_argument where an operator of the network does not allow it.
using Handler = std::vector<Value> (*)(const NodeContext& node);

struct HandlerRow {
  std::string_view type;
  Handler handler;
};
std::span<const HandlerRow> elementwise_handlers();
std::span<const HandlerRow> window_handlers();
std::span<const HandlerRow> matrix_handlers();
std::span<const HandlerRow> shape_handlers();
std::span<const HandlerRow> reduction_handlers();
std::span<const HandlerRow> join_handlers();
std::span<const HandlerRow> resize_handlers();
std::span<const HandlerRow> quantised_handlers();
/// The handler of an operator's type; null where there is none.
Handler find_handler(std::string_view type);

/// Sum, product etc. of two tensors, as numpy broadcasts.
Value elementwise(Lowering& lower, OpKind kind, const Value& a, const Value& b,
                  const std::string& part = "");
/// A function of each element.
Value function(Lowering& lower, Activation activation, const Value& x,
               const std::string& part = "");
Value scalar(float value);
/// Lets the tensor's factors lie in the order of the result's.
Value align(Lowering& lower, const Value& value, const Layout& result);
/// A tensor of the network in int8, and one of int8 in real numbers.
Value quantised(Lowering& lower, const Value& value, const Quantisation& to,
                const std::string& part);
Value dequantised(Lowering& lower, const Value& value, const std::string& part);
/// What a node gives, whose operator knows nothing of int8: of bytes, one that keeps values works
/// between conversions. Throws Unsupported for another.
std::vector<Value> on_reals(Handler handler, const NodeContext& node);

/// Images: a batch, channels, one or two dimensions of pixels. Those of a batch lie as one image
/// whose channels are all of theirs.
struct Image {
  Edge edge;  ///< channels last
  Dims dims;  ///< N x C x H x W, where H is 1 in one dimension
  bool flat;  ///< of one dimension
  int batch() const { return to_int(dims[0]); }
};
/// Throws Unsupported for dimensions that are no image's.
void check_is_image(const Dims& dims);
/// Throws Unsupported for a tensor that is no image.
Image image_of(Lowering& lower, const Value& value);
/// What an operator made of an image.
Value image_value(Lowering& lower, const Edge& edge, const Image& in);

/// The same elements in other dimensions.
Value in_dims(Lowering& lower, const Value& value, const Dims& dims);
/// Tensors one behind the other along a dimension.
Value concatenated(Lowering& lower, std::vector<Value> parts, std::size_t axis,
                   const std::string& part);
/// So many elements of a dimension from `begin` on.
Value part_of(Lowering& lower, const Value& value, std::size_t axis, std::int64_t begin,
              std::int64_t size, const std::string& part);
/// An image with zeros around its pixels, as `before` and `after` ask for by dimension, which are
/// none afterwards; where they ask for more than that, the value as it is.
Value zeros_around(const NodeContext& node, const Value& x, Dims& before, Dims& after);

/// Outputs of a node whose inputs are all known; nothing where the operator is not evaluated.
std::optional<std::vector<Constant>> evaluate(const NodeContext& node);

}  // namespace cpubone::onnx
