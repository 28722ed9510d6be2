#include "explorer/accuracy.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>

#include "tests/catch.hpp"
#include "tests/temporary_folder.hpp"

using namespace cpubone;

namespace {

Capacity of(std::string_view member) {
  return capacity(build(cpubone_config(member)));
}

std::string message(const std::string& csv) {
  const auto path = scratch_path("cpubone_accuracy_test.csv");
  std::ofstream(path) << csv;
  std::string what = "accepted";
  try {
    load_accuracy_model(path);
  } catch (const Error& e) {
    what = e.what();
  }
  std::filesystem::remove(path);
  return what;
}

}  // namespace

TEST_CASE("the published model comes near the family that it was fitted on", "[explorer]") {
  const AccuracyModel model = published_accuracy_model();
  const std::pair<const char*, double> published[] = {{"nano", 72.67}, {"t0", 74.85}, {"s0", 75.89},
                                                      {"b0", 77.6},    {"b1", 78.7},  {"b2", 80.3},
                                                      {"b3", 83.1}};
  for (const auto& [name, top1] : published) {
    const AccuracyEstimate e = model.estimate(of(name));
    INFO(name << " estimated " << e.top1);
    CHECK(std::abs(e.top1 - top1) < 0.3);
    CHECK(e.low < top1);
    CHECK(top1 < e.high);
    CHECK_FALSE(e.refused);
  }
  CHECK(model.summary.points > 60);
  CHECK(*model.summary.loo_mae < 1.2);
  CHECK(*model.summary.family_mae < 2.2);
  CHECK(*model.summary.family_mae > *model.summary.loo_mae);
}

TEST_CASE("more capacity, depth or pixels never cost accuracy", "[explorer]") {
  const AccuracyModel model = published_accuracy_model();
  for (int i = 0; i < 58; ++i)      // 100 M to 5 G MACs
    for (int k = 0; k < 61; ++k) {  // 1 M to 60 M parameters
      const double macs = 100e6 * std::pow(1.07, i);
      const double params = 1e6 * std::pow(1.07, k);
      const Capacity c{.macs = macs, .body_params = params};
      const double here = model.estimate(c).top1;
      Capacity more = c;
      more.macs *= 1.01;
      CHECK(model.estimate(more).top1 >= here);
      more = c;
      more.body_params *= 1.01;
      CHECK(model.estimate(more).top1 >= here);
      more = c;
      more.depth = 12;
      const double shallow = model.estimate(more).top1;
      CHECK(shallow <= here);
      more.depth = 14;
      CHECK(model.estimate(more).top1 >= shallow);
      more.macs *= 1.01;
      more.body_params *= 1.01;
      CHECK(model.estimate(more).top1 >= shallow);
      Capacity fewer = c;
      fewer.resolution = 192;
      CHECK(model.estimate(fewer).top1 < here);
    }
}

TEST_CASE("groups beyond two cost about what the ablation says", "[explorer]") {
  const AccuracyModel model = published_accuracy_model();
  const double usual = model.estimate(of("b0")).top1;
  for (const auto& [groups, loss] : {std::pair{4, 0.3}, std::pair{8, 0.7}}) {
    CpuboneConfig config = cpubone_config("b0");
    for (CpuboneStage& stage : config.stages) stage.groups = groups;
    const double estimated = usual - model.estimate(capacity(build(config))).top1;
    INFO("groups " << groups << " lose " << estimated);
    CHECK(estimated > 0.5 * loss);
    CHECK(estimated < 2 * loss);
  }
}

TEST_CASE("doubt grows outside of the published range, until it refuses", "[explorer]") {
  const AccuracyModel model = published_accuracy_model();
  const auto width = [&](const Capacity& c) {
    const AccuracyEstimate e = model.estimate(c);
    return e.high - e.low;
  };
  const Capacity b3 = of("b3");
  Capacity beyond = b3;
  beyond.macs *= 2;
  beyond.body_params *= 2;
  CHECK(width(beyond) > 1.3 * width(b3));
  CHECK_FALSE(model.estimate(beyond).refused);
  beyond.macs = 20e9;
  CHECK(model.estimate(beyond).refused);
  CHECK(model.estimate({.macs = 20e6, .body_params = 1e6}).refused);
  // Parameters without MACs earn no more.
  Capacity padded = of("b0");
  padded.body_params *= 2;
  const double some = model.estimate(padded).top1;
  padded.body_params *= 2;
  CHECK(model.estimate(padded).top1 == some);
  CHECK(width(padded) > width(of("b0")));
  Capacity novel = of("b0");
  novel.novelty = 1;
  CHECK(width(novel) > width(of("b0")));
}

TEST_CASE("a user's table replaces the published results", "[explorer]") {
  const auto path = scratch_path("cpubone_accuracy_own.csv");
  std::ofstream(path) << "network,params_m,macs_m,head_params_m,top1\n"
                         "a,6,200,4,60\r\n"
                         "b, 9,400,4,64\n\n"
                         "c,14,800,4,68\n";
  const AccuracyModel model = load_accuracy_model(path);
  std::filesystem::remove(path);
  CHECK(model.summary.points == 3);
  CHECK_FALSE(model.summary.family_mae);
  const double b = model.estimate({.macs = 400e6, .body_params = 5e6}).top1;
  CHECK(b == Approx(64).margin(1));
}

TEST_CASE("a wrong table is refused with its line", "[explorer]") {
  CHECK_THAT(message("network,top1,params_m\n"),
             ContainsSubstring(":1: missing column \"macs_m\""));
  CHECK_THAT(message("network,top1,params_m,macs_m,speed\n"),
             ContainsSubstring(":1: unknown column \"speed\", expected among network"));
  CHECK_THAT(message("network,top1,params_m,macs_m\na,70,5\n"),
             ContainsSubstring(":2: got 3 cells, expected 4"));
  CHECK_THAT(message("network,top1,params_m,macs_m\na,170,5,300\n"),
             ContainsSubstring(":2: top1 must be a number between 0 and 100, got \"170\""));
  CHECK_THAT(message("network,top1,params_m,macs_m\na,nan,5,300\n"),
             ContainsSubstring(":2: top1 must be a number"));
  CHECK_THAT(message("network,top1,params_m,macs_m\na,70,-5,300\n"),
             ContainsSubstring(":2: params_m must be a number between 0"));
  CHECK_THAT(message("network,top1,params_m,macs_m\n"),
             ContainsSubstring("no networks below the header"));
  CHECK_THAT(message("network,top1,params_m,macs_m\na,70,5,300\nb,71,6,400\n"),
             ContainsSubstring("expected at least 3 networks of family \"own\", got 2"));
  CHECK_THROWS_WITH(load_accuracy_model("/no/such.csv"), "/no/such.csv: cannot be read");
}

TEST_CASE("fits of slopes with the wrong sign are held at nothing", "[explorer]") {
  std::vector<AccuracyPoint> points;
  for (int i = 0; i < 6; ++i) {
    AccuracyPoint p;
    p.network = std::to_string(i);
    p.family = "own";
    p.macs = 1e8 * (i + 1);
    p.body_params = 5e6;
    p.top1 = 80 - i;  // larger is worse here
    points.push_back(p);
  }
  const AccuracyModel model = fit_accuracy(points, "own");
  CHECK(model.estimate({.macs = 5e8, .body_params = 5e6}).top1 >=
        model.estimate({.macs = 2e8, .body_params = 5e6}).top1);
}
