#include "predictor/accuracy_model.hpp"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "predictor/accuracy_features.hpp"

namespace cpubone {
namespace {

using namespace accuracy_features;

constexpr double unit = 0.1;  // of the logarithm of the error that the regression calculates in
constexpr double totals_only_precision = 0.85;  // what its blocks are like is not known

// Further columns of the regression, then a level for each family; then, for each of another recipe
// or data, what else differs: a level that may be far off, and slopes of the totals.
enum Level : Eigen::Index {
  intercept = level,
  classic,
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
  family_effects,
  products,
  bend,
  assumed,
  pixels,
  free_level,
  proxy_totals,
  between_families,
  family_levels
};
constexpr double infinity = std::numeric_limits<double>::infinity();
// Variances before any data, in units of 0.1 of the logarithm of the error, and their weight.
constexpr std::array<GroupPrior, 12> group_priors{{
    {2, 2},            // totals
    {0.5, 1},          // shared effects
    {0.01, 4},         // effects by place
    {0.01, infinity},  // how they differ in the family
    {0.0001, 4},       // products
    {0.001, 1},        // curvature
    {0.02, infinity},  // assumed
    {0.25, infinity},  // pixels
    {100, infinity},   // level
    {1, 1},            // totals of a short recipe
    {2, 2},            // means of families
    {1, 1},            // levels of families
}};
constexpr GroupPrior noise_prior{0.04, 2};

struct PriorMean {
  Eigen::Index column;
  double mean;  ///< 0.1 is about 0.2 points at 78 %
};
// Assumed where next to nothing was published: fewer pixels cost a little more than their MACs;
// ReLU everywhere costs what Swish gained (0.9 points of a mobile NASNet, 0.6 of
// Inception-ResNet-v2; arXiv 1710.05941), another activation than GELU in the MLPs 0.2 points; each
// of two stages without attention 0.3.
constexpr std::array<PriorMean, 4> prior_means{{{log_pixels, -0.8},
                                                {relu_share, 0.33},
                                                {gelu_share, -0.45},
                                                {shared_begin + attention, -0.9}}};

Group group_of(Eigen::Index column) {
  if (column == log_pixels) return pixels;
  if (column == relu_share || column == gelu_share) return assumed;
  if (column < whole_count) return totals;
  if (column < place_begin) return shared_effects;
  if (column < plain_count) return place_effects;
  if (column < feature_count) return products;
  if (column == curvature) return bend;
  if (column == intercept) return free_level;
  return column < families_begin ? between_families : family_levels;
}

/// Columns of a regression behind those of all networks.
struct FamilyColumns {
  Eigen::Index level = 0;
  std::optional<Eigen::Index> own_recipe;  ///< the first of three
};

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

bool has_member(std::span<const TrainedNetwork> networks, std::string_view family) {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const TrainedNetwork& n) { return n.family == family; });
}

void check(std::span<const TrainedNetwork> networks, std::string_view family,
           std::string_view like) {
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
  }
  if (!has_member(networks, family) && !has_member(networks, like))
    throw std::invalid_argument(
        fmt::format("accuracy model: expected a network of family \"{}\", got none", family));
}

Eigen::VectorXd row_of(const Features& features, const TrainedNetwork& n, Eigen::Index columns,
                       const FamilyColumns& family, const Eigen::Vector4d& family_means) {
  Eigen::VectorXd row = Eigen::VectorXd::Zero(columns);
  row.head<feature_count>() = features;
  row(intercept) = 1;
  row(classic) = n.classic ? 1 : 0;
  row(family.level) = 1;
  if (family.own_recipe)
    row.segment<3>(*family.own_recipe) << 1, features(log_macs), features(log_params);
  row.segment<4>(family_macs) = family_means;
  return row;
}

