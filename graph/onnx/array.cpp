#include "graph/onnx/array.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>

#include "graph/error.hpp"
#include "graph/schema.hpp"

namespace cpubone::onnx {
namespace {

using proto::TensorProto;

/// Where an initializer's data lies in another file.
struct Location {
  std::string file;
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> length;
};

std::uint64_t number(const std::string& name, const std::string& key, const std::string& word) {
  std::uint64_t value = 0;
  const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (code != std::errc{} || end != word.data() + word.size())
    throw Error(fmt::format("tensor \"{}\": {} of its data must be a whole number, got \"{}\"",
                            name, key, word));
  return value;
}

Location location(const TensorProto& tensor) {
  Location at;
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == "location") at.file = entry.value();
    if (entry.key() == "offset") at.offset = number(tensor.name(), "offset", entry.value());
    if (entry.key() == "length") at.length = number(tensor.name(), "length", entry.value());
  }
  return at;
}

std::string external_bytes(const TensorProto& tensor,
                           const std::optional<std::filesystem::path>& folder,
                           std::uint64_t expected) {
  const Location at = location(tensor);
  const auto refuse = [&](const std::string& what) {
    throw Error(
        fmt::format("tensor \"{}\": its data in file \"{}\" {}", tensor.name(), at.file, what));
  };
  if (!folder) refuse("cannot be read: the model is not a file");
  const std::filesystem::path relative(at.file);
  bool leads_out = relative.empty() || relative.is_absolute();
  for (const auto& part : relative) leads_out = leads_out || part == "..";
  if (leads_out) refuse("must be below the model's folder");
  std::error_code code;
  const std::filesystem::path real_folder = std::filesystem::canonical(*folder, code);
  const std::filesystem::path path = std::filesystem::canonical(*folder / relative, code);
  if (code) refuse("cannot be read: " + code.message());
  const auto [end, rest] =
      std::mismatch(real_folder.begin(), real_folder.end(), path.begin(), path.end());
  if (end != real_folder.end()) refuse("must be below the model's folder");
  if (!std::filesystem::is_regular_file(path)) refuse("is no file");
  const std::uint64_t size = std::filesystem::file_size(path);
  const std::uint64_t length = at.length.value_or(expected);
  if (length != expected || at.offset > size || size - at.offset < length)
    refuse(fmt::format("must have {} bytes from {} on, got {} of a file of {}", expected, at.offset,
                       length, size));
  std::ifstream file(path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(at.offset));
  std::string bytes(static_cast<std::size_t>(length), '\0');
  if (!file.read(bytes.data(), static_cast<std::streamsize>(length))) refuse("cannot be read");
  return bytes;
}

template <typename Stored, typename Value>
std::vector<Value> from_bytes(std::string_view bytes) {
  std::vector<Value> values(bytes.size() / sizeof(Stored));
  if constexpr (std::is_same_v<Stored, Value>) {
    // Neither may be null, as they are where a tensor has no elements.
    if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  } else {
    for (std::size_t i = 0; i < values.size(); ++i) {
      Stored stored;
      std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));
      values[i] = static_cast<Value>(stored);
    }
  }
  return values;
}

template <typename Value, typename Field>
std::vector<Value> from_field(const Field& field) {
  std::vector<Value> values;
  values.reserve(static_cast<std::size_t>(field.size()));
  for (const auto& value : field) values.push_back(static_cast<Value>(value));
  return values;
}

float from_half(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const int fraction = bits & 1023;
  float value = std::ldexp(static_cast<float>(exponent == 0 ? fraction : fraction | 1024),
                           std::max(exponent, 1) - 25);
  if (exponent == 31) value = fraction == 0 ? INFINITY : NAN;
  return bits >> 15 != 0 ? -value : value;
}

