// How right predictors become of devices that others measured, from few networks' latencies there;
// measures nothing.
// transfer [<table blocks,<device>_ms,... of FBNet's networks>]
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <random>

#include "benchmarks/fbnet.hpp"
#include "benchmarks/recordings.hpp"
#include "benchmarks/rows.hpp"
#include "predictor/adaptation.hpp"
#include "predictor/calibration.hpp"
#include "predictor/least_squares.hpp"

using namespace cpubone;

namespace {

constexpr std::size_t draws = 10;
constexpr std::size_t candidates = 300;  // that can be measured, drawn at random
constexpr std::size_t few = 10;          // latencies that are measured of them
constexpr std::array<std::size_t, 3> counts{few, 30, 100};

using Measured = std::vector<std::size_t>;  // networks

struct Goals {
  const char* device;
  const char* nearest;  ///< of the known devices: its description is where we start
  double spearman;      ///< 0: 0.03 above that of MACs
  double mape;          ///< percent; 0: none
};
constexpr std::array<Goals, 6> goals{{{"raspi4", "pi4", 0.95, 7},
                                      {"pixel3", "pi5", 0.995, 2.5},
                                      {"pixel2", "pi4", 0, 0},
                                      {"samsung_a50", "pi4", 0, 0},
                                      {"silver_4114", "xeon-w2125", 0.88, 0},
                                      {"gold_6226", "xeon-w2125", 0.93, 0}}};

struct Quality {
  double spearman = 0;
  double mape = 0;
};

/// Of the networks whose latency is not known.
Quality quality(const std::vector<double>& predicted_ns, const std::vector<double>& measured_ms,
                const Measured& known) {
  std::vector<double> predicted;
  std::vector<double> measured;
  Quality q;
  for (std::size_t i = 0; i < measured_ms.size(); ++i) {
    if (std::find(known.begin(), known.end(), i) != known.end()) continue;
    predicted.push_back(predicted_ns[i]);
    measured.push_back(measured_ms[i] * 1e6);
    q.mape += std::abs(predicted.back() / measured.back() - 1);
  }
  q.mape /= static_cast<double>(measured.size());
  q.spearman = spearman(predicted, measured);
  return q;
}

Quality mean(const std::vector<Quality>& all) {
  Quality sum;
  for (const Quality& q : all) {
    sum.spearman += q.spearman / static_cast<double>(all.size());
    sum.mape += q.mape / static_cast<double>(all.size());
  }
  return sum;
}

Measured drawn(std::size_t networks, std::size_t seed, std::size_t count = candidates) {
  Measured all(networks);
  std::iota(all.begin(), all.end(), std::size_t{0});
  std::mt19937_64 random(seed);
  count = std::min(count, networks);
  for (std::size_t i = 0; i < count; ++i) std::swap(all[i], all[i + random() % (networks - i)]);
  all.resize(count);
  return all;
}

std::vector<Adaptation::Observation> observations(const std::vector<double>& ms,
                                                  const Measured& networks) {
  std::vector<Adaptation::Observation> known;
  for (const std::size_t i : networks) known.push_back({i, ms[i] * 1e6, 0});
  return known;
}

Quality adapted(const Adaptation& adaptation, const std::vector<double>& ms,
                const Measured& known) {
  const Adaptation::Fit fit = adaptation.fit(observations(ms, known));
  std::vector<double> ns;
  for (std::size_t i = 0; i < ms.size(); ++i) ns.push_back(adaptation.ns(fit, i));
  return quality(ns, ms, known);
}

/// By numbers of latencies that are known; each choice knows what was measured before.
std::map<std::size_t, Quality> chosen_actively(const Adaptation& adaptation,
                                               const std::vector<double>& ms, std::size_t most) {
  std::map<std::size_t, std::vector<Quality>> all;
  for (std::size_t draw = 0; draw < draws; ++draw) {
    const Measured pool = drawn(ms.size(), draw);
    Measured known;
    for (const std::size_t count : counts) {
      if (count > most) break;
      while (known.size() < count)
        known.push_back(adaptation.most_informative(pool, pool, observations(ms, known)));
      all[count].push_back(adapted(adaptation, ms, known));
    }
  }
  std::map<std::size_t, Quality> means;
  for (const auto& [count, of_draws] : all) means[count] = mean(of_draws);
  return means;
}

Quality chosen_at_random(const Adaptation& adaptation, const std::vector<double>& ms) {
  std::vector<Quality> all;
  for (std::size_t draw = 0; draw < draws; ++draw) {
    Measured known = drawn(ms.size(), draw);
    known.resize(few);
    all.push_back(adapted(adaptation, ms, known));
  }
  return mean(all);
}

/// What is commonly summed over a network's operators.
enum Quantity : Eigen::Index {
  dense_macs,
  grouped_macs,
  depthwise_macs,
  elements,
  ops,
  quantities
};

Eigen::VectorXd quantities_of(const Adaptation::Subject& network) {
  Eigen::VectorXd sum = Eigen::VectorXd::Zero(quantities);
  for (const Op& op : network.ops) {
    const bool grouped = op.kind == OpKind::conv2d && op.groups > 1;
    const Quantity kind = op_class(op) == "depthwise" ? depthwise_macs
                          : grouped                   ? grouped_macs
                                                      : dense_macs;
    sum(kind) += static_cast<double>(macs(op));
    sum(elements) += static_cast<double>(cpubone::elements(op.output()));
    sum(Quantity::ops) += 1;
  }
  return sum;
}

Quality five_quantities(const Eigen::MatrixXd& sums, const std::vector<double>& ms) {
  std::vector<Quality> all;
  for (std::size_t draw = 0; draw < draws; ++draw) {
    Measured known = drawn(ms.size(), draw);
    known.resize(few);
    Eigen::MatrixXd relative(few, quantities);
    for (std::size_t i = 0; i < few; ++i)
      relative.row(static_cast<Eigen::Index>(i)) =
          sums.row(static_cast<Eigen::Index>(known[i])) / (ms[known[i]] * 1e6);
    const Eigen::VectorXd ridge = 1e-6 * relative.colwise().squaredNorm().transpose();
    const Eigen::VectorXd ns =
        sums * non_negative_least_squares(relative, Eigen::VectorXd::Ones(few), ridge,
                                          Eigen::VectorXd::Zero(quantities));
    all.push_back(quality({ns.begin(), ns.end()}, ms, known));
  }
  return mean(all);
}

/// How much can be known: a latency for each kind of block in each layer (a network's name has a
/// digit for each), fitted to so many of the networks; quality on the others. What is missing from
/// 1 is what measuring there added.
Quality lookup_of_blocks(const std::vector<Network>& networks, const std::vector<double>& ms,
                         std::size_t fitted) {
  constexpr Eigen::Index kinds = 9;
  const auto n = static_cast<Eigen::Index>(networks.size());
  const auto layers = static_cast<Eigen::Index>(networks[0].name.size());
  Eigen::MatrixXd rows = Eigen::MatrixXd::Zero(n, kinds * layers + 1);
  for (Eigen::Index i = 0; i < n; ++i) {
    const std::string& blocks = networks[static_cast<std::size_t>(i)].name;
    for (Eigen::Index layer = 0; layer < layers; ++layer)
      rows(i, kinds * layer + (blocks[static_cast<std::size_t>(layer)] - '0')) = 1;
    rows(i, kinds * layers) = 1;
  }
  const Eigen::VectorXd latency_ms = Eigen::Map<const Eigen::VectorXd>(ms.data(), n);
  const Measured known = drawn(networks.size(), 0, fitted);
  // Of relative errors, so that outliers, which all are slow, count less.
  const Eigen::MatrixXd relative =
      latency_ms(known).cwiseInverse().asDiagonal() * rows(known, Eigen::all);
  Eigen::MatrixXd squares = relative.transpose() * relative;
  squares.diagonal().array() += 1e-3 * squares.diagonal().mean();
  const Eigen::VectorXd ns =
      1e6 * rows * squares.ldlt().solve(relative.colwise().sum().transpose());
  return quality({ns.begin(), ns.end()}, ms, known);
}

void run(std::span<const std::string> arguments, Rows& rows) {
  const FbnetLatencies table = load_fbnet_latencies(
      arguments.empty() ? CPUBONE_FIXTURES "/fbnet_latency.csv" : arguments[0]);
  if (table.networks.size() <= counts.back())
    throw std::invalid_argument(
        fmt::format("{} networks, expected more than {}", table.networks.size(), counts.back()));
  std::vector<Adaptation::Subject> networks;
  std::vector<double> network_macs;
  Eigen::MatrixXd sums(static_cast<Eigen::Index>(table.networks.size()), quantities);
  for (const Network& network : table.networks) {
    sums.row(static_cast<Eigen::Index>(networks.size())) = quantities_of(subject_of(network));
    networks.push_back(subject_of(network));
    network_macs.push_back(static_cast<double>(macs(network)));
  }
  std::vector<std::pair<std::string, Predictor>> recorded;
  for (const Recording& recording : load_recordings(CPUBONE_FIXTURES "/machines"))
    if (recording.profile.networks.size() > 0)
      recorded.emplace_back(recording.name, judge(recording).predictor);

  for (const FbnetLatencies::Device& device : table.devices) {
    const auto known = std::find_if(goals.begin(), goals.end(),
                                    [&](const Goals& g) { return device.name == g.device; });
    const DeviceDescription nearest = [&] {
      DeviceDescription d =
          find_device(known == goals.end() ? "generic-x86" : std::string_view(known->nearest));
      d.latencies.clear();
      return d;
    }();
    const auto tell = [&](const std::string& how, const Quality& q) {
      rows.inform(device.name + ", " + how, q.spearman, "Spearman",
                  q.mape > 0 ? fmt::format("{:.1f} % MAPE", 100 * q.mape) : "");
    };
    const double by_macs = quality(network_macs, device.ms, {}).spearman;
    tell("MACs", {by_macs, 0});
    const std::size_t four_fifths = table.networks.size() / 5 * 4;
    tell(fmt::format("a latency for each block, {} networks known", four_fifths),
         lookup_of_blocks(table.networks, device.ms, four_fifths));
    tell("five quantities, 10 random networks", five_quantities(sums, device.ms));
    const Predictor description = calibrate(nearest);
    const Adaptation adaptation(description, nearest.device, 1, networks);
    tell("adapted by 10 random networks", chosen_at_random(adaptation, device.ms));
    for (const auto& [count, q] : chosen_actively(adaptation, device.ms, counts.back())) {
      const std::string row = fmt::format("{}, adapted by {} chosen networks", device.name, count);
      const std::string mape = fmt::format("{:.1f} % MAPE", 100 * q.mape);
      if (count != few || known == goals.end()) {
        rows.inform(row, q.spearman, "Spearman", mape);
        continue;
      }
      rows.add(row, q.spearman, "Spearman", known->spearman > 0 ? known->spearman : by_macs + 0.03,
               ">=", mape);
      if (known->mape > 0) rows.add(row, 100 * q.mape, "% MAPE", known->mape, "<=");
    }
    for (const auto& [name, predictor] : recorded)
      tell("10 chosen, from " + name,
           chosen_actively({predictor, nearest.device, 1, networks}, device.ms, few).at(few));
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run_benchmark("transfer [CSV]", 1, argc, argv, run);
}
