#include <fmt/format.h>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "predictor/least_squares.hpp"
#include "predictor/predictor.hpp"

namespace cpubone {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using Records = std::vector<const OpRecord*>;

/// Threads that a predictor's latencies know to share operators.
int sharing_threads(const Predictor& predictor) {
  if (predictor.classes.empty()) return 1;
  const ClassModel& model = predictor.classes[0];
  return model.correction == Correction{} ? model.cost.threads : predictor.settings.threads;
}

/// How few operators scale the parts of a predictor's cost models: a linear model of the new
/// latency, a row for each operator, and a factor for each class.
class Adaptation {
 public:
  enum Part : Index { shared, weights, alone, dispatch, synchronisation, work_item, parts };

  Adaptation(const Predictor& base, const Records& records, const CpuTraits& cpu, int threads)
      : base_threads_(sharing_threads(base)), classes_(static_cast<Index>(base.classes.size())) {
    const auto n = static_cast<Index>(records.size());
    rows_ = MatrixXd::Zero(n, parts);
    noise_ = VectorXd(n);
    size_ns_ = VectorXd(n);
    for (Index i = 0; i < n; ++i) {
      const OpRecord& record = *records[static_cast<std::size_t>(i)];
      const MeasuredOp op = measured_op(record, cpu);
      const ClassModel& model = model_of(base, record.op, op.facts);
      class_.push_back(&model - base.classes.data());
      const double items = work_items(op.facts.work, model.engine);
      const CostNs ns = cpubone::parts(model, base.settings.threads, op.facts);
      const double ratio = busiest_share(items, threads) / busiest_share(items, base_threads_);
      if (items == 1) {
        rows_(i, alone) = ns.compute + ns.memory + ns.weights;
      } else {
        rows_(i, shared) = ratio * (ns.compute + ns.memory);
        rows_(i, weights) = ns.weights;
      }
      rows_(i, dispatch) = ns.dispatch;
      if (threads > 1 && items > 1) {
        rows_(i, synchronisation) = 1;
        rows_(i, work_item) = items;
      }
      size_ns_(i) = ns.total();
      rows_.row(i) /= op.ns;
      // Operators with wide intervals count less.
      noise_(i) = std::hypot(noise, op.relative_error);
    }
  }

  struct Fit {
    VectorXd parts;
    VectorXd log_classes;  ///< logarithm of each class's factor

    double log_ratio(const Adaptation& a, Index i) const {
      return std::log(std::max(a.rows_.row(i).dot(parts), 1e-6)) +
             log_classes(a.class_[static_cast<std::size_t>(i)]);
    }
  };

  /// Without the operator `left_out` (-1: with all).
  Fit fit(double class_deviation, Index left_out) const {
    const Index n = rows_.rows();
    // How much faster or slower all is, by the larger half of the operators: the smaller ones tell
    // what dispatch and synchronisation cost.
    std::vector<Index> by_size;
    for (Index i = 0; i < n; ++i)
      if (i != left_out) by_size.push_back(i);
    std::sort(by_size.begin(), by_size.end(),
              [&](Index a, Index b) { return size_ns_(a) > size_ns_(b); });
    std::vector<double> ratios;
    for (std::size_t k = 0; 2 * k < by_size.size(); ++k)
      ratios.push_back(1 / rows_.row(by_size[k]).head(synchronisation).sum());
    std::nth_element(ratios.begin(),
                     ratios.begin() + static_cast<std::ptrdiff_t>(ratios.size() / 2), ratios.end());
    const double all = ratios[ratios.size() / 2];

    VectorXd prior = VectorXd::Constant(parts, all);
    prior(synchronisation) = prior(work_item) = 0;
    VectorXd deviation(parts);
    deviation << part_deviation * all, part_deviation * all, part_deviation * all,
        dispatch_deviation * all, synchronisation_deviation_ns, work_item_deviation_ns;
    const VectorXd ridge = deviation.array().square().inverse();
    VectorXd weight = noise_.array().inverse();
    if (left_out >= 0) weight(left_out) = 0;
    VectorXd robust = weight;
    Fit fit{prior, VectorXd::Zero(classes_)};
    for (int pass = 0; pass < 4; ++pass) {
      fit.parts = non_negative_least_squares(robust.asDiagonal() * rows_, robust, ridge, prior);
      const VectorXd residuals = weight.cwiseProduct(rows_ * fit.parts - VectorXd::Ones(n));
      for (Index i = 0; i < n; ++i) robust(i) = weight(i) * robust_weight(residuals(i), outlier);
    }
    VectorXd sums = VectorXd::Zero(classes_);
    VectorXd precisions = VectorXd::Constant(classes_, 1 / (class_deviation * class_deviation));
    for (Index i = 0; i < n; ++i) {
      const double precision = robust(i) * robust(i);
      sums(class_[static_cast<std::size_t>(i)]) -= precision * fit.log_ratio(*this, i);
      precisions(class_[static_cast<std::size_t>(i)]) += precision;
    }
    fit.log_classes = sums.cwiseQuotient(precisions);
    return fit;
  }

