#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace cpubone {

/// Extent of a tensor in NHWC order. Every dimension is in 1..65536 where MACs are
/// counted, else up to 2^30; n is 1 (latency is batch 1)
/// but between reshapes and transposes, for which it is one more dimension.
struct Shape {
  int n = 1;
  int h = 1;
  int w = 1;
  int c = 1;
  bool operator==(const Shape&) const = default;
};

/// Number of elements.
std::int64_t elements(const Shape& shape);
/// e.g. `1x56x56x32`
std::string text(const Shape& shape);

enum class DType {
  f32,
  f16,
  qs8,  ///< int8; weights are quantised symmetrically, one scale an output channel
};
std::string_view name(DType dtype);
/// In the enumeration's order.
std::span<const std::string_view> dtype_names();
/// The data type of that name. Throws std::invalid_argument listing the known ones.
DType parse_dtype(std::string_view text);
int bytes_per_element(DType dtype);

/// What the integers of a quantised tensor stand for: value = scale x (integer - zero_point).
struct Quantisation {
  float scale = 1;     ///< above 0
  int zero_point = 0;  ///< in -128..127
  bool operator==(const Quantisation&) const = default;
};

/// What flows along an edge of a network.
struct Tensor {
  Shape shape;
  DType dtype = DType::f32;
  /// Of qs8 only; none: not calibrated, as latency alone does not ask for it.
  std::optional<Quantisation> quantisation = std::nullopt;
  bool operator==(const Tensor&) const = default;
};

std::int64_t bytes(const Tensor& tensor);
/// Of an int8 tensor; where it has none, steps of 1/32 around 0, as activations of networks with
/// normalised layers stay within +-4.
Quantisation quantisation_of(const Tensor& tensor);
/// e.g. `1x56x56x32`, `1x56x56x32:f16`, `1x56x56x32:qs8/0.05/-3` (scale, zero point); f32 is left
/// out.
std::string text(const Tensor& tensor);
/// Throws std::invalid_argument saying what was got and what is expected.
Tensor parse_tensor(std::string_view text);

}  // namespace cpubone
