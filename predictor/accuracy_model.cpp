#include "predictor/accuracy_model.hpp"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <stdexcept>
#include <utility>

namespace cpubone {
namespace {

constexpr double unit = 0.1;  // of the logarithm of the error that the regression calculates in
constexpr double z90 = 1.645;
constexpr double refusal_factor = 3;           // of MACs beyond what was ever trained
constexpr double totals_only_precision = 0.5;  // what its blocks are like is not known
constexpr double most_product = 2.5;           // standard deviations; products do not extrapolate

// Plain features: of the whole network, effects summed over the places, the same by place.
enum Whole : Eigen::Index { log_macs, log_params, log_pixels, relu_share, gelu_share, whole_count };
enum Effect : Eigen::Index {
  expansion,
  kernel,
  groups,
  layers,
  squeeze,
  attention,
  expansion_layers,
  expansion_squeeze,
  layers_squeeze,
  effect_count
};
constexpr Eigen::Index shared_begin = whole_count;
constexpr Eigen::Index place_begin = shared_begin + effect_count;
constexpr Eigen::Index plain_count =
    place_begin + effect_count * static_cast<Eigen::Index>(place_count);
// Products count, as effects saturate and depend on the rest of the network: of capacity and of
// what is worth most at each stride.
constexpr std::array<Effect, 3> multiplied{expansion, layers, squeeze};
constexpr Eigen::Index stride_count = static_cast<Eigen::Index>(place_count) / 2;
constexpr Eigen::Index product_factors =
    2 + stride_count * static_cast<Eigen::Index>(multiplied.size());
constexpr Eigen::Index feature_count = plain_count + product_factors * (product_factors + 1) / 2;
// Further columns of the regression, then a level for each family.
enum Level : Eigen::Index {
  intercept = feature_count,
  classic,
  proxy_macs,
  proxy_params,
  families_begin
};

enum Group {
  totals,
  shared_effects,
  place_effects,
  products,
  assumed,
  free_level,
  proxy_totals,
  family_levels
};
constexpr double infinity = std::numeric_limits<double>::infinity();
// Variances before any data, in units of 0.1 of the logarithm of the error, and their weight.
constexpr std::array<GroupPrior, 8> group_priors{{
    {2, 2},            // totals
    {0.5, 1},          // shared effects
    {0.01, 4},         // effects by place
    {0.0003, 4},       // products
    {0.02, infinity},  // assumed
    {100, infinity},   // level
    {1, 1},            // totals of a short recipe
    {1, 1},            // levels of families
}};
constexpr GroupPrior noise_prior{0.04, 2};

Group group_of(Eigen::Index column) {
  if (column == relu_share || column == gelu_share) return assumed;
  if (column < whole_count) return totals;
  if (column < place_begin) return shared_effects;
  if (column < plain_count) return place_effects;
  if (column < feature_count) return products;
  if (column < proxy_macs) return free_level;
  return column < families_begin ? proxy_totals : family_levels;
}

using Features = Eigen::Matrix<double, feature_count, 1>;

/// Plain features of a network.
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
    e(expansion_layers) = e(expansion) * e(layers);
    e(expansion_squeeze) = e(expansion) * e(squeeze);
    e(layers_squeeze) = e(layers) * e(squeeze);
    f.segment<effect_count>(shared_begin) += 0.378 * e;  // 1 / sqrt(7): of the order of one place's
  }
}

using Factors = Eigen::Matrix<double, product_factors, 1>;

/// Of centred plain features.
Factors factors_of(const Features& f) {
  Factors z;
  z(0) = f(log_macs);
  z(1) = f(log_params);
  Eigen::Index at = 2;
  for (Eigen::Index stride = 0; stride < stride_count; ++stride)
    for (const Effect effect : multiplied) {
      const Eigen::Index first = place_begin + 2 * stride * effect_count + effect;
      z(at++) = f(first) + f(first + effect_count);
    }
  return z;
}

/// Appends products to centred plain features.
void complete(const Eigen::VectorXd& scale, Features& f) {
  const Factors z =
      factors_of(f).cwiseProduct(scale).cwiseMax(-most_product).cwiseMin(most_product);
  Eigen::Index at = plain_count;
  for (Eigen::Index i = 0; i < product_factors; ++i)
    for (Eigen::Index k = i; k < product_factors; ++k) f(at++) = z(i) * z(k);
}

void check(std::span<const TrainedNetwork> networks, std::string_view family) {
  int members = 0;
  for (const TrainedNetwork& n : networks) {
    const auto expect = [&](std::string_view what, double got, bool ok, std::string_view range) {
      if (!ok)
        throw std::invalid_argument(
            fmt::format("accuracy of \"{}\": {} must be {}, got {}", n.network, what, range, got));
    };
    expect("top1", n.top1, n.top1 > 0 && n.top1 < 100, "between 0 and 100 percent");
    expect("MACs", n.terms.macs, n.terms.macs >= 1 && std::isfinite(n.terms.macs), "positive");
    expect("parameters without the head", n.terms.body_params,
           n.terms.body_params >= 1 && std::isfinite(n.terms.body_params), "positive");
    members += n.family == family;
  }
  if (members < 3)
    throw std::invalid_argument(fmt::format(
        "accuracy model: expected at least 3 networks of family \"{}\", got {}", family, members));
}

