#include "explorer/accuracy.hpp"

#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <stdexcept>

#include "space/zoo.hpp"

namespace cpubone {
namespace {

// Columns of the regression; family offsets follow.
enum Column : Eigen::Index { intercept, log_macs, log_params, classic, fixed_columns };

constexpr double nearest_weight = 3;  // a network of the family tells more about its neighbours
constexpr double weak_weight = 0.3;
constexpr double family_precision = 0.3;  // shrinks offsets of families with one or two members
constexpr double free_precision = 1e-6;
constexpr double anchor_trust = 0.8;  // of a residual of the nearest family; the rest is seed noise
constexpr double ratio_slack = 1.25;  // parameters per MAC may leave the family's range that far
constexpr double refusal_factor = 3;
constexpr double depth_slack = 1.25;
constexpr double shallow_credit = 0.3;  // of capacity beyond the family's at the same depth
// MobileNetV1 (arXiv 1704.04861, table 7) at 224, 192, 160, 128 pixels: 70.6, 69.1, 67.2, 64.4 %,
// which is 100 - top1 ~ pixels^-0.16 to -0.17. More pixels than 224 earn no more than their MACs.
constexpr double pixel_exponent = 0.16;
// Choosing the best of many estimates picks errors in its favour: novel choices pay for it.
constexpr double optimism = 1;  // standard deviations
constexpr double z90 = 1.645;

struct Anchor {
  double index;  ///< as the slopes see it; higher is less accurate
  double value;  ///< as it was trained
};

/// What a fit leaves behind for estimating; plain numbers, so that estimating costs nanoseconds.
struct Fit {
  double base = 0;  ///< intercept with recipe and offset of the nearest family
  double slope_macs = 0;
  double slope_params = 0;
  std::vector<Anchor> anchors;                    ///< ascending
  std::vector<std::pair<double, double>> depths;  ///< log depth and index, both monotone
  double sd_points = 0;
  double macs_low = 0, macs_high = 0;      ///< of the nearest family
  double params_low = 0, params_high = 0;  ///< of the nearest family
  double ratio_low = 0, ratio_high = 0;    ///< parameters per MAC of the nearest family
  double all_macs_low = 0, all_macs_high = 0;

  double index(double macs, double params) const {
    return base + slope_macs * std::log(macs) + slope_params * std::log(params);
  }
  /// Index that the family reaches at a depth, with some slack.
  double index_at_depth(double depth) const {
    const double x = std::log(depth * depth_slack);
    std::size_t k = 1;
    while (k + 1 < depths.size() && depths[k].first < x) ++k;
    const auto& [x0, y0] = depths[k - 1];
    const auto& [x1, y1] = depths[k];
    return y0 + (x - x0) * (y1 - y0) / (x1 - x0);
  }
  /// Only part of what goes beyond the family's capacity at a depth.
  double limited_by_depth(double x, double depth) const {
    if (depth <= 0 || depths.size() < 2) return x;
    const double limit = index_at_depth(depth);
    return x < limit ? limit + shallow_credit * (x - limit) : x;
  }
  /// Monotone: linear between anchors, parallel to the slopes outside.
  double anchored(double x) const {
    if (anchors.empty()) return x;
    if (x <= anchors.front().index) return x + anchors.front().value - anchors.front().index;
    if (x >= anchors.back().index) return x + anchors.back().value - anchors.back().index;
    const auto right = std::lower_bound(anchors.begin(), anchors.end(), x,
                                        [](const Anchor& a, double v) { return a.index < v; });
    const auto left = right - 1;
    const double width = right->index - left->index;
    const double t = width > 0 ? (x - left->index) / width : 0;
    return left->value + t * (right->value - left->value);
  }
};

double excess(double v, double low, double high) {
  return v < low ? std::log(low / v) : v > high ? std::log(v / high) : 0;
}

AccuracyEstimate estimate(const Fit& fit, const Capacity& c) {
  // Parameters without MACs, or MACs without parameters, earn nothing beyond what was ever trained.
  const double params = std::min(c.body_params, c.macs * fit.ratio_high * ratio_slack);
  const double macs = std::min(c.macs, c.body_params / (fit.ratio_low / ratio_slack));
  const double unused = std::log(c.body_params / params) + std::log(c.macs / macs);
  const double outside = excess(macs, fit.macs_low, fit.macs_high) +
                         excess(params, fit.params_low, fit.params_high) + unused;
  AccuracyEstimate e;
  double index = fit.anchored(fit.limited_by_depth(fit.index(macs, params), c.depth));
  const double fewer_pixels = std::max(0.0, 2 * std::log(224 / c.resolution));
  index += std::max(0.0, pixel_exponent + fit.slope_macs) * fewer_pixels;
  e.top1 = 100 - std::exp(index) + c.prior_points - optimism * std::sqrt(c.novelty);
  // One point of doubt for every factor e outside of the family's range.
  const double sd = std::sqrt(fit.sd_points * fit.sd_points + c.novelty + outside * outside);
  e.low = std::max(0.0, e.top1 - z90 * sd);
  e.high = std::min(100.0, e.top1 + z90 * sd);
  e.refused = macs < fit.all_macs_low / refusal_factor ||
              macs > fit.all_macs_high * refusal_factor ||
              c.macs > fit.macs_high * refusal_factor || c.macs < fit.macs_low / refusal_factor;
  return e;
}

/// Pool adjacent violators: the non-decreasing sequence nearest to the values.
std::vector<double> isotonic(const std::vector<double>& values) {
  struct Pool {
    double sum;
    int count;
  };
  std::vector<Pool> pools;
  for (const double v : values) {
    pools.push_back({v, 1});
    while (pools.size() > 1) {
      const Pool last = pools.back();
      Pool& before = pools[pools.size() - 2];
      if (before.sum / before.count <= last.sum / last.count) break;
      before = {before.sum + last.sum, before.count + last.count};
      pools.pop_back();
    }
  }
  std::vector<double> out;
  for (const Pool& pool : pools)
    out.insert(out.end(), static_cast<std::size_t>(pool.count), pool.sum / pool.count);
  return out;
}

class Regression {
 public:
  Regression(std::span<const AccuracyPoint> points, std::string_view nearest)
      : points_(points.begin(), points.end()), nearest_(nearest) {
    std::set<std::string> families;
    for (const AccuracyPoint& p : points_) families.insert(p.family);
    for (const std::string& family : families)
      family_column_[family] = fixed_columns + static_cast<Eigen::Index>(family_column_.size());
  }

