#include "predictor/accuracy_json.hpp"

#include <nlohmann/json.hpp>

#include "predictor/accuracy_model.hpp"
#include "space/cpubone.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

namespace {

const AccuracyPosterior& fitted() {
  static const AccuracyPosterior posterior = [] {
    std::vector<TrainedNetwork> networks;
    for (const char* name : {"nano", "t0", "s0", "b0", "b1"}) {
      TrainedNetwork n;
      n.network = name;
      n.family = "CPUBone";
      n.top1 = 70 + static_cast<double>(networks.size());
      n.terms = accuracy_terms(build(cpubone_config(name)));
      networks.push_back(n);
    }
    return AccuracyFit(networks, "CPUBone").posterior();
  }();
  return posterior;
}

AccuracyPosterior read_posterior(const nlohmann::json& json) {
  const nlohmann::json parsed = parse_json(json.dump(), "accuracy");
  return accuracy_posterior_from_json(JsonReader(parsed, "accuracy#"));
}

}  // namespace

TEST_CASE("what accuracies are estimated from comes back from JSON to the bit", "[predictor]") {
  const AccuracyPosterior again = read_posterior(to_json(fitted()));
  CHECK(to_json(again) == to_json(fitted()));
  CHECK(again.low == fitted().low);  // some of them infinite
  CHECK(again.high == fitted().high);
  for (const char* name : {"nano", "b0", "b3"}) {
    CpuboneConfig config = cpubone_config(name);
    config.resolution = 192;  // nobody trained it
    const AccuracyTerms terms = accuracy_terms(build(config));
    CHECK(estimate(again, terms) == estimate(fitted(), terms));
  }
}

TEST_CASE("what is no posterior is refused by name", "[predictor]") {
  const auto refused = [](const char* key, const nlohmann::json& value, const char* message) {
    nlohmann::json bad = to_json(fitted());
    bad[key] = value;
    CHECK_THROWS_WITH(read_posterior(bad), ContainsSubstring(message));
  };
  refused("mean", {1, 2}, "accuracy#/mean: expected ");
  refused("noise", nullptr, "accuracy#/noise: expected a number");
  refused("low", {1}, "accuracy#/low: expected ");
  refused("known", {1'000'000}, "accuracy#/known/0: ");
  refused("root", nlohmann::json::array(), "accuracy#/root: expected a row for each");
  refused("code", "rm", "code");
}
