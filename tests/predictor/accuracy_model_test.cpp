#include "predictor/accuracy_model.hpp"

#include <cmath>

#include "space/accel_nasbench.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

const std::vector<TrainedNetwork>& trained() {
  static const std::vector<TrainedNetwork> all = [] {
    std::vector<TrainedNetwork> networks;
    for (const AccelNasbenchRow& row : accel_nasbench()) {
      TrainedNetwork n;
      n.network = row.config.name;
      n.family = "Accel-NASBench";
      n.top1 = row.top1;
      n.terms = accuracy_terms(build(row.config));
      networks.push_back(n);
    }
    return networks;
  }();
  return all;
}

std::span<const TrainedNetwork> first_trained(std::size_t count) {
  return std::span(trained()).first(count);
}

}  // namespace

TEST_CASE("fifty trained networks tell the order of the others", "[predictor]") {
  REQUIRE(trained().size() == 300);
  const AccuracyPosterior posterior = AccuracyFit(first_trained(50), "Accel-NASBench").posterior();
  double error = 0;
  double covered = 0;
  double agree = 0;
  double pairs = 0;
  std::vector<double> estimated;
  for (std::size_t i = 50; i < trained().size(); ++i) {
    const TrainedNetwork& n = trained()[i];
    const AccuracyEstimate e = estimate(posterior, n.terms);
    error += std::abs(e.top1 - n.top1) / 250;
    covered += (e.low <= n.top1 && n.top1 <= e.high) / 250.0;
    for (std::size_t k = 0; k < estimated.size(); ++k, ++pairs)
      agree += (estimated[k] < e.top1) == (trained()[50 + k].top1 < n.top1);
    estimated.push_back(e.top1);
  }
  CHECK(error < 1);
  CHECK(covered > 0.85);
  CHECK(covered < 0.99);
  CHECK(2 * agree / pairs - 1 > 0.8);  // Kendall's tau
}

TEST_CASE("left out networks are estimated as if they had never been there", "[predictor]") {
  const AccuracyFit fit(first_trained(60), "Accel-NASBench");
  const auto left = fit.leave_one_out();
  double error = 0;
  double seen = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    error += std::abs(left[i].top1 - trained()[i].top1);
    seen += std::abs(estimate(fit.posterior(), trained()[i].terms).top1 - trained()[i].top1);
  }
  CHECK(error > seen);
  for (const auto& e : fit.leave_family_out()) CHECK_FALSE(e);  // there is no other family
}

TEST_CASE("draws have the mean and the spread of the estimate", "[predictor]") {
  const AccuracyPosterior posterior = AccuracyFit(first_trained(60), "Accel-NASBench").posterior();
  const std::vector<AccuracyTerms> two{trained()[70].terms, trained()[70].terms};
  const Eigen::MatrixXd drawn = draw(posterior, two, 4000, 1);
  const AccuracyEstimate e = estimate(posterior, two[0]);
  const double mean = drawn.col(0).mean();
  CHECK(mean == Approx(e.top1).margin(0.1));
  const double sd = std::sqrt((drawn.col(0).array() - mean).square().mean());
  CHECK(sd == Approx((e.high - e.low) / 3.29).epsilon(0.1));
  // What is not known of the weights is common to both, and their noise is not.
  const double apart = std::sqrt((drawn.col(0) - drawn.col(1)).array().square().mean());
  CHECK(apart < 1.4 * sd);
  CHECK(apart > 0);
  CHECK(draw(posterior, two, 10, 1) == draw(posterior, two, 10, 1));
}

TEST_CASE("estimates of networks that were chosen for them flatter these", "[predictor]") {
  const AccuracyPosterior posterior = AccuracyFit(first_trained(50), "Accel-NASBench").posterior();
  std::vector<AccuracyTerms> compared;
  std::vector<double> costs;
  for (std::size_t i = 50; i < 150; ++i) {
    compared.push_back(trained()[i].terms);
    costs.push_back(trained()[i].terms.macs);
  }
  const SelectionEffect none =
      selection_effect(posterior, std::span(compared).first(1), std::span(costs).first(1), 2000, 1);
  CHECK(none.bias == Approx(0).margin(0.06));
  CHECK(none.spread == Approx(1).margin(0.06));
  const SelectionEffect effect = selection_effect(posterior, compared, costs, 200, 1);
  CHECK(effect.bias > 0.2);
  CHECK(effect.spread < 1.2);
  const AccuracyTerms& terms = compared[0];
  const double naive = estimate(posterior, terms).top1;
  CHECK(estimate(posterior, terms, none).top1 == Approx(naive).margin(0.1));
  CHECK(estimate(posterior, terms, effect).top1 < naive);
  CHECK(probability_of(posterior, terms, {}, naive) == Approx(0.5).epsilon(1e-3));
  CHECK(probability_of(posterior, terms, effect, naive) < 0.45);
  const AccuracyEstimate e = estimate(posterior, terms, effect);
  CHECK(probability_of(posterior, terms, effect, e.low) == Approx(0.95).epsilon(1e-3));
  CHECK_THROWS_WITH(selection_effect(posterior, compared, {}, 10, 1),
                    ContainsSubstring("got 100 networks and 0 costs"));
}

TEST_CASE("doubt grows away from what was trained, until it refuses", "[predictor]") {
  const AccuracyPosterior posterior = AccuracyFit(first_trained(100), "Accel-NASBench").posterior();
  AccuracyTerms terms = trained()[0].terms;
  const auto width = [&] {
    const AccuracyEstimate e = estimate(posterior, terms);
    return std::log((100 - e.low) / (100 - e.high));
  };
  const double usual = width();
  terms.places[8].attention = 2;
  CHECK(width() > usual);
  terms = trained()[0].terms;
  terms.macs *= 2;
  CHECK(width() > usual);
  CHECK_FALSE(estimate(posterior, terms).refused);
  terms.macs *= 10;
  CHECK(estimate(posterior, terms).refused);
}

TEST_CASE("a fit refuses a family without networks and impossible values", "[predictor]") {
  CHECK_THROWS_WITH(AccuracyFit(first_trained(5), "other"),
                    ContainsSubstring("\"other\", got none"));
  std::vector<TrainedNetwork> wrong(first_trained(5).begin(), first_trained(5).end());
  wrong[2].top1 = 100;
  CHECK_THROWS_WITH(AccuracyFit(wrong, "Accel-NASBench"),
                    ContainsSubstring("top1 must be between 0 and 100 percent, got 100"));
}