  /// Fitted on the points for which `keep` holds; estimates networks of `family`.
  template <typename Keep>
  Fit fit(Keep keep, const std::string& family, bool is_classic) const {
    const Eigen::Index columns = fixed_columns + static_cast<Eigen::Index>(family_column_.size());
    Eigen::MatrixXd normal = Eigen::MatrixXd::Zero(columns, columns);
    Eigen::VectorXd right = Eigen::VectorXd::Zero(columns);
    for (std::size_t i = 0; i < points_.size(); ++i) {
      if (!keep(i)) continue;
      const AccuracyPoint& p = points_[i];
      const double weight = p.weak ? weak_weight : p.family == nearest_ ? nearest_weight : 1;
      const Eigen::VectorXd x = row(p);
      normal += weight * x * x.transpose();
      right += weight * std::log(100 - p.top1) * x;
    }
    for (Eigen::Index c = 0; c < columns; ++c)
      normal(c, c) += c < fixed_columns ? free_precision : family_precision;
    const Eigen::VectorXd theta = solve_monotone(normal, right);

    Fit fit;
    const auto offset = family_column_.find(family);
    fit.base = theta(intercept) + (is_classic ? theta(classic) : 0) +
               (offset == family_column_.end() ? 0 : theta(offset->second));
    fit.slope_macs = theta(log_macs);
    fit.slope_params = theta(log_params);
    anchor(fit, keep, family);
    range(fit, keep, family);
    return fit;
  }

  const std::vector<AccuracyPoint>& points() const { return points_; }

 private:
  Eigen::VectorXd row(const AccuracyPoint& p) const {
    Eigen::VectorXd x =
        Eigen::VectorXd::Zero(fixed_columns + static_cast<Eigen::Index>(family_column_.size()));
    x(intercept) = 1;
    x(log_macs) = std::log(p.macs);
    x(log_params) = std::log(p.body_params);
    x(classic) = p.classic ? 1 : 0;
    x(family_column_.at(p.family)) = 1;
    return x;
  }

  /// Least squares whose capacity slopes are <= 0: one of the wrong sign is held at 0 and the rest
  /// solved again.
  static Eigen::VectorXd solve_monotone(Eigen::MatrixXd normal, Eigen::VectorXd right) {
    Eigen::VectorXd theta = normal.ldlt().solve(right);
    for (int pass = 0; pass < 2; ++pass)
      for (const Eigen::Index c : {Eigen::Index{log_macs}, Eigen::Index{log_params}}) {
        if (theta(c) <= 0) continue;
        normal.row(c).setZero();
        normal.col(c).setZero();
        normal(c, c) = 1;
        right(c) = 0;
        theta = normal.ldlt().solve(right);
      }
    return theta;
  }

