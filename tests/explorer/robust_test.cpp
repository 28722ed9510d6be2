#include "explorer/robust.hpp"

#include <algorithm>

#include "explorer/explore.hpp"
#include "explorer/workflow.hpp"
#include "tests/catch.hpp"
#include "tests/explorer/models.hpp"
#include "tests/temporary_folder.hpp"

using namespace cpubone;

namespace {

Found found(double ms, double ms_2, double assured, std::uint8_t gene) {
  Found f;
  f.genome = {gene};
  f.evaluation.latency = {ms, 0.9 * ms, 1.1 * ms};
  f.evaluation.elsewhere[0] = {ms_2, 0.9 * ms_2, 1.1 * ms_2};
  f.evaluation.accuracy.top1 = f.evaluation.accuracy.assured = assured;
  return f;
}

Reference reference(double top1) {
  Reference r;
  r.top1 = top1;
  return r;
}

/// A device that is slow where the other is not: in depthwise convolutions.
LatencyModel slow_depthwise() {
  LatencyModel model = fake_latency();
  model.op_terms = [usual = model.op_terms](const Op& op) {
    LatencyTerms terms = usual(op);
    terms.ops_ns *= op.kind == OpKind::conv2d && is_depthwise(op) ? 6 : 0.5;
    return terms;
  };
  model.device = "second";
  return model;
}

ExploreInput two_devices() {
  ExploreInput in;
  in.space = default_search_space();
  in.latency = fake_latency();
  in.latency.device = "first";
  in.elsewhere = {slow_depthwise()};
  in.accuracy = published_accuracy_model();
  return in;
}

ExploreOptions quick() {
  ExploreOptions options;
  options.search.algorithm = Algorithm::local;
  options.search.population = 40;
  options.search.evaluations = 4000;
  return options;
}

}  // namespace

TEST_CASE("the robust choice is the one whose worst slowdown is least", "[explorer]") {
  const std::vector<Found> front{found(10, 30, 80, 0), found(12, 22, 80, 1), found(20, 20, 81, 2),
                                 found(5, 5, 70, 3)};
  // At 80 %: 10 ms and 20 ms are the best, so slowdowns are 1.5, 1.2 and 2.
  const auto choice = robust_choice(front, 80, 2);
  REQUIRE(choice);
  CHECK(choice->network == 1);
  CHECK(choice->fastest == std::vector<std::size_t>{0, 2});
  CHECK(choice->worst_slowdown == Approx(1.2));
  // On one device it is the fastest.
  CHECK(robust_choice(front, 80, 1)->network == 0);
  CHECK(robust_choice(front, 80.5, 2)->network == 2);
  CHECK_FALSE(robust_choice(front, 82, 2));
}

TEST_CASE("proposals for several devices begin with the robust choices", "[explorer]") {
  const std::vector<Found> front{found(10, 30, 80, 0), found(12, 22, 80, 1), found(20, 20, 81, 2),
                                 found(5, 5, 70, 3), found(30, 29, 83, 4)};
  const std::vector<Reference> references{reference(80), reference(83), reference(99)};
  const auto genes = [&](std::size_t count) {
    std::vector<int> all;
    for (const Found& f : choose_for_all(front, references, 2, count)) all.push_back(f.genome[0]);
    return all;
  };
  CHECK(genes(2) == std::vector<int>{1, 4});
  CHECK(genes(4) == std::vector<int>{1, 4, 0, 2});
  CHECK(genes(10) == std::vector<int>{1, 4, 0, 2, 3});  // all that there are
}

TEST_CASE("limits of each device hold for the upper end of its latency", "[explorer]") {
  const std::vector<Found> front{found(10, 30, 80, 0), found(12, 22, 80, 1)};
  CHECK(surely_within(front, {{{Objective::latency_2, 25}}}).front().genome[0] == 1);
  CHECK(surely_within(front, {{{Objective::latency_2, 23}}}).size() == 2);  // 24.2 ms: none does
  CHECK(surely_within(front, {{{Objective::params, 1}}}).size() == 2);
}

TEST_CASE("an exploration for two devices tells the same networks on each", "[explorer]") {
  ExploreOptions options = quick();
  options.search.constraints = {{Objective::latency, 60}, {Objective::latency_2, 40}};
  const ExploreInput in = two_devices();
  const Exploration exploration = explore(in, options);
  REQUIRE(exploration.elsewhere.size() == 1);
  const Result& first = exploration.result;
  const Result& second = exploration.elsewhere[0];
  REQUIRE(exploration.proposals.size() >= 5);
  for (const Proposal& p : exploration.proposals) {
    for (const auto& [result, model] :
         {std::pair(&first, &in.latency), std::pair(&second, &in.elsewhere[0])}) {
      const ResultNetwork* n = find_network(*result, p.network.name);
      REQUIRE(n);
      const double ms = model->combine(latency_terms(p.network, *model)).ms;
      CHECK(n->predicted_ms->value == Approx(ms).epsilon(1e-9));
      double parts_ms = 0;
      for (const BreakdownRow& row : n->breakdown) parts_ms += row.latency_ms;
      CHECK(parts_ms == Approx(ms).epsilon(1e-6));
    }
    CHECK(find_network(first, p.network.name)->predicted_ms->value <= 60);
    CHECK(find_network(second, p.network.name)->predicted_ms->value <= 40);
  }
  CHECK(first.front != second.front);
  REQUIRE(second.search->limits.size() == 1);  // its own
  CHECK(second.search->limits[0].objective == "latency");
  CHECK(second.search->limits[0].limit == 40);
  int robust = 0;
  for (const Finding& finding : first.findings)
    if (const auto* said = std::get_if<RobustFinding>(&finding)) {
      if (said->proposal.empty()) continue;
      ++robust;
      REQUIRE(said->devices.size() == 2);
      CHECK(said->devices[0].device == "first");
      CHECK(said->devices[1].device == "second");
      double worst = 0;
      for (const LatencyOnDevice& on : said->devices)
        worst = std::max(worst, on.latency_ms / on.best_ms);
      CHECK(said->worst_slowdown == Approx(worst));
      CHECK(said->devices[1].latency_ms ==
            Approx(find_network(second, said->proposal)->predicted_ms->value));
      CHECK(assured(*find_network(first, said->proposal)->top1) >= said->top1 - 0.05);
    }
  CHECK(robust >= 1);
}

TEST_CASE("an exploration for three devices searches four objectives", "[explorer]") {
  ExploreInput in = two_devices();
  in.elsewhere.push_back(fake_latency());
  in.elsewhere.back().device = "third";
  ExploreOptions options = quick();
  options.search.evaluations = 1500;
  const Exploration exploration = explore(in, options);
  CHECK(exploration.elsewhere.size() == 2);
  CHECK(exploration.result.search->hypervolume.empty());
  in.elsewhere.push_back(fake_latency());
  CHECK_THROWS_WITH(explore(in, options), "evaluator: got 4 devices, expected at most 3");
}

TEST_CASE("several devices are not measured", "[explorer]") {
  ExploreInput in = two_devices();
  in.measure = [](std::span<const Network>) { return std::vector<MeasuredLatency>{}; };
  CHECK_THROWS_WITH(explore(in, quick()), "explore: several devices are predicted, not measured");
}

TEST_CASE("a limit of a device that nothing meets is told with its name", "[explorer]") {
  ExploreOptions options = quick();
  options.search.constraints = {{Objective::latency_2, 0.01}};
  CHECK_THROWS_WITH(explore(two_devices(), options),
                    ContainsSubstring("meets latency on second <= 0.01 ms; the nearest has latency "
                                      "on second "));
}
