#include "predictor/accuracy_model.hpp"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>
#include <numeric>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

#include "predictor/accuracy_features.hpp"

namespace cpubone {
namespace {

using namespace accuracy_features;

constexpr double unit = 0.1;  // of the logarithm of the error that the regression calculates in
constexpr double z90 = 1.645;
constexpr double refusal_factor = 3;            // of MACs beyond what was ever trained
constexpr double totals_only_precision = 0.85;  // what its blocks are like is not known
constexpr double most_product = 2.5;            // standard deviations; products do not extrapolate

// Further columns of the regression, then a level for each family.
enum Level : Eigen::Index {
  intercept = feature_count,
  classic,
  proxy,
  proxy_macs,
  proxy_params,
  family_macs,
  family_params,
  family_squeeze,
  family_attention,
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
  between_families,
  family_levels
};
constexpr double infinity = std::numeric_limits<double>::infinity();
// Variances before any data, in units of 0.1 of the logarithm of the error, and their weight.
constexpr std::array<GroupPrior, 9> group_priors{{
    {2, 2},            // totals
    {0.5, 1},          // shared effects
    {0.01, 4},         // effects by place
    {0.0001, 4},       // products
    {0.02, infinity},  // assumed
    {100, infinity},   // level
    {1, 1},            // totals of a short recipe
    {2, 2},            // means of families
    {1, 1},            // levels of families
}};
constexpr GroupPrior noise_prior{0.04, 2};

Group group_of(Eigen::Index column) {
  if (column == log_pixels || column == relu_share || column == gelu_share) return assumed;
  if (column < whole_count) return totals;
  if (column < place_begin) return shared_effects;
  if (column < plain_count) return place_effects;
  if (column < feature_count) return products;
  if (column == classic) return between_families;
  if (column < proxy_macs) return free_level;
  if (column < family_macs) return proxy_totals;
  return column < families_begin ? between_families : family_levels;
}

struct Mean {
  Features sum = Features::Zero();
  double count = 0;
  void add(const Features& f) {
    sum += f;
    count += 1;
  }
  double of(Eigen::Index c) const { return count > 0 ? sum(c) / count : 0; }
};

struct FamilyMean {
  Mean totals;
  Mean blocks;         ///< of those whose blocks are known
  double squeeze = 0;  ///< networks that have some
  double attention = 0;
};

bool is_total(Eigen::Index c) {
  return c == log_macs || c == log_params || c == log_pixels;
}

/// What blocks are like is compared within a family only: how those of two families compare is in
/// their levels.
Eigen::VectorXd centre_of(const Mean& all, const Mean& family) {
  Eigen::VectorXd centre(plain_count);
  for (Eigen::Index c = 0; c < plain_count; ++c) centre(c) = is_total(c) ? all.of(c) : family.of(c);
  return centre;
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
  if (members < 1)
    throw std::invalid_argument(fmt::format(
        "accuracy model: expected a network of family \"{}\", got {}", family, members));
}

Eigen::VectorXd row_of(const Features& features, const TrainedNetwork& n,
                       const std::map<std::string, Eigen::Index>& families,
                       const Eigen::Vector4d& family_means) {
  Eigen::VectorXd row =
      Eigen::VectorXd::Zero(families_begin + static_cast<Eigen::Index>(families.size()));
  row.head<feature_count>() = features;
  row(intercept) = 1;
  row(classic) = n.classic ? 1 : 0;
  if (n.proxy) {
    row(proxy) = 1;
    row(proxy_macs) = features(log_macs);
    row(proxy_params) = features(log_params);
  }
  row.segment<4>(family_macs) = family_means;
  const auto family = families.find(n.family);
  if (family != families.end()) row(family->second) = 1;
  return row;
}

}  // namespace

AccuracyFit::AccuracyFit(std::span<const TrainedNetwork> networks, std::string_view family)
    : networks_(networks.begin(), networks.end()), family_(family) {
  check(networks_, family_);
  const auto count = static_cast<Eigen::Index>(networks_.size());
  std::map<std::string, FamilyMean> means;
  std::vector<Features> features(networks_.size());
  Mean all;
  for (std::size_t i = 0; i < networks_.size(); ++i) {
    set_plain(networks_[i].terms, features[i]);
    all.add(features[i]);
    FamilyMean& mean = means[networks_[i].family];
    mean.totals.add(features[i]);
    if (!networks_[i].totals_only) mean.blocks.add(features[i]);
    const auto& places = networks_[i].terms.places;
    mean.squeeze +=
        std::any_of(places.begin(), places.end(), [](auto& p) { return p.squeeze > 0; });
    mean.attention +=
        std::any_of(places.begin(), places.end(), [](auto& p) { return p.attention > 0; });
  }
  for (std::size_t i = 0; i < networks_.size(); ++i) {
    const Eigen::VectorXd centre = centre_of(all, means.at(networks_[i].family).blocks);
    features[i].head<plain_count>() -= centre;
    if (networks_[i].family == family_) posterior_.centre = centre;
    // A network of which only totals are known is like its family in all else.
    if (networks_[i].totals_only)
      for (Eigen::Index c = 0; c < plain_count; ++c)
        if (!is_total(c)) features[i](c) = 0;
  }
  Factors squares = Factors::Zero();
  for (const Features& f : features) squares += factors_of(f).cwiseAbs2();
  posterior_.scale = Eigen::VectorXd::Zero(product_factors);
  for (Eigen::Index k = 0; k < product_factors; ++k)
    if (squares(k) > 1e-9) posterior_.scale(k) = std::sqrt(static_cast<double>(count) / squares(k));
  std::map<std::string, Eigen::Index> levels;
  Eigen::Index next = families_begin;
  for (const auto& [name, mean] : means) levels[name] = next++;

  // Levels of families differ by their means too (Mundlak, Econometrica, 1978).
  const auto means_of = [&](const std::string& name) {
    const FamilyMean& own = means.at(name);
    return Eigen::Vector4d{own.totals.of(log_macs) - all.of(log_macs),
                           own.totals.of(log_params) - all.of(log_params),
                           own.squeeze / own.totals.count, own.attention / own.totals.count};
  };

  data_.x.resize(count, next);
  data_.y.resize(count);
  data_.precision.resize(count);
  for (Eigen::Index i = 0; i < count; ++i) {
    const TrainedNetwork& n = networks_[static_cast<std::size_t>(i)];
    Features& f = features[static_cast<std::size_t>(i)];
    complete(posterior_.scale, f);
    data_.x.row(i) = row_of(f, n, levels, means_of(n.family)).transpose();
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
  if (member->proxy)
    from(feature_count, proxy) = from(log_macs, proxy_macs) = from(log_params, proxy_params) = 1;
  from(feature_count, intercept) = 1;
  from(feature_count, classic) = member->classic ? 1 : 0;
  from(feature_count, levels.at(family_)) = 1;
  from.row(feature_count).segment<4>(family_macs) = means_of(family_);
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
Eigen::Matrix<float, feature_count + 1, 1> input_of(const AccuracyPosterior& posterior,
                                                    const AccuracyTerms& terms) {
  Features f;
  set_plain(terms, f);
  f.head<plain_count>() -= posterior.centre;
  complete(posterior.scale, f);
  Eigen::Matrix<float, feature_count + 1, 1> x;
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
  const auto x = input_of(posterior, terms);
  const float spread = (posterior.root.triangularView<Eigen::Upper>() * x).squaredNorm();
  AccuracyEstimate e =
      estimate_of(posterior.mean.dot(x), static_cast<double>(spread) + posterior.noise);
  e.refused = refuses(posterior, terms);
  return e;
}

double estimate_top1(const AccuracyPosterior& posterior, const AccuracyTerms& terms) {
  return 100 - std::exp(static_cast<double>(posterior.mean.dot(input_of(posterior, terms))));
}

bool refuses(const AccuracyPosterior& posterior, const AccuracyTerms& terms) {
  return terms.macs < posterior.macs_low / refusal_factor ||
         terms.macs > posterior.macs_high * refusal_factor ||
         terms.macs < posterior.family_macs_low / refusal_factor ||
         terms.macs > posterior.family_macs_high * refusal_factor;
}

namespace {

/// Standard normal numbers, the same on every platform (Box and Muller).
class Normal {
 public:
  explicit Normal(std::uint64_t seed) : rng_(seed) {}
  double operator()() {
    const double u = (static_cast<double>(rng_() >> 11) + 0.5) * 0x1p-53;
    const double v = (static_cast<double>(rng_() >> 11) + 0.5) * 0x1p-53;
    return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
  }

 private:
  std::mt19937_64 rng_;
};

/// Several networks' joint posterior of log(100 - top1), without noise.
struct Joint {
  Joint(const AccuracyPosterior& posterior, std::span<const AccuracyTerms> networks)
      : mean(static_cast<Eigen::Index>(networks.size())),
        rooted(feature_count + 1, static_cast<Eigen::Index>(networks.size())) {
    for (Eigen::Index i = 0; i < mean.size(); ++i) {
      const auto x = input_of(posterior, networks[static_cast<std::size_t>(i)]);
      mean(i) = posterior.mean.dot(x);
      rooted.col(i) = posterior.root.triangularView<Eigen::Upper>() * x;
    }
  }
  /// Differences to the mean.
  Eigen::RowVectorXf draw(Normal& normal) const {
    Eigen::RowVectorXf z(feature_count + 1);
    for (float& v : z) v = static_cast<float>(normal());
    return z * rooted;
  }

  Eigen::VectorXf mean;
  Eigen::MatrixXf rooted;
};

/// Mean and variance of log(100 - top1) of a network that was chosen.
std::pair<double, double> chosen_error(const AccuracyPosterior& posterior,
                                       const AccuracyTerms& terms, const SelectionEffect& effect) {
  const Joint one(posterior, std::span(&terms, 1));
  const double sd = static_cast<double>(one.rooted.col(0).norm());
  // What no feature explains is a property of networks too, which a choice exploits as much.
  return {static_cast<double>(one.mean(0)) + effect.bias * std::sqrt(sd * sd + posterior.noise),
          std::pow(effect.spread * sd, 2) + posterior.noise};
}

}  // namespace

SelectionEffect selection_effect(const AccuracyPosterior& posterior,
                                 std::span<const AccuracyTerms> compared,
                                 std::span<const double> costs, int draws, std::uint64_t seed) {
  if (compared.empty() || compared.size() != costs.size())
    throw std::invalid_argument(
        fmt::format("selection effect: got {} networks and {} costs, expected as many of both",
                    compared.size(), costs.size()));
  const Joint joint(posterior, compared);
  const Eigen::VectorXf sd = joint.rooted.colwise().norm();
  std::vector<Eigen::Index> order(compared.size());
  std::iota(order.begin(), order.end(), Eigen::Index{0});
  std::stable_sort(order.begin(), order.end(), [&](Eigen::Index a, Eigen::Index b) {
    return costs[static_cast<std::size_t>(a)] < costs[static_cast<std::size_t>(b)];
  });
  Normal normal(seed);
  double sum = 0;
  double squares = 0;
  double count = 0;
  for (int d = 0; d < draws; ++d) {
    const Eigen::RowVectorXf error = joint.draw(normal);
    float least = std::numeric_limits<float>::infinity();
    for (const Eigen::Index i : order) {
      const float estimated = joint.mean(i) + error(i);
      if (estimated >= least) continue;
      least = estimated;
      const double off = sd(i) > 0 ? static_cast<double>(-error(i) / sd(i)) : 0;
      sum += off;
      squares += off * off;
      count += 1;
    }
  }
  const double bias = sum / count;
  return {bias, std::sqrt(std::max(0.0, squares / count - bias * bias))};
}

AccuracyEstimate estimate(const AccuracyPosterior& posterior, const AccuracyTerms& terms,
                          const SelectionEffect& effect) {
  const auto [mean, variance] = chosen_error(posterior, terms, effect);
  AccuracyEstimate e = estimate_of(mean, variance);
  e.refused = refuses(posterior, terms);
  return e;
}

double probability_of(const AccuracyPosterior& posterior, const AccuracyTerms& terms,
                      const SelectionEffect& effect, double top1) {
  const auto [mean, variance] = chosen_error(posterior, terms, effect);
  const double z = (std::log(100 - top1) - mean) / std::sqrt(variance);
  return 0.5 * std::erfc(-z / std::numbers::sqrt2);
}

Eigen::MatrixXd draw(const AccuracyPosterior& posterior, std::span<const AccuracyTerms> networks,
                     int draws, std::uint64_t seed) {
  const Joint joint(posterior, networks);
  Normal normal(seed);
  const double sd = std::sqrt(posterior.noise);
  Eigen::MatrixXd drawn(draws, joint.mean.size());
  for (int d = 0; d < draws; ++d) {
    const Eigen::RowVectorXf common = joint.draw(normal);
    for (Eigen::Index i = 0; i < joint.mean.size(); ++i)
      drawn(d, i) = 100 - std::exp(static_cast<double>(joint.mean(i) + common(i)) + sd * normal());
  }
  return drawn;
}

}  // namespace cpubone