  template <typename Keep>
  void anchor(Fit& fit, Keep keep, const std::string& family) const {
    for (std::size_t i = 0; i < points_.size(); ++i) {
      const AccuracyPoint& p = points_[i];
      if (!keep(i) || p.weak || p.family != family) continue;
      const double index = fit.index(p.macs, p.body_params);
      fit.anchors.push_back({index, index + anchor_trust * (std::log(100 - p.top1) - index)});
    }
    std::sort(fit.anchors.begin(), fit.anchors.end(), [](const Anchor& a, const Anchor& b) {
      return std::pair(a.index, a.value) < std::pair(b.index, b.value);
    });
    std::vector<double> values;
    for (const Anchor& a : fit.anchors) values.push_back(a.value);
    values = isotonic(values);
    // Deepest first; a member that is deeper at no better index tells nothing.
    for (std::size_t i = 0; i < points_.size(); ++i) {
      const AccuracyPoint& p = points_[i];
      if (keep(i) && !p.weak && p.family == family && p.depth > 0)
        fit.depths.emplace_back(std::log(p.depth), fit.index(p.macs, p.body_params));
    }
    std::sort(fit.depths.begin(), fit.depths.end());
    std::vector<std::pair<double, double>> kept;
    for (const auto& d : fit.depths) {
      if (!kept.empty() && kept.back().first == d.first)
        kept.back().second = std::min(kept.back().second, d.second);
      else if (kept.empty() || d.second < kept.back().second)
        kept.push_back(d);
    }
    fit.depths = kept;
    for (std::size_t k = 0; k < values.size(); ++k) fit.anchors[k].value = values[k];
  }

  template <typename Keep>
  void range(Fit& fit, Keep keep, const std::string& family) const {
    const double inf = std::numeric_limits<double>::infinity();
    fit.macs_low = fit.params_low = fit.ratio_low = fit.all_macs_low = inf;
    for (std::size_t i = 0; i < points_.size(); ++i) {
      const AccuracyPoint& p = points_[i];
      if (!keep(i) || p.weak) continue;
      fit.all_macs_low = std::min(fit.all_macs_low, p.macs);
      fit.all_macs_high = std::max(fit.all_macs_high, p.macs);
      if (p.family != family) continue;
      fit.macs_low = std::min(fit.macs_low, p.macs);
      fit.macs_high = std::max(fit.macs_high, p.macs);
      fit.params_low = std::min(fit.params_low, p.body_params);
      fit.params_high = std::max(fit.params_high, p.body_params);
      fit.ratio_low = std::min(fit.ratio_low, p.body_params / p.macs);
      fit.ratio_high = std::max(fit.ratio_high, p.body_params / p.macs);
    }
  }

  std::vector<AccuracyPoint> points_;
  std::string nearest_;
  std::map<std::string, Eigen::Index> family_column_;
};

void check_points(std::span<const AccuracyPoint> points, std::string_view nearest) {
  int near = 0;
  for (const AccuracyPoint& p : points) {
    const auto expect = [&](std::string_view what, double got, bool ok, std::string_view range) {
      if (!ok)
        throw std::invalid_argument(
            fmt::format("accuracy of \"{}\": {} must be {}, got {}", p.network, what, range, got));
    };
    expect("top1", p.top1, p.top1 > 0 && p.top1 < 100, "between 0 and 100 percent");
    expect("MACs", p.macs, p.macs >= 1 && std::isfinite(p.macs), "positive");
    expect("parameters without the head", p.body_params,
           p.body_params >= 1 && std::isfinite(p.body_params), "positive");
    near += p.family == nearest && !p.weak;
  }
  if (near < 3)
    throw std::invalid_argument(fmt::format(
        "accuracy model: expected at least 3 networks of family \"{}\", got {}", nearest, near));
}

}  // namespace

AccuracyModel fit_accuracy(std::span<const AccuracyPoint> points, std::string_view nearest_family) {
  check_points(points, nearest_family);
  const Regression regression(points, nearest_family);
  const std::string nearest(nearest_family);
  const auto& all = regression.points();

  // Errors of networks that the fit did not see, and of families of which it saw none.
  double loo = 0;
  double leave_family = 0;
  double near_square = 0;
  double near_error = 0;
  int count = 0;
  int near = 0;
  int families = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const AccuracyPoint& p = all[i];
    if (p.weak) continue;
    ++count;
    const auto error = [&](const Fit& fit) {
      return 100 - std::exp(fit.anchored(fit.index(p.macs, p.body_params))) - p.top1;
    };
    const double left_out =
        error(regression.fit([&](std::size_t k) { return k != i; }, p.family, p.classic));
    loo += std::abs(left_out);
    if (p.family == nearest) {
      ++near;
      near_square += left_out * left_out;
      near_error += std::abs(left_out);
    }
    const bool others = std::any_of(all.begin(), all.end(),
                                    [&](const AccuracyPoint& q) { return q.family != p.family; });
    if (!others) continue;
    ++families;
    // A family that was never seen: recipe and slopes only.
    leave_family += std::abs(error(
        regression.fit([&](std::size_t k) { return all[k].family != p.family; }, "", p.classic)));
  }