Eigen::VectorXd row_of(const Features& features, const TrainedNetwork& n,
                       const std::map<std::string, Eigen::Index>& families) {
  Eigen::VectorXd row =
      Eigen::VectorXd::Zero(families_begin + static_cast<Eigen::Index>(families.size()));
  row.head<feature_count>() = features;
  row(intercept) = 1;
  row(classic) = n.classic ? 1 : 0;
  if (n.proxy) {
    row(proxy_macs) = features(log_macs);
    row(proxy_params) = features(log_params);
  }
  const auto family = families.find(n.family);
  if (family != families.end()) row(family->second) = 1;
  return row;
}

}  // namespace

AccuracyFit::AccuracyFit(std::span<const TrainedNetwork> networks, std::string_view family)
    : networks_(networks.begin(), networks.end()), family_(family) {
  check(networks_, family_);
  const auto count = static_cast<Eigen::Index>(networks_.size());
  std::vector<Features> features(networks_.size());
  Features known_sum = Features::Zero();
  double known = 0;
  for (std::size_t i = 0; i < networks_.size(); ++i) {
    set_plain(networks_[i].terms, features[i]);
    if (networks_[i].totals_only) continue;
    known_sum += features[i];
    known += 1;
  }
  posterior_.centre = Eigen::VectorXd::Zero(plain_count);
  if (known > 0) posterior_.centre = known_sum.head<plain_count>() / known;
  // A network of which only totals are known is like the mean one in all else.
  for (std::size_t i = 0; i < networks_.size(); ++i)
    if (networks_[i].totals_only)
      for (Eigen::Index c = log_params + 1; c < plain_count; ++c)
        if (c != log_pixels) features[i](c) = posterior_.centre(c);
  for (Features& f : features) f.head<plain_count>() -= posterior_.centre;
  Factors squares = Factors::Zero();
  for (const Features& f : features) squares += factors_of(f).cwiseAbs2();
  posterior_.scale = Eigen::VectorXd::Zero(product_factors);
  for (Eigen::Index k = 0; k < product_factors; ++k)
    if (squares(k) > 1e-9) posterior_.scale(k) = std::sqrt(static_cast<double>(count) / squares(k));
  std::map<std::string, Eigen::Index> families;
  for (const TrainedNetwork& n : networks_) families.emplace(n.family, 0);
  Eigen::Index next = families_begin;
  for (auto& [name, column] : families) column = next++;

  data_.x.resize(count, next);
  data_.y.resize(count);
  data_.precision.resize(count);
  for (Eigen::Index i = 0; i < count; ++i) {
    const TrainedNetwork& n = networks_[static_cast<std::size_t>(i)];
    Features& f = features[static_cast<std::size_t>(i)];
    complete(posterior_.scale, f);
    data_.x.row(i) = row_of(f, n, families).transpose();
    data_.y(i) = std::log(100 - n.top1);
    data_.precision(i) = n.precision * (n.totals_only ? totals_only_precision : 1);
  }
  level_ = data_.y.mean();
  data_.y = (data_.y.array() - level_) / unit;
  data_.prior_mean = Eigen::VectorXd::Zero(next);
  for (Eigen::Index c = 0; c < next; ++c) data_.group.push_back(group_of(c));
  regression_ = fit_bayesian_regression(data_, group_priors, noise_prior);

  // What is constant in the family becomes its level.
  const auto member = std::find_if(networks_.begin(), networks_.end(),
                                   [&](const TrainedNetwork& n) { return n.family == family_; });
  Eigen::MatrixXd from = Eigen::MatrixXd::Zero(feature_count + 1, next);
  from.leftCols(feature_count).topRows(feature_count).setIdentity();
  if (member->proxy) from(log_macs, proxy_macs) = from(log_params, proxy_params) = 1;
  from(feature_count, intercept) = 1;
  from(feature_count, classic) = member->classic ? 1 : 0;
  from(feature_count, families.at(family_)) = 1;
  Eigen::VectorXd mean = unit * (from * regression_.mean);
  mean(feature_count) += level_;
  const Eigen::MatrixXd covariance =
      unit * unit * (from * regression_.covariance * from.transpose());
  posterior_.mean = mean.cast<float>();
  const Eigen::MatrixXd ridge =
      covariance + 1e-12 * Eigen::MatrixXd::Identity(mean.size(), mean.size());
  posterior_.root = Eigen::MatrixXd(ridge.llt().matrixU()).cast<float>();
  posterior_.noise = unit * unit * regression_.noise;
  posterior_.macs_low = posterior_.family_macs_low = infinity;
  for (const TrainedNetwork& n : networks_) {
    posterior_.macs_low = std::min(posterior_.macs_low, n.terms.macs);
    posterior_.macs_high = std::max(posterior_.macs_high, n.terms.macs);
    if (n.family != family_) continue;
    posterior_.family_macs_low = std::min(posterior_.family_macs_low, n.terms.macs);
    posterior_.family_macs_high = std::max(posterior_.family_macs_high, n.terms.macs);
  }
}