/// `features` are centred.
void set_limits(std::span<const TrainedNetwork> networks, const std::vector<Features>& features,
                const std::map<std::string, FamilyMean>& means, const std::string& family,
                AccuracyPosterior& posterior) {
  posterior.low = Eigen::VectorXd::Zero(plain_count);
  posterior.high = Eigen::VectorXd::Zero(plain_count);
  const auto ratio_of = [&](const std::string& name) {
    const Mean& mean = means.at(name).totals;
    return mean.of(log_params) - mean.of(log_macs);
  };
  const double centre = posterior.centre(log_params) - posterior.centre(log_macs);
  for (std::size_t i = 0; i < features.size(); ++i) {
    posterior.low = posterior.low.cwiseMin(features[i].head<plain_count>());
    posterior.high = posterior.high.cwiseMax(features[i].head<plain_count>());
    const double ratio =
        features[i](log_params) - features[i](log_macs) + centre - ratio_of(networks[i].family);
    posterior.ratio_low = std::min(posterior.ratio_low, ratio);
    posterior.ratio_high = std::max(posterior.ratio_high, ratio);
  }
  posterior.ratio_low += ratio_of(family) - centre;
  posterior.ratio_high += ratio_of(family) - centre;
  // Where MACs stand differs in other families with their depths and expansions, never alone.
  for (Eigen::Index place = 0; place < static_cast<Eigen::Index>(place_count); ++place) {
    const Eigen::Index c = at(place, share);
    posterior.low(c) = posterior.high(c) = 0;
    for (std::size_t i = 0; i < features.size(); ++i) {
      if (networks[i].family != family) continue;
      posterior.low(c) = std::min(posterior.low(c), features[i](c));
      posterior.high(c) = std::max(posterior.high(c), features[i](c));
    }
  }
  // Assumptions hold everywhere.
  for (const Eigen::Index c : {relu_share, gelu_share}) {
    posterior.low(c) = -infinity;
    posterior.high(c) = infinity;
  }
}

using Has = std::array<bool, input_count>;

/// The inputs that are about what networks of a family have.
Has inputs_of_family(std::span<const TrainedNetwork> networks, std::string_view family) {
  Has has{};
  std::fill_n(has.begin(), whole_count, true);
  has[curvature] = has[level] = true;
  for (const TrainedNetwork& n : networks) {
    if (n.family != family || n.totals_only) continue;
    for (std::size_t i = 0; i < place_count; ++i) {
      const PlaceTerms& p = n.terms.places[i];
      const auto take = [&](Effect effect, bool is_there) {
        has[static_cast<std::size_t>(at(static_cast<Eigen::Index>(i), effect))] |= is_there;
      };
      for (const Effect e : {expansion, kernel, layers, share, expansion_layers})
        take(e, p.layers > 0);
      for (const Effect e : {squeeze, expansion_squeeze, layers_squeeze}) take(e, p.squeeze > 0);
      take(groups, p.log_groups > 0);
      take(attention, p.attention > 0);
    }
  }
  std::array<bool, product_factors> factor_has{true, true};
  std::size_t next = 2;
  for (Eigen::Index stride = 0; stride < stride_count; ++stride)
    for (const Effect effect : multiplied)
      factor_has[next++] = has[static_cast<std::size_t>(at(2 * stride, effect))] ||
                           has[static_cast<std::size_t>(at(2 * stride + 1, effect))];
  visit_products([&](Eigen::Index product, Eigen::Index i, Eigen::Index k) {
    has[static_cast<std::size_t>(product)] =
        factor_has[static_cast<std::size_t>(i)] && factor_has[static_cast<std::size_t>(k)];
  });
  return has;
}

/// Only weights of what networks of the family have are correlated: others are known from their
/// priors at most, and take time.
void set_covariance(const Eigen::MatrixXd& covariance, const Has& has,
                    AccuracyPosterior& posterior) {
  posterior.doubt = covariance.diagonal().cwiseSqrt().cast<float>();
  for (Eigen::Index c = 0; c < input_count; ++c)
    if (has[static_cast<std::size_t>(c)]) {
      posterior.known.push_back(c);
      posterior.doubt(c) = 0;
    }
  const auto size = static_cast<Eigen::Index>(posterior.known.size());
  const Eigen::MatrixXd ridge =
      covariance(posterior.known, posterior.known) + 1e-12 * Eigen::MatrixXd::Identity(size, size);
  posterior.root = Eigen::MatrixXd(ridge.llt().matrixU()).cast<float>();
}

}  // namespace

