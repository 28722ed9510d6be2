#include "predictor/calibration.hpp"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <set>

#include "graph/network.hpp"
#include "graph/schema.hpp"
#include "predictor/least_squares.hpp"
#include "runtime/xnnpack_traits.hpp"
#include "space/zoo.hpp"

namespace cpubone {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

// Relative error of a published latency: read off a figure, another board, another run.
constexpr double noise = 0.05;
// How far a cost may be from what the hardware description lets expect; 1.5 means 150 %.
constexpr double prior_deviation = 1.5;
constexpr std::size_t enough_families = 3;

/// What a runtime's costs apply to, summed over operators.
enum Cost : Index { dense_mac, depthwise_mac, weight_byte, moved_byte, spilled_byte, run, costs };

/// Times that runtimes go over an operator's data, as most compose it of simpler ones: exact GELU
/// of a division, erf, an addition and a product; a normalisation reads for the mean, the variance
/// and the result; a hardswish is a hardsigmoid and a product.
double times_moved(std::string_view op_class) {
  if (op_class == "gelu" || op_class == "gelu_tanh") return 4;
  if (op_class == "group_norm" || op_class == "layer_norm") return 3;
  if (op_class == "hardswish" || op_class == "silu") return 2;
  return 1;
}

VectorXd amounts(const OpFacts& op) {
  const Work& w = op.work;
  VectorXd a = VectorXd::Zero(costs);
  a(op.op_class == "depthwise" ? depthwise_mac : dense_mac) = w.macs > 0 ? w.padded_macs : 0;
  a(weight_byte) = w.weight_bytes;
  a(moved_byte) = times_moved(op.op_class) * w.activation_bytes;
  a(spilled_byte) = times_moved(op.op_class) * w.activation_bytes_beyond_llc;
  a(run) = 1;
  return a;
}

VectorXd amounts(const Network& network, const CpuTraits& cpu) {
  VectorXd sum = VectorXd::Zero(costs);
  for (const Node& node : lowered(network).nodes) sum += amounts(facts(node.op, cpu));
  return sum;
}

struct Bounds {
  VectorXd expected;  ///< ns
  VectorXd least;
};

/// What the description of the hardware lets expect: matrix products reach half the peak, depthwise
/// convolutions an eighth, data moves at the speed of memory where it comes from caches (with its
/// bookkeeping) and twice where it does not; nothing is faster than the peak.
Bounds bounds(const DeviceDescription& device) {
  const double peak_ns = 1e9 / peak_macps(device);
  const double byte_ns = 1e9 / device.memory_bytes_per_s;
  const double run_ns = device.settings.threads > 1 ? 5000 : 1000;
  Bounds b{VectorXd(costs), VectorXd(costs)};
  b.expected << 2 * peak_ns, 8 * peak_ns, byte_ns, byte_ns, 2 * byte_ns, run_ns;
  b.least << peak_ns, peak_ns, 0, 0, 0, 0.1 * run_ns;
  return b;
}

/// Costs by least squares of relative errors; `relative` has a row for each latency.
VectorXd fit_costs(const MatrixXd& relative, const Bounds& b) {
  const VectorXd ridge =
      (noise / (prior_deviation * b.expected.array())).square();  // of Gaussian priors
  const VectorXd above = non_negative_least_squares(
      relative, VectorXd::Ones(relative.rows()) - relative * b.least, ridge, b.expected - b.least);
  return b.least + above;
}

/// Standard deviations of the costs, a column for each independent direction, where rows are off by
/// `error`: what the latencies do not tell is as uncertain as it was before.
MatrixXd cost_deviations(const MatrixXd& relative, const Bounds& b, double error) {
  MatrixXd precision = relative.transpose() * relative / (error * error);
  precision.diagonal() += (prior_deviation * b.expected.array()).square().inverse().matrix();
  // Costs differ by orders of magnitude: in units of those expected.
  const MatrixXd scale = b.expected.asDiagonal();
  const Eigen::LLT<MatrixXd> root(scale * precision * scale);
  return scale * root.matrixU().solve(MatrixXd::Identity(costs, costs));
}

/// The published latencies of a device as a system of equations.
struct Equations {
  std::vector<std::string> networks;
  std::vector<std::string> families;
  MatrixXd relative;  ///< amounts of the network over its latency, a row each
  Bounds bounds;
};

Equations equations(const DeviceDescription& device) {
  Equations e;
  e.bounds = bounds(device);
  e.relative.resize(static_cast<Index>(device.latencies.size()), costs);
  const CpuTraits cpu = cpu_traits(device.device);
  Index i = 0;
  for (const PublishedLatencyRow& row : device.latencies) {
    const Network network = find_network(row.zoo_name);
    e.networks.push_back(row.zoo_name);
    e.families.push_back(network.family);
    e.relative.row(i++) = amounts(network, cpu).transpose() / (row.latency_ms * 1e6);
  }
  return e;
}

VectorXd fit_without(const Equations& e, const std::function<bool(std::size_t)>& left_out) {
  MatrixXd kept(e.relative.rows(), costs);
  Index rows = 0;
  for (std::size_t i = 0; i < e.networks.size(); ++i)
    if (!left_out(i)) kept.row(rows++) = e.relative.row(static_cast<Index>(i));
  return fit_costs(kept.topRows(rows), e.bounds);
}

std::vector<LeftOut> leave_one_out(const DeviceDescription& device, const Equations& e) {
  std::vector<LeftOut> results;
  for (std::size_t i = 0; i < e.networks.size(); ++i) {
    const double ms = device.latencies[i].latency_ms;
    const auto row = e.relative.row(static_cast<Index>(i));
    const VectorXd of_others =
        fit_without(e, [&](std::size_t j) { return e.networks[j] == e.networks[i]; });
    const VectorXd of_other_families =
        fit_without(e, [&](std::size_t j) { return e.families[j] == e.families[i]; });
    results.push_back({e.networks[i], e.families[i], ms, ms * row.dot(of_others),
                       ms * row.dot(of_other_families)});
  }
  return results;
}

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

/// Logarithms of what descriptions alone predict over what was published, on all known devices.
std::vector<double> description_residuals() {
  std::vector<double> residuals;
  for (const DeviceDescription& device : known_devices()) {
    const Equations e = equations(device);
    for (Index i = 0; i < e.relative.rows(); ++i)
      residuals.push_back(std::log(e.relative.row(i).dot(e.bounds.expected)));
  }
  return residuals;
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

Spread description_spread() {
  static const Spread value = spread(description_residuals());
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

std::vector<std::string> all_classes() {
  std::vector<std::string> names{"pointwise", "convolution", "depthwise"};
  for (const OpSchema& op : schemas())
    if (op.kind != OpKind::conv2d && op.kind != OpKind::activation && op.kind != OpKind::constant)
      names.emplace_back(op.name);
  for (const std::string_view activation : activation_names().subspan(1))
    names.emplace_back(activation);
  return names;
}

CostModel cost_model(const std::string& op_class, const VectorXd& c) {
  CostModel cost;
  cost.ns_per_mac = c(op_class == "depthwise" ? depthwise_mac : dense_mac);
  cost.ns_per_weight_byte = c(weight_byte);
  cost.ns_per_activation_byte = times_moved(op_class) * c(moved_byte);
  cost.ns_per_activation_byte_beyond_llc = times_moved(op_class) * c(spilled_byte);
  cost.ns_per_dispatch = c(run);
  return cost;
}

ClassModel class_model(const std::string& name, const std::string& engine, const VectorXd& c,
                       const MatrixXd& deviations, double spread) {
  ClassModel model;
  model.name = name;
  model.engine = engine;
  model.cost = cost_model(name, c);
  for (Index i = 0; i < deviations.cols(); ++i)
    model.deviations.push_back(cost_model(name, deviations.col(i)));
  // No shape is measured: the cost model alone, as uncertain as a whole network is.
  const auto inputs = static_cast<Index>(op_feature_count);
  model.factor.centre = VectorXd::Zero(inputs);
  model.factor.scale = VectorXd::Zero(inputs);
  model.factor.points.resize(inputs, 0);
  model.factor.noise = spread * spread;
  return model;
}

double mean_error(const std::vector<LeftOut>& rows) {
  double sum = 0;
  for (const LeftOut& row : rows) sum += std::abs(row.without_network_ms / row.published_ms - 1);
  return rows.empty() ? 0 : sum / static_cast<double>(rows.size());
}

/// Half-width of the interval of a network's logarithm at factor 1.
double spread_of(const Predictor& predictor, const Network& network) {
  const LatencyEstimate latency = predict(predictor, network).latency;
  return std::log(latency.high_ms / latency.ms);
}

}  // namespace

std::vector<LeftOut> leave_one_out(const DeviceDescription& device) {
  return leave_one_out(device, equations(device));
}

Predictor calibrate(const DeviceDescription& device) {
  const Equations e = equations(device);
  const std::vector<LeftOut> left_out = leave_one_out(device, e);
  const VectorXd c = fit_costs(e.relative, e.bounds);
  const Spread error = expected_spread(left_out);
  const MatrixXd deviations = cost_deviations(e.relative, e.bounds, error.rms);

  Predictor predictor;
  predictor.device = device.device;
  predictor.settings = device.settings;
  predictor.tool_version = version();
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
  predictor.best_macps = 1e9 / c(dense_mac);
  for (const std::string& name : all_classes())
    predictor.classes.push_back(class_model(name, device.device.runtime, c, deviations, error.rms));

  NetworkModel& network = predictor.network;
  network.networks = static_cast<int>(left_out.size());
  network.test_mape = mean_error(left_out);
  network.least_spread = error.rms;
  network.range = range_of(device, families(left_out));
  network.interval_factor = 1;
  network.interval_factor = error.half_width() / spread_of(predictor, find_network("cpubone-b0"));
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