  Fit fit = regression.fit([](std::size_t) { return true; }, nearest, false);
  fit.sd_points = std::max(0.3, std::sqrt(near_square / near));

  AccuracyModel model;
  model.summary.description = fmt::format(
      "log(100 - top1) = family + recipe {:+.3f} log MACs {:+.3f} log parameters without head, "
      "monotone through {} networks of {}",
      fit.slope_macs, fit.slope_params, near, nearest);
  model.summary.points = count;
  model.summary.loo_mae = loo / count;
  if (families > 0) model.summary.family_mae = leave_family / families;
  model.summary.note = fmt::format(
      "An estimate, no result: training decides. Networks of {} left out one by one: {:.2f} points "
      "mean error. {}",
      nearest, near_error / near, choice_prior_note());
  model.estimate = [fit](const Capacity& c) { return estimate(fit, c); };
  return model;
}

AccuracyModel published_accuracy_model() {
  return fit_accuracy(published_accuracy_points());
}

AccuracyModel load_accuracy_model(const std::filesystem::path& path) {
  const std::vector<AccuracyPoint> points = load_accuracy_points(path);
  try {
    AccuracyModel model = fit_accuracy(points, points.front().family);
    for (const AccuracyPoint& p : points)
      model.own.push_back({p.network, zoo_name(p.network), p.params, p.macs, p.top1});
    return model;
  } catch (const std::invalid_argument& e) {
    throw Error(fmt::format("{}: {}", path.string(), e.what()));
  }
}

ChoicePrior choice_prior(const SearchSpace& space, std::size_t position, int index) {
  if (space.skeleton != &cpubone_skeleton()) return {};
  const double value = space.genes[position].choices[static_cast<std::size_t>(index)][0];
  const auto is = [&](auto usual) { return value == static_cast<double>(usual); };
  const auto outside = [](bool unusual, double variance) {
    return ChoicePrior{0, unusual ? variance : 0};
  };
  switch (position) {
    case gene::resolution:
      return outside(!is(224), 0.16);
    case gene::mlp_expansion:
      return outside(!is(4), 0.02);
    case gene::upsampling:
      return outside(!is(Upsampling::nearest), 0.02);
    case gene::activation:
      return is(Activation::hardswish) ? ChoicePrior{} : ChoicePrior{-0.4, 0.04};
    case gene::mlp_activation:
      return is(Activation::gelu) ? ChoicePrior{} : ChoicePrior{-0.2, 0.04};
    case gene::fused_below:
    case gene::down_fused_below:
    case gene::head:
      return {};
  }
  const int stage = static_cast<int>(position - gene::global_count) / gene::stage_count;
  const bool late = stage >= 3;
  switch (static_cast<gene::Stage>(static_cast<int>(position - gene::global_count) %
                                   gene::stage_count)) {
    case gene::groups:
      return outside(!is(2), 0.01);
    case gene::down_expansion:
      return outside(!is(4) && !is(6), 0.02);
    case gene::expansion:
      return outside(!is(4), 0.02);
    case gene::down_kernel:
      return outside(!is(3), 0.03);
    case gene::kernel:
      return outside(!is(late ? 2 : 3), 0.02);
    case gene::attention:
      if ((value != 0) == late) return {};
      return late ? ChoicePrior{-0.3, 0.16} : ChoicePrior{0, 0.04};
    default:
      return {};
  }
}

double width_novelty(const SearchSpace& space, const Genome& genome) {
  if (space.skeleton != &cpubone_skeleton()) return 0;
  double sum = 0;
  for (int i = 1; i < 5; ++i) {
    const double ratio = chosen(space, genome, gene::of(i, gene::width)) /
                         chosen(space, genome, gene::of(i - 1, gene::width));
    const double off = std::log2(ratio) - 1;
    sum += 0.1 * off * off;
  }
  return sum;
}

std::string choice_prior_note() {
  return "Taps of k x k convolutions count as 1 + log2 k, groups as their square root, capacity "
         "beyond the family's at a depth as 30 %, fewer pixels as MobileNetV1 published. "
         "Assumed, not published: -0.4 points for ReLU in place of hardswish, -0.2 for another "
         "activation than GELU in the MLP, -0.3 for each of stages 3 and 4 without attention; "
         "choices that no published member makes widen the interval and cost the standard "
         "deviation that they add.";
}

}  // namespace cpubone
