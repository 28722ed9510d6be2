#include "predictor/adaptation.hpp"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <stdexcept>

#include "graph/hash.hpp"
#include "runtime/precision.hpp"

namespace cpubone {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

enum Part : Index {
  compute,
  memory,
  far_memory,
  weights,
  dispatch,
  synchronisation,
  work_item,
  part_count
};
constexpr Index cost_parts = synchronisation;  // those that every operator has

// Standard deviations of logarithms. Devices and runtimes differ by a common factor, most of all in
// what a dispatch costs: by 100 between a bare kernel and an interpreted framework.
constexpr double all_deviation = 2;
constexpr std::array<double, part_count> part_deviations{0.5, 1, 1, 1, 2, 2, 2};
// Of a class of operators as a whole, and of its shapes. Depthwise kernels are good or bad.
constexpr double class_deviation = 0.3;
constexpr double depthwise_deviation = 1;
constexpr double shape_deviation = 0.3;
// Octaves of size (or pixels of stride) over which shapes behave alike.
constexpr double shape_length = 3;

// Expected where the base ran on one thread.
constexpr double synchronisation_ns = 2000;
constexpr double work_item_ns = 5;

constexpr std::array<double, 3> noises{0.01, 0.03, 0.1};
constexpr double typical_noise = 0.03;
constexpr double degrees = 4;  // of freedom, of the noise's Student t

/// 1 / length of each feature: what an operator computes counts, not how it meets tiles and caches.
VectorXd feature_scale() {
  static constexpr std::array<std::string_view, 7> of_shape{"log2 output pixels",
                                                            "log2 input channels of a group",
                                                            "log2 output channels of a group",
                                                            "log2 groups",
                                                            "log2 kernel taps",
                                                            "kernel width",
                                                            "stride"};
  VectorXd scale = VectorXd::Zero(static_cast<Index>(op_feature_count));
  for (std::size_t i = 0; i < op_feature_count; ++i)
    if (std::find(of_shape.begin(), of_shape.end(), feature_names()[i]) != of_shape.end())
      scale(static_cast<Index>(i)) = 1 / shape_length;
  return scale;
}

double variance_of_class(const ClassModel& model) {
  return std::pow(model.name == "depthwise" ? depthwise_deviation : class_deviation, 2);
}

MatrixXd part_covariance() {
  MatrixXd s = MatrixXd::Constant(part_count, part_count, all_deviation * all_deviation);
  for (Index i = 0; i < part_count; ++i)
    s(i, i) += std::pow(part_deviations[static_cast<std::size_t>(i)], 2);
  return s;
}

/// Threads that share the operators of a class as its base knows them.
int sharing_threads(const ClassModel& model) {
  return model.correction ? model.correction->threads : model.cost.threads;
}

/// What synchronising costs by the base, where it knows.
std::pair<double, double> synchronisation_of(const ClassModel& model) {
  const double known_ns = model.correction ? model.correction->ns_per_synchronisation
                                           : model.cost.ns_per_synchronisation;
  const double known_item_ns =
      model.correction ? model.correction->ns_per_work_item : model.cost.ns_per_work_item;
  return {known_ns > 0 ? known_ns : synchronisation_ns,
          known_item_ns > 0 ? known_item_ns : work_item_ns};
}

}  // namespace

struct Adaptation::Linear {
  VectorXd log_ns;
  MatrixXd part_slopes;
  MatrixXd op_slopes;  ///< transposed
};

