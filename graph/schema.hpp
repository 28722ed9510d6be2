#pragma once
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "graph/op.hpp"

namespace cpubone {

/// Attributes of operators. Each is one row of `attributes()`: its form in text and its range.
enum class Attribute {
  dynamic,
  kernel,
  stride,
  padding,
  dilation,
  groups,
  heads,
  windows,
  begin,
  conv_channels,
  partial_form,
  reduction,
  resize_mode,
  transposed,
  permutation,
  epsilon,
  bias,
  activation,
};

/// A set of attributes.
class Attributes {
 public:
  constexpr Attributes(std::initializer_list<Attribute> members) {
    for (const Attribute member : members) bits_ |= bit(member);
  }
  constexpr bool has(Attribute attribute) const { return (bits_ & bit(attribute)) != 0; }

 private:
  static constexpr unsigned bit(Attribute attribute) {
    return 1U << static_cast<unsigned>(attribute);
  }
  unsigned bits_ = 0;
};

/// How an attribute is written, read and checked.
struct AttributeSchema {
  Attribute attribute;
  std::string_view form;  ///< e.g. `kHxW`, for messages and documentation
  std::string_view what;  ///< as an operator "does not take" it, e.g. `a kernel`
  bool always_written;    ///< where an operator takes it, also with its default
  /// The word of the operator's value; empty: nothing to write.
  std::string (*write)(const Op& op);
  /// Reads the word into `op`. Nothing: the word is not of this attribute. Else what is wrong with
  /// it, as `what: got "word", expected ...`; empty where it was read.
  std::optional<std::string> (*read)(std::string_view word, Op& op);
  bool (*is_default)(const Op& op);
  /// What is out of range, e.g. `kernel height must be in 1..128, got 0`; empty where all is well.
  std::string (*out_of_range)(const Op& op);
};
std::span<const AttributeSchema> attributes();
/// In the order of Activation, `none` first.
std::span<const std::string_view> activation_names();

/// All that is known of a kind of operator: the one place that checker, text, counts, shape
/// inference, exporter and executors read. A new operator is a row here, a kernel in runtime/, its
/// slow and obvious form in tests/runtime/reference.hpp and its class in predictor/features.cpp.
struct OpSchema {
  OpKind kind;
  std::string_view name;
  std::string_view meaning;  ///< one line, for documentation
  int least_inputs = 1;
  int most_inputs = 1;
  int most_outputs = 1;
  Attributes takes = {};
  bool has_weights = false;  ///< a matrix of weights, and biases where `bias`
  bool elementwise = false;  ///< of two tensors, as numpy broadcasts
  /// Reads and writes the same place of a tensor only, so that the output may be the input.
  bool in_place = false;
  /// Inputs and outputs may differ in data type.
  bool converts = false;
  /// Moves values, or chooses among them: in int8 all its tensors have one scale and zero point.
  bool keeps_values = false;
  std::vector<Shape> (*infer)(const Op& op);
  /// What is wrong beyond attributes' ranges and the outputs' shapes; empty where all is well.
  std::string (*wrong)(const Op& op) = [](const Op&) { return std::string(); };
  std::int64_t (*macs)(const Op& op) = [](const Op&) { return std::int64_t{0}; };
  std::int64_t (*params)(const Op& op) = [](const Op&) { return std::int64_t{0}; };
};
const OpSchema& schema(OpKind kind);
/// In the order of OpKind.
std::span<const OpSchema> schemas();

// Together these keep every count (elements x channels x window) within 64 bits.
inline constexpr int max_dimension = 1 << 16;
inline constexpr int max_moved_dimension = 1 << 30;  ///< of operators without MACs
inline constexpr int max_window = 128;
inline constexpr std::int64_t max_elements = std::int64_t{1} << 31;

}  // namespace cpubone