float from_bfloat(std::uint16_t bits) {
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

/// Numbers of 16 bits, of which `int32_data` has one each.
std::vector<float> halves(const TensorProto& tensor, std::string_view bytes, bool raw,
                          float (*convert)(std::uint16_t)) {
  const auto bits = raw ? from_bytes<std::uint16_t, std::uint16_t>(bytes)
                        : from_field<std::uint16_t>(tensor.int32_data());
  std::vector<float> values(bits.size());
  std::transform(bits.begin(), bits.end(), values.begin(), convert);
  return values;
}

struct TypeInfo {
  std::size_t bytes;
  bool integer;
};

TypeInfo type_info(const TensorProto& tensor) {
  switch (tensor.data_type()) {
    case TensorProto::FLOAT:
      return {4, false};
    case TensorProto::DOUBLE:
      return {8, false};
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
      return {2, false};
    case TensorProto::INT64:
    case TensorProto::UINT64:
      return {8, true};
    case TensorProto::INT32:
    case TensorProto::UINT32:
      return {4, true};
    case TensorProto::INT16:
    case TensorProto::UINT16:
      return {2, true};
    case TensorProto::INT8:
    case TensorProto::UINT8:
    case TensorProto::BOOL:
      return {1, true};
    default:
      throw Error(fmt::format("tensor \"{}\": type {} of ONNX is neither real nor integer",
                              tensor.name(), tensor.data_type()));
  }
}

std::vector<float> reals(const TensorProto& tensor, std::string_view bytes, bool raw) {
  switch (tensor.data_type()) {
    case TensorProto::DOUBLE:
      return raw ? from_bytes<double, float>(bytes) : from_field<float>(tensor.double_data());
    case TensorProto::FLOAT16:
      return halves(tensor, bytes, raw, from_half);
    case TensorProto::BFLOAT16:
      return halves(tensor, bytes, raw, from_bfloat);
    default:
      return raw ? from_bytes<float, float>(bytes) : from_field<float>(tensor.float_data());
  }
}

std::vector<std::int64_t> integers(const TensorProto& tensor, std::string_view bytes, bool raw) {
  using Value = std::int64_t;
  switch (tensor.data_type()) {
    case TensorProto::INT64:
      return raw ? from_bytes<std::int64_t, Value>(bytes) : from_field<Value>(tensor.int64_data());
    case TensorProto::UINT64:
      return raw ? from_bytes<std::uint64_t, Value>(bytes)
                 : from_field<Value>(tensor.uint64_data());
    case TensorProto::UINT32:
      return raw ? from_bytes<std::uint32_t, Value>(bytes)
                 : from_field<Value>(tensor.uint64_data());
    default:
      break;
  }
  if (!raw) return from_field<Value>(tensor.int32_data());
  switch (tensor.data_type()) {
    case TensorProto::INT32:
      return from_bytes<std::int32_t, Value>(bytes);
    case TensorProto::INT16:
      return from_bytes<std::int16_t, Value>(bytes);
    case TensorProto::UINT16:
      return from_bytes<std::uint16_t, Value>(bytes);
    case TensorProto::INT8:
      return from_bytes<std::int8_t, Value>(bytes);
    default:
      return from_bytes<std::uint8_t, Value>(bytes);
  }
}

}  // namespace

std::int64_t count(const Dims& dims) {
  std::int64_t product = 1;
  for (const std::int64_t d : dims) {
    if (d < 0) throw Error(fmt::format("dimensions must not be negative, got {}", text(dims)));
    if (d > 0 && product > max_elements / d)
      throw Error(
          fmt::format("a tensor must have at most {} elements, got {}", max_elements, text(dims)));
    product *= d;
  }
  return product;
}

std::string text(const Dims& dims) {
  return dims.empty() ? "a scalar" : fmt::format("{}", fmt::join(dims, "x"));
}

Constant real(Dims dims, std::vector<float> values) {
  return std::make_shared<const Array>(Array{std::move(dims), std::move(values), {}, false, false});
}

Constant integral(Dims dims, std::vector<std::int64_t> values) {
  return std::make_shared<const Array>(Array{std::move(dims), {}, std::move(values), true, false});
}

Constant of_kind(const Array& like, Dims dims, const std::vector<double>& values) {
  if (like.integer) {
    std::vector<std::int64_t> integers(values.size());
    std::transform(values.begin(), values.end(), integers.begin(), [](double value) {
      return std::isfinite(value) ? static_cast<std::int64_t>(std::clamp(value, -9e18, 9e18)) : 0;
    });
    return integral(std::move(dims), std::move(integers));
  }
  return real(std::move(dims), std::vector<float>(values.begin(), values.end()));
}

Constant decode(const TensorProto& tensor, const std::optional<std::filesystem::path>& folder) {
  const TypeInfo type = type_info(tensor);
  Array array;
  array.dims.assign(tensor.dims().begin(), tensor.dims().end());
  array.integer = type.integer;
  array.unsigned_bytes = tensor.data_type() == TensorProto::UINT8;
  const auto expected = static_cast<std::uint64_t>(count(array.dims));
  const bool external = tensor.data_location() == TensorProto::EXTERNAL;
  const bool raw = external || tensor.has_raw_data();
  std::string read;
  if (external) read = external_bytes(tensor, folder, expected * type.bytes);
  const std::string_view bytes = external ? std::string_view(read) : tensor.raw_data();
  if (raw && bytes.size() != expected * type.bytes)
    throw Error(fmt::format("tensor \"{}\" of {}: expected {} bytes, got {}", tensor.name(),
                            text(array.dims), expected * type.bytes, bytes.size()));
  if (type.integer)
    array.integers = integers(tensor, bytes, raw);
  else
    array.reals = reals(tensor, bytes, raw);
  if (array.size() != expected)
    throw Error(fmt::format("tensor \"{}\" of {}: expected {} values, got {}", tensor.name(),
                            text(array.dims), expected, array.size()));
  return std::make_shared<const Array>(std::move(array));
}

}  // namespace cpubone::onnx