Adaptation::Adaptation(const Predictor& base, const Device& device, int threads,
                       std::span<const Subject> subjects)
    : base_(base), threads_(threads) {
  struct Known {
    Index model = 0;
    OpFacts facts;
    Index index = 0;
  };
  const CpuTraits cpu = cpu_traits(device);
  std::map<std::string, Known> ops;
  for (const Subject& subject : subjects)
    for (const Op& op : subject.ops) {
      const auto [known, is_new] = ops.try_emplace(text(op));
      if (!is_new) continue;
      OpFacts f = facts(op, cpu);
      const Index model = &model_of(base, op, f) - base.classes.data();
      known->second = {model, std::move(f)};
    }
  const auto count = static_cast<Index>(ops.size());
  features_.resize(static_cast<Index>(op_feature_count), count);
  parts_ns_ = MatrixXd::Zero(count, part_count);
  for (Index model = 0, i = 0; model < static_cast<Index>(base.classes.size()); ++model) {
    const ClassModel& known_class = base.classes[static_cast<std::size_t>(model)];
    const int base_threads = sharing_threads(known_class);
    const auto [per_synchronisation_ns, per_item_ns] = synchronisation_of(known_class);
    const Index begin = i;
    for (auto& [name, op] : ops) {
      if (op.model != model) continue;
      op.index = i;
      features_.col(i) = Eigen::Map<const VectorXd>(op.facts.features.data(),
                                                    static_cast<Index>(op_feature_count));
      const double items = work_items(op.facts.work, known_class.engine);
      const double ratio = busiest_share(items, threads) / busiest_share(items, base_threads);
      const CostNs ns = parts(known_class, op.facts);
      parts_ns_.row(i).head(cost_parts) << ratio * ns.compute, ratio * ns.memory,
          ratio * ns.far_memory, ns.weights, ns.dispatch;
      if (threads > 1 && items > 1)
        parts_ns_.row(i).tail(2) << per_synchronisation_ns, items * per_item_ns;
      ++i;
    }
    if (i == begin) continue;
    ranges_.push_back({model, begin, i - begin});
    const MatrixXd points = feature_scale().asDiagonal() * features_.middleCols(begin, i - begin);
    MatrixXd covariance(i - begin, i - begin);
    for (Index a = 0; a < covariance.rows(); ++a)
      for (Index b = 0; b <= a; ++b)
        covariance(a, b) = covariance(b, a) =
            variance_of_class(known_class) +
            shape_deviation * shape_deviation * matern((points.col(a) - points.col(b)).norm());
    covariances_.push_back(std::move(covariance));
  }
  counts_ = MatrixXd::Zero(static_cast<Index>(subjects.size()), count);
  for (Index s = 0; s < counts_.rows(); ++s) {
    const Subject& subject = subjects[static_cast<std::size_t>(s)];
    for (const Op& op : subject.ops) {
      const Known& known = ops.at(text(op));
      counts_(s, known.index) +=
          subject.network ? base.classes[static_cast<std::size_t>(known.model)].network_scale : 1;
    }
  }
}

MatrixXd Adaptation::rows(std::span<const std::size_t> subjects) const {
  MatrixXd some(static_cast<Index>(subjects.size()), counts_.cols());
  for (Index i = 0; i < some.rows(); ++i)
    some.row(i) = counts_.row(static_cast<Index>(subjects[static_cast<std::size_t>(i)]));
  return some;
}

Adaptation::Linear Adaptation::linearise(const MatrixXd& counts, const Fit& at) const {
  const MatrixXd ns = at.log_factors.array().exp().matrix().asDiagonal() * parts_ns_ *
                      at.log_parts.array().exp().matrix().asDiagonal();
  const VectorXd of_ops = ns.rowwise().sum();
  const VectorXd sums = counts * of_ops;
  const auto over_sums = sums.cwiseInverse().asDiagonal();
  return {sums.array().log(), over_sums * (counts * ns),
          of_ops.asDiagonal() * counts.transpose() * over_sums};
}

MatrixXd Adaptation::times_covariance(const MatrixXd& op_slopes) const {
  MatrixXd product(op_slopes.rows(), op_slopes.cols());
  for (std::size_t k = 0; k < ranges_.size(); ++k)
    product.middleRows(ranges_[k].begin, ranges_[k].count) =
        covariances_[k] * op_slopes.middleRows(ranges_[k].begin, ranges_[k].count);
  return product;
}

Adaptation::Fit Adaptation::fit(std::span<const Observation> known) const {
  Fit best = fit(known, typical_noise);
  if (known.empty()) return best;
  for (const double noise : noises) {
    if (noise == typical_noise) continue;
    Fit other = fit(known, noise);
    if (other.log_evidence > best.log_evidence) best = std::move(other);
  }
  return best;
}

