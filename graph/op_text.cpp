#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <stdexcept>

#include "graph/names.hpp"
#include "graph/schema.hpp"

namespace cpubone {
namespace {

/// The type that all tensors have, so that it stands once at the end of the line.
std::optional<DType> common_dtype(const Op& op) {
  if (op.inputs.empty() && op.outputs.empty()) return std::nullopt;
  for (const auto* tensors : {&op.inputs, &op.outputs})
    for (const Tensor& tensor : *tensors)
      if (tensor.dtype != op.dtype() || tensor.quantisation) return std::nullopt;
  return op.dtype();
}

std::string tensors_text(const std::vector<Tensor>& tensors, bool with_types) {
  std::vector<std::string> words;
  for (const Tensor& tensor : tensors)
    words.push_back(with_types ? text(tensor) : text(tensor.shape));
  return fmt::format("{}", fmt::join(words, ","));
}

/// Splits one line into words and turns each into a field.
class Parser {
 public:
  explicit Parser(std::string_view line) : line_(line) {}

  Op parse() {
    std::string_view rest = line_;
    const std::string_view kind = next_word(rest);
    const auto row = std::find_if(schemas().begin(), schemas().end(),
                                  [&](const OpSchema& s) { return s.name == kind; });
    if (row == schemas().end()) fail("operator kind", kind, "one of " + kinds());
    Op op;
    op.kind = row->kind;
    op.bias = row->has_weights;
    parse_tensors(next_word(rest), op);
    for (std::string_view word = next_word(rest); !word.empty(); word = next_word(rest))
      parse_word(word, op);
    return op;
  }

 private:
  [[noreturn]] void fail_because(const std::string& what) const {
    throw std::invalid_argument(fmt::format("op \"{}\": {}", line_, what));
  }
  [[noreturn]] void fail(std::string_view what, std::string_view got,
                         std::string_view expected) const {
    fail_because(fmt::format("{}: got \"{}\", expected {}", what, got, expected));
  }

  static std::string kinds() {
    std::vector<std::string_view> names;
    for (const OpSchema& s : schemas()) names.push_back(s.name);
    return fmt::format("{}", fmt::join(names, ", "));
  }

  static std::string_view next_word(std::string_view& rest) {
    const auto begin = rest.find_first_not_of(" \t\r");
    if (begin == std::string_view::npos) {
      rest = {};
      return {};
    }
    rest.remove_prefix(begin);
    const auto word = rest.substr(0, rest.find_first_of(" \t\r"));
    rest.remove_prefix(word.size());
    return word;
  }

  std::vector<Tensor> tensors(std::string_view list) const {
    std::vector<Tensor> result;
    if (list.empty()) return result;  // a constant has no inputs
    while (true) {
      const auto comma = list.find(',');
      try {
        result.push_back(parse_tensor(list.substr(0, comma)));
      } catch (const std::invalid_argument& e) {
        fail_because(e.what());
      }
      if (comma == std::string_view::npos) return result;
      list.remove_prefix(comma + 1);
    }
  }

  void parse_tensors(std::string_view word, Op& op) const {
    const auto arrow = word.find("->");
    if (arrow == std::string_view::npos)
      fail("shapes", word, "INPUT[,INPUT...]->OUTPUT[,OUTPUT...], e.g. 1x56x56x32->1x28x28x64");
    op.inputs = tensors(word.substr(0, arrow));
    op.outputs = tensors(word.substr(arrow + 2));
  }

  void parse_word(std::string_view word, Op& op) {
    if (word == "f32" || word == "f16" || word == "qs8") {
      if (dtype_seen_) fail("data type", word, "one data type");
      if (!common_dtype(op) || (op.dtype() != DType::f32 && op.dtype() != parse_dtype(word)))
        fail("data type", word, "one at the end, or one after each shape");
      op = with_dtype(std::move(op), parse_dtype(word));
      dtype_seen_ = true;
      return;
    }
    for (const AttributeSchema& attribute : attributes())
      if (const auto problem = attribute.read(word, op)) {
        if (!problem->empty()) fail_because(*problem);
        return;
      }
    std::vector<std::string_view> forms;
    for (const AttributeSchema& attribute : attributes()) forms.push_back(attribute.form);
    fail("attribute", word, fmt::format("{} or a data type", fmt::join(forms, ", ")));
  }

  std::string_view line_;
  bool dtype_seen_ = false;
};

}  // namespace

std::string text(const Op& op) {
  const auto dtype = common_dtype(op);
  std::string line = fmt::format("{} {}->{}", name(op.kind), tensors_text(op.inputs, !dtype),
                                 tensors_text(op.outputs, !dtype));
  const auto append = [&](std::string_view word) {
    if (!word.empty()) fmt::format_to(std::back_inserter(line), " {}", word);
  };
  // What is wrong with a refused operator is to be seen, too: attributes that it does not take.
  for (const AttributeSchema& attribute : attributes())
    if ((attribute.always_written && schema(op.kind).takes.has(attribute.attribute)) ||
        !attribute.is_default(op))
      append(attribute.write(op));
  if (dtype) append(name(*dtype));
  return line;
}

Op parse_op(std::string_view line) {
  Op op = Parser(line).parse();
  check(op);
  return op;
}

}  // namespace cpubone