  /// Logarithm of predicted over measured latency of each operator, left out of the fit.
  VectorXd left_out(double class_deviation) const {
    VectorXd residuals(rows_.rows());
    for (Index i = 0; i < rows_.rows(); ++i)
      residuals(i) = fit(class_deviation, i).log_ratio(*this, i);
    return residuals;
  }

 private:
  // Relative deviations of what devices differ by beyond a common factor.
  static constexpr double noise = 0.05;
  static constexpr double outlier = 2;  ///< times the noise
  static constexpr double part_deviation = 0.25;
  static constexpr double dispatch_deviation = 3;
  static constexpr double synchronisation_deviation_ns = 100e3;
  static constexpr double work_item_deviation_ns = 10;

  int base_threads_;
  Index classes_;
  MatrixXd rows_;  ///< over the measured latency
  VectorXd noise_;
  VectorXd size_ns_;
  std::vector<Index> class_;
};

}  // namespace

Predictor adapt_predictor(const Predictor& base, const Profile& measured, double* expected_error) {
  Records records;
  for (const OpRecord& record : measured.ops)
    if (record.timing.median_ns > 0) records.push_back(&record);
  const auto n = static_cast<Index>(records.size());
  if (n < 4)
    throw std::invalid_argument(
        fmt::format("adapting a predictor needs at least 4 measured operators, got {}", n));
  Predictor predictor = base;
  std::string training = base.training_hash + "\n";
  predictor.best_macps = 0;
  for (const OpRecord* record : records) {
    predictor.best_macps = std::max(predictor.best_macps, static_cast<double>(macs(record->op)) /
                                                              record->timing.median_ns * 1e9);
    training += fmt::format("{} {}\n", text(record->op), record->timing.median_ns);
  }
  const Adaptation adaptation(base, records, cpu_traits(measured.device),
                              measured.settings.threads);
  // How far classes differ beyond the parts of their cost models is what left-out operators say.
  double class_deviation = 0.03;
  VectorXd residuals;
  for (const double deviation : {0.02, 0.05, 0.1, 0.2, 0.4}) {
    const VectorXd left_out = adaptation.left_out(deviation);
    if (residuals.size() > 0 && left_out.cwiseAbs().sum() >= residuals.cwiseAbs().sum()) continue;
    residuals = left_out;
    class_deviation = deviation;
  }
  double error = 0;
  for (const double r : residuals) error += std::abs(std::expm1(r)) / static_cast<double>(n);
  if (expected_error != nullptr) *expected_error = error;

  const Adaptation::Fit fit = adaptation.fit(class_deviation, -1);
  predictor.device = measured.device;
  predictor.settings = measured.settings;
  predictor.created = measured.created;
  predictor.tool_version = version();
  predictor.training_hash = hash_text(training);
  predictor.evidence = Evidence::adapted;
  predictor.evidence_detail = fmt::format(
      "{}, {} thread{}; {} operators, expected error {:.1f} % an operator", base.device.name,
      base.settings.threads, base.settings.threads == 1 ? "" : "s", n, 100 * error);
  using Part = Adaptation::Part;
  const VectorXd& w = fit.parts;
  for (std::size_t k = 0; k < predictor.classes.size(); ++k) {
    Correction& c = predictor.classes[k].correction;
    const double factor = std::exp(fit.log_classes(static_cast<Index>(k)));
    c.shared *= factor * w(Part::shared);
    c.weights *= factor * w(Part::weights);
    c.alone *= factor * w(Part::alone);
    c.dispatch *= factor * w(Part::dispatch);
    c.ns_per_synchronisation = factor * w(Part::synchronisation);
    c.ns_per_work_item = factor * w(Part::work_item);
    c.spread = std::hypot(c.spread, std::sqrt(residuals.squaredNorm() / static_cast<double>(n)));
  }
  return predictor;
}

}  // namespace cpubone
