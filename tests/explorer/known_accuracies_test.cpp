#include "explorer/known_accuracies.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>

#include "space/cpubone.hpp"
#include "tests/catch.hpp"
#include "tests/temporary_folder.hpp"

using namespace cpubone;

namespace {

AccuracyEstimate of(const AccuracyModel& model, const CpuboneConfig& config) {
  return estimate(model.posterior, accuracy_terms(build(config)));
}

}  // namespace

TEST_CASE("the published model comes near the family that it was fitted on", "[explorer]") {
  const AccuracyModel& model = published_accuracy_model();
  const std::pair<const char*, double> published[] = {{"nano", 72.67}, {"t0", 74.85}, {"s0", 75.89},
                                                      {"b0", 77.6},    {"b1", 78.7},  {"b2", 80.3},
                                                      {"b3", 83.1}};
  for (const auto& [name, top1] : published) {
    const AccuracyEstimate e = of(model, cpubone_config(name));
    INFO(name << " estimated " << e.top1);
    CHECK(std::abs(e.top1 - top1) < 0.3);
    CHECK(e.low < top1);
    CHECK(top1 < e.high);
    CHECK(e.low < e.assured);
    CHECK(e.assured < e.top1);
    CHECK_FALSE(e.refused);
  }
  CHECK(model.summary.points > 300);
  CHECK(*model.summary.loo_mae < 1);
  CHECK(*model.summary.family_mae > *model.summary.loo_mae);
}

TEST_CASE("a family that nobody trained is estimated like another, and doubted as families differ",
          "[explorer]") {
  const AccuracyModel& known = published_accuracy_model("CPUBone");
  const AccuracyModel& unknown = published_accuracy_model("CPUBone", true);
  for (const char* name : {"nano", "b0", "b2"}) {
    const AccuracyEstimate usual = of(known, cpubone_config(name));
    const AccuracyEstimate e = of(unknown, cpubone_config(name));
    INFO(name << ": " << usual.low << ".." << usual.high << ", " << e.low << ".." << e.high);
    CHECK(std::abs(e.top1 - usual.top1) < 1.5);
    CHECK(e.high - e.low > 2);
    CHECK(e.high - e.low > 2 * (usual.high - usual.low));
    CHECK_FALSE(e.refused);
  }
  CHECK_THAT(unknown.summary.note, ContainsSubstring("No network of this kind was trained"));
  CHECK(*unknown.summary.loo_mae == Approx(*known.summary.loo_mae).margin(0.05));
}

TEST_CASE("what nobody trained earns nothing beyond its capacity, and is doubted", "[explorer]") {
  const AccuracyModel& model = published_accuracy_model();
  const CpuboneConfig b0 = cpubone_config("b0");
  const AccuracyEstimate usual = of(model, b0);
  // Cheaper choices that nobody trained this family with.
  CpuboneConfig relu = b0;
  relu.activation = Activation::relu;
  CpuboneConfig few_pixels = b0;
  few_pixels.resolution = 192;
  CpuboneConfig without_attention = b0;
  for (CpuboneStage& stage : without_attention.stages) stage.attention = false;
  for (const CpuboneConfig& cheaper : {relu, few_pixels, without_attention}) {
    const AccuracyEstimate e = of(model, cheaper);
    CHECK(e.top1 < usual.top1 - 0.3);
    CHECK(e.top1 - e.assured > usual.top1 - usual.assured);
  }
  // Depth far beyond B3's earns what its MACs and parameters do; twice of that depth no more.
  AccuracyTerms deep = accuracy_terms(build(b0));
  deep.places[8].layers *= 8;
  const AccuracyEstimate once = estimate(model.posterior, deep);
  deep.places[8].layers *= 2;
  CHECK(estimate(model.posterior, deep).top1 <= once.top1 + 0.05);
  CHECK(estimate(model.posterior, deep).assured < once.assured);
  // Nor do MACs where no member of the family has that many.
  AccuracyTerms early = accuracy_terms(build(b0));
  early.places[2].macs += 0.5 * early.macs;
  early.macs *= 1.5;
  CHECK(estimate(model.posterior, early).top1 < usual.top1 + 0.2);
  // Nor do parameters without MACs.
  AccuracyTerms padded = accuracy_terms(build(b0));
  padded.body_params *= 30;
  const double padded_top1 = estimate(model.posterior, padded).top1;
  padded.body_params *= 2;
  CHECK(estimate(model.posterior, padded).top1 < padded_top1 + 0.1);
}

TEST_CASE("a user's table sets the scale, and published networks what choices are worth",
          "[explorer]") {
  const auto path = scratch_path("cpubone_accuracy_own.csv");
  std::ofstream(path) << "network,top1\n"
                         "cpubone-nano,60\n"
                         "cpubone-b0,64.5\n";
  const AccuracyModel model = load_accuracy_model(path);
  std::filesystem::remove(path);
  REQUIRE(model.own.size() == 2);
  CHECK(model.own[1].zoo_name == "cpubone-b0");
  CHECK(of(model, cpubone_config("b0")).top1 == Approx(64.5).margin(0.7));
  const double b1 = of(model, cpubone_config("b1")).top1;
  CHECK(b1 > 64.5);
  CHECK(b1 < 70);
  CpuboneConfig relu = cpubone_config("b0");
  relu.activation = Activation::relu;
  CHECK(of(model, relu).top1 < of(model, cpubone_config("b0")).top1 - 0.3);
}

TEST_CASE("own networks of which only totals are known set the scale as well", "[explorer]") {
  const auto path = scratch_path("cpubone_accuracy_totals.csv");
  std::ofstream(path) << "network,params_m,macs_m,top1\n"
                         "a,6.5,190,60\n"
                         "b,8.7,355,62.5\n"
                         "c,12.4,746,66\n";
  const AccuracyModel model = load_accuracy_model(path);
  std::filesystem::remove(path);
  const AccuracyEstimate b0 = of(model, cpubone_config("b0"));
  CHECK(b0.top1 > 62);
  CHECK(b0.top1 < 66);
}
