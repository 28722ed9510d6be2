#pragma once
#include <Eigen/Core>
#include <array>

#include "predictor/accuracy_terms.hpp"

/// The columns that accuracy is regressed on.
namespace cpubone::accuracy_features {

// Plain features: of the whole network, effects summed over the places, the same by place.
enum Whole : Eigen::Index { log_macs, log_params, log_pixels, relu_share, gelu_share, whole_count };
enum Effect : Eigen::Index {
  expansion,
  kernel,
  groups,
  layers,
  squeeze,
  attention,
  share,  ///< of the MACs, its logarithm
  expansion_layers,
  expansion_squeeze,
  layers_squeeze,
  effect_count
};
inline constexpr Eigen::Index shared_begin = whole_count;
inline constexpr Eigen::Index place_begin = shared_begin + effect_count;
inline constexpr Eigen::Index plain_count =
    place_begin + effect_count * static_cast<Eigen::Index>(place_count);
// Products count, as effects saturate and depend on the rest of the network: of capacity and of
// what is worth most at each stride.
inline constexpr std::array<Effect, 3> multiplied{expansion, layers, squeeze};
inline constexpr double shared_scale = 0.378;  // 1 / sqrt(7): of the order of one place's
inline constexpr Eigen::Index stride_count = static_cast<Eigen::Index>(place_count) / 2;
inline constexpr Eigen::Index product_factors =
    2 + stride_count * static_cast<Eigen::Index>(multiplied.size());
inline constexpr Eigen::Index feature_count =
    plain_count + product_factors * (product_factors + 1) / 2;
// Behind the features: the square of their trend (one degree of freedom for what does not add up;
// Tukey, Biometrics, 1949), and 1.
inline constexpr Eigen::Index curvature = feature_count;
inline constexpr Eigen::Index level = curvature + 1;
inline constexpr Eigen::Index input_count = level + 1;
using Features = Eigen::Matrix<double, feature_count, 1>;
using Factors = Eigen::Matrix<double, product_factors, 1>;

/// Position of an effect at a place.
constexpr Eigen::Index at(Eigen::Index place, Effect effect) {
  return place_begin + effect_count * place + effect;
}
/// Calls take(product, one factor, other factor) with the position of every product.
template <typename Take>
void visit_products(Take take) {
  Eigen::Index next = plain_count;
  for (Eigen::Index i = 0; i < product_factors; ++i)
    for (Eigen::Index k = i; k < product_factors; ++k) take(next++, i, k);
}

/// Sets the plain features of a network.
void set_plain(const AccuracyTerms& terms, Features& features);
/// What is multiplied, of centred plain features.
Factors factors_of(const Features& features);
/// Appends products to centred plain features; `scale` is that of the factors.
void complete(const Eigen::VectorXd& scale, Features& features);

}  // namespace cpubone::accuracy_features
