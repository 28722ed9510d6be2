#include "predictor/calibration.hpp"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "graph/network.hpp"
#include "graph/schema.hpp"
#include "predictor/adaptation.hpp"
#include "runtime/xnnpack_traits.hpp"
#include "space/zoo.hpp"

namespace cpubone {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

// Relative error of a published latency: read off a figure, another board, another run.
constexpr double published_error = 0.05;
constexpr std::size_t enough_families = 3;

/// Times that runtimes go over an operator's data, as most compose it of simpler ones: exact GELU
/// of a division, erf, an addition and a product; a normalisation reads for the mean, the variance
/// and the result; a hardswish is a hardsigmoid and a product.
double times_moved(std::string_view op_class) {
  if (op_class == "gelu" || op_class == "gelu_tanh") return 4;
  if (op_class == "group_norm" || op_class == "layer_norm") return 3;
  if (op_class == "hardswish" || op_class == "silu") return 2;
  return 1;
}

/// What the description of the hardware lets expect: matrix products reach half the peak, depthwise
/// convolutions an eighth, data moves at the speed of memory where it comes from caches (with its
/// bookkeeping) and twice where it does not.
ClassModel described_class(const std::string& name, const DeviceDescription& device) {
  const double byte_ns = 1e9 / device.memory_bytes_per_s;
  ClassModel model;
  model.name = name;
  model.engine = device.device.runtime;
  model.cost.ns_per_mac =
      (name == "depthwise" || name == "wide depthwise" ? 8 : 2) * 1e9 / peak_macps(device);
  model.cost.ns_per_weight_byte = byte_ns;
  model.cost.ns_per_activation_byte = times_moved(name) * byte_ns;
  model.cost.ns_per_activation_byte_beyond_llc = 2 * times_moved(name) * byte_ns;
  model.cost.ns_per_dispatch = device.settings.threads > 1 ? 5000 : 1000;
  // No shape is measured.
  const auto inputs = static_cast<Index>(op_feature_count);
  model.factor.centre = VectorXd::Zero(inputs);
  model.factor.scale = VectorXd::Zero(inputs);
  model.factor.points.resize(inputs, 0);
  return model;
}

std::vector<std::string> all_classes() {
  std::vector<std::string> names{"pointwise", "convolution", "depthwise",          "wide depthwise",
                                 "copy",      "broadcast",   "transpose of pixels"};
  for (const OpSchema& op : schemas())
    if (op.kind != OpKind::conv2d && op.kind != OpKind::activation && op.kind != OpKind::constant)
      names.emplace_back(op.name);
  for (const std::string_view activation : activation_names().subspan(1))
    names.emplace_back(activation);
  return names;
}

Predictor described(const DeviceDescription& device) {
  Predictor predictor;
  predictor.device = device.device;
  predictor.settings = device.settings;
  predictor.tool_version = version();
  for (const std::string& name : all_classes())
    predictor.classes.push_back(described_class(name, device));
  return predictor;
}

/// A device's published latencies, and how its description is adapted to them.
class DeviceCalibration {
 public:
  explicit DeviceCalibration(const DeviceDescription& device)
      : device_(device),
        base_(described(device)),
        // The costs are those of all threads together.
        adaptation_(base_, device.device, 1, subjects(device)) {
    for (std::size_t i = 0; i < device.latencies.size(); ++i) {
      const PublishedLatencyRow& row = device.latencies[i];
      known_.push_back({i, row.latency_ms * 1e6, published_error});
      families_.push_back(find_network(row.zoo_name).family);
    }
    fit_ = adaptation_.fit(known_);
  }

  Predictor predictor() const { return adaptation_.predictor(fit_); }

  std::vector<LeftOut> leave_one_out() const {
    std::vector<std::string> names;
    for (const PublishedLatencyRow& row : device_.latencies) names.push_back(row.zoo_name);
    const std::vector<double> without_network_ns = without(names);
    const std::vector<double> without_family_ns = without(families_);
    std::vector<LeftOut> results;
    for (std::size_t i = 0; i < known_.size(); ++i)
      results.push_back({names[i], families_[i], known_[i].ns * 1e-6, without_network_ns[i] * 1e-6,
                         without_family_ns[i] * 1e-6});
    return results;
  }

  /// Logarithms of what the description alone predicts over what was published.
  std::vector<double> description_residuals() const {
    const Adaptation::Fit prior = adaptation_.fit({});
    std::vector<double> residuals;
    for (const Adaptation::Observation& o : known_)
      residuals.push_back(std::log(adaptation_.ns(prior, o.subject) / o.ns));
    return residuals;
  }

