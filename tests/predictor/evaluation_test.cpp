#include "predictor/evaluation.hpp"

#include <cmath>

#include "space/zoo.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

TEST_CASE("accuracy is as worked by hand", "[predictor]") {
  // Errors +10 %, -4 %, 0 %; the first is outside of its interval.
  const std::vector<Comparison> comparisons{
      {"a", 10, 11, 10.5, 11.5}, {"b", 50, 48, 45, 51}, {"c", 20, 20, 19, 21}};
  const PredictionQuality a = prediction_quality(comparisons);
  CHECK(a.count == 3);
  CHECK(a.rmspe == Approx(std::sqrt((0.01 + 0.0016) / 3)));
  CHECK(a.mape == Approx(0.14 / 3));
  CHECK(a.bias == Approx(0.02));
  CHECK(a.worst == Approx(0.1));
  CHECK(a.within_5 == Approx(2.0 / 3));
  CHECK(a.covered == Approx(2.0 / 3));
  CHECK(a.spearman == Approx(1));
  CHECK(a.kendall == Approx(1));
}

TEST_CASE("accuracy refuses nothing and latencies that cannot be", "[predictor]") {
  CHECK_THROWS_WITH(prediction_quality({}), "no networks to compare");
  const std::vector<Comparison> wrong{{"a", 0, 1, 1, 1}};
  CHECK_THROWS_WITH(prediction_quality(wrong),
                    "network \"a\": measured latency must be > 0, got 0");
}

TEST_CASE("rank correlations count order, not distance", "[predictor]") {
  const std::vector<double> a{1, 2, 3, 4};
  const std::vector<double> b{10, 20, 40, 30};
  CHECK(spearman(a, b) == Approx(0.8));     // 1 - 6 * 2 / (4 * 15)
  CHECK(kendall(a, b) == Approx(4.0 / 6));  // 5 pairs agree, 1 does not
  const std::vector<double> reversed{9, 7, 5, 1};
  CHECK(spearman(a, reversed) == Approx(-1));
  CHECK(kendall(a, reversed) == Approx(-1));
}

TEST_CASE("ties share their ranks", "[predictor]") {
  const std::vector<double> a{1, 1, 2};
  const std::vector<double> b{1, 2, 3};
  // Ranks 1.5 1.5 3 against 1 2 3: covariance 1.5, variances 1.5 and 2.
  CHECK(spearman(a, b) == Approx(1.5 / std::sqrt(3.0)));
  CHECK(kendall(a, b) == Approx(2 / std::sqrt(6.0)));
}

TEST_CASE("rank correlations refuse lists of other lengths", "[predictor]") {
  const std::vector<double> a{1, 2};
  const std::vector<double> b{1};
  CHECK_THROWS_WITH(kendall(a, b), "rank correlation: lists must be equally long, got 2 and 1");
}

TEST_CASE("a constant MACpS is recovered", "[predictor]") {
  std::vector<Network> networks;
  std::vector<double> ns;
  for (const char* name : {"b0", "b1", "mobilenetv2-100"}) {
    networks.push_back(find_network(name));
    ns.push_back(static_cast<double>(macs(networks.back())) / 20);
  }
  const Baseline baseline = fit_baseline(BaselineKind::constant_macps, networks, ns);
  CHECK(baseline.ns[0] == Approx(1.0 / 20));
  CHECK(predict_ms(baseline, networks[0]) == Approx(ns[0] * 1e-6));
}

TEST_CASE("a latency that is linear in MACs and parameters is recovered", "[predictor]") {
  std::vector<Network> networks;
  std::vector<double> ns;
  for (const char* name : {"nano", "b0", "b3", "mobilenetv2-100", "resnet18", "fasternet-t0"}) {
    networks.push_back(find_network(name));
    ns.push_back(static_cast<double>(macs(networks.back())) / 20 +
                 static_cast<double>(params(networks.back())) / 5);
  }
  const Baseline baseline = fit_baseline(BaselineKind::linear, networks, ns);
  for (std::size_t i = 0; i < networks.size(); ++i)
    CHECK(predict_ms(baseline, networks[i]) == Approx(ns[i] * 1e-6).epsilon(0.01));
}

TEST_CASE("a baseline refuses no networks", "[predictor]") {
  CHECK_THROWS_WITH(fit_baseline(BaselineKind::linear, {}, {}),
                    "baseline: expected as many latencies as networks, at least one, got 0 and 0");
}
