#include "graph/onnx/node.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <charconv>

namespace cpubone::onnx {

using proto::AttributeProto;

const AttributeProto* NodeAttributes::find(std::string_view name) const {
  for (const AttributeProto& attribute : node_->attribute())
    if (attribute.name() == name) return &attribute;
  return nullptr;
}

std::int64_t NodeAttributes::integer(std::string_view name, std::int64_t otherwise) const {
  const AttributeProto* const a = find(name);
  return a != nullptr ? a->i() : otherwise;
}

float NodeAttributes::real(std::string_view name, float otherwise) const {
  const AttributeProto* const a = find(name);
  return a != nullptr ? a->f() : otherwise;
}

double NodeAttributes::decimal(std::string_view name, double otherwise) const {
  const AttributeProto* const a = find(name);
  return a != nullptr ? decimal_of(a->f()) : otherwise;
}

std::string NodeAttributes::word(std::string_view name, std::string_view otherwise) const {
  const AttributeProto* const a = find(name);
  return a != nullptr ? a->s() : std::string(otherwise);
}

std::optional<std::vector<std::int64_t>> NodeAttributes::integers(std::string_view name) const {
  const AttributeProto* const a = find(name);
  if (a == nullptr) return std::nullopt;
  return std::vector<std::int64_t>(a->ints().begin(), a->ints().end());
}

const std::vector<float>& reals_of(const Array& array) {
  if (array.integer) throw Unsupported("integers for weights");
  return array.reals;
}

std::optional<std::vector<float>> NodeAttributes::reals(std::string_view name) const {
  const AttributeProto* const a = find(name);
  if (a == nullptr) return std::nullopt;
  return std::vector<float>(a->floats().begin(), a->floats().end());
}

const proto::TensorProto* NodeAttributes::tensor(std::string_view name) const {
  const AttributeProto* const a = find(name);
  return a != nullptr && a->has_t() ? &a->t() : nullptr;
}

std::string NodeAttributes::text() const {
  std::vector<std::string> words;
  for (const AttributeProto& a : node_->attribute()) {
    switch (a.type()) {
      case AttributeProto::INT:
        words.push_back(fmt::format("{}={}", a.name(), a.i()));
        break;
      case AttributeProto::FLOAT:
        words.push_back(fmt::format("{}={}", a.name(), a.f()));
        break;
      case AttributeProto::STRING:
        words.push_back(fmt::format("{}={}", a.name(), a.s().substr(0, 64)));
        break;
      case AttributeProto::INTS:
        words.push_back(fmt::format("{}={}", a.name(), fmt::join(a.ints(), ",")));
        break;
      case AttributeProto::FLOATS:
        words.push_back(fmt::format("{}={}", a.name(), fmt::join(a.floats(), ",")));
        break;
      default:
        words.push_back(a.name());
    }
  }
  return fmt::format("{}", fmt::join(words, ", "));
}

double decimal_of(float value) {
  std::array<char, 32> digits{};
  const auto [end, code] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  double result = double{value};
  if (code == std::errc{}) std::from_chars(digits.data(), end, result);
  return result;
}

std::size_t axis_of(std::int64_t axis, std::size_t rank) {
  const auto r = static_cast<std::int64_t>(rank);
  if (axis < -r || axis >= r)
    throw Unsupported(fmt::format("axis {} of a tensor of rank {}", axis, rank));
  return static_cast<std::size_t>(axis < 0 ? axis + r : axis);
}

std::int64_t element_of(std::int64_t index, std::int64_t extent) {
  if (index < -extent || index >= extent) throw Unsupported("an index beyond the data");
  return index < 0 ? index + extent : index;
}

}  // namespace cpubone::onnx