namespace {

AccuracyEstimate estimate_of(double mean, double variance) {
  const double sd = std::sqrt(variance);
  return {100 - std::exp(mean), std::max(0.0, 100 - std::exp(mean + z90 * sd)),
          100 - std::exp(mean - z90 * sd), false};
}

/// Features with the level's 1.
Eigen::VectorXf input_of(const AccuracyPosterior& posterior, const AccuracyTerms& terms) {
  Features f;
  set_plain(terms, f);
  f.head<plain_count>() -= posterior.centre;
  complete(posterior.scale, f);
  Eigen::VectorXf x(feature_count + 1);
  x.head<feature_count>() = f.cast<float>();
  x(feature_count) = 1;
  return x;
}

}  // namespace

std::vector<AccuracyEstimate> AccuracyFit::leave_one_out() const {
  const CrossValidation left = cpubone::leave_one_out(regression_, data_);
  std::vector<AccuracyEstimate> estimates;
  for (Eigen::Index i = 0; i < left.mean.size(); ++i)
    estimates.push_back(estimate_of(level_ + unit * left.mean(i), unit * unit * left.variance(i)));
  return estimates;
}

std::vector<std::optional<AccuracyEstimate>> AccuracyFit::leave_family_out() const {
  std::vector<std::optional<AccuracyEstimate>> estimates(networks_.size());
  std::map<std::string, std::vector<Eigen::Index>> members;
  for (std::size_t i = 0; i < networks_.size(); ++i)
    members[networks_[i].family].push_back(static_cast<Eigen::Index>(i));
  if (members.size() < 2) return estimates;
  for (const auto& [family, rows] : members) {
    RegressionData others = data_;
    for (const Eigen::Index i : rows) others.precision(i) = 0;
    const BayesianRegression fitted = refit(regression_, others);
    for (const Eigen::Index i : rows) {
      const Eigen::VectorXd x = data_.x.row(i);
      const double variance = x.dot(fitted.covariance * x) + fitted.noise;
      estimates[static_cast<std::size_t>(i)] =
          estimate_of(level_ + unit * x.dot(fitted.mean), unit * unit * variance);
    }
  }
  return estimates;
}

AccuracyEstimate estimate(const AccuracyPosterior& posterior, const AccuracyTerms& terms) {
  const Eigen::VectorXf x = input_of(posterior, terms);
  const float spread = (posterior.root.triangularView<Eigen::Upper>() * x).squaredNorm();
  AccuracyEstimate e =
      estimate_of(posterior.mean.dot(x), static_cast<double>(spread) + posterior.noise);
  e.refused = terms.macs < posterior.macs_low / refusal_factor ||
              terms.macs > posterior.macs_high * refusal_factor ||
              terms.macs < posterior.family_macs_low / refusal_factor ||
              terms.macs > posterior.family_macs_high * refusal_factor;
  return e;
}

Eigen::MatrixXd draw(const AccuracyPosterior& posterior, std::span<const AccuracyTerms> networks,
                     int draws, std::uint64_t seed) {
  const auto count = static_cast<Eigen::Index>(networks.size());
  Eigen::MatrixXf rooted(feature_count + 1, count);
  Eigen::VectorXf mean(count);
  for (Eigen::Index i = 0; i < count; ++i) {
    const Eigen::VectorXf x = input_of(posterior, networks[static_cast<std::size_t>(i)]);
    mean(i) = posterior.mean.dot(x);
    rooted.col(i) = posterior.root.triangularView<Eigen::Upper>() * x;
  }
  std::mt19937_64 rng(seed);
  const auto normal = [&] {  // Box and Muller, the same on every platform
    const double u = (static_cast<double>(rng() >> 11) + 0.5) * 0x1p-53;
    const double v = (static_cast<double>(rng() >> 11) + 0.5) * 0x1p-53;
    return std::sqrt(-2 * std::log(u)) * std::cos(2 * 3.14159265358979323846 * v);
  };
  const double sd = std::sqrt(posterior.noise);
  Eigen::MatrixXd drawn(draws, count);
  Eigen::RowVectorXf z(feature_count + 1);
  for (int d = 0; d < draws; ++d) {
    for (float& v : z) v = static_cast<float>(normal());
    const Eigen::RowVectorXf common = z * rooted;
    for (Eigen::Index i = 0; i < count; ++i)
      drawn(d, i) = 100 - std::exp(static_cast<double>(mean(i) + common(i)) + sd * normal());
  }
  return drawn;
}

}  // namespace cpubone