 private:
  static std::vector<Adaptation::Subject> subjects(const DeviceDescription& device) {
    std::vector<Adaptation::Subject> networks;
    for (const PublishedLatencyRow& row : device.latencies)
      networks.push_back(subject_of(find_network(row.zoo_name)));
    return networks;
  }

  /// What each network takes by those of other groups, which are as noisy as all.
  std::vector<double> without(const std::vector<std::string>& groups) const {
    std::vector<double> ns(known_.size());
    for (const std::string& group : std::set<std::string>(groups.begin(), groups.end())) {
      std::vector<Adaptation::Observation> others;
      for (std::size_t i = 0; i < known_.size(); ++i)
        if (groups[i] != group) others.push_back(known_[i]);
      const Adaptation::Fit fit = adaptation_.fit(others, fit_.noise);
      for (std::size_t i = 0; i < known_.size(); ++i)
        if (groups[i] == group) ns[i] = adaptation_.ns(fit, i);
    }
    return ns;
  }

  const DeviceDescription& device_;
  Predictor base_;
  Adaptation adaptation_;
  std::vector<Adaptation::Observation> known_;
  std::vector<std::string> families_;
  Adaptation::Fit fit_;
};

/// 95 % quantile of Student's t: 90 % of a symmetric interval.
double student_95(std::size_t degrees) {
  static constexpr std::array<double, 10> small{6.314, 2.920, 2.353, 2.132, 2.015,
                                                1.943, 1.895, 1.860, 1.833, 1.812};
  if (degrees < 1) return small.front();
  if (degrees <= small.size()) return small[degrees - 1];
  // Expansion in 1 / degrees around the normal quantile (Abramowitz and Stegun 26.7.5).
  constexpr double z = 1.6449;
  return z + (z * z * z + z) / (4 * static_cast<double>(degrees));
}

std::size_t families(const std::vector<LeftOut>& rows) {
  std::set<std::string> names;
  for (const LeftOut& row : rows) names.insert(row.family);
  return names.size();
}

std::vector<double> residuals(const std::vector<LeftOut>& rows, double LeftOut::*prediction) {
  std::vector<double> values;
  for (const LeftOut& row : rows) values.push_back(std::log(row.*prediction / row.published_ms));
  return values;
}

/// Logarithms of predictions of left-out families over what was published, on all known devices
/// that have enough of them.
std::vector<double> family_residuals() {
  std::vector<double> all;
  for (const DeviceDescription& device : known_devices()) {
    const std::vector<LeftOut> rows = leave_one_out(device);
    if (families(rows) < enough_families) continue;
    const std::vector<double> more = residuals(rows, &LeftOut::without_family_ms);
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

/// How far off predictions are, as root mean square of logarithms, and how many tell it.
struct Spread {
  double rms = 0;
  std::size_t observations = 0;

  /// Half-width of the interval that holds 90 %, by Student's t.
  double half_width() const {
    const auto n = static_cast<double>(observations);
    return student_95(observations - 1) * std::sqrt(1 + 1 / n) * rms;
  }
};

Spread spread(const std::vector<double>& residuals) {
  double sum = 0;
  for (const double r : residuals) sum += r * r;
  const auto n = static_cast<double>(residuals.size());
  return {std::sqrt(sum / n), residuals.size()};
}

/// How far off descriptions alone are, on all known devices.
Spread description_spread() {
  static const Spread value = [] {
    std::vector<double> all;
    for (const DeviceDescription& device : known_devices()) {
      const std::vector<double> more = DeviceCalibration(device).description_residuals();
      all.insert(all.end(), more.begin(), more.end());
    }
    return spread(all);
  }();
  return value;
}

Spread expected_spread(const std::vector<LeftOut>& rows) {
  if (rows.empty()) return description_spread();
  if (families(rows) >= enough_families)
    return spread(residuals(rows, &LeftOut::without_family_ms));
  // Too few families to tell how far off another one is: at least as far as on devices with many.
  static const Spread elsewhere = spread(family_residuals());
  const Spread here = spread(residuals(rows, &LeftOut::without_network_ms));
  return here.half_width() > elsewhere.half_width() ? here : elsewhere;
}

/// Logarithms of a device's published networks, a row each.
MatrixXd positions(const DeviceDescription& device) {
  const CpuTraits cpu = cpu_traits(device.device);
  MatrixXd rows(static_cast<Index>(device.latencies.size()), 3);
  for (Index i = 0; i < rows.rows(); ++i) {
    LatencyTerms sum;
    const auto& row = device.latencies[static_cast<std::size_t>(i)];
    for (const Node& node : lowered(find_network(row.zoo_name)).nodes)
      sum += terms(ClassModel{}, OpEstimate{}, facts(node.op, cpu));
    const auto position = range_position(sum);
    rows.row(i) = Eigen::Map<const Eigen::RowVector3d>(position.data());
  }
  return rows;
}

/// How published networks scatter around those of their device: a column for each direction, of
/// length 1 a standard deviation away.
const Eigen::Matrix3d& whitening() {
  static const Eigen::Matrix3d value = [] {
    Eigen::Matrix3d squares = Eigen::Matrix3d::Zero();
    double degrees = 0;
    for (const DeviceDescription& device : known_devices()) {
      if (device.latencies.empty()) continue;
      const MatrixXd rows = positions(device);
      const MatrixXd centred = rows.rowwise() - rows.colwise().mean();
      squares += centred.transpose() * centred;
      degrees += static_cast<double>(rows.rows() - 1);
    }
    const Eigen::LLT<Eigen::Matrix3d> root(squares / degrees);
    return Eigen::Matrix3d(root.matrixL().solve(Eigen::Matrix3d::Identity()));
  }();
  return value;
}

/// Networks of a family err alike: as observations of a trend they count as one.
CalibratedRange range_of(const DeviceDescription& device, std::size_t families) {
  CalibratedRange range;
  if (device.latencies.empty()) return range;
  const Eigen::RowVector3d centre = positions(device).colwise().mean();
  const Eigen::Matrix3d scale = whitening() / std::sqrt(static_cast<double>(families));
  for (Index i = 0; i < 3; ++i) {
    range.centre.at(static_cast<std::size_t>(i)) = centre(i);
    for (Index k = 0; k < 3; ++k)
      range.scale.at(static_cast<std::size_t>(i)).at(static_cast<std::size_t>(k)) = scale(i, k);
  }
  return range;
}

double mean_error(const std::vector<LeftOut>& rows) {
  double sum = 0;
  for (const LeftOut& row : rows) sum += std::abs(row.without_network_ms / row.published_ms - 1);
  return rows.empty() ? 0 : sum / static_cast<double>(rows.size());
}

}  // namespace

std::vector<LeftOut> leave_one_out(const DeviceDescription& device) {
  return DeviceCalibration(device).leave_one_out();
}

Predictor calibrate(const DeviceDescription& device) {
  const DeviceCalibration calibration(device);
  const std::vector<LeftOut> left_out = calibration.leave_one_out();
  const Spread error = expected_spread(left_out);
  Predictor predictor = calibration.predictor();
  std::string training;
  for (const PublishedLatencyRow& row : device.latencies)
    training += fmt::format("{} {}\n", row.zoo_name, row.latency_ms);
  predictor.training_hash = hash_text(training);
  if (device.latencies.empty()) {
    predictor.evidence = Evidence::description;
  } else {
    predictor.evidence = Evidence::calibrated;
    predictor.evidence_detail =
        fmt::format("{}, {} thread{}", device.device.runtime, device.settings.threads,
                    device.settings.threads == 1 ? "" : "s");
  }
  for (ClassModel& model : predictor.classes) {
    model.correction->least_ns_per_mac = 1e9 / peak_macps(device);
    model.correction->spread = error.rms;
    // How far off a description is as a whole is known.
    if (device.latencies.empty()) model.correction->deviations.setZero();
  }

  NetworkModel& network = predictor.network;
  network.networks = static_cast<int>(left_out.size());
  network.test_mape = mean_error(left_out);
  // What operators' spreads do not say, the distance from what was published says as much.
  network.least_spread = relative_spread(terms(predictor, find_network("cpubone-b0")));
  network.range = range_of(device, families(left_out));
  network.interval_factor = 1;
  const NetworkPrediction b0 = predict(predictor, find_network("cpubone-b0"));
  network.interval_factor = error.half_width() / std::log(b0.latency.high_ms / b0.latency.ms);
  // No operator is measured: the best MACpS is that of B0's operators.
  for (const OpPrediction& op : b0.ops)
    predictor.best_macps =
        std::max(predictor.best_macps, static_cast<double>(macs(op.op)) / op.latency_ns * 1e9);
  return predictor;
}

Predictor device_predictor(std::string_view name) {
  return calibrate(find_device(name));
}

DeviceSummary summarise(const DeviceDescription& device) {
  const Predictor predictor = calibrate(device);
  // Mean absolute value of a normal variable with that root mean square.
  const double of_description = std::sqrt(2 / M_PI) * description_spread().rms;
  return {device.device.name,
          device.title,
          hardware_text(device),
          evidence_text(predictor),
          static_cast<int>(device.latencies.size()),
          device.latencies.empty() ? of_description : predictor.network.test_mape};
}

std::vector<DeviceSummary> device_summaries() {
  std::vector<DeviceSummary> summaries;
  for (const DeviceDescription& device : known_devices()) summaries.push_back(summarise(device));
  return summaries;
}

}  // namespace cpubone
