#include "predictor/adaptation.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "benchmarks/fbnet.hpp"
#include "graph/error.hpp"
#include "predictor/calibration.hpp"
#include "predictor/evaluation.hpp"
#include "runtime/xnnpack_traits.hpp"
#include "space/random_network.hpp"
#include "space/zoo.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

using Observations = std::vector<Adaptation::Observation>;

/// A device of which nothing is published.
const DeviceDescription& described_device() {
  static const DeviceDescription device = [] {
    DeviceDescription d = find_device("pi4");
    d.latencies.clear();
    return d;
  }();
  return device;
}
const Predictor& description() {
  static const Predictor predictor = calibrate(described_device());
  return predictor;
}

std::vector<Adaptation::Subject> random_networks(std::size_t count) {
  std::vector<Adaptation::Subject> networks;
  for (std::uint64_t seed = 0; seed < count; ++seed)
    networks.push_back(subject_of(random_network(seed)));
  return networks;
}

/// What an operator takes on another device than the described one: three times as slow in
/// arithmetic, ten times in dispatch, equal in memory.
double other_ns(const Op& op) {
  const CostNs ns =
      parts(description().classes[0], facts(op, cpu_traits(described_device().device)));
  return 3 * ns.compute + ns.memory + ns.far_memory + ns.weights + 10 * ns.dispatch;
}
double other_ns(const Adaptation::Subject& subject) {
  double sum = 0;
  for (const Op& op : subject.ops) sum += other_ns(op);
  return sum;
}

Observations observed(const std::vector<Adaptation::Subject>& subjects,
                      const std::vector<std::size_t>& which) {
  Observations known;
  for (const std::size_t i : which) known.push_back({i, other_ns(subjects[i]), 0.01});
  return known;
}

double mape(const Adaptation& adaptation, const std::vector<Adaptation::Subject>& subjects,
            const Observations& known) {
  const Adaptation::Fit fit = adaptation.fit(known);
  double sum = 0;
  for (std::size_t i = 0; i < subjects.size(); ++i)
    sum += std::abs(adaptation.ns(fit, i) / other_ns(subjects[i]) - 1);
  return sum / static_cast<double>(subjects.size());
}

std::vector<std::size_t> indices_below(std::size_t count) {
  std::vector<std::size_t> all(count);
  std::iota(all.begin(), all.end(), std::size_t{0});
  return all;
}

}  // namespace

TEST_CASE("few networks tell what another device takes for others", "[predictor]") {
  const auto networks = random_networks(60);
  const Adaptation adaptation(description(), described_device().device, 1, networks);
  CHECK(mape(adaptation, networks, {}) > 0.3);
  CHECK(mape(adaptation, networks, observed(networks, indices_below(10))) < 0.05);
}

TEST_CASE("an adapted predictor predicts what the adaptation found", "[predictor]") {
  const auto networks = random_networks(12);
  const Adaptation adaptation(description(), described_device().device, 1, networks);
  const Adaptation::Fit fit = adaptation.fit(observed(networks, indices_below(10)));
  const Predictor adapted = adaptation.predictor(fit);
  for (const std::uint64_t seed : {3U, 11U})
    CHECK(terms(adapted, random_network(seed)).ops_ns ==
          Approx(adaptation.ns(fit, seed)).epsilon(1e-4));
  // What was observed is surer than what was not.
  CHECK(relative_spread(terms(adapted, random_network(3))) <
        0.5 * relative_spread(terms(adaptation.predictor(adaptation.fit({})), random_network(3))));
}

TEST_CASE("operators take within networks what the base knows that they do", "[predictor]") {
  Predictor base = description();
  for (ClassModel& model : base.classes) model.network_scale = 1.2;
  const std::vector<Op> ops = subject_of(random_network(1)).ops;
  const std::vector<Adaptation::Subject> subjects{{ops, true}, {ops, false}};
  const Adaptation adaptation(base, described_device().device, 1, subjects);
  const Adaptation::Fit prior = adaptation.fit({});
  CHECK(adaptation.ns(prior, 0) == Approx(1.2 * adaptation.ns(prior, 1)));
}

TEST_CASE("an observation that is far off barely counts", "[predictor]") {
  const auto networks = random_networks(40);
  const Adaptation adaptation(description(), described_device().device, 1, networks);
  Observations known = observed(networks, indices_below(12));
  known[5].ns *= 2;
  CHECK(mape(adaptation, networks, known) < 0.08);
}

