#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "graph/onnx/proto.hpp"

namespace cpubone::onnx {

using Dims = std::vector<std::int64_t>;

/// Number of elements. Throws cpubone::Error where a dimension is negative or there are more than
/// 2^31.
std::int64_t count(const Dims& dims);
/// e.g. `1x3x224x224`
std::string text(const Dims& dims);

/// A tensor that is known: floats, or what is an integer or true or false.
struct Array {
  Dims dims;
  std::vector<float> reals;
  std::vector<std::int64_t> integers;
  bool integer = false;         ///< which of the two it has
  bool unsigned_bytes = false;  ///< of uint8

  std::size_t size() const { return integer ? integers.size() : reals.size(); }
  double at(std::size_t i) const {
    return integer ? static_cast<double>(integers[i]) : double{reals[i]};
  }
};
using Constant = std::shared_ptr<const Array>;

Constant real(Dims dims, std::vector<float> values);
Constant integral(Dims dims, std::vector<std::int64_t> values);
/// Floats or integers as `like` has; of what is beyond integers the farthest, of no number 0.
Constant of_kind(const Array& like, Dims dims, const std::vector<double>& values);

/// The values of an initializer. Data in another file is read from `folder`, and refused where
/// there is none or the path leads out of it. Throws cpubone::Error naming the tensor for types
/// that are neither real nor integer, and for data of another size than its dimensions say.
Constant decode(const proto::TensorProto& tensor,
                const std::optional<std::filesystem::path>& folder);

}  // namespace cpubone::onnx