AccuracyFit::AccuracyFit(std::span<const TrainedNetwork> networks, std::string_view family,
                         std::string_view like)
    : networks_(networks.begin(), networks.end()), family_(family) {
  check(networks_, family_, like);
  // Of a family without networks the level and what choices are worth are known from others alone.
  const std::string kin = has_member(networks_, family_) ? family_ : std::string(like);
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
  means.try_emplace(family_, means.at(kin));
  const bool has_blocks = means.at(family_).blocks.count > 0;
  const std::string blocks_of = has_blocks ? kin : std::string(like);
  if (!has_blocks && means.contains(blocks_of))
    means.at(family_).blocks = means.at(blocks_of).blocks;
  posterior_.centre = centre_of(all, means.at(family_).blocks);
  for (std::size_t i = 0; i < networks_.size(); ++i) {
    features[i].head<plain_count>() -= centre_of(all, means.at(networks_[i].family).blocks);
    // A network of which only totals are known is like its family in all else.
    if (networks_[i].totals_only)
      for (Eigen::Index c = 0; c < plain_count; ++c)
        if (!is_total(c)) features[i](c) = 0;
    // Nobody compared them: within a family they go with size.
    features[i](relu_share) = features[i](gelu_share) = 0;
  }
  const Has has = inputs_of_family(networks_, blocks_of);
  set_limits(networks_, features, means, kin, posterior_);
  Factors squares = Factors::Zero();
  for (const Features& f : features) squares += factors_of(f).cwiseAbs2();
  posterior_.scale = Eigen::VectorXd::Zero(product_factors);
  for (Eigen::Index k = 0; k < product_factors; ++k)
    if (squares(k) > 1e-9) posterior_.scale(k) = std::sqrt(static_cast<double>(count) / squares(k));

  for (Eigen::Index c = 0; c < families_begin; ++c) data_.group.push_back(group_of(c));
  std::map<std::string, FamilyColumns> columns;
  const auto add = [&](Group group) {
    data_.group.push_back(group);
    return static_cast<Eigen::Index>(data_.group.size()) - 1;
  };
  for (const auto& [name, mean] : means) columns[name].level = add(family_levels);
  for (const TrainedNetwork& n : networks_) {
    FamilyColumns& own = columns.at(n.family);
    if (!n.proxy || own.own_recipe) continue;
    own.own_recipe = add(free_level);
    add(proxy_totals);
    add(proxy_totals);
  }
  // What a choice is worth differs between kinds of blocks.
  std::vector<std::pair<Eigen::Index, Eigen::Index>> deviations;
  for (Eigen::Index c = place_begin; c < plain_count && means.size() > 1; ++c)
    if (has[static_cast<std::size_t>(c)]) deviations.emplace_back(c, add(family_effects));
  const auto width = static_cast<Eigen::Index>(data_.group.size());

  data_.prior_mean = Eigen::VectorXd::Zero(width);
  for (const PriorMean& prior : prior_means) data_.prior_mean(prior.column) = prior.mean;

  // Levels of families differ by their means too (Mundlak, Econometrica, 1978).
  const auto means_of = [&](const std::string& name) {
    const FamilyMean& own = means.at(name);
    return Eigen::Vector4d{own.totals.of(log_macs) - all.of(log_macs),
                           own.totals.of(log_params) - all.of(log_params),
                           own.squeeze / own.totals.count, own.attention / own.totals.count};
  };
  data_.x.resize(count, width);
  data_.y.resize(count);
  data_.precision.resize(count);
  for (Eigen::Index i = 0; i < count; ++i) {
    const TrainedNetwork& n = networks_[static_cast<std::size_t>(i)];
    Features& f = features[static_cast<std::size_t>(i)];
    complete(posterior_.scale, f);
    data_.x.row(i) = row_of(f, n, width, columns.at(n.family), means_of(n.family)).transpose();
    if (n.family == family_)
      for (const auto& [effect, deviation] : deviations) data_.x(i, deviation) = f(effect);
    data_.y(i) = std::log(100 - n.top1);
    data_.precision(i) = n.precision * (n.totals_only ? totals_only_precision : 1);
  }
  level_ = data_.y.mean();
  data_.y = (data_.y.array() - level_) / unit;
  regression_ = fit_bayesian_regression(data_, group_priors, noise_prior);
  Eigen::VectorXd trend = regression_.mean;
  trend.segment(curvature, families_begin - curvature).setZero();
  for (const auto& [name, own] : columns) {
    trend(own.level) = 0;
    if (own.own_recipe) trend(*own.own_recipe) = 0;
  }
  const Eigen::VectorXd along = data_.x * trend;
  posterior_.trend_low = along.minCoeff();
  posterior_.trend_high = along.maxCoeff();
  data_.x.col(curvature) = along.cwiseAbs2();
  regression_ = fit_bayesian_regression(data_, group_priors, noise_prior);
  const VarianceFactors doubt = fit_variance_factors(regression_, data_);

  // What is constant in the family becomes its level; what is shared becomes the places' own.
  const auto member = std::find_if(networks_.begin(), networks_.end(),
                                   [&](const TrainedNetwork& n) { return n.family == kin; });
  Eigen::MatrixXd from = Eigen::MatrixXd::Zero(input_count, width);
  from.topLeftCorner<level, level>().setIdentity();
  for (Eigen::Index place = 0; place < static_cast<Eigen::Index>(place_count); ++place)
    for (Eigen::Index e = 0; e < effect_count; ++e)
      from(at(place, static_cast<Effect>(e)), shared_begin + e) = shared_scale;
  from.middleRows(shared_begin, effect_count).setZero();
  for (const auto& [effect, deviation] : deviations) from(effect, deviation) = 1;
  const FamilyColumns& own = columns.at(family_);
  if (own.own_recipe)
    from(level, *own.own_recipe) = from(log_macs, *own.own_recipe + 1) =
        from(log_params, *own.own_recipe + 2) = 1;
  from(level, intercept) = 1;
  from(level, classic) = member->classic ? 1 : 0;
  from(level, own.level) = 1;
  from.row(level).segment<4>(family_macs) = means_of(family_);
  posterior_.trend = (from * trend).head<feature_count>().cast<float>();
  Eigen::VectorXd mean = unit * (from * regression_.mean);
  mean(level) += level_;
  posterior_.mean = mean.cast<float>();
  set_covariance(doubt.weights * unit * unit * (from * regression_.covariance * from.transpose()),
                 has, posterior_);
  posterior_.noise = doubt.noise * unit * unit * regression_.noise;
  posterior_.macs_low = posterior_.family_macs_low = infinity;
  for (const TrainedNetwork& n : networks_) {
    posterior_.macs_low = std::min(posterior_.macs_low, n.terms.macs);
    posterior_.macs_high = std::max(posterior_.macs_high, n.terms.macs);
    if (n.family != kin) continue;
    posterior_.family_macs_low = std::min(posterior_.family_macs_low, n.terms.macs);
    posterior_.family_macs_high = std::max(posterior_.family_macs_high, n.terms.macs);
  }
}

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

std::string assumptions() {
  return "Taps of k x k convolutions count as 1 + log2 k, groups as their square root; what a "
         "choice is worth is credited within what was trained only. Assumed before any evidence, "
         "as next to nothing was published: fewer pixels cost a little more than their MACs do, "
         "ReLU in place of hardswish 0.7 points (Swish gained 0.9 and 0.6 points in two other "
         "networks, arXiv 1710.05941), another activation than GELU in the MLPs 0.2, each of two "
         "stages without attention 0.3.";
}

}  // namespace cpubone