Adaptation::Fit Adaptation::fit(std::span<const Observation> known, double noise) const {
  Fit fit;
  fit.noise = noise;
  fit.log_parts = VectorXd::Zero(part_count);
  fit.log_factors = fit.coefficients = VectorXd::Zero(counts_.cols());
  if (known.empty()) return fit;
  const auto n = static_cast<Index>(known.size());
  std::vector<std::size_t> subjects;
  VectorXd log_ns(n);
  VectorXd variance(n);
  for (Index i = 0; i < n; ++i) {
    const Observation& o = known[static_cast<std::size_t>(i)];
    subjects.push_back(o.subject);
    log_ns(i) = std::log(o.ns);
    variance(i) = noise * noise + o.relative_error * o.relative_error;
  }
  const MatrixXd counts = rows(subjects);
  const MatrixXd of_parts = part_covariance();
  fit.log_parts.setConstant((log_ns - linearise(counts, fit).log_ns).mean());
  VectorXd robust = variance;  // times what makes a residual count less that is large
  constexpr int most_steps = 15;
  constexpr double longest_step = 1.5;
  constexpr double converged = 1e-3;
  for (int step = 0; step < most_steps; ++step) {
    const Linear linear = linearise(counts, fit);
    const MatrixXd by_ops = times_covariance(linear.op_slopes);
    const MatrixXd by_parts = of_parts * linear.part_slopes.transpose();
    const MatrixXd prior = linear.part_slopes * by_parts + linear.op_slopes.transpose() * by_ops;
    const Eigen::LLT<MatrixXd> root(prior + MatrixXd(robust.asDiagonal()));
    const VectorXd target = log_ns - linear.log_ns + linear.part_slopes * fit.log_parts +
                            linear.op_slopes.transpose() * fit.log_factors;
    const VectorXd alpha = root.solve(target);
    const VectorXd part_step = by_parts * alpha - fit.log_parts;
    const VectorXd factor_step = by_ops * alpha - fit.log_factors;
    const double length =
        std::max(part_step.cwiseAbs().maxCoeff(), factor_step.cwiseAbs().maxCoeff());
    const double share = std::min(1.0, longest_step / length);
    fit.log_parts += share * part_step;
    fit.log_factors += share * factor_step;
    fit.coefficients += share * (linear.op_slopes * alpha - fit.coefficients);
    const VectorXd residuals = log_ns - linearise(counts, fit).log_ns;
    if (length < converged || step + 1 == most_steps) {
      fit.part_slopes = linear.part_slopes;
      fit.op_slopes = linear.op_slopes;
      fit.inverse = root.solve(MatrixXd::Identity(n, n));
      const double misfit =
          (residuals.array().square() / robust.array()).sum() + alpha.dot(prior * alpha);
      fit.log_evidence = -0.5 * misfit - MatrixXd(root.matrixL()).diagonal().array().log().sum();
      break;
    }
    for (Index i = 0; i < n; ++i)
      robust(i) =
          variance(i) * (degrees + residuals(i) * residuals(i) / variance(i)) / (degrees + 1);
  }
  return fit;
}

double Adaptation::ns(const Fit& fit, std::size_t subject) const {
  return std::exp(linearise(counts_.row(static_cast<Index>(subject)), fit).log_ns(0));
}

MatrixXd Adaptation::covariance(const Linear& a, const Linear& b) const {
  return a.part_slopes * part_covariance() * b.part_slopes.transpose() +
         a.op_slopes.transpose() * times_covariance(b.op_slopes);
}

