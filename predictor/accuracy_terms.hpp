#pragma once
#include <array>
#include <cstddef>

#include "graph/network.hpp"

namespace cpubone {

/// What the blocks of a place in a network are like, summed over its spatial layers: convolutions
/// with kernels above 1 x 1 and attention.
struct PlaceTerms {
  double macs = 0;  ///< credited as in AccuracyTerms
  double layers = 0;
  double log_expansion = 0;  ///< of the widest over the narrowest tensor at the layer
  double log_kernel = 0;
  double log_groups = 0;  ///< of grouped convolutions that are not depthwise; of partial ones their
                          ///< channels over those that are convolved
  double squeeze = 0;     ///< squeeze-excites
  double attention = 0;
  bool operator==(const PlaceTerms&) const = default;
};

/// A stage of stride 2 to 32 is a place of its own where it is the first of that stride; the others
/// of that stride are one.
inline constexpr std::size_t place_count = 10;

/// The terms of a part of a network that lies in one place.
struct PartTerms {
  double macs = 0;  ///< as in AccuracyTerms, and so on
  double body_params = 0;
  double activations = 0;
  double relus = 0;
  double gelus = 0;
  PlaceTerms blocks;
  std::size_t place = 0;  ///< of `blocks`
};

/// What accuracy is estimated from, as sums over operators: the terms of a network are the sum over
/// its parts.
struct AccuracyTerms {
  /// A dense k x k convolution is credited with 1 + log2(k) of its k^2 taps and 1 / sqrt(groups) of
  /// its channels: larger kernels and fewer groups gain far less than their MACs (RepVGG's and
  /// CPUBone's ablations).
  double macs = 0;
  double body_params = 0;  ///< credited the same way, without the classification head
  double activations = 0;  ///< operators that apply one, but gates
  double relus = 0;        ///< those among them that are ReLU or ReLU6
  double gelus = 0;
  std::array<PlaceTerms, place_count> places{};
  double pixels = 224;  ///< height of the input; no sum

  /// Adds those of a part that is there so many times.
  void add(double times, const PartTerms& part);
  bool operator==(const AccuracyTerms&) const = default;
};

/// Of a whole network.
AccuracyTerms accuracy_terms(const Network& network);
/// Of the nodes from `begin` to before `end` in it. Throws std::invalid_argument where they lie in
/// several places.
PartTerms part_terms(const Network& network, std::size_t begin, std::size_t end);

}  // namespace cpubone
