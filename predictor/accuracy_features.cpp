#include "predictor/accuracy_features.hpp"

#include <cmath>

namespace cpubone::accuracy_features {
namespace {

constexpr double most_product = 2.5;  // standard deviations; products do not extrapolate

}  // namespace

void set_plain(const AccuracyTerms& t, Features& f) {
  f(log_macs) = std::log(t.macs);
  f(log_params) = std::log(t.body_params);
  f(log_pixels) = std::log(t.pixels / 224);
  f(relu_share) = t.activations > 0 ? t.relus / t.activations : 0;
  f(gelu_share) = t.activations > 0 ? t.gelus / t.activations : 0;
  f.segment<effect_count>(shared_begin).setZero();
  for (std::size_t i = 0; i < place_count; ++i) {
    const PlaceTerms& p = t.places[i];
    auto e = f.segment<effect_count>(place_begin + effect_count * static_cast<Eigen::Index>(i));
    if (p.layers == 0) {
      e.setZero();
      continue;
    }
    e(expansion) = p.log_expansion / p.layers;
    e(kernel) = p.log_kernel / p.layers;
    e(groups) = p.log_groups / p.layers;
    e(layers) = std::log(p.layers);
    e(squeeze) = p.squeeze / p.layers;
    e(attention) = p.attention / p.layers;
    e(share) = std::log(p.macs / t.macs);
    e(expansion_layers) = e(expansion) * e(layers);
    e(expansion_squeeze) = e(expansion) * e(squeeze);
    e(layers_squeeze) = e(layers) * e(squeeze);
    f.segment<effect_count>(shared_begin) += shared_scale * e;
  }
}

Factors factors_of(const Features& f) {
  Factors z;
  z(0) = f(log_macs);
  z(1) = f(log_params);
  Eigen::Index next = 2;
  for (Eigen::Index stride = 0; stride < stride_count; ++stride)
    for (const Effect effect : multiplied)
      z(next++) = f(at(2 * stride, effect)) + f(at(2 * stride + 1, effect));
  return z;
}

void complete(const Eigen::VectorXd& scale, Features& f) {
  const Factors z =
      factors_of(f).cwiseProduct(scale).cwiseMax(-most_product).cwiseMin(most_product);
  visit_products(
      [&](Eigen::Index product, Eigen::Index i, Eigen::Index k) { f(product) = z(i) * z(k); });
}

}  // namespace cpubone::accuracy_features