std::size_t Adaptation::most_informative(std::span<const std::size_t> candidates,
                                         std::span<const std::size_t> targets,
                                         std::span<const Observation> known) const {
  const Fit at = fit(known, typical_noise);
  const Linear of_candidates = linearise(rows(candidates), at);
  const Linear of_targets = linearise(rows(targets), at);
  MatrixXd with_targets = covariance(of_targets, of_candidates);
  VectorXd variances = covariance(of_candidates, of_candidates).diagonal();
  if (!known.empty()) {
    // As if none were off: a network like one that looked wrong tells little more.
    std::vector<std::size_t> subjects;
    for (const Observation& o : known) subjects.push_back(o.subject);
    const Linear of_known = linearise(rows(subjects), at);
    MatrixXd among_known = covariance(of_known, of_known);
    among_known.diagonal().array() += typical_noise * typical_noise;
    const MatrixXd with_candidates = covariance(of_known, of_candidates);
    const MatrixXd explained = Eigen::LLT<MatrixXd>(among_known).solve(with_candidates);
    with_targets -= covariance(of_targets, of_known) * explained;
    variances -= with_candidates.cwiseProduct(explained).colwise().sum().transpose();
  }
  const VectorXd gains = with_targets.colwise().squaredNorm().transpose().array() /
                         (variances.array().max(0.0) + typical_noise * typical_noise);
  Index best = -1;
  for (Index i = 0; i < gains.size(); ++i) {
    const std::size_t subject = candidates[static_cast<std::size_t>(i)];
    const bool is_known = std::any_of(known.begin(), known.end(),
                                      [&](const Observation& o) { return o.subject == subject; });
    if (!is_known && (best < 0 || gains(i) > gains(best))) best = i;
  }
  if (best < 0)
    throw std::invalid_argument(fmt::format(
        "got {} candidates to measure, expected at least one whose latency is not known",
        candidates.size()));
  return candidates[static_cast<std::size_t>(best)];
}

Predictor Adaptation::predictor(const Fit& fit) const {
  Predictor predictor = base_;
  // Of the base's memory.
  predictor.network.ns_less_per_kept_byte = 0;
  const MatrixXd part_gain = fit.inverse.size() > 0
                                 ? MatrixXd(part_covariance() * fit.part_slopes.transpose())
                                 : MatrixXd::Zero(part_count, 0);
  for (Index model = 0; model < static_cast<Index>(predictor.classes.size()); ++model) {
    ClassModel& adapted = predictor.classes[static_cast<std::size_t>(model)];
    const auto range = std::find_if(ranges_.begin(), ranges_.end(),
                                    [&](const ClassRange& r) { return r.model == model; });
    const double variance = variance_of_class(adapted);
    double log_class = 0;
    MatrixXd gain = part_gain;
    Correction c = adapted.correction.value_or(Correction{});
    c.factor.centre = VectorXd::Zero(features_.rows());
    c.factor.scale = feature_scale();
    c.factor.signal = shape_deviation * shape_deviation;
    if (range != ranges_.end()) {
      const VectorXd coefficients = fit.coefficients.segment(range->begin, range->count);
      log_class = variance * coefficients.sum();
      if (fit.inverse.size() > 0)
        gain.rowwise() +=
            variance * fit.op_slopes.middleRows(range->begin, range->count).colwise().sum();
      const Index before = c.factor.points.cols();
      c.factor.points.conservativeResize(features_.rows(), before + range->count);
      c.factor.points.rightCols(range->count) =
          (c.factor.scale.asDiagonal() * features_.middleCols(range->begin, range->count))
              .cast<float>();
      c.factor.weights.conservativeResize(before + range->count);
      c.factor.weights.tail(range->count) = coefficients.cast<float>();
    }
    const VectorXd factors = (fit.log_parts.array() + log_class).exp();
    c.compute *= factors(compute);
    c.memory *= factors(memory);
    c.far_memory *= factors(far_memory);
    c.weights *= factors(weights);
    c.dispatch *= factors(dispatch);
    const auto [per_synchronisation_ns, per_item_ns] = synchronisation_of(adapted);
    c.ns_per_synchronisation = factors(synchronisation) * per_synchronisation_ns;
    c.ns_per_work_item = factors(work_item) * per_item_ns;
    c.threads = threads_;
    MatrixXd covariance =
        (part_covariance().array() + variance).matrix().topLeftCorner(cost_parts, cost_parts);
    if (fit.inverse.size() > 0)
      covariance -= gain.topRows(cost_parts) * fit.inverse * gain.topRows(cost_parts).transpose();
    c.deviations = Eigen::LLT<MatrixXd>(covariance).matrixL();
    adapted.correction = std::move(c);
  }
  return predictor;
}

