#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graph/parameters.hpp"
#include "graph/quantise.hpp"
#include "runtime/backend.hpp"
#include "runtime/thread_pool.hpp"

namespace cpubone {

/// What a network is given in one run: the values of each of its inputs, NHWC.
using InputValues = std::vector<std::vector<float>>;

/// Uniform in -2..2, which is about what images are once they are normalised.
std::vector<InputValues> random_images(const Network& network, int count, std::uint64_t seed = 1);

/// Runs the network in f32 on images, and notes the smallest and the largest value of each tensor.
/// These, not a percentile of them: nothing that the images contain is cut off, and the step of
/// 1/255 of the range is below what weights of 8 bits cost already where activations have no
/// outliers. Throws std::invalid_argument where there is no image or one does not fit.
Calibration calibrate(const Network& network, const ParameterSource& parameters,
                      std::span<const InputValues> images, std::shared_ptr<const ThreadPool> pool,
                      Backends backends = cpubone::backends());

/// The network in int8, calibrated on images: what the backends run in int8 does.
QuantisedNetwork quantise(const Network& network, const ParameterSource& parameters,
                          std::span<const InputValues> images,
                          const std::shared_ptr<const ThreadPool>& pool,
                          Backends backends = cpubone::backends());

/// How far the first output of a node of a quantised network is from f32's, over all images.
struct TensorError {
  std::string node;
  double cosine = 1;          ///< of the angle between both
  double relative_error = 0;  ///< norm of the difference over f32's norm
  double added_error = 0;     ///< of that, what exceeds the largest of what the node reads
};

/// How far a quantised network is from f32.
struct QuantisationError {
  std::vector<TensorError> tensors;  ///< in the network's order; conversions are none
  TensorError output;                ///< of the network's first output
  /// The node that adds the largest error: what spoils a network, if one does.
  const TensorError& worst() const;
};

/// Runs a network and its quantised form on images. Throws as `calibrate` does.
QuantisationError compare(const Network& network, const QuantisedNetwork& quantised,
                          const ParameterSource& parameters, std::span<const InputValues> images,
                          const std::shared_ptr<const ThreadPool>& pool,
                          Backends backends = cpubone::backends());

}  // namespace cpubone
