#include "graph/tensor.hpp"

#include <charconv>
#include <stdexcept>

#include "graph/names.hpp"

namespace cpubone {
namespace {

constexpr std::array<std::string_view, 3> names_of_dtypes{"f32", "f16", "qs8"};

[[noreturn]] void fail(std::string_view what, std::string_view got, std::string_view expected) {
  throw std::invalid_argument(fmt::format("{}: got \"{}\", expected {}", what, got, expected));
}

template <typename Number>
std::optional<Number> number(std::string_view word) {
  Number value{};
  const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (word.empty() || code != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  return value;
}

/// The part before the first separator, which is taken off `rest`.
std::string_view take(std::string_view& rest, char separator) {
  const auto end = rest.find(separator);
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return part;
}

Shape parse_shape(std::string_view word) {
  std::array<int, 4> dimensions{};
  std::string_view rest = word;
  for (int& dimension : dimensions) {
    const bool last = &dimension == &dimensions.back();
    if ((rest.find('x') == std::string_view::npos) != last)
      fail("shape", word, "NxHxWxC, e.g. 1x56x56x32");
    const auto value = number<int>(take(rest, 'x'));
    if (!value) fail("shape", word, "a whole number in each of NxHxWxC");
    dimension = *value;
  }
  return {dimensions[0], dimensions[1], dimensions[2], dimensions[3]};
}

}  // namespace

std::int64_t elements(const Shape& s) {
  return std::int64_t{s.n} * s.h * s.w * s.c;
}

std::string text(const Shape& s) {
  return fmt::format("{}x{}x{}x{}", s.n, s.h, s.w, s.c);
}

std::string_view name(DType dtype) {
  return names_of_dtypes[static_cast<std::size_t>(dtype)];
}

std::span<const std::string_view> dtype_names() {
  return names_of_dtypes;
}

DType parse_dtype(std::string_view word) {
  if (const auto dtype = find_name<DType>(names_of_dtypes, word)) return *dtype;
  fail("data type", word, "one of " + joined(names_of_dtypes));
}

int bytes_per_element(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return 4;
    case DType::f16:
      return 2;
    case DType::qs8:
      return 1;
  }
  return 4;
}

std::int64_t bytes(const Tensor& tensor) {
  return elements(tensor.shape) * bytes_per_element(tensor.dtype);
}

Quantisation quantisation_of(const Tensor& tensor) {
  return tensor.quantisation.value_or(Quantisation{1.0F / 32.0F, 0});
}

std::string text(const Tensor& tensor) {
  std::string word = text(tensor.shape);
  if (tensor.dtype != DType::f32) word += fmt::format(":{}", name(tensor.dtype));
  if (const auto& q = tensor.quantisation) word += fmt::format("/{}/{}", q->scale, q->zero_point);
  return word;
}

Tensor parse_tensor(std::string_view word) {
  std::string_view rest = word;
  Tensor tensor;
  tensor.shape = parse_shape(take(rest, ':'));
  if (rest.empty()) return tensor;
  tensor.dtype = parse_dtype(take(rest, '/'));
  if (rest.empty()) return tensor;
  const auto scale = number<float>(take(rest, '/'));
  const auto zero_point = number<int>(rest);
  if (!scale || !zero_point) fail("quantisation", word, "SHAPE:qs8/SCALE/ZERO_POINT");
  tensor.quantisation = Quantisation{*scale, *zero_point};
  return tensor;
}

}  // namespace cpubone
