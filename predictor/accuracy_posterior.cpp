#include "predictor/accuracy_posterior.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <random>
#include <stdexcept>
#include <utility>

#include "predictor/accuracy_features.hpp"
#include "predictor/normal_interval.hpp"

namespace cpubone {

using namespace accuracy_features;

namespace {

constexpr double z_claim = 1.2816;    // of claim_probability
constexpr double refusal_factor = 3;  // of MACs beyond what was ever trained

using Input = Eigen::Matrix<float, input_count, 1>;
/// As long as is needed, without allocation.
using Rooted = Eigen::Matrix<float, Eigen::Dynamic, 1, 0, 2 * (input_count), 1>;

/// Features with the level's 1, and what is not credited of log(100 - top1).
struct Inputs {
  Input x;
  double forgone = 0;
};

Inputs inputs_of(const AccuracyPosterior& posterior, const AccuracyTerms& terms) {
  Features f;
  set_plain(terms, f);
  f.head<plain_count>() -= posterior.centre;
  f.segment<effect_count>(shared_begin).setZero();  // the places' weights have them
  const Eigen::Matrix<double, plain_count, 1> excess =
      f.head<plain_count>() -
      f.head<plain_count>().cwiseMax(posterior.low).cwiseMin(posterior.high);
  const auto weights = posterior.mean.head<plain_count>().cast<double>();
  Inputs in;
  in.forgone = (-weights.cwiseProduct(excess)).cwiseMax(0).sum();
  // Nor are MACs where no member of the family has as large a share of them.
  double unused = 0;
  for (Eigen::Index place = 0; place < static_cast<Eigen::Index>(place_count); ++place) {
    const Eigen::Index c = at(place, share);
    if (excess(c) > 0) unused += std::exp(posterior.centre(c) + f(c)) * -std::expm1(-excess(c));
  }
  in.forgone += std::max(0.0, -weights(log_macs)) * -std::log1p(-unused);
  const double ratio = f(log_params) - f(log_macs);
  in.forgone += std::max(0.0, ratio - posterior.ratio_high) * std::max(0.0, -weights(log_params)) +
                std::max(0.0, posterior.ratio_low - ratio) * std::max(0.0, -weights(log_macs));
  complete(posterior.scale, f);
  in.x.head<feature_count>() = f.cast<float>();
  const double trend =
      std::clamp(static_cast<double>(posterior.trend.dot(in.x.head<feature_count>())),
                 posterior.trend_low, posterior.trend_high);
  in.x(curvature) = static_cast<float>(trend * trend);
  in.x(level) = 1;
  return in;
}

double mean_of(const AccuracyPosterior& posterior, const Inputs& in) {
  return static_cast<double>(posterior.mean.dot(in.x)) + in.forgone;
}

/// A vector whose square is the variance, and whose product with another network's the covariance.
Rooted rooted(const AccuracyPosterior& posterior, const Inputs& in) {
  const auto known = static_cast<Eigen::Index>(posterior.known.size());
  Rooted x(known);
  for (Eigen::Index k = 0; k < known; ++k)
    x(k) = in.x(posterior.known[static_cast<std::size_t>(k)]);
  Rooted out(known + input_count);
  out.head(known).noalias() = posterior.root.triangularView<Eigen::Upper>() * x;
  out.tail<input_count>() = posterior.doubt.cwiseProduct(in.x);
  return out;
}

}  // namespace

AccuracyEstimate estimate_of(double mean, double variance) {
  const double sd = std::sqrt(variance);
  const auto top1 = [](double log_error) { return std::max(0.0, 100 - std::exp(log_error)); };
  return {top1(mean), top1(mean + z90 * sd), top1(mean - z90 * sd), top1(mean + z_claim * sd),
          false};
}

AccuracyEstimate estimate(const AccuracyPosterior& posterior, const AccuracyTerms& terms) {
  const Inputs in = inputs_of(posterior, terms);
  const auto variance = static_cast<double>(rooted(posterior, in).squaredNorm());
  AccuracyEstimate e = estimate_of(mean_of(posterior, in), variance + posterior.noise);
  e.refused = refuses(posterior, terms);
  return e;
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
        roots(static_cast<Eigen::Index>(posterior.known.size()) + input_count,
              static_cast<Eigen::Index>(networks.size())) {
    for (Eigen::Index i = 0; i < mean.size(); ++i) {
      const Inputs in = inputs_of(posterior, networks[static_cast<std::size_t>(i)]);
      mean(i) = static_cast<float>(mean_of(posterior, in));
      roots.col(i) = rooted(posterior, in);
    }
  }
  /// Differences to the mean.
  Eigen::RowVectorXf draw(Normal& normal) const {
    Eigen::RowVectorXf z(roots.rows());
    for (float& v : z) v = static_cast<float>(normal());
    return z * roots;
  }

  Eigen::VectorXf mean;
  Eigen::MatrixXf roots;
};

/// Mean and variance of log(100 - top1) of a network that was chosen.
std::pair<double, double> chosen_error(const AccuracyPosterior& posterior,
                                       const AccuracyTerms& terms, const SelectionEffect& effect) {
  const Inputs in = inputs_of(posterior, terms);
  const auto variance = static_cast<double>(rooted(posterior, in).squaredNorm());
  // What no feature explains is a property of networks too, which a choice exploits as much.
  return {mean_of(posterior, in) + effect.bias * std::sqrt(variance + posterior.noise),
          std::pow(effect.spread, 2) * variance + posterior.noise};
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
  const Eigen::VectorXf sd = joint.roots.colwise().norm();
  // A search goes by what is assured.
  const Eigen::VectorXf seen =
      joint.mean.array() + static_cast<float>(z_claim) *
                               (sd.array().square() + static_cast<float>(posterior.noise)).sqrt();
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
      const float estimated = seen(i) + error(i);
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

std::vector<double> normal_numbers(int count, std::uint64_t seed) {
  Normal normal(seed);
  std::vector<double> numbers(static_cast<std::size_t>(count));
  for (double& number : numbers) number = normal();
  return numbers;
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