Adaptation::Subject subject_of(const Network& network, DType dtype, bool dynamic) {
  Adaptation::Subject subject;
  for (const Node& node : lowered(network, dtype, dynamic).nodes)
    if (node.op.kind != OpKind::constant) subject.ops.push_back(node.op);
  return subject;
}

Predictor adapt_predictor(const Predictor& base, const Profile& measured,
                          std::span<const Network> networks, double* expected_error) {
  if (base.settings.dtype != measured.settings.dtype)
    throw std::invalid_argument(fmt::format(
        "adapting a predictor: it is of {}, and the profile of {}; expected one precision",
        name(base.settings.dtype), name(measured.settings.dtype)));
  std::vector<Adaptation::Subject> subjects;
  std::vector<Adaptation::Observation> known;
  double best_macps = 0;
  std::string training = base.training_hash + "\n";
  const auto add = [&](Adaptation::Subject subject, const std::string& name, const Timing& timing) {
    known.push_back({subjects.size(), timing.median_ns, relative_error(timing)});
    subjects.push_back(std::move(subject));
    training += fmt::format("{} {}\n", name, timing.median_ns);
  };
  for (const OpRecord& record : measured.ops) {
    if (!(record.timing.median_ns > 0)) continue;
    add({{record.op}, false}, text(record.op), record.timing);
    best_macps =
        std::max(best_macps, static_cast<double>(macs(record.op)) / record.timing.median_ns * 1e9);
  }
  const std::size_t ops = known.size();
  std::vector<Network> known_networks;
  for (const Network& network : networks) {
    const NetworkRecord* record = find_record(measured, network);
    if (record == nullptr || !(record->timing.median_ns > 0)) continue;
    add(subject_of(network, measured.settings.dtype, knows_dynamic(base)), network.name,
        record->timing);
    known_networks.push_back(network);
    best_macps =
        std::max(best_macps, static_cast<double>(record->macs) / record->timing.median_ns * 1e9);
  }
  constexpr std::size_t least = 4;
  if (known.size() < least)
    throw std::invalid_argument(
        fmt::format("adapting a predictor needs at least {} measured operators or networks, got {}",
                    least, known.size()));
  const Adaptation adaptation(base, measured.device, measured.settings.threads, subjects);
  const Adaptation::Fit fit = adaptation.fit(known);
  double error = 0;
  double squares = 0;
  std::vector<double> network_errors;
  std::vector<double> measuring_errors;
  for (const Adaptation::Observation& left_out : known) {
    std::vector<Adaptation::Observation> others;
    for (const Adaptation::Observation& o : known)
      if (o.subject != left_out.subject) others.push_back(o);
    const double ratio =
        adaptation.ns(adaptation.fit(others, fit.noise), left_out.subject) / left_out.ns;
    error += std::abs(ratio - 1) / static_cast<double>(known.size());
    squares += std::pow(std::log(ratio), 2) / static_cast<double>(known.size());
    if (left_out.subject < ops) continue;
    network_errors.push_back(ratio - 1);
    measuring_errors.push_back(left_out.relative_error);
  }
  if (expected_error != nullptr) *expected_error = error;

  Predictor predictor = adaptation.predictor(fit);
  for (ClassModel& model : predictor.classes)
    model.correction->spread = std::hypot(model.correction->spread, std::sqrt(squares));
  if (known_networks.size() >= least)
    calibrate_intervals(predictor, known_networks, network_errors, measuring_errors);
  predictor.device = measured.device;
  predictor.settings = measured.settings;
  predictor.created = measured.created;
  predictor.tool_version = version();
  predictor.training_hash = hash_text(training);
  predictor.best_macps = best_macps;
  predictor.evidence = Evidence::adapted;
  const auto counted = [](std::size_t count, std::string_view what) {
    return count == 0 ? std::string() : fmt::format("{} {}s, ", count, what);
  };
  predictor.evidence_detail =
      fmt::format("{}, {} thread{}; {}{}expected error {:.1f} % {}", base.device.name,
                  base.settings.threads, base.settings.threads == 1 ? "" : "s",
                  counted(ops, "operator"), counted(known.size() - ops, "network"), 100 * error,
                  ops == known.size() ? "an operator" : "each");
  return predictor;
}

}  // namespace cpubone