TEST_CASE("the networks that tell most tell more than the first ones", "[predictor]") {
  const auto networks = random_networks(60);
  const Adaptation adaptation(description(), described_device().device, 1, networks);
  constexpr std::size_t few = 4;
  std::vector<std::size_t> chosen;
  const std::vector<std::size_t> all = indices_below(networks.size());
  while (chosen.size() < few)
    chosen.push_back(adaptation.most_informative(all, all, observed(networks, chosen)));
  CHECK(mape(adaptation, networks, observed(networks, chosen)) <
        0.9 * mape(adaptation, networks, observed(networks, indices_below(few))));
  std::sort(chosen.begin(), chosen.end());
  CHECK(std::adjacent_find(chosen.begin(), chosen.end()) == chosen.end());
  CHECK_THROWS_WITH(
      adaptation.most_informative(chosen, all, observed(networks, chosen)),
      "got 4 candidates to measure, expected at least one whose latency is not known");
}

TEST_CASE("a profile of networks adapts a predictor", "[predictor]") {
  Profile profile;
  profile.device = described_device().device;
  profile.device.name = "other";
  std::vector<Network> networks;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    networks.push_back(random_network(seed));
    const double ns = other_ns(subject_of(networks.back()));
    NetworkRecord record;
    record.name = networks.back().name;
    record.macs = macs(networks.back());
    record.params = params(networks.back());
    record.timing = {ns, 0.99 * ns, 1.01 * ns, 0.01, {ns, ns}, 1, false};
    profile.networks.push_back(record);
  }
  double expected_error = 1;
  const Predictor adapted = adapt_predictor(description(), profile, networks, &expected_error);
  CHECK(expected_error < 0.08);
  CHECK(evidence_text(adapted) ==
        fmt::format("adapted from another device (pi4, 4 threads; 10 networks, expected error "
                    "{:.1f} % each)",
                    100 * expected_error));
  CHECK(adapted.best_macps > 0);
  CHECK(adapted.network.networks == 10);
  CHECK(adapted.network.test_mape == Approx(expected_error));
  const auto covered = std::count_if(networks.begin(), networks.end(), [&](const Network& n) {
    const LatencyEstimate e = predict(adapted, n).latency;
    const double ms = other_ns(subject_of(n)) * 1e-6;
    return e.low_ms < ms && ms < e.high_ms && e.high_ms < 1.5 * e.ms;
  });
  CHECK(covered == 10);
  const Network other = random_network(20);
  CHECK(predict(adapted, other).latency.ms ==
        Approx(other_ns(subject_of(other)) * 1e-6).epsilon(0.1));
  CHECK_THROWS_WITH(adapt_predictor(description(), profile),
                    "adapting a predictor needs at least 4 measured operators or networks, got 0");
}

TEST_CASE("ten chosen networks rank a Raspberry Pi 4's latencies that others measured",
          "[predictor]") {
  const FbnetLatencies table = load_fbnet_latencies(CPUBONE_FIXTURES "/fbnet_latency.csv");
  REQUIRE(table.networks.size() == 500);
  REQUIRE(table.devices.size() == 6);
  REQUIRE(table.devices[0].name == "raspi4");
  std::vector<Adaptation::Subject> networks;
  for (std::size_t i = 0; i < 200; ++i) networks.push_back(subject_of(table.networks[i]));
  const Adaptation adaptation(description(), described_device().device, 1, networks);
  Observations known;
  const std::vector<std::size_t> all = indices_below(networks.size());
  while (known.size() < 10) {
    const std::size_t i = adaptation.most_informative(all, all, known);
    known.push_back({i, table.devices[0].ms[i] * 1e6, 0});
  }
  const Adaptation::Fit fit = adaptation.fit(known);
  std::vector<double> predicted;
  for (std::size_t i = 0; i < networks.size(); ++i) predicted.push_back(adaptation.ns(fit, i));
  const std::vector<double> measured(table.devices[0].ms.begin(),
                                     table.devices[0].ms.begin() + 200);
  CHECK(spearman(predicted, measured) > 0.96);
}

TEST_CASE("FBNet's networks are built as they were measured", "[predictor]") {
  const Network network = fbnet("2888888888888888888888");
  // Stem, one block of three convolutions with a residual, five skips that change the shape, head.
  CHECK(network.nodes.size() == 1 + 4 + 6 + 3);
  const std::int64_t block = 32 * 32 * (16 * 48 + 48 * 9 + 48 * 16);
  const std::int64_t skips = 32 * 32 * 16 * 24 + 16 * 16 * 24 * 32 + 8 * 8 * (32 * 64 + 64 * 112) +
                             4 * 4 * (112 * 184 + 184 * 352);
  CHECK(macs(network) == 32 * 32 * 27 * 16 + block + skips + 4 * 4 * 352 * 1504 + 1504 * 100);
  CHECK(fbnet("1888888888888888888888").nodes.size() == network.nodes.size() + 1);
  CHECK_THROWS_WITH(fbnet("19"), "blocks: got \"19\", expected 22 digits from 0 to 8");
}
